"""From a chosen layout to the few numbers that the request-level simulation steps with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import InfeasibleError
from chipcast.base.given import Given
from chipcast.tokens.layout import choose_precision
from chipcast.tokens.memory import most_requests
from chipcast.tokens.model import PRECISION, load
from chipcast.tokens.ops import Plan
from chipcast.tokens.record import Layout
from chipcast.tokens.serve import Workload, choose_layout, decode_s, layout_record, prefill_s
from chipcast.tokens.simulate import BLOCK_TOKENS, Engine
from chipcast.tokens.speed import at_middle, speed_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """A layout on all chips of a deployment."""

    engine: Engine
    """Step times and limits."""
    layout: Layout
    """Of one replica."""
    analytic_requests_per_s: float
    """Saturation of the whole by the closed form. [requests/s]"""


def deploy(given: Given, chip: str, model: str, work: Workload, *, chips: int, segment: str = "platform",
           precision: str | None = None) -> Deployed:
    """Return the best layout at the medians on so many chips as an engine; an attention group is one scheduler.

    Raises
    ------
    InfeasibleError
        If the model does not fit or no layout keeps the promise.
    """
    middle = at_middle(given)
    shape_of, speed = load(model), speed_of(middle, chip, segment=segment)
    word = choose_precision(shape_of, speed, precision)
    limit = given.middle("engine.max_requests_per_rank")
    choice = choose_layout(shape_of, speed, work, precision=word, max_chips=chips,
                           server=int(given.middle("server.chips")), limit=limit)
    if choice.shape is None:
        raise InfeasibleError(f"{chip}: {choice.reason}")
    s = choice.shape
    plan = Plan(tp=float(s.tp), dp=float(s.dp), pp=float(s.pp), ep=float(s.ep), etp=float(s.etp))

    def one(b: float, context: float) -> float:
        return float(np.max(decode_s(shape_of, plan, speed, word, requests=b, context=context))) / work.accept

    b = max(choice.batch, 2.0)
    span = work.context
    token = max((one(b, 2 * span) - one(b, span)) / (b * span), 0.0)
    each = max((one(b, span) - one(1.0, span)) / (b - 1) - token * span, 0.0)
    base = one(1.0, span) - each - token * span
    half, whole = (float(np.max(prefill_s(shape_of, plan, speed, word, new=x)))
                   for x in (work.computed / 2, work.computed))
    slope = max((whole - half) / (work.computed / 2), 0.0) / s.pp
    room = float(np.max(most_requests(shape_of, plan, PRECISION[word], usable=speed.memory_bytes,
                                      reserve=speed.reserve_bytes, tokens=work.longest)))
    replicas = max(int(chips * speed.ranks_per_chip // s.ranks), 1) * s.dp
    engine = Engine(fixed_s=base, request_s=each, token_s=token, prompt_s=slope,
                    prompt_fixed_s=max(whole / s.pp - slope * work.computed, 0.0), slots=int(limit),
                    blocks=int(room * work.longest / BLOCK_TOKENS), replicas=replicas)
    full = min(float(limit), room * work.longest / work.context)
    step = base + each * full + token * full * work.context
    cycle = work.output_tokens * step + full * (engine.prompt_fixed_s + slope * work.computed)
    return Deployed(engine=engine, layout=layout_record(s, choice.batch, word, speed.ranks_per_chip),
                    analytic_requests_per_s=replicas * full / cycle)
