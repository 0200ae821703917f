"""The fabric fitted to published expert-parallel timings, and held to those that the fit did not see.

An exchange of a tuned library takes its own fixed time (counting, packing, flags, the last rank), a little per peer,
and its bytes over the links that bind. The fixed time belongs to the library and not to a link: inside one server,
where bytes are fast, it is half of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.draws import to_uniform
from chipcast.base.infer import temper
from chipcast.base.types import Array, Numeric
from chipcast.base.units import convert
from chipcast.cluster.experts import exchange
from chipcast.cluster.network import UNBOUNDED, Level
from chipcast.cluster.platform import fabric_laws

TOKENS, CHOSEN, HIDDEN, GROUP, EXPERTS = 128, 8, 7168, 128, 256
"""Shape of the published rows: tokens of a rank, experts of a token, width of a row, values per scale, experts."""


def row_bytes(kind: str, hidden: int = HIDDEN) -> int:
    """Return the bytes of one token's row: one byte a value and a 4-byte scale per group, or two bytes a value.

    >>> TOKENS * CHOSEN * row_bytes("fp8"), TOKENS * CHOSEN * row_bytes("bf16")
    (7569408, 14680064)
    """
    return hidden + hidden // GROUP * 4 if kind == "fp8" else 2 * hidden


def exchange_time(ranks: Numeric, size: Numeric, alpha_s: Numeric, fast_bytes_s: Numeric, slow_bytes_s: Numeric, *,
                  domain: int = 8) -> Numeric:
    """Return the seconds of a low-latency exchange: alpha + bytes x share / B over the level that binds.

    Beyond the domain the share (p - g)/p crosses the slow links; inside it (g - 1)/g the fast ones.
    """
    ranks = np.asarray(ranks, dtype=float)
    inside = size * (domain - 1) / domain / fast_bytes_s
    across = size * (ranks - domain) / ranks / slow_bytes_s
    return (alpha_s + np.where(ranks <= domain, inside, across))[()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fabric:
    """A fabric whose exchanges are published: which chip, which library, which links."""

    chip: str
    """Chip id, whose link figures the catalogue has."""
    library: str
    """Item of the rows `dispatch_us`, `combine_us`, `per_peer_us`."""
    fast: str
    """Item of the fast fabric's `link_efficiency`."""
    slow: str
    """Item of the network's `link_efficiency`; empty where the fast fabric joins all published ranks."""
    domain: int
    """Ranks of the fast domain."""


FABRICS = {"DEEPEP": Fabric(chip="h800-sxm", library="deepep", fast="nvlink", slow="rdma_400g", domain=8),
           "CM384": Fabric(chip="ascend-910c", library="cann", fast="ub_a3", slow="", domain=768)}
"""Prefix of a row's id -> the fabric it timed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One published figure of a fabric, as the fit takes it."""

    id: str
    """Row of `measurements.csv`, with the part of it that is meant."""
    fabric: str
    """Entry of `FABRICS`."""
    what: str
    """dispatch, combine, or reach (a share of the link rate)."""
    ranks: int
    """Expert-parallel ranks. [1]"""
    value: float
    """Seconds, or reached bytes per second. [s] or [B/s]"""
    spread: float = 0.0
    """Further log-sd of figures whose convention is open. [1]"""


OPEN_CONVENTION = 0.15
"""Log-sd by which conventions of counting bytes may differ: a rank's own share is 1/8 inside a server, and a plain
read of memory is no exchange."""

UNUSED = {
    "CM384-016": "reads between a chip and a host: no path of a collective",
    "CM384-017": "the data rate of the port, which the catalogue has; nothing measured",
    "SGLKNPU-001": "message size and chip generation not stated; the rate holds the library's fixed time",
    "SGLKNPU-002": "message size and chip generation not stated; the rate holds the library's fixed time",
    "DEEPEP-008": "a first release whose network kernels were replaced two months later; its rate is half",
}
"""Rows on fabrics that the fit does not take, with the reason."""


def published(rows: Sequence[Mapping[str, str]]) -> tuple[Published, ...]:
    """Return every figure on a fabric that the fit takes, from rows of `measurements.csv`."""
    out: list[Published] = []
    for row in rows:
        key = row["id"].split("-")[0]
        if row["phase"] != "comm" or key not in FABRICS or row["id"] in UNUSED:
            continue
        ranks, value = int(row["ep"] or 0), float(row["value"])
        rate = convert(1, "GB/s", "B/s")
        if row["metric"].endswith("latency_us"):
            words = f"{row['metric']} {row['engine']}"
            first = "combine" if "combine" in words else "dispatch"
            out.append(Published(id=row["id"], fabric=key, what=first, ranks=ranks, value=value * 1e-6))
            again = re.search(r"combine (\d+) us", row["notes"])
            if again:
                out.append(Published(id=f"{row['id']} combine", fabric=key, what="combine", ranks=ranks,
                                     value=float(again.group(1)) * 1e-6))
        elif row["metric"] in ("dispatch_GBps", "UB_npu_npu_read"):
            share = 1.0
            if "RDMA" in row["unit"]:  # rows to the rank's own server are counted and stay inside
                servers = ranks / FABRICS[key].domain
                share = (servers - 1) / servers
            out.append(Published(id=row["id"], fabric=key, what="slow" if "RDMA" in row["unit"] else "reach",
                                 ranks=ranks, value=value * share * rate, spread=OPEN_CONVENTION))
            again = re.search(r"combine (\d+) GB/s", row["notes"])
            if again:
                out.append(Published(id=f"{row['id']} combine", fabric=key, what=out[-1].what, ranks=ranks,
                                     value=float(again.group(1)) * share * rate, spread=out[-1].spread))
    return tuple(out)


def link_rates(catalog: Catalogue, fabric: Fabric) -> tuple[float, float]:
    """Return the data rates of a rank of a fabric, fast and slow, one direction. [B/s]"""
    facts = catalog.chip_facts(fabric.chip)
    per = 2 if fabric.library == "cann" else 1  # a rank of the dual-die package is a die
    fast = facts["scaleup_gb_s_per_direction"].value * convert(1, "GB/s", "B/s") / per
    return fast, facts["scaleout_gbit_s"].value * convert(1, "Gbit/s", "B/s") / per


def predict(p: Published, at: Mapping[str, Numeric], rates: tuple[float, float]) -> Numeric:
    """Return what a figure should be at these parameters, without noise.

    Parameters
    ----------
    p : Published
        What is asked.
    at : mapping
        Parameters by name; times in microseconds.
    rates : (float, float)
        Data rates of a rank. [B/s]
    """
    f = FABRICS[p.fabric]
    if p.what in ("reach", "slow"):
        return rates[p.what == "slow"] * at[f"{f.slow if p.what == 'slow' else f.fast}.link_efficiency"]
    levels = [Level(name=f.fast, ranks=f.domain, kind="switch", alpha_s=0.0,
                    bytes_s=rates[0] * at[f"{f.fast}.link_efficiency"])]
    if f.slow:
        levels.append(Level(name=f.slow, ranks=UNBOUNDED, kind="clos", alpha_s=0.0,
                            bytes_s=rates[1] * at[f"{f.slow}.link_efficiency"]))
    wire = exchange(levels, p.ranks, TOKENS, row_bytes("fp8" if p.what == "dispatch" else "bf16"), experts=EXPERTS,
                    chosen=CHOSEN)
    return wire + (at[f"{f.library}.{p.what}_us"] + at[f"{f.library}.per_peer_us"] * (p.ranks - 1)) * 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class FabricFit:
    """Parameters of fabrics after the timings."""

    values: Mapping[str, Array]
    """Parameter by name. [us] or [1] (draw)"""
    used: tuple[Published, ...]
    """Figures that were fitted."""


def fit_fabric(catalog: Catalogue, *, leave_out: Sequence[str] = (), seed: int = 1, particles: int = 2000) -> FabricFit:
    """Condition the fabric's parameters on the published figures known by the catalogue's date.

    Parameters
    ----------
    catalog : Catalogue
        What is known.
    leave_out : sequence of str
        Ids of figures that are kept for a test.
    seed, particles : int
        Luck and number of draws.

    Notes
    -----
    log figure ~ N(log model, noise), the noise a parameter too; a sampler of tempered moves in standard-normal space.
    """
    laws = fabric_laws()
    names = list(laws)
    used = tuple(p for p in published(catalog.rows("measurements")) if p.id not in leave_out)
    rates = {key: link_rates(catalog, FABRICS[key]) for key in {p.fabric for p in used}}

    def at(z: Array) -> dict[str, Array]:
        return {n: laws[n].at(to_uniform(z[i])) for i, n in enumerate(names)}

    def log_likelihood(z: Array) -> Array:
        values = at(z)
        total = np.zeros(z.shape[1])
        for p in used:
            sd = np.sqrt(values["fabric.noise_ln"] ** 2 + p.spread**2)
            gap = np.log(predict(p, values, rates[p.fabric])) - np.log(p.value)
            total = total - 0.5 * (gap / sd) ** 2 - np.log(sd)
        return total

    found = temper(log_likelihood, len(names), seed=seed, particles=particles, stream="fabric")
    return FabricFit(values=at(found.normals), used=used)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One published figure and what a fit says of it."""

    id: str
    """Row of `measurements.csv`, with the part of it that is meant."""
    what: str
    """dispatch, combine, reach or slow."""
    ranks: int
    """Expert-parallel ranks."""
    measured: float
    """Published time or rate. [s] or [B/s]"""
    predicted: Array
    """The fit's prediction, noise included. [s] or [B/s] (draw)"""

    @property
    def log_error(self) -> float:
        """Return the log of the predicted median over the published figure."""
        return float(np.log(np.median(self.predicted) / self.measured))

    @property
    def inside(self) -> bool:
        """Return whether the published figure lies within the 90 percent interval."""
        low, high = np.quantile(self.predicted, [0.05, 0.95])
        return bool(low <= self.measured <= high)


def predictive(fit: FabricFit, p: Published, rates: tuple[float, float], noise: Array) -> Array:
    """Return the predictive draws of a figure; `noise` are standard normals. (draw)"""
    sd = np.sqrt(fit.values["fabric.noise_ln"] ** 2 + p.spread**2)
    out: Array = np.asarray(predict(p, fit.values, rates) * np.exp(sd * noise), dtype=float)
    return out


def back_test(catalog: Catalogue, noise: Array, *, leave_out: Sequence[str] = ()) -> tuple[Timing, ...]:
    """Return figures with what a fit says of them: those left out of it, or all of them if none are.

    Parameters
    ----------
    catalog : Catalogue
        What is known.
    noise : array
        Standard normals, as many as the fit shall have draws. (draw)
    leave_out : sequence of str
        Ids of figures that the fit does not see.
    """
    fit = fit_fabric(catalog, leave_out=leave_out, particles=len(noise))
    shown = [p for p in published(catalog.rows("measurements")) if not leave_out or p.id in leave_out]
    return tuple(Timing(id=p.id, what=p.what, ranks=p.ranks, measured=p.value,
                        predicted=predictive(fit, p, link_rates(catalog, FABRICS[p.fabric]), noise)) for p in shown)
