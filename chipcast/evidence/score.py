"""How good forecasts were: CRPS, interval score, PIT, coverage with its binomial band, skill against baselines.

Sources: Matheson, Winkler, Management Science 22, 1976 (CRPS); Gneiting, Raftery, JASA 102, 2007; Ferro, QJRMS 140,
2014 (fair ensemble form); Bracher, Ray, Gneiting, Reich, PLOS Computational Biology 17, 2021 (weighted interval
score); Dawid, JRSS A 147, 1984 (PIT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric

SQRT_PI = float(np.sqrt(np.pi))


def crps(ensemble: Array, outcome: Numeric, *, fair: bool = False) -> Numeric:
    r"""Return the continuous ranked probability score of an ensemble. [unit of the outcome]

    Parameters
    ----------
    ensemble : array (..., draw)
        Equally likely forecasts.
    outcome : numeric (...)
        What came.
    fair : bool
        Unbiased for a small ensemble: the spread term times m / (m - 1).

    Notes
    -----
    $\frac1m\sum|x_i-y| - \frac1{m^2}\sum_i(2i-m-1)x_{(i)}$; smaller is better, 0 is perfect.

    >>> four = np.array([1.0, 2.0, 3.0, 4.0])
    >>> float(crps(four, 2.5)), round(float(crps(four, 2.5, fair=True)), 6)
    (0.375, 0.166667)
    """
    x = np.sort(np.asarray(ensemble, dtype=float), axis=-1)
    m = x.shape[-1]
    require(m >= 2 or not fair, "a fair score", "have at least two members", m)
    y = np.asarray(outcome, dtype=float)[..., None]
    miss = np.abs(x - y).mean(axis=-1)
    weight = 2 * np.arange(1, m + 1) - m - 1
    spread = (weight * x).sum(axis=-1) / (m * m)
    return miss - spread * (m / (m - 1) if fair else 1.0)


def crps_normal(mean: Numeric, sd: Numeric, outcome: Numeric) -> Numeric:
    """Return the score of a normal forecast in closed form. [unit of the outcome]

    >>> round(float(crps_normal(0.0, 1.0, 1.0)), 9)
    0.602441358
    """
    z = (outcome - mean) / sd
    return sd * (z * (2 * special.ndtr(z) - 1) + 2 * _density(z) - 1 / SQRT_PI)


def crps_lognormal(mean_log: Numeric, sd_log: Numeric, outcome: Numeric) -> Numeric:
    """Return the score of a log-normal forecast in closed form, outcome above 0. [unit of the outcome]

    >>> round(float(crps_lognormal(0.0, 1.0, 1.0)), 9)
    0.267405467
    """
    z = (np.log(outcome) - mean_log) / sd_log
    centre = np.exp(mean_log + sd_log**2 / 2)
    return outcome * (2 * special.ndtr(z) - 1) - 2 * centre * (
        special.ndtr(z - sd_log) + special.ndtr(sd_log / np.sqrt(2)) - 1)


def interval_score(low: Numeric, high: Numeric, outcome: Numeric, nominal: float) -> Numeric:
    """Return width plus the penalty of a miss, for a central interval of that nominal share. [unit of the outcome]"""
    tail = 1 - nominal
    return (high - low) + 2 / tail * (np.maximum(low - outcome, 0) + np.maximum(outcome - high, 0))


def weighted_interval_score(median: Numeric, intervals: Mapping[float, tuple[Numeric, Numeric]],
                            outcome: Numeric) -> Numeric:
    """Return the score of a forecast given by its median and central intervals. [unit of the outcome]

    >>> float(weighted_interval_score(10.0, {0.5: (8.0, 12.5), 0.9: (6.0, 16.0)}, 18.0))
    5.25
    """
    total = np.abs(outcome - median) / 2
    for nominal, (low, high) in intervals.items():
        total = total + (1 - nominal) / 2 * interval_score(low, high, outcome, nominal)
    return total / (len(intervals) + 0.5)


def pit(ensemble: Array, outcome: Numeric, uniform: Numeric = 0.5) -> Numeric:
    """Return the share of the ensemble below the outcome; ties are split by `uniform`. [1]

    Uniform over many forecasts when they are calibrated.
    """
    y = np.asarray(outcome, dtype=float)[..., None]
    x = np.asarray(ensemble, dtype=float)
    below, equal = (x < y).mean(axis=-1), (x == y).mean(axis=-1)
    return below + uniform * equal


def covered(ensemble: Array, outcome: Numeric, nominal: float = 0.9) -> Array:
    """Return 1 where the outcome lies inside the central interval of the ensemble."""
    low, high = np.quantile(ensemble, [(1 - nominal) / 2, (1 + nominal) / 2], axis=-1)
    return np.asarray((outcome >= low) & (outcome <= high), dtype=float)


def binomial_at_least(hits: int, trials: int, chance: float) -> float:
    """Return the chance of at least so many hits.

    >>> round(binomial_at_least(8, 10, 0.9), 3), round(binomial_at_least(8, 10, 0.7), 3)
    (0.93, 0.383)
    """
    return 1.0 if hits <= 0 else float(special.bdtrc(hits - 1, trials, chance))


def binomial_band(trials: int, chance: float, nominal: float = 0.95) -> tuple[int, int]:
    """Return the smallest and largest count of hits that a calibrated forecast gives with that probability."""
    counts = np.arange(trials + 1)
    below = special.bdtr(counts, trials, chance)
    tail = (1 - nominal) / 2
    return int(np.argmax(below > tail)), int(np.argmax(below >= 1 - tail))


def skill(score: Numeric, baseline: Numeric) -> Numeric:
    """Return 1 - score / baseline: above 0 beats the baseline, 1 is perfect. [1]"""
    return 1 - score / np.maximum(baseline, 1e-300)


def brier(chance: Numeric, happened: Numeric) -> Numeric:
    """Return the squared error of a stated chance. [1]"""
    return (chance - happened) ** 2


def log_score(chance: Numeric, happened: Numeric) -> Numeric:
    """Return minus the log of the chance given to what happened; chances are kept inside 1e-6 of the ends."""
    p = np.clip(chance, 1e-6, 1 - 1e-6)
    return -np.where(np.asarray(happened) > 0, np.log(p), np.log1p(-p))


def _density(z: Numeric) -> Numeric:
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


# Baselines: what anyone would say. All give an ensemble in logs from past values alone.


def last_value(past: Array, ahead: int, normals: Array) -> Array:
    """Return the last value, spread by past changes over so many steps. [unit of the series] (draw)"""
    logs, sd = _logs(past)
    return np.asarray(np.exp(logs[-1] + sd * np.sqrt(ahead) * normals))


def log_drift(past: Array, ahead: int, normals: Array) -> Array:
    """Return a random walk in logs with the mean drift of the past. [unit of the series] (draw)"""
    logs, sd = _logs(past)
    drift = (logs[-1] - logs[0]) / max(len(logs) - 1, 1)
    return np.asarray(np.exp(logs[-1] + drift * ahead + sd * np.sqrt(ahead) * normals))


def seasonal_naive(past: Array, ahead: int, normals: Array, *, season: int = 4) -> Array:
    """Return the value of the same season a cycle ago, spread by past changes over a cycle. (draw)"""
    logs, sd = _logs(past)
    back = season * (1 + (ahead - 1) // season) - ahead
    start = logs[-1 - back] if back < len(logs) else logs[-1]
    return np.asarray(np.exp(start + sd * np.sqrt(season) * normals))


def _logs(past: Array) -> tuple[Array, float]:
    """Return logs of past values and the standard deviation of their changes (at least 5 percent)."""
    values = np.asarray(past, dtype=float)
    require(values.size >= 2 and np.all(values > 0), "past values", "be at least two numbers above 0", values.size)
    logs = np.log(values)
    return logs, max(float(np.sqrt(np.mean(np.diff(logs) ** 2))), 0.05)


BASELINES: dict[str, Callable[[Array, int, Array], Array]] = {
    "last": last_value, "log_rw_drift": log_drift, "seasonal_naive": seasonal_naive}
"""What anyone would say: past values, steps ahead and normals (draw) to an ensemble (draw)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """One forecast held against what came."""

    series: str
    """Name of the series."""
    period: str
    """Period of the forecast."""
    vintage: str
    """Information date of the forecast."""
    outcome: float
    """What came, in the series' unit."""
    p05: float
    """5th percentile of the forecast."""
    p10: float
    """10th percentile."""
    p25: float
    """25th percentile."""
    p50: float
    """Median."""
    p75: float
    """75th percentile."""
    p90: float
    """90th percentile."""
    p95: float
    """95th percentile."""
    crps: float
    """Score, in the series' unit."""
    pit: float
    """Share of draws below the outcome."""
    baselines: Mapping[str, float]
    """Score of each baseline, in the series' unit."""
    kind: str = "official"
    """Kind of the outcome row."""

    @property
    def inside_80(self) -> bool:
        """Whether the outcome lies in the central 80 percent."""
        return self.p10 <= self.outcome <= self.p90

    @property
    def inside_90(self) -> bool:
        """Whether the outcome lies in the central 90 percent."""
        return self.p05 <= self.outcome <= self.p95


def score_one(ensemble: Array, outcome: float, *, series: str, period: str, vintage: str, kind: str = "official",
              baselines: Mapping[str, Array] | None = None) -> Scored:
    """Hold one ensemble and its baselines against what came."""
    p05, p10, p25, p50, p75, p90, p95 = map(float, np.quantile(ensemble, [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]))
    rivals = {name: float(crps(e, outcome)) for name, e in (baselines or {}).items()}
    return Scored(series=series, period=period, vintage=vintage, outcome=outcome, p05=p05, p10=p10, p25=p25,
                  p50=p50, p75=p75, p90=p90, p95=p95, crps=float(crps(ensemble, outcome)),
                  pit=float(pit(ensemble, outcome)), baselines=rivals, kind=kind)


PIT_BINS = 5
"""Bins of the histogram of PIT values; a calibrated forecast fills them alike."""


def summary(scored: Sequence[Scored]) -> dict[str, object]:
    """Return coverage with its binomial band, mean PIT, and skill against each baseline over these forecasts."""
    require(len(scored) > 0, "a summary", "have at least one scored forecast", 0)
    n = len(scored)
    hits = sum(s.inside_90 for s in scored)
    low, high = binomial_band(n, 0.9)
    # each forecast is scaled by its own outcome, so that a large quarter does not count more than a small one; where
    # nearly nothing came, by what its baselines missed
    size = [max(abs(s.outcome), float(np.mean(list(s.baselines.values()) or [0.0])), 1e-12) for s in scored]
    own = np.array([s.crps / z for s, z in zip(scored, size, strict=True)])
    names = sorted({name for s in scored for name in s.baselines})
    beats: dict[str, float] = {}
    for name in names:
        chosen = [i for i, s in enumerate(scored) if name in s.baselines]
        rival = np.array([scored[i].baselines[name] / size[i] for i in chosen])
        beats[name] = float(skill(own[chosen].mean(), rival.mean()))
    bins, _ = np.histogram([s.pit for s in scored], bins=PIT_BINS, range=(0.0, 1.0))
    return {"forecasts": n, "hits_90": hits, "hits_80": sum(s.inside_80 for s in scored), "band_90": [low, high],
            "mean_crps_over_outcome": float(own.mean()), "mean_pit": float(np.mean([s.pit for s in scored])),
            "pit_bins": bins.tolist(), "pit_bin_band": list(binomial_band(n, 1 / PIT_BINS)),
            "skill": beats,
            "power": f"with {n} forecasts a true coverage of 70 % still gives {low} or more hits at nominal 90 % with "
                     f"probability {binomial_at_least(low, n, 0.7):.2f}"}
