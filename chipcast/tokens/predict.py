"""Predict any configuration in the columns of the measurements, with an interval and an evidence grade."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base import draws
from chipcast.base.catalog import Catalogue
from chipcast.base.errors import ChipcastError
from chipcast.base.types import Array
from chipcast.tokens.beliefs import GROUPS, at_centre, constant, maker, speed_from
from chipcast.tokens.case import Case
from chipcast.tokens.cases import bin_weights, case_of
from chipcast.tokens.fit import TIMES, Ready, log_forecast, noise_of, prepare
from chipcast.tokens.forecast import training_limit
from chipcast.tokens.model import PRECISION
from chipcast.tokens.names import GRADES
from chipcast.tokens.ops import Load, step_ops
from chipcast.tokens.posterior import VINTAGES, Posterior, shipped_posterior, vintage_for
from chipcast.tokens.step import PARTS, step_time
from chipcast.tokens.train import train_step

DRAWS = 400
"""Draws of a prediction."""

@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one row."""

    id: str
    """Row id."""
    p05: float
    """5th percentile, in the unit of the quantity."""
    p50: float
    """Median."""
    p95: float
    """95th percentile."""
    grade: str
    """One of `GRADES`."""
    bound_by: str
    """What takes most of the time."""
    assumed: str
    """What the row left open and how it was filled in."""
    error: str
    """Why there is no answer, empty where there is one."""

    def row(self) -> dict[str, Any]:
        """Return the answer as a row."""
        return {k: getattr(self, k) for k in ("id", "p05", "p50", "p95", "grade", "bound_by", "assumed", "error")}


def strata(seed: int, name: str, count: int) -> Array:
    """Return uniforms of a stream in mirrored pairs, u and 1 - u, each half of them in strata of its own. (draw)

    What is linear in the normals behind it has its median in the middle of such draws exactly, and its percentiles
    nearly so; plain draws of this number leave one or two percent. Source: McKay, Beckman, Conover 1979.
    """
    half = -(-count // 2)
    rank = np.argsort(np.argsort(draws.uniforms(seed, name, 0, half)))
    u = (rank + 0.5) / half
    return np.concatenate([u, 1.0 - u])[:count]


def normals(seed: int, name: str, count: int) -> Array:
    """Return the normal scores of `strata`. (draw)"""
    from scipy.special import ndtri

    return np.asarray(ndtri(strata(seed, name, count)), dtype=float)


def sampler(posterior: Posterior, *, seed: int, count: int = DRAWS) -> Callable[[str], Array]:
    """Return a function from the name of a deviation to its draws: posterior where fitted, else prior."""
    noise = np.stack([normals(seed, f"tokens:{n}", count) for n in posterior.names]) if posterior.names \
        else np.zeros((0, count))
    moved = posterior.mean[:, None] + posterior.factor @ noise
    index = {n: i for i, n in enumerate(posterior.names)}
    memo: dict[str, Array] = {}

    def draw(name: str) -> Array:
        i = index.get(name)
        if i is not None:
            values: Array = moved[i]
            return values
        if name not in memo:
            memo[name] = normals(seed, f"tokens:{name}", count)
        return memo[name]

    return draw


def grade_of(ready: Ready, posterior: Posterior) -> str:
    """Return how close the fitted measurements come to a case."""
    kind = "train" if ready.job is not None else "serve"
    rows = [s for s in posterior.seen if s[0] == kind]
    twin = ready.case.model.name.lower().replace("deepseek-r1", "deepseek-v3")
    if any(g == ready.group and m.lower().replace("deepseek-r1", "deepseek-v3") == twin for _, g, m in rows):
        return GRADES[0]
    if any(g == ready.group for _, g, _ in rows):
        return GRADES[1]
    makers = {"910b": "ascend", "910c": "ascend", "hopper": "nvidia", "h20": "nvidia", "a100": "nvidia",
              "blackwell": "nvidia"}
    return GRADES[2] if any(makers.get(g) == ready.family for _, g, _ in rows) else GRADES[3]


def bound_of(ready: Ready) -> str:
    """Return what takes most of a step at the centre of the beliefs."""
    case = ready.case
    speed, _ = speed_from(ready.part, ready.family, ready.group, case.stack, case.engine, at_centre,
                          years=case.years)
    if ready.setting is None:
        assert ready.job is not None, "a case is settled for serving or laid out for training"
        return train_step(case.model, ready.job, speed).bound_by
    fill = case.quantity in ("input_tokens_per_s_per_chip", "ttft_ms")
    new = case.input_len * (1 - case.hit) if fill else 1.0 + case.drafts
    load = Load(requests=1.0 if fill else ready.setting.requests, new=new,
                context=case.input_len * case.hit if fill else case.input_len + case.output_len / 2, prefill=fill)
    kind, plan = PRECISION[case.precision], ready.setting.plan
    ops, messages = step_ops(case.model, plan, load, kind, tile=speed.tile, domain=speed.domain)
    parts = step_time(ops, messages, plan, kind, speed, layers=case.model.layers, parts=True).parts_s
    return max(PARTS, key=lambda k: float(np.sum(parts[k])))


def spread_of(case: Case, catalog: Catalogue, posterior: Posterior, draw: Callable[[str], Array], *, seed: int,
              noisy: bool = True) -> tuple[Ready, Array]:
    """Return the ready case and draws of the logarithm of its quantity, noise and stretch included. (draw)

    No draw of training uses more of a chip's arithmetic than row `most_used`.
    """
    weights = bin_weights(case.chips, catalog) if len(case.chips) > 1 else {case.chips[0]: 1.0}
    parts: dict[str, Ready] = {}
    problem: ChipcastError | None = None
    for chip in weights:
        try:
            parts[chip] = prepare(case, catalog, chip=chip)
        except ChipcastError as error:
            problem = error
    if not parts:
        assert problem is not None
        raise problem
    values = {chip: log_forecast(ready, draw) for chip, ready in parts.items()}
    size = max(v.size for v in values.values())
    pick = draws.uniforms(seed, "tokens:bin", 0, size)
    edges = np.cumsum([weights[c] for c in parts]) / sum(weights[c] for c in parts)
    which = np.minimum(np.searchsorted(edges, pick), len(parts) - 1)
    total = np.choose(which, [np.broadcast_to(v, (size,)) for v in values.values()])
    main = parts[max(parts, key=lambda c: weights[c])]
    if noisy:
        from scipy.special import stdtrit

        u = strata(seed, "tokens:noise", size)
        total = total + noise_of(replace(case, floor=False)) * stdtrit(constant("noise_tail"), u)
        if case.floor:
            total = total - constant("floor_shift")
        middle = np.median(total)
        kind = "train" if main.job is not None else "serve"
        total = middle + posterior.widen.get(posterior.reach(kind, main.group), 1.0) * (total - middle)
    if main.job is not None:
        job = main.job
        ends = np.log([training_limit(case, ready.part, ready.job or job) for ready in parts.values()])[which]
        total = np.maximum(total, ends) if case.quantity in TIMES else np.minimum(total, ends)
    return main, total


def predict(rows: Sequence[Mapping[str, str]], catalog: Catalogue, *, posterior: Posterior | None = None, seed: int = 1,
            count: int = DRAWS) -> list[Prediction]:
    """Return a prediction for each row; a row that cannot be answered has a sentence in `error`.

    Parameters
    ----------
    rows : sequence of mapping
        Text by column (`cases.COLUMNS`); `quantity` names what is asked.
    catalog : Catalogue
        Facts known by the information date.
    posterior : Posterior, optional
        Own fit; by default the shipped one of the date's vintage.
    """
    known = posterior or shipped_posterior(vintage_for(catalog))
    draw = sampler(known, seed=seed, count=count)
    out = []
    for i, row in enumerate(rows):
        name = str(row.get("id") or f"row {i + 1}")
        try:
            case = replace(case_of(row, catalog), source="")
            main, total = spread_of(case, catalog, known, draw, seed=seed)
            low, middle, high = np.exp(np.quantile(total, (0.05, 0.5, 0.95)))
            out.append(Prediction(id=name, p05=float(low), p50=float(middle), p95=float(high),
                                  grade=grade_of(main, known), bound_by=bound_of(main), assumed="; ".join(main.said),
                                  error=""))
        except ChipcastError as error:
            nan = float("nan")
            out.append(Prediction(id=name, p05=nan, p50=nan, p95=nan, grade="", bound_by="", assumed="",
                                  error=str(error)))
    return out


__all__ = ["DRAWS", "GROUPS", "VINTAGES", "Prediction", "grade_of", "maker", "predict", "sampler", "shipped_posterior",
           "spread_of", "vintage_for"]
