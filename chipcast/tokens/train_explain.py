"""What takes a training step's time, operation by operation: passes, messages, launches, bubble and update."""

from __future__ import annotations

import numpy as np

from chipcast.tokens.explain import Share
from chipcast.tokens.model import Model
from chipcast.tokens.step import Speed, traffic_s
from chipcast.tokens.train import Job, context_s, forward_of, kind_of, train_step


def training_account(model: Model, job: Job, speed: Speed) -> tuple[Share, ...]:
    """Return what each operation and message takes of a step, longest first; seconds add to the step.

    Parameters
    ----------
    speed : Speed
        Of one draw, at the medians.

    Notes
    -----
    An operation counts its forward, backward and repeated passes through all micro-batches. Messages that go on beside
    work are charged with what stays exposed, in proportion to their own times.
    """
    step, forward = train_step(model, job, speed), forward_of(model, job, speed)
    seconds: dict[tuple[str, str], float] = {}

    def add(name: str, bound: str, t: object) -> None:
        value = float(np.max(np.asarray(t, dtype=float)))
        if value > 0:
            seconds[name, bound] = seconds.get((name, bound), 0.0) + value

    m = job.micro_batches
    for op, (arithmetic, memory) in forward.times:
        whole = m * forward.passes[kind_of(op)] / speed.maturity / (1.0 if op.kind == "head" else job.pp)
        add(op.name, "compute", whole * arithmetic)
        add(op.name, "memory", whole * memory)
    raw: dict[str, float] = {}
    for message in forward.messages:
        raw[message.name] = raw.get(message.name, 0.0) + float(np.max(sum(traffic_s((message,), forward.plan, speed))))
    sent = float(np.max(m * forward.message_passes * forward.comm_s))
    for name, t in raw.items():
        if t > 0:
            add(name, "link", sent * t / sum(raw.values()))
    ring = float(np.max(m * context_s(model, job, speed)))
    add("keys round the ring", "link", ring)
    add("gradients, weights and stage borders", "link", float(np.max(step.ledger["exposed"])) - sent - ring)
    add("launches and host", "overhead", step.causes["overhead"])
    add("bubble", "bubble", step.causes["bubble"])
    add("update of weights", "optimizer", step.causes["optimizer"])
    total = float(np.max(step.total_s))
    return tuple(Share(name=n, seconds=t, share=t / total, bound_by=b)
                 for (n, b), t in sorted(seconds.items(), key=lambda x: -x[1]))
