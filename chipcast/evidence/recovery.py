"""Does the inference find what it should? Worlds from the ranges, reports from the worlds, truth against intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, ndtri

from chipcast.base import draws
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.evidence.forward import quantities
from chipcast.evidence.likelihood import WIDE, Quantities, error_scale, reading_weights, shared_bias
from chipcast.evidence.posterior import Forward, condition
from chipcast.evidence.reports import Observation

SEED_STEP = 7919
"""Step between the seeds of replicates, so that no posterior shares its luck with the truth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """How often intervals held the truth."""

    names: tuple[str, ...]
    """Quantities that the reports could move. (name)"""
    ranks: Array
    """Share of posterior draws below the truth. [1] (name, replicate)"""

    @property
    def coverage_90(self) -> float:
        """Share of 90 percent intervals that hold the truth, all quantities pooled. [1]"""
        return float(np.mean((self.ranks > 0.05) & (self.ranks < 0.95)))

    @property
    def coverage_50(self) -> float:
        """The same of 50 percent intervals. [1]"""
        return float(np.mean((self.ranks > 0.25) & (self.ranks < 0.75)))

    @property
    def by_name(self) -> dict[str, float]:
        """Coverage of 90 percent intervals by quantity. [1]"""
        inside = np.mean((self.ranks > 0.05) & (self.ranks < 0.95), axis=1)
        return dict(zip(self.names, map(float, inside), strict=True))


def recover(given: Given, reports: Sequence[Observation], replicates: int, *, particles: int = 1000,
            forward: Forward = quantities, note: Callable[[int], None] | None = None) -> Recovery:
    """Return how often the intervals of all quantities hold the truth of simulated worlds.

    Parameters
    ----------
    given : Given
        The ranges; its first draws are the true worlds.
    reports : sequence of Observation
        What is reported: series, periods, definitions and classes are kept, figures simulated.
    replicates : int
        Worlds. A true coverage of 0.9 gives 0.85 to 0.95 with near certainty at 200, quantities being many.
    particles : int
        Draws of each posterior.
    note : function, optional
        Called with the number of worlds done.

    Notes
    -----
    A bound ("at least") says nothing of how its figure came to be, so every report is simulated as `about`.
    Sources: Talts, Betancourt, Simpson, Vehtari, Gelman 2018 (ranks).
    """
    require(1 <= replicates <= given.draws, "replicates", f"be from 1 to the {given.draws} draws", replicates)
    plain = tuple(replace(o, relation="about") for o in reports)
    worlds = given.block(0, replicates)
    told = simulated(worlds, plain, forward(worlds, plain))
    names: tuple[str, ...] = ()
    ranks = []
    for r in range(replicates):
        mine = tuple(replace(o, value=float(told[k, r])) for k, o in enumerate(plain))
        start = replace(given, seed=given.seed + SEED_STEP * (r + 1), start=0, stop=particles, _values={})
        after = condition(start, mine, forward=forward, check=False)
        names = names or tuple(n for n in after.names if n in given.rows)
        ranks.append([float(np.mean(after.given[n] < worlds[n][r])) for n in names])
        if note:
            note(r + 1)
    return Recovery(names=names, ranks=np.array(ranks).T)


def simulated(worlds: Given, reports: Sequence[Observation], found: Quantities) -> Array:
    """Return one figure per report and world, by the very law that the likelihood assumes. [unit] (report, draw)"""
    out = []
    for k, o in enumerate(reports):
        screened = found.get(("screened", o.period, ""), np.ones(worlds.draws))
        weights = reading_weights(worlds, o, screened)
        u, tail, z = (draws.uniforms(worlds.seed, f"recovery:{what}:{k}", worlds.start, worlds.stop)
                      for what in ("reading", "tail", "noise"))
        edges = np.cumsum(np.stack(list(weights.values())), axis=0)
        which = np.minimum((u >= edges).sum(axis=0), len(weights) - 1)
        values = np.stack([np.broadcast_to(found[(o.series, o.period, reading)], (worlds.draws,))
                           for reading in weights])[which, np.arange(worlds.draws)]
        wide = np.where(tail < worlds["source_all.outlier_share"], WIDE, 1.0)
        shift = shared_bias(worlds, o) + wide * error_scale(worlds, o) * ndtri(z)
        if o.is_share:
            out.append(np.clip(expit(np.log(values / (1 - values)) + shift), 1e-6, 1 - 1e-6))
        else:
            out.append(np.maximum(values, 1e-9) * np.exp(shift))
    return np.stack(out)

