"""What published runs say of how operators notice, restart and save: ranges conditioned on the time they report.

A published run is one operator. What is unknown about it is in part common to all operators, so a run that kept more
of its time than the ranges expect moves them, but not all the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from chipcast.base.catalog import Catalogue, vintage_rows
from chipcast.base.draws import normals, to_uniform
from chipcast.base.infer import temper
from chipcast.base.laws import Law, law_of_row
from chipcast.base.types import Array
from chipcast.cluster.case import Case, keep
from chipcast.cluster.faults import ANCHOR_ROWS, CLASSES, COMPONENTS
from chipcast.cluster.ladder import masking

FLEET = "h800-sxm"
"""Item of the rows of Nvidia's fleets, which all published runs are."""

HABITS = (f"{FLEET}.restart_s", f"{FLEET}.active_detection_probability", "detection.heartbeat_s",
          "detection.passive_wait_s", "checkpoint.stall_s", "spares.hot_swap_s", "slow.episodes", "slow.excess",
          "slow.episode_h", "silent.latency_h", "repair.mean_h")
"""Rows of `priors.csv` that describe an operator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A published run, as the fit takes it."""

    row: str
    """Row of `faults.csv` that reports the share of time in progress."""
    at_least: bool
    """Whether the row is a lower bound."""
    spread: float
    """Standard deviation of what the word for it may mean. [1]"""
    mtbf: str = ""
    """Row whose time between failures sets the rate; empty for the anchor's counts."""
    fleet_unknown: bool = False
    """Whether the rate is that of a further fleet, unknown within `fleet.rate_factor`."""


RUNS = (Run(row="llama3_ett", at_least=True, spread=0.01),
        Run(row="rsc1_ettr", at_least=False, spread=0.03, mtbf="rsc1_1024"),
        Run(row="byterobust_ettr", at_least=False, spread=0.01, fleet_unknown=True))
"""Runs whose size, rate and share of time are published."""

NOT_TAKEN = {
    "c4_down0": "the size of the jobs is not published, and time down for errors is one part of the loss only",
    "rsc_5min": "a projection by a formula, no run",
    "hw_avail": "a claim whose definition is not published; the claims checker judges it",
}
"""Rows on time in progress that the fit does not take, with the reason."""


def laws_of(catalog: Catalogue) -> dict[str, Law]:
    """Return the ranges of an operator's habits, and of the fleet factor, of the catalogue's vintage."""
    wanted = {*HABITS, "fleet.rate_factor", "operators.common_share"}
    return {f"{r['item']}.{r['name']}": law_of_row(r["family"], float(r["low"]), float(r["mode"]), float(r["high"]),
                                                   r["name"])
            for r in vintage_rows(catalog.as_of) if f"{r['item']}.{r['name']}" in wanted}


def anchor_means(catalog: Catalogue) -> Array:
    """Return the anchor's counted faults over its exposure, by class. [1/chip-h] (class, 1)"""
    out = np.zeros((len(CLASSES), 1))
    for row in catalog.rows("faults"):
        if row["id"].startswith(ANCHOR_ROWS) and row["component"] in COMPONENTS:
            hours = float(row["chips"]) * float(row["period"].removesuffix(" days")) * 24
            out[CLASSES.index(COMPONENTS[row["component"]])] += float(row["value"]) / hours
    return out


def size_of(row: Mapping[str, str]) -> int:
    """Return the chips of a row such as `9600` or `>1024`: a bound counts as the size."""
    return int(row["chips"].replace(",", "").lstrip(">~"))


def run_case(values: Mapping[str, Array], rates: Array, *, active: bool) -> Case:
    """Return the case of a run without online recovery at these habits."""
    beat = np.minimum(values["detection.heartbeat_s"], values[f"{FLEET}.restart_s"])
    count = len(beat)
    return Case(rates=np.broadcast_to(rates, (len(CLASSES), count)), masking=masking((), count),
                detection_s=beat + (0.0 if active else values["detection.passive_wait_s"]),
                restart_s=values[f"{FLEET}.restart_s"] - beat, swap_s=values["spares.hot_swap_s"],
                checkpoint_s=values["checkpoint.stall_s"], slow_episodes=values["slow.episodes"] * 1e-6,
                slow_episode_h=values["slow.episode_h"], slow_factor=1 + values["slow.excess"],
                repair_h=values["repair.mean_h"], silent_latency_s=values["silent.latency_h"] * 3600, strikes=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operators:
    """Habits of a further operator after the published runs."""

    values: Mapping[str, Array]
    """Habit by row name, in the unit of the row. (draw)"""
    used: tuple[str, ...]
    """Rows that were taken."""
    ettr: Mapping[str, Array]
    """Time in progress of a further operator with the run's size and rate. [1] (draw)"""


def fit_operators(catalog: Catalogue, *, leave_out: Sequence[str] = (), seed: int = 1, particles: int = 1500
                  ) -> Operators:
    """Condition the habits of operators on the runs published by the catalogue's date.

    Parameters
    ----------
    catalog : Catalogue
        What is known.
    leave_out : sequence of str
        Rows that are kept for a test; their prediction is still returned.
    seed, particles : int
        Luck and number of draws.

    Notes
    -----
    Normals behind the habits of operator i are r z + sqrt(1 - r^2) z_i, z common. Whether one notices by heartbeat
    or by time-out is summed over with the operator's own probability.
    """
    laws = laws_of(catalog)
    loading = laws["operators.common_share"].middle
    own = float(np.sqrt(1 - loading**2))
    rows = {r["id"]: r for r in catalog.rows("faults")}
    known = [run for run in RUNS if run.row in rows and (not run.mtbf or run.mtbf in rows)]
    used = [run for run in known if run.row not in leave_out]
    width, rates = len(HABITS), anchor_means(catalog)

    def values_of(z: Array) -> dict[str, Array]:
        return {n: laws[n].at(to_uniform(z[i])) for i, n in enumerate(HABITS)}

    def scaled(run: Run, fleet: Array) -> Array:
        factor = np.ones_like(fleet)
        if run.mtbf:
            factor = factor / (float(rows[run.mtbf]["value"]) * size_of(rows[run.mtbf]) * rates.sum())
        elif run.fleet_unknown:
            factor = laws["fleet.rate_factor"].at(to_uniform(fleet))
        table: Array = rates * factor
        return table

    def ettr(run: Run, z: Array, fleet: Array, active: bool) -> Array:
        case = run_case(values_of(z), scaled(run, fleet), active=active)
        kept: Array = keep(case, (size_of(rows[run.row]),)).ettr[0]
        return kept

    def log_likelihood(z: Array) -> Array:
        total = np.zeros(z.shape[1])
        for i, run in enumerate(used):
            mine = loading * z[:width] + own * z[width * (i + 1) : width * (i + 2)]
            fleet = z[width * (len(used) + 1) + i]
            said = float(rows[run.row]["value"])
            chance = laws[HABITS[1]].at(to_uniform(mine[1]))
            both = []
            for active in (True, False):
                gap = (ettr(run, mine, fleet, active) - said) / run.spread
                both.append(log_ndtr(gap) if run.at_least else -0.5 * gap**2)
            total = total + np.logaddexp(np.log(chance) + both[0], np.log1p(-chance) + both[1])
        return total

    count = width * (len(used) + 1) + len(used)
    common = np.zeros((width, particles))
    if used:
        found = temper(log_likelihood, count, seed=seed, particles=particles, stream="operators")
        common = found.normals[:width]
    else:
        common = np.stack([normals(seed, f"operators:common:{i}", 0, particles) for i in range(width)])
    fresh = np.stack([normals(seed, f"operators:own:{i}", 0, particles) for i in range(width)])
    new = loading * common + own * fresh
    values = values_of(new)
    coin = to_uniform(normals(seed, "operators:active", 0, particles)) < values[HABITS[1]]
    fleet = normals(seed, "operators:fleet", 0, particles)
    shown = {run.row: np.where(coin, ettr(run, new, fleet, True), ettr(run, new, fleet, False)) for run in known}
    return Operators(values=values, used=tuple(run.row for run in used), ettr=shown)
