"""A row of measurements, or a question in the same columns, as a case that the model can work out.

Foreign units are translated here once; what a row leaves empty is filled in, and said in `assumed`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import InputError, unknown
from chipcast.tokens.beliefs import Part, constant, maker, part, stack_of
from chipcast.tokens.config import refuse_later, unsure_date
from chipcast.tokens.guess import model_for
from chipcast.tokens.model import PRECISION, Model, deployed
from chipcast.tokens.names import hardware, taken_as
from chipcast.tokens.train import Job

QUANTITIES = ("input_tokens_per_s_per_chip", "output_tokens_per_s_per_chip", "total_tokens_per_s_per_chip", "tpot_ms",
              "ttft_ms", "train_tokens_per_s_per_chip", "mfu", "gpu_hours", "step_time_s")
"""What can be asked."""

TRAINING = QUANTITIES[5:]
"""Quantities of training."""

COLUMNS = ("id", "hardware", "chips", "model", "phase", "precision", "tp", "pp", "dp", "ep", "cp", "batch_per_chip",
           "concurrency", "input_len", "output_len", "avg_context_len", "prefix_hit_pct", "spec_decode", "accept_len",
           "engine", "quantity", "quality", "notes")
"""Columns that are read; others are ignored, empty ones are free."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration and what is asked of it."""

    id: str
    """Row id."""
    source: str
    """Where the row comes from, empty for a question."""
    quantity: str
    """One of `QUANTITIES`."""
    chips: tuple[str, ...]
    """Chip ids it may be; several for a part without a bin."""
    variant: str
    """Bandwidth or power that the name states beside the part's own, empty for none."""
    count: int
    """Chips that work together."""
    stated_count: bool
    """Whether the row says how many."""
    model: Model
    """Shape."""
    phase: str
    """prefill, decode, mixed or train."""
    precision: str
    """Entry of `PRECISION`."""
    cache_bytes: float
    """Bytes of a cached element. [B]"""
    tp: int
    """Tensor-parallel ranks, 0 for free."""
    pp: int
    """Stages, 0 for free."""
    dp: int
    """Attention groups, 0 for free."""
    ep: int
    """Ranks of experts, 0 for free, -1 for on."""
    cp: int
    """Context-parallel ranks."""
    batch_per_chip: float
    """Requests per chip, 0 for free."""
    concurrency: float
    """Requests in flight at all, 0 for free, infinite for as many as fit."""
    micro: float
    """Sequences of a micro-batch, 0 for free."""
    input_len: float
    """Prompt, or sequence of training. [tokens]"""
    output_len: float
    """Answer. [tokens]"""
    hit: float
    """Share of the prompt found in a cache. [1]"""
    drafts: int
    """Tokens drafted a step."""
    accept: float
    """Tokens a step yields, 0 where not stated."""
    stack: str
    """Group of stacks."""
    engine: str
    """Engine."""
    quality: str
    """A, B or C."""
    split: bool
    """Whether prefill and decode run on pools of their own."""
    balanced: bool
    """Whether experts were evenly used by construction."""
    recompute: str
    """Entry of `RECOMPUTE`, empty for free."""
    sharded: bool
    """Whether weights are fully sharded over data-parallel ranks."""
    interleaved: bool
    """Whether pipeline stages hold several pieces."""
    batch: float
    """Sequences of a training step, 0 for free."""
    local_batch: float
    """Sequences of a training step on each data-parallel rank, 0 for free."""
    tokens: float
    """Tokens of a training run, for gpu_hours. [tokens]"""
    floor: bool
    """Whether the value is a floor that a check accepts."""
    slots: float = 0.0
    """Requests that the engine schedules on an attention group at most, 0 for free."""
    prompts: float = 0.0
    """Requests of the whole measurement, 0 where not stated."""
    arrivals: float = 0.0
    """Requests offered per second, 0 for as many as are in flight. [requests/s]"""
    years: float = 0.0
    """Years by which the row is older than the software that the beliefs speak of."""
    assumed: tuple[str, ...] = field(default=())
    """What was filled in."""
    layout: Job | None = None
    """Layout of training where it is settled beforehand."""


def number(row: Mapping[str, str], *names: str) -> float:
    """Return the first number in these columns, 0 where all are empty; `16k` is 16,000 and `micro 8` is none.

    >>> number({"input_len": "16k"}, "input_len")
    16000.0
    """
    for name in names:
        text = str(row.get(name) or "").replace(",", "").strip()
        found = re.match(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
        if found:
            times = {"k": 1e3, "K": 1e3, "M": 1e6}.get(text[found.end():].strip(), 1.0)
            return float(found.group(0)) * times
    return 0.0


COUNTS = ("chips", "tp", "pp", "dp", "cp", "input_len", "output_len", "avg_context_len", "prefix_hit_pct", "accept_len")
"""Columns that hold a number or nothing."""


LOADS = ("batch_per_chip", "concurrency")
"""Columns that hold a number, words about it (`micro 8`, `offline max`) or nothing."""

PLAIN = r"[+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(\s*([kKM]|tokens?|chips?|%))?\s*($|[(;])"
"""A number from 0 up, with a thousand or million, the column's own unit, and a remark behind it."""


def refuse_bad_numbers(row: Mapping[str, str]) -> None:
    """Refuse a row whose counts, lengths or shares are no numbers, negative or of a foreign unit.

    Raises
    ------
    InputError
        If one is.
    """
    for name in COUNTS:
        text = str(row.get(name) or "").replace(",", "").strip()
        if text and not re.match(PLAIN, text):
            raise InputError(f"{name} '{text}' is no number from 0 up; write it plainly, such as 4096")
    for name in LOADS:
        text = str(row.get(name) or "").strip().lower()
        if text.startswith("-") or text in ("nan", "inf", "infinity"):
            raise InputError(f"{name} '{text}' is no number from 0 up; write one, or leave it empty for what fits")
    if number(row, "prefix_hit_pct") > 100:
        raise InputError(f"prefix_hit_pct {row['prefix_hit_pct']} is more than 100")


def precision_of(text: str, model: Model, peaks: Mapping[str, float]) -> tuple[str, float, str]:
    """Return the entry of `PRECISION`, the bytes of a cached element, and what was assumed."""
    word = text.lower()
    cache = 1.0 if "c8" in word or "kv8" in word or "fp8 kv" in word else 2.0
    eight = "fp8" if "fp8" in peaks else "int8" if "int8" in peaks else "bf16"
    said = ""
    attention = re.search(r"(bf16|fp16|fp8|int8|w8a8)[ -]*(?:attn|attention)", word)
    if attention:
        word = word.replace(attention.group(0), "")
    if "nvfp4" in word or ("fp4" in word and "mx" not in word):
        name = "fp4_block" if "fp4" in peaks else "mxfp4"
    elif "w4a8" in word:
        name = "w4a8" if "int8" in peaks else "int4_group"
    elif re.search("int4|4[- ]?bit", word) or "w4a16" in word or "awq" in word or "gptq" in word:
        name = "int4_group"
    elif "mxfp4" in word:
        name = "mxfp4"
    elif re.search("w8a8|int8|8[- ]?bit", word):
        name = "int8_channel"
    elif "w8a16" in word:
        name = "w8a16"
    elif re.search("fp8|e4m3|e5m2", word):
        name = "fp8_block" if model.block else "fp8"
    elif "bf16" in word or "fp16" in word or "16" in word:
        name = "bf16"
    else:
        name = model.native
        said = f"precision {name}, that of the published weights"
    if name.startswith("fp8") and "fp8" not in peaks:
        name = {"int8": "int8_channel"}.get(eight, "bf16")
        said = f"no FP8 on the chip, {name} instead"
    if name == "int8_channel" and "int8" not in peaks:
        name = "fp8" if "fp8" in peaks else "bf16"
        said = f"no INT8 on the chip, {name} instead"
    if attention:
        told = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8_block"}.get(attention.group(1), "int8_channel")
        return (f"{name}+{told}" if f"{name}+{told}" in PRECISION else name), cache, said
    usual = deployed(name, model)
    if usual != name and not said:
        said = f"experts in {name}, other products in {usual.partition('+')[2]}"
    return usual, cache, said


FORMATS = r"fp8|e4m3|e5m2|fp4|int4|int8|w4a|w8a|[48][- ]?bit|16|awq|gptq|mixed|half|native|published|^none$"
"""Words that name a format of weights or arithmetic."""


def refuse_unknown_precision(text: str) -> None:
    """Refuse a precision that names no format known here.

    Raises
    ------
    InputError
        If it does.
    """
    if text and not re.search(FORMATS, text.lower()):
        raise InputError(f"precision '{text}' is not known; write bf16, fp8, int8 (w8a8), w4a8, int4, mxfp4 or nvfp4, "
                         "or leave it empty for that of the published weights")


def quantity_of(row: Mapping[str, str]) -> tuple[str, float]:
    """Return the canonical quantity of a measured row and its value, by `quantity` or by `metric` and `unit`.

    Raises
    ------
    InputError
        If the row's unit does not say what was counted, or speaks of a kernel or a link.
    """
    metric, unit, phase = row.get("metric", ""), row.get("unit", ""), row.get("phase", "")
    value, asked = number(row, "value"), (row.get("quantity") or "").strip()
    if asked and not metric:
        if asked not in QUANTITIES:
            unknown("quantity", asked, QUANTITIES)
        return asked, value
    if not metric:
        raise InputError(f"quantity is empty; name one of {', '.join(QUANTITIES)}")
    if metric == "throughput_per_chip":
        if unit.startswith("input") or (unit == "tok/s/chip" and phase == "prefill"):
            return QUANTITIES[0], value
        return QUANTITIES[1], value
    if metric == "throughput_total":
        count = number(row, "chips")
        if "in+out" in unit or not count:
            raise InputError("the unit counts prompt and answer together or the number of chips is missing")
        return QUANTITIES[1], value / count
    if metric == "total_speed_bs1":
        return QUANTITIES[2], value / max(number(row, "chips"), 1.0)
    if metric == "TPOT_ms":
        return QUANTITIES[3], value
    if metric == "TTFT_s":
        return QUANTITIES[4], value * 1000
    if metric == "train_tok_s_chip":
        return QUANTITIES[5], value
    if metric == "MFU":
        if number(row, "raw_value") > 10:
            return QUANTITIES[5], number(row, "raw_value")
        return QUANTITIES[6], value
    raise InputError(f"'{metric}' in '{unit}' is no metric of serving or training")


def usual_count(shape: Model, precision: str, here: Part, *, training: bool) -> int:
    """Return the chips of a row that names none: a server, doubled until weights (in training, states) have room."""
    need = 16.0 * shape.params_total if training else shape.weight_bytes(precision)
    count, room = 8, constant("fill_share") * here.memory_bytes * here.per_chip
    while need > count * room:
        count *= 2
    return count


def case_of(row: Mapping[str, str], catalog: Catalogue, *, quantity: str = "") -> Case:
    """Return a row as a case.

    Raises
    ------
    InputError
        If hardware, model or quantity are unknown.
    """
    asked = (quantity or row.get("quantity") or "").strip()
    if not asked:
        asked = quantity_of(row)[0]
    if asked not in QUANTITIES:
        unknown("quantity", asked, QUANTITIES)
    if not (row.get("hardware") or "").strip():
        raise InputError("hardware is empty; name a chip such as 'H20 96GB'")
    if not (row.get("model") or "").strip():
        raise InputError("model is empty; name a shipped model or a config.json")
    refuse_bad_numbers(row)
    said: list[str] = []
    chips = hardware(row["hardware"], catalog)
    if len(chips) > 1:
        said.append("bin not stated: " + ", ".join(f"{c} {w:.0%}" for c, w in bin_weights(chips, catalog).items()))
    elif taken_as(row["hardware"], chips[0], catalog):
        said.append(taken_as(row["hardware"], chips[0], catalog))
    refuse_later(row["model"], catalog.as_of)
    if unsure_date(row["model"], catalog.as_of):
        said.append(unsure_date(row["model"], catalog.as_of))
    shape, guess = model_for(row["model"])
    if guess:
        said.append(guess)
    notes = (row.get("notes") or "").lower()
    hours = re.search(r"([\d.]+)\s*t(?:rillion)? tokens", notes)
    training = asked in TRAINING
    phase = "train" if training else (row.get("phase") or "").split(" ")[0].strip().lower()
    if phase.startswith("train") and not training:
        raise InputError(f"'{asked}' is no quantity of training; ask for one of {', '.join(TRAINING)}")
    if phase == "prefill" and asked not in (QUANTITIES[0], "ttft_ms"):
        said.append(f"{asked} is no quantity of prefill: priced as prompt and answer together")
        phase = "mixed"
    if phase not in ("prefill", "decode", "mixed", "train"):
        phase = {"input_tokens_per_s_per_chip": "prefill", "ttft_ms": "mixed"}.get(asked, "mixed")
        said.append(f"phase {phase}")
    family = maker(chips[0], catalog)
    here = part(chips[0], catalog)
    label = f"{row.get('precision') or ''} {row['model'] if not row.get('precision') else ''}"
    refuse_unknown_precision((row.get("precision") or "").strip())
    name, cache, note = precision_of(label if label.strip() else "", shape, dict(here.peak))
    if asked == "gpu_hours" and not hours:
        said.append(f"{constant('default_run_tokens') / 1e12:g}T tokens")
    if training:
        name, note = ("fp8" if "fp8" in label.lower() and "fp8" in dict(here.peak) else "bf16"), ""
        if not (row.get("precision") or "").strip():
            said.append("bf16")
    if note:
        said.append(note)
    told = number(row, "chips")
    if told * here.per_chip % 1:
        raise InputError(f"{told:g} chips are no whole number of dies; {chips[0]} has {here.per_chip}")
    count = ceil(told)
    times = count / told if told else 1.0
    if times != 1:
        said.append(f"{told:g} chips priced as {count}, with {times:g} times the requests")
    tp, pp, dp = (int(number(row, k)) for k in ("tp", "pp", "dp"))
    ep = -1 if (row.get("ep") or "").strip().lower() in ("on", "yes", "true") else int(number(row, "ep"))
    if not tp and not dp and not ep:
        tp, ep = (_told_once(notes, rf"\b{k}[ =-]?(\d+)\b") for k in ("tp", "ep"))
    pools = re.findall(r"(\d+)x(\d+)", notes.partition("dp/tp per node:")[2].partition(";")[0])
    pools = pools or re.findall(r"decode dp ?(\d+) ?\+ ?tp ?(\d+)", notes)
    if pools and not tp and not dp:
        dp, tp = (int(v) for v in pools[-1])
    split = "disaggregated" in notes or "pd " in notes or bool(re.search(r"\b\d+p\d+d\b", notes))
    stated = count > 0
    if count <= 0:
        world = max(tp, 1) * max(dp, 1) * max(pp, 1)
        count = max(1, world // here.per_chip) if tp or dp or pp else 0
        if count == 0 and ep > 1:
            count = max(1, ep // here.per_chip)
        count = count or usual_count(shape, name, here, training=training)
        said.append(f"{count} chips")
    ranks = count * here.per_chip
    if split and pools and tp * dp < ranks:
        said.append(f"decode pool dp {dp} x tp {tp}")
    elif tp and dp and tp * dp * max(pp, 1) != ranks:
        experts = any(g.ffn.kind == "moe" for g in shape.groups)
        if ranks % (tp * dp * max(pp, 1)) or experts:
            said.append(f"tp {tp} x dp {dp} does not multiply out to {ranks} ranks: layout dropped")
            tp, dp = 0, 0
    if tp > ranks:
        said.append(f"tp {tp} is more than {ranks} ranks: dropped")
        tp = 0
    batch = 0.0 if "token" in (row.get("batch_per_chip") or "").lower() or training else number(row, "batch_per_chip")
    flight = (row.get("concurrency") or "").lower()
    concurrency = float("inf") if "max" in flight or "offline" in flight else number(row, "concurrency") * times
    input_len = number(row, "input_len", "avg_context_len") or \
        constant("default_sequence" if training else "default_prompt")
    if not number(row, "input_len", "avg_context_len"):
        said.append(f"{'sequence' if training else 'prompt'} {input_len:g}")
    output_len = number(row, "output_len")
    longest = input_len + output_len
    if shape.context and longest > constant("context_stretch") * shape.context:
        raise InputError(f"{longest:g} tokens are far beyond the {shape.context} of {shape.name}'s context")
    if shape.context and not guess and longest > shape.context + 2:
        said.append(f"{longest:g} tokens by a stretched context of {shape.context}")
    if not output_len and phase == "mixed" and asked != "ttft_ms":
        output_len = constant("default_prompt")
        said.append(f"answer {output_len:g}")
    spec = (row.get("spec_decode") or "").lower()
    drafts, accept = _drafts(spec, number(row, "accept_len"), said)
    stack, engine = stack_of(row.get("engine") or "", family, training=training)
    if engine == "trtllm" and name.startswith("fp8") and phase != "train" and cache == 2.0:
        cache = 1.0
        said.append("8-bit cache, as this engine pairs it with 8-bit weights")
    if phase == "prefill" and tp == ep and tp > 8:
        tp, dp = 1, ranks
        said.append("attention cut by sequence, priced as data-parallel")
    micro = number(row, "batch_per_chip") if training and "micro" in (row.get("batch_per_chip") or "").lower() else 0.0
    found = re.search(r"micro (\d+)", (row.get("batch_per_chip") or "").lower())
    micro = float(found.group(1)) if found else micro
    steps = re.search(r"global batch (\d+)", notes)
    local = re.search(r"local batch (\d+)", notes)
    recompute = "full" if "ckpt true" in notes or "full ckpt" in notes else "none" if "ckpt false" in notes else ""
    return Case(
        id=str(row.get("id") or ""), source=row.get("source_id") or "", quantity=asked, chips=chips,
        variant=variant_of(row["hardware"]), count=count,
        stated_count=stated, model=shape, phase=phase, precision=name, cache_bytes=cache, tp=tp, pp=pp, dp=dp, ep=ep,
        cp=max(int(number(row, "cp")), 1), batch_per_chip=batch, concurrency=concurrency, micro=micro,
        input_len=input_len, output_len=output_len, hit=min(number(row, "prefix_hit_pct") / 100, 0.995),
        drafts=drafts, accept=accept, stack=stack, engine=engine, quality=(row.get("quality") or "B").strip() or "B",
        split=split, balanced="perfect" in notes or "balanced" in notes,
        recompute=recompute, sharded="full_shard" in notes or "fsdp" in notes, interleaved="interleaved" in notes,
        batch=float(steps.group(1)) if steps else 0.0, local_batch=float(local.group(1)) if local else 0.0,
        tokens=float(hours.group(1)) * 1e12 if hours else constant("default_run_tokens"),
        floor="ci floor" in notes, slots=_told(notes, r"max-num-seqs (?:\d+/)?(\d+)"),
        prompts=times * (_told(notes, r"num_prompts (\d+)") or _told(notes, r"(\d+) prompts at")),
        arrivals=times * (_told(notes, r"request_rate ([\d.]+)") or _told(notes, r"prompts at ([\d.]+) req/s")),
        years=0.0 if training else years_before(str(row.get("date") or ""), str(row.get("known_by") or "")),
        assumed=tuple(said))


def years_before(date: str, known_by: str = "") -> float:
    """Return by how many years a row is older than the software that the beliefs speak of, -1 to 2; 0 without a date.

    The date of a snapshot may come long after the day on which a value was first known, and a measurement never after
    it, so the earlier of both counts.

    >>> years_before("repo snapshot 2026-01-08", "2025-06-30")
    0.5416666666666288
    """
    stated = [f for f in (re.search(r"\b(20\d{2})(?:-(\d{2}))?", text) for text in (date, known_by)) if f]
    found = [f for f in stated if f.group(2)] or stated
    years = [float(f.group(1)) + (float(f.group(2)) - 0.5 if f.group(2) else 6.0) / 12 for f in found]
    return min(max(constant("software_year") - min(years), -1.0), 2.0) if years else 0.0


def _told(notes: str, pattern: str) -> float:
    """Return the number that a pattern finds in notes, 0 where it finds none."""
    found = re.search(pattern, notes)
    return float(found.group(1)) if found else 0.0


def _told_once(notes: str, pattern: str) -> int:
    """Return the number that a pattern finds in notes, 0 where it finds none or several."""
    found = re.findall(pattern, notes)
    return int(found[0]) if len(found) == 1 else 0


def variant_of(name: str) -> str:
    """Return the bandwidth and power that a hardware name states, as `2.4TB/s 500W`; empty for none.

    >>> variant_of("H100 96GB HBM2e 2.4TB/s 500W")
    '2.4TB/s 500W'
    """
    return " ".join(re.findall(r"\d+(?:\.\d+)?\s?TB/s|\d{3,4}\s?W\b", name))


def _drafts(spec: str, accept: float, said: list[str]) -> tuple[int, float]:
    found = re.search(r"draft\s*(\d+)", spec) or re.search(r"(\d+)\s*draft", spec) or re.search(r"n\s*=\s*(\d+)", spec)
    rate = re.search(r"accept rate ([\d.]+)", spec)
    if rate:
        return 1, 1.0 + float(rate.group(1)) / 100
    if found:
        n = int(found.group(1))
        if accept > n + 1:
            raise InputError(f"accept_len {accept:g} is more than a step of {n} drafts can yield, {n + 1}")
        if not accept and n:
            said.append("acceptance of drafts by the assumed range")
        return n, accept
    if "mtp" in spec or "eagle" in spec:
        if not accept:
            said.append("one draft, acceptance by the assumed range")
        return max(1, ceil(accept - 1)), accept
    return (ceil(accept - 1), accept) if accept > 1 else (0, 1.0)


@lru_cache(maxsize=256)
def bin_weights(chips: tuple[str, ...], catalog: Catalogue) -> dict[str, float]:
    """Return the assumed shares of the bins that an unnamed part may be, by rows of the data."""
    from chipcast.base.catalog import vintage_rows

    rows = {f"{r['item']}.{r['name']}": float(r["mode"]) for r in vintage_rows(max(catalog.as_of, _FIRST))}
    weights = {c: rows.get(f"ascend-910b.bin_weight_{c[-2:]}", 1.0) for c in chips}
    total = sum(weights.values())
    return {c: w / total for c, w in weights.items()}


from chipcast.base.catalog import FIRST_VINTAGE as _FIRST  # noqa: E402
