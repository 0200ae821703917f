"""The picture of one decode step: what each chip spends it on, and what bounds each operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.report.chart_compute import able
from chipcast.report.form import AXIS_PX, sig
from chipcast.report.form_rows import stack
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import chip_name
from chipcast.tokens.model import PRECISION, Model, Precision, load
from chipcast.tokens.ops import Load, Message, Op, Plan, step_ops
from chipcast.tokens.record import Service
from chipcast.tokens.speed import at_middle, fitted_speed
from chipcast.tokens.step import PARTS, Speed, step_time

TONES = {"compute": "#5e4b9b", "memory": "#1b7f6b", "link": "#d9b382", "overhead": "#8b95a3"}
WORDS = {"compute": "arithmetic", "memory": "reading memory", "link": "links between chips",
         "overhead": "launches and host"}

TOLD = ("h20-96", "ascend-910b2", "ascend-910c", "h800-sxm")
"""Chips of the news item, whose operations are shown one by one."""

KIND_WORDS = {"gemm": "attention and dense products", "grouped": "experts", "core_decode": "attention over the cache",
              "core_prefill": "attention over the prompt", "small": "small operations", "head": "output head",
              "experts": "messages of experts", "all_reduce": "sums over chips", "stage": "messages between stages"}
"""Classes of operations and messages in words, in the order of a layer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OneStep:
    """One decode step of a chip in its best layout, halfway through the answer, at the medians."""

    model: Model
    """Shape."""
    plan: Plan
    """Layout over ranks."""
    kind: Precision
    """Of weights and arithmetic."""
    speed: Speed
    """What a rank reaches."""
    ops: tuple[Op, ...]
    """Operations."""
    messages: tuple[Message, ...]
    """Messages."""
    group: float
    """Requests of an attention group."""

    def parts(self) -> dict[str, float]:
        """Return the time of the step by what bounds it. [ms]"""
        step = step_time(self.ops, self.messages, self.plan, self.kind, self.speed, layers=self.model.layers,
                         replica_requests=self.group, parts=True)
        return {part: 1e3 * float(np.sum(step.parts_s[part])) for part in PARTS}

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Return the time of each class of operations and messages by what bounds it; the sums are `parts`. [ms]"""
        whole = self.parts()
        out: dict[str, dict[str, float]] = {}
        for op in self.ops:
            one = step_time((op,), (), self.plan, self.kind, self.speed, layers=0, parts=True).parts_s
            into = out.setdefault(KIND_WORDS[op.kind], dict.fromkeys(PARTS, 0.0))
            for part in ("compute", "memory"):
                into[part] += 1e3 * float(np.sum(one[part]))
        sent = {m: float(np.sum(step_time((), (m,), self.plan, self.kind, self.speed, layers=0, parts=True
                                          ).parts_s["link"])) for m in self.messages}
        for m, seconds in sent.items():  # what computing hides is taken off in proportion
            into = out.setdefault(KIND_WORDS[m.kind], dict.fromkeys(PARTS, 0.0))
            into["link"] += whole["link"] * seconds / max(sum(sent.values()), 1e-30)
        out[WORDS["overhead"]] = {**dict.fromkeys(PARTS, 0.0), "overhead": whole["overhead"]}
        return {k: v for k, v in out.items() if sum(v.values()) > 0}


def one_step(service: Service, given: Given, i: int) -> OneStep:
    """Return a decode step of chip `i`.

    The request is that of the headline tables: lengths by the rows `serving.output_tokens` and `plan.input_share`.
    """
    layout = service.layouts[i]
    assert layout is not None, "only chips that have a layout take a step"
    output, share = given.middle("serving.output_tokens"), given.middle("plan.input_share")
    model, kind = load(service.model), PRECISION[layout.weights]
    plan = layout.plan
    speed, _ = fitted_speed(at_middle(given), service.chips[i], model, segment="platform", precision=layout.weights)
    group = layout.batch / layout.dp
    context = output * share / (1 - share) + output / 2
    work = Load(requests=max(group / layout.pp, 1.0), new=1, context=context, prefill=False)
    ops, messages = step_ops(model, plan, work, kind, tile=speed.tile, domain=speed.domain)
    return OneStep(model=model, plan=plan, kind=kind, speed=speed, ops=tuple(ops), messages=tuple(messages),
                   group=group)


def step(service: Service, given: Given) -> Picture:
    """Draw what a decode step is spent on, chip by chip, and what bounds each class of operations."""
    colours = {WORDS[k]: TONES[k] for k in PARTS}
    rows: list[dict[str, Any]] = []
    told: dict[str, tuple[str, float]] = {}
    panels: list[Panel] = []
    for i in able(service):
        one = one_step(service, given, i)
        name, parts = chip_name(service.chips[i]), one.parts()
        rows += [{"chip": name, "part": WORDS[k], "ms": sig(v), "layout": str(service.layouts[i])}
                 for k, v in parts.items()]
        most = max(parts, key=lambda k: parts[k])
        told[name] = (WORDS[most], parts[most] / sum(parts.values()))
        if service.chips[i] in TOLD:
            by = [{"chip": name, "operation": op, "bound_by": WORDS[k], "ms": sig(v)}
                  for op, split in one.by_kind().items() for k, v in split.items() if v > 0]
            panels.append(Panel(title=f"{name}: what bounds each operation", spec=stack(
                by, x="operation", y="ms", by="bound_by", colours=colours, horizontal=True,
                height=AXIS_PX + 24 * len({r["operation"] for r in by}), y_title="ms of one decode step")))
            rows += by
    whole = Panel(title="The whole step, chip by chip", spec=stack(
        [r for r in rows if "part" in r], x="chip", y="ms", by="part", colours=colours, horizontal=True,
        height=AXIS_PX + 34 * len(told), tip=("layout",), y_title="ms of one decode step, medians"))
    words = [f"{name} spends {part:.0%} on {what}" for name, (what, part) in told.items()]
    picked = [t for t in words if t.startswith(tuple(f"{chip_name(c)} " for c in TOLD))] or words
    return Picture(
        id="step", title="Of a decode step " + ", ".join(picked[:3]), rows=rows, panels=(whole, *panels),
        note="One step gives each request of the batch a token; between steps the same chips also read new prompts, so "
        "a token takes longer than a step. Best layout of each chip under the promise; work that overlaps is "
        "counted where it shows.",
        legend=tuple(colours.items()), marks=("tokens", "chip"))
