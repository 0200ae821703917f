"""A training run from layout to days: step time, goodput from `cluster`, and the share of each cause."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.tokens.cases import case_of
from chipcast.tokens.forecast import training_job
from chipcast.tokens.model import Model
from chipcast.tokens.predict import grade_of, sampler, shipped_posterior, spread_of, vintage_for
from chipcast.tokens.train import LEDGER, fits_training, model_flop_per_token, train_step


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRun:
    """What a training run takes."""

    model: str
    """Name of the model."""
    layout: str
    """Best layout in words."""
    mfu: Array
    """Model FLOP over the dense 16-bit peak, 6N + 12 L h d S with all parameters. [1] (draw)"""
    mfu_causal: Array
    """The same with causal attention and no look-up. [1] (draw)"""
    tokens_per_s_per_chip: Array
    """Rate while it runs. [tokens/s] (draw)"""
    goodput: Array
    """Useful share of chip-time. [1] (draw)"""
    days: Array
    """Wall time. [days] (draw)"""
    gpu_hours: Array
    """Chips times wall time. [h] (draw)"""
    ledger: dict[str, float]
    """Share of a step by cause at the medians."""
    grade: str
    """Evidence grade of the rate."""
    assumed: tuple[str, ...]
    """What was filled in."""


def training_run(given: Given, model: str | Model, chip: str, *, chips: int, tokens: float, precision: str = "bf16",
                 sequence: int = 4096, engine: str = "") -> TrainingRun:
    """Return what a training run takes on so many chips.

    Parameters
    ----------
    given : Given
        The run's table; goodput and vintage come from it.
    chips : int
        Chips that train, as a buyer counts them.
    tokens : float
        Tokens of the run.

    Raises
    ------
    InputError
        If a count is not above zero or the chip lacks the precision.
    InfeasibleError
        If no layout fits in memory.
    """
    from chipcast.base.errors import InputError
    from chipcast.cluster.goodput import fleet
    from chipcast.tokens.beliefs import at_centre, part, speed_from
    from chipcast.tokens.fit import group_of

    require(chips >= 1, "chips", "be 1 or more", chips)
    require(np.isfinite(tokens) and tokens > 0, "tokens", "be above 0", tokens)
    require(precision in ("bf16", "fp8"), "precision", "be bf16 or fp8 in training", precision)
    catalog = given.catalog
    figures = part(chip, catalog)
    if precision == "fp8" and "fp8" not in dict(figures.peak):
        raise InputError(f"chip '{chip}' has no fp8; train in bf16")
    name = model if isinstance(model, str) else model.name
    row = {"id": "run", "hardware": chip, "model": name, "phase": "train", "chips": str(chips),
           "precision": precision.upper(), "input_len": str(sequence), "engine": engine, "quality": "A",
           "quantity": "train_tokens_per_s_per_chip"}
    case = case_of(row, catalog)
    if not isinstance(model, str):
        case = replace(case, model=model)
    known = shipped_posterior(vintage_for(catalog))
    ready, logs = spread_of(case, catalog, known, sampler(known, seed=given.seed, count=given.stop), seed=given.seed)
    logs = logs[given.start : given.stop]
    speed, _ = speed_from(figures, ready.family, group_of(chip, case), case.stack, case.engine, at_centre)
    job, _ = training_job(case, figures, speed)
    need = float(np.max(fits_training(case.model, job, speed)))
    if need > 1:
        raise InfeasibleError(f"{case.model.name} does not train on {chips} x {chip}: the best layout needs "
                              f"{need * figures.memory_bytes / 1e9:.0f} GB a rank of {figures.memory_bytes / 1e9:.0f}; "
                              f"take about {int(np.ceil(chips * need))} chips or more")
    rate = np.exp(logs)
    ceiling = dict(figures.peak)[job.precision if job.precision in dict(figures.peak) else "bf16"] * figures.per_chip
    causal = model_flop_per_token(case.model, sequence, convention="causal")
    rate = np.minimum(rate, 0.9 * ceiling / causal)
    good = fleet(given, (chip,), (chips,)).goodput[0, 0]
    seconds = tokens / (rate * chips * good)
    peak = dict(figures.peak)["bf16"] * figures.per_chip
    step = train_step(case.model, job, speed)
    shares = {k: float(np.max(step.ledger[k]) / np.max(step.total_s)) for k in LEDGER}
    words = (f"tp {job.tp:g}, pp {job.pp:g}, dp {job.dp:g}, ep {job.ep:g}, {job.recompute} recomputation, ZeRO "
             f"{job.zero}, {job.batch * job.sequence / 1e6:.1f}M tokens a step")
    return TrainingRun(model=case.model.name, layout=words,
                       mfu=rate * model_flop_per_token(case.model, sequence) / peak, mfu_causal=rate * causal / peak,
                       tokens_per_s_per_chip=rate, goodput=good, days=seconds / 86400, gpu_hours=seconds / 3600 * chips,
                       ledger=shares, grade=grade_of(ready, known), assumed=ready.said)
