"""A training run from layout to days: step time, goodput from `cluster`, what binds it and what would change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chipcast.base.errors import InputError, require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.tokens.beliefs import maker, part, speed_from
from chipcast.tokens.case import Case
from chipcast.tokens.cases import bin_weights, case_of
from chipcast.tokens.explain import Share, levers_of
from chipcast.tokens.fit import Posterior, group_of
from chipcast.tokens.footprint import STATES, ZERO
from chipcast.tokens.forecast import base_job
from chipcast.tokens.jobs import Wish, best_job, refuse_if_none, words
from chipcast.tokens.model import Model
from chipcast.tokens.predict import grade_of, sampler, shipped_posterior, spread_of, vintage_for
from chipcast.tokens.train import (
    CAUSES,
    LEDGER,
    hfu,
    model_flop_per_token,
    train_step,
    training_ledger,
)
from chipcast.tokens.train_explain import training_account

USUAL_BIN = "ascend-910b2"
"""Bin whose memory and faults stand for a 910B without one: the usual 64 GB part of large machines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What a user may fix of a training run."""

    wish: Wish = field(default_factory=Wish)
    """Of the layout."""
    batch_tokens: float = 0.0
    """Tokens of a step, 0 for the usual size on so many chips. [tokens]"""
    zero: int = 1
    """Entry of `ZERO`."""
    states: str = "mixed"
    """Entry of `STATES`."""
    narrow_share: float = 1.0
    """Share of the products that run in 8 bits where that precision is asked. [1]"""


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
    hfu: Array
    """The first with work done again counted. [1] (draw)"""
    tokens_per_s_per_chip: Array
    """Rate while it runs. [tokens/s] (draw)"""
    step_s: Array
    """Time of a step. [s] (draw)"""
    goodput: Array
    """Useful share of chip-time. [1] (draw)"""
    days: Array
    """Wall time. [days] (draw)"""
    gpu_hours: Array
    """Chips times wall time. [h] (draw)"""
    ledger: dict[str, float]
    """Share of a step by part at the medians."""
    causes: dict[str, float]
    """Share of a step by what it waits for, at the medians."""
    bound_by: str
    """Largest of the causes."""
    levers: tuple[dict[str, Any], ...]
    """What would shorten a step and by which share, most first."""
    operations: tuple[Share, ...]
    """What each operation and message takes of a step, at the medians, longest first."""
    memory_gb: dict[str, float]
    """Memory of a rank by part. [GB]"""
    usable_gb: float
    """Memory of a rank that software sees. [GB]"""
    next_best: tuple[tuple[str, float], ...]
    """Other layouts that fit and their time over that of the best."""
    fell: dict[str, int]
    """How many layouts fell for each reason."""
    grade: str
    """Evidence grade of the rate."""
    assumed: tuple[str, ...]
    """What was filled in."""


def at_mean(known: Posterior) -> Callable[[str], Array]:
    """Return every belief at its fitted mean, or at its centre where nothing was measured."""
    index = {n: i for i, n in enumerate(known.names)}
    return lambda name: np.full(1, known.mean[index[name]] if name in index else 0.0)


def training_case(given: Given, model: str | Model, chip: str, *, chips: int, precision: str, sequence: int,
                  engine: str) -> Case:
    """Return a training run as a case of the prediction; a part without a bin is a mixture over its bins."""
    name = model if isinstance(model, str) else model.name
    row = {"id": "run", "hardware": chip, "model": name, "phase": "train", "chips": str(chips),
           "precision": precision.upper(), "input_len": str(sequence), "engine": engine, "quality": "A",
           "quantity": "train_tokens_per_s_per_chip"}
    case = case_of(row, given.catalog)
    return case if isinstance(model, str) else replace(case, model=model)


def training_run(given: Given, model: str | Model, chip: str, *, chips: int, tokens: float, precision: str = "bf16",
                 sequence: int = 4096, engine: str = "", choice: Choice | None = None) -> TrainingRun:
    """Return what a training run takes on so many chips.

    Parameters
    ----------
    given : Given
        The run's table; goodput and vintage come from it.
    chips : int
        Chips that train, as a buyer counts them.
    tokens : float
        Tokens of the run.
    sequence : int
        Tokens of a sequence.
    choice : Choice, optional
        What is fixed of layout, batch and state; the rest is searched.

    Raises
    ------
    InputError
        If a count is not above zero, the chip lacks the precision or the model's context is shorter.
    InfeasibleError
        If no layout fits in memory.
    """
    from chipcast.cluster.goodput import fleet

    fixed = choice or Choice()
    require(chips >= 1, "chips", "be 1 or more", chips)
    require(np.isfinite(tokens) and tokens > 0, "tokens", "be above 0", tokens)
    require(precision in ("bf16", "fp8"), "precision", "be bf16 or fp8 in training", precision)
    require(0 <= fixed.narrow_share <= 1, "FP8 share", "lie in 0 to 1", fixed.narrow_share)
    require(fixed.zero in ZERO, "ZeRO stage", "be 0, 1, 2 or 3", fixed.zero)
    require(fixed.states in STATES, "states", f"be one of {', '.join(STATES)}", fixed.states)
    case = training_case(given, model, chip, chips=chips, precision=precision, sequence=sequence, engine=engine)
    limit = case.model.context
    require(not limit or sequence <= limit, "sequence",
            f"stay within the {limit} tokens of {case.model.name}'s context", sequence)
    weights = bin_weights(case.chips, given.catalog) if len(case.chips) > 1 else {case.chips[0]: 1.0}
    main = USUAL_BIN if USUAL_BIN in weights else max(weights, key=lambda c: weights[c])
    figures = part(main, given.catalog)
    if precision == "fp8" and "fp8" not in dict(figures.peak):
        raise InputError(f"chip '{chip}' has no fp8; train in bf16")
    known = shipped_posterior(vintage_for(given.catalog))
    speed, _ = speed_from(figures, maker(main, given.catalog), group_of(main, case), case.stack, case.engine,
                          at_mean(known))
    base = replace(base_job(case, figures), zero=fixed.zero, states=fixed.states, narrow_share=fixed.narrow_share)
    if fixed.batch_tokens:
        base = replace(base, batch=max(round(fixed.batch_tokens / sequence), 1))
    found = best_job(case.model, base, speed, fixed.wish)
    job = refuse_if_none(found, case.model, chips, chip, speed)
    ready, logs = spread_of(replace(case, layout=job), given.catalog, known,
                            sampler(known, seed=given.seed, count=given.stop), seed=given.seed)
    rate = np.exp(logs[given.start : given.stop])
    causal = model_flop_per_token(case.model, sequence, convention="causal")
    good = fleet(given, (main,), (chips,)).goodput[0, 0]
    seconds = tokens / (rate * chips * good)
    peak = dict(figures.peak)["bf16"] * figures.per_chip
    step = train_step(case.model, job, speed)
    whole = float(np.max(step.total_s))
    causes = {k: float(np.max(step.causes[k])) / whole for k in CAUSES}
    fuller = train_step(case.model, replace(job, batch=2 * np.asarray(job.batch)), speed).total_s / 2
    levers = levers_of(lambda s: train_step(case.model, job, s).total_s, speed, {"twice the tokens of a step": fuller})
    model_share = rate * model_flop_per_token(case.model, sequence) / peak
    return TrainingRun(
        model=case.model.name, layout=words(job), mfu=model_share, mfu_causal=rate * causal / peak,
        hfu=hfu(case.model, model_share, sequence, job.recompute), tokens_per_s_per_chip=rate,
        step_s=job.batch * sequence / (rate * chips), goodput=good, days=seconds / 86400,
        gpu_hours=seconds / 3600 * chips, ledger={k: float(np.max(step.ledger[k])) / whole for k in LEDGER},
        causes=causes, bound_by=step.bound_by, levers=levers,
        operations=training_account(case.model, job, speed),
        memory_gb={k: float(np.max(v)) / 1e9 for k, v in training_ledger(case.model, job, speed).items()},
        usable_gb=speed.memory_bytes / 1e9, next_best=found.next_best, fell=found.fell,
        grade=grade_of(ready, known), assumed=case.assumed)
