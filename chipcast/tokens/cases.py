"""A row of measurements, or a question in the same columns, as a case that the model can work out.

Foreign units are translated here once; what a row leaves empty is filled in, and said in `assumed`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import ceil

from chipcast.base.catalog import FIRST_VINTAGE, Catalogue, vintage_rows
from chipcast.base.errors import InputError, unknown
from chipcast.tokens.beliefs import Part, constant, maker, part, stack_of
from chipcast.tokens.case import QUANTITIES, TRAINING, Case
from chipcast.tokens.cells import (
    drafts_of,
    noted,
    noted_once,
    number,
    precision_of,
    quantity_of,
    refuse_bad_numbers,
    refuse_unknown_precision,
    variant_of,
    years_before,
)
from chipcast.tokens.config import refuse_later, unsure_date
from chipcast.tokens.guess import model_for
from chipcast.tokens.model import Model
from chipcast.tokens.names import hardware, taken_as

COLUMNS = ("id", "hardware", "chips", "model", "phase", "precision", "tp", "pp", "dp", "ep", "cp", "batch_per_chip",
           "concurrency", "input_len", "output_len", "avg_context_len", "prefix_hit_pct", "spec_decode", "accept_len",
           "engine", "quantity", "quality", "notes")
"""Columns that are read; others are ignored, empty ones are free."""


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
    asked = (quantity or row.get("quantity") or "").strip().lower()
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
    if phase == "decode" and asked in (QUANTITIES[0], "ttft_ms"):
        said.append(f"{asked} is no quantity of decode: priced with its prompt")
        phase = "prefill" if asked == QUANTITIES[0] else "mixed"
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
        tp, ep = (noted_once(notes, rf"\b{k}[ =-]?(\d+)\b") for k in ("tp", "ep"))
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
    if tp > 1 and any(g.attention.heads % tp for g in shape.groups):
        said.append(f"tp {tp} does not divide the heads of {shape.name}: dropped")
        tp = 0
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
    drafts, accept = drafts_of(spec, number(row, "accept_len"), said)
    stack, engine = stack_of(row.get("engine") or "", family, training=training)
    if (row.get("engine") or "").strip() and engine.startswith("unknown"):
        said.append(f"engine '{(row.get('engine') or '').strip()}' not known: as any of its kind")
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
        floor="ci floor" in notes, slots=noted(notes, r"max-num-seqs (?:\d+/)?(\d+)"),
        prompts=times * (noted(notes, r"num_prompts (\d+)") or noted(notes, r"(\d+) prompts at")),
        arrivals=times * (noted(notes, r"request_rate ([\d.]+)") or noted(notes, r"prompts at ([\d.]+) req/s")),
        years=0.0 if training else years_before(str(row.get("date") or ""), str(row.get("known_by") or "")),
        assumed=tuple(said))


@lru_cache(maxsize=256)
def bin_weights(chips: tuple[str, ...], catalog: Catalogue) -> dict[str, float]:
    """Return the assumed shares of the bins that an unnamed part may be, by rows of the data."""
    rows = {f"{r['item']}.{r['name']}": float(r["mode"]) for r in vintage_rows(max(catalog.as_of, FIRST_VINTAGE))}
    weights = {c: rows.get(f"ascend-910b.bin_weight_{c[-2:]}", 1.0) for c in chips}
    total = sum(weights.values())
    return {c: w / total for c, w in weights.items()}
