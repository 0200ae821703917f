"""The picture of one decode step: what each chip spends it on, at the medians of the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.report.chart_compute import able
from chipcast.report.form import AXIS_PX, sig, stack
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import chip_name
from chipcast.tokens.model import PRECISION, load
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.record import Service
from chipcast.tokens.speed import at_middle, speed_of
from chipcast.tokens.step import PARTS, step_time

TONES = {"compute": "#5e4b9b", "memory": "#1b7f6b", "link": "#d9b382", "overhead": "#8b95a3"}
WORDS = {
    "compute": "arithmetic",
    "memory": "reading memory",
    "link": "links between chips",
    "overhead": "launches and host",
}


def decode_parts(service: Service, given: Given, i: int) -> dict[str, float]:
    """Return the parts of one decode step of chip `i` in its best layout, halfway through the answer. [ms]

    The request is that of the headline tables: lengths by the rows `serving.output_tokens` and `plan.input_share`.
    """
    layout = service.layouts[i]
    assert layout is not None, "only chips that have a layout take a step"
    output = given.middle("serving.output_tokens")
    share = given.middle("plan.input_share")
    model, kind = load(service.model), PRECISION[layout.weights]
    plan = Plan(
        tp=float(layout.tp),
        dp=float(layout.dp),
        pp=float(layout.pp),
        ep=float(layout.ep),
        etp=float(layout.tp * layout.dp // layout.ep),
    )
    speed = speed_of(at_middle(given), service.chips[i], segment="platform")
    group = layout.batch / layout.dp
    context = output * share / (1 - share) + output / 2
    work = Load(requests=max(group / layout.pp, 1.0), new=1, context=context, prefill=False)
    ops, messages = step_ops(model, plan, work, kind, tile=speed.tile, domain=speed.domain)
    step = step_time(ops, messages, plan, kind, speed, layers=model.layers, replica_requests=group, parts=True)
    return {part: 1e3 * float(np.sum(step.parts_s[part])) for part in PARTS}


def step(service: Service, given: Given) -> Picture:
    """Draw what a decode step is spent on, chip by chip."""
    rows: list[dict[str, Any]] = []
    share: dict[str, tuple[str, float]] = {}
    for i in able(service):
        parts = decode_parts(service, given, i)
        name = chip_name(service.chips[i])
        rows += [
            {"chip": name, "part": WORDS[k], "ms": sig(v), "layout": str(service.layouts[i])} for k, v in parts.items()
        ]
        most = max(parts, key=lambda k: parts[k])
        share[name] = (WORDS[most], parts[most] / sum(parts.values()))
    told = [f"{name} spends {part:.0%} on {words}" for name, (words, part) in share.items()]
    picked = [t for t in told if t.startswith(("H20 ", "H800 ", "910C ", "910B2 "))] or told
    return Picture(
        id="step",
        title="Of a decode step " + ", ".join(picked[:3]),
        rows=rows,
        panels=(
            Panel(
                spec=stack(
                    rows,
                    x="chip",
                    y="ms",
                    by="part",
                    colours={WORDS[k]: TONES[k] for k in PARTS},
                    horizontal=True,
                    height=AXIS_PX + 34 * len(share),
                    y_title="milliseconds of one decode step, at the medians",
                )
            ),
        ),
        note="One step gives each request of the batch a token; between steps the same chips also read new prompts, so "
        "a token takes longer than a step. Best layout of each chip under the promise; work that overlaps is "
        "counted where it shows.",
        legend=tuple((WORDS[k], TONES[k]) for k in PARTS),
        marks=("tokens", "chip"),
    )
