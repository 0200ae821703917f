"""Measurements sharpen beliefs: a Laplace approximation in the space of standard normals.

log y = log f(beliefs) + deviations of source, architecture and model + noise; every deviation has a standard normal
of its own, so the prior is the same for all and rows pool partially. Sources weigh by the square root of their rows.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import ChipcastError, DataError, InputError
from chipcast.base.types import Array, Numeric
from chipcast.tokens.beliefs import GROUPS, Part, belief, constant, maker, part, speed_from
from chipcast.tokens.case import Case
from chipcast.tokens.cases import bin_weights, case_of
from chipcast.tokens.cells import quantity_of
from chipcast.tokens.effects import widths
from chipcast.tokens.forecast import Setting, best_setting, serving, training, training_job
from chipcast.tokens.kernels import Kernel
from chipcast.tokens.posterior import Posterior, from_text, to_text
from chipcast.tokens.train import Job

STEP = 1e-3
"""Change of a normal from which slopes are taken."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A case with everything that no belief moves worked out."""

    case: Case
    """The case."""
    part: Part
    """Figures of the chip."""
    family: str
    """Family of beliefs."""
    setting: Setting | None
    """Layout and batch of serving."""
    job: Job | None
    """Layout of training."""
    said: tuple[str, ...]
    """All that was assumed."""
    names: tuple[str, ...]
    """Deviations it depends on."""
    log_value: float = 0.0
    """Logarithm of the measured value."""

    @property
    def group(self) -> str:
        """Group of chips that share deviations."""
        return group_of(self.part.chip, self.case)


def group_of(chip: str, case: Case) -> str:
    """Return the group of chips that share deviations; a variant shares those of its silicon."""
    return GROUPS.get(chip, chip)


class Recorder:
    """Every belief at its centre, as a plain number, remembering which deviations were asked for."""

    def __init__(self) -> None:
        """Start with none."""
        self.names: list[str] = []

    def __call__(self, name: str) -> float:
        """Return zero and remember the name."""
        if name not in self.names:
            self.names.append(name)
        return 0.0


def prepare(case: Case, catalog: Catalogue, *, chip: str = "") -> Ready:
    """Return a case with layout, batch and the names of its deviations.

    Raises
    ------
    ChipcastError
        If it cannot be worked out; the message says why.
    """
    weights = bin_weights(case.chips, catalog) if len(case.chips) > 1 else {}
    usual = "ascend-910b2" if case.phase == "train" else max(weights, key=lambda c: weights[c], default="")
    here = part(chip or (usual if usual in weights else case.chips[0]), catalog)
    here = as_stated(here, case.variant)
    first = as_stated(part(usual, catalog), case.variant) if usual in weights else here
    family = maker(here.chip, catalog)
    recorder = Recorder()
    speed, stack = speed_from(here, family, group_of(here.chip, case), case.stack, case.engine, recorder,
                              years=case.years)
    setting, job, said = None, None, case.assumed
    if case.phase == "train":
        usual_speed = speed if here.chip == first.chip else \
            speed_from(first, family, group_of(first.chip, case), case.stack, case.engine, recorder)[0]
        job, more = training_job(case, first, usual_speed)
        value: Numeric = training(case, here, speed, job)
    else:
        setting = best_setting(case, here, speed, stack)
        more = setting.said
        accept = belief("any", "accept", case.model.name, recorder) if case.drafts and case.accept <= 1 else 0.0
        value = serving(case, here, speed, stack, accept, setting)
    if not (np.all(np.isfinite(value)) and np.all(np.asarray(value) > 0)):
        raise InputError("the model gives no finite answer for this row")
    return Ready(case=case, part=here, family=family, setting=setting, job=job, said=said + more,
                 names=tuple(recorder.names) + tuple(effects(case)))


def as_stated(here: Part, variant: str) -> Part:
    """Return a part with the bandwidth and the power limit that a hardware name states.

    Notes
    -----
    Power goes as frequency times voltage squared, so a lower limit costs (limit/usual)^gamma of the peaks, gamma
    between 1/3 (voltage follows) and 1 (voltage at its floor): row `power_exponent`.
    """
    bandwidth, watts = re.search(r"([\d.]+)\s?TB/s", variant), re.search(r"(\d{3,4})\s?W", variant)
    if bandwidth:
        here = replace(here, memory_bytes_s=float(bandwidth.group(1)) * 1e12 / here.per_chip)
    if watts and here.watts > 0:
        share = min(float(watts.group(1)) / here.watts, 1.0) ** constant("power_exponent")
        here = replace(here, peak=tuple((k, v * share) for k, v in here.peak))
    return here


def effects(case: Case) -> dict[str, float]:
    """Return the deviations beside chip and engine, with their widths."""
    return {f"source:{case.source or 'new'}": constant("effect_source"),
            f"quantity:{case.quantity}:{case.stack}": constant("effect_quantity"),
            **widths(case.model, case.precision, case.stack)}


TIMES = ("tpot_ms", "ttft_ms", "gpu_hours", "step_time_s")
"""Quantities that fall when machines get faster; shared deviations turn their sign."""


def log_forecast(ready: Ready, draw: Any) -> Array:
    """Return the logarithm of the asked quantity under drawn deviations. (draw)"""
    case = ready.case
    speed, stack = speed_from(ready.part, ready.family, ready.group, case.stack, case.engine, draw,
                              years=case.years)
    if ready.job is not None:
        value: Numeric = training(case, ready.part, speed, ready.job)
    else:
        assert ready.setting is not None
        accept = belief("any", "accept", case.model.name, draw) if case.drafts and case.accept <= 1 else 0.0
        value = serving(case, ready.part, speed, stack, accept, ready.setting)
    sign = -1.0 if case.quantity in TIMES else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.log(np.reshape(value, -1))
    for name, width in effects(case).items():
        total = total + (1.0 if name.startswith("quantity") else sign) * width * draw(name)
    return np.asarray(total, dtype=float)


def rows_ready(rows: Iterable[Mapping[str, str]], catalog: Catalogue) -> tuple[list[Ready], list[tuple[str, str]]]:
    """Return measured rows as ready cases, and (id, reason) of those refused."""
    kept, refused = [], []
    for row in rows:
        try:
            _, value = quantity_of(row)
            if not value > 0:
                raise DataError("its value is not above zero")
            ready = prepare(case_of(row, catalog), catalog)
            if float(log_forecast(ready, _ideal)[0]) < np.log(value) and ready.case.quantity not in TIMES \
                    and ready.case.quality == "A" and not ready.case.drafts and ready.case.phase == "train":
                raise DataError("it is faster than the chip's peaks allow, so its unit was misread")
            kept.append(replace(ready, log_value=float(np.log(value))))
        except ChipcastError as error:
            refused.append((str(row.get("id", "")), str(error)))
    return kept, refused


def _ideal(name: str) -> Array:
    """Return deviations of a chip and stack as good as can be."""
    worse = ("alpha", "launch", "host", "request", "ttft")
    return np.full(1, -4.0 if name.startswith(worse) else 4.0 if "@" in name else 0.0)


def digest_of(items: Sequence[Ready], kernels: Sequence[Kernel] = ()) -> str:
    """Return the hash of the measurements that a fit uses, values rounded to six digits."""
    words = [f"{r.case.source}/{r.case.id}/{r.case.quantity}={np.exp(r.log_value):.6g}" for r in items]
    words += [f"{k.source}/{k.id}={np.exp(k.log_value):.6g}" for k in kernels]
    return hashlib.blake2b(";".join(sorted(words)).encode(), digest_size=8).hexdigest()


def noise_of(case: Case) -> float:
    """Return the width of a row's noise: of its quality, and of what it left open (chips, load, lengths). [log]"""
    guess = any("guessed" in a or "taken as" in a for a in case.assumed)
    left = 0 if case.phase in ("train", "prefill") else sum((
        not case.stated_count, not case.batch_per_chip and not case.concurrency,
        any(a.startswith(("prompt ", "answer ")) for a in case.assumed)))
    widths = [constant(f"noise_{case.quality.lower() if case.quality in ('A', 'B') else 'c'}"),
              constant("floor_noise") if case.floor else 0.0, constant("noise_split") if case.split else 0.0,
              constant("noise_guess") if guess else 0.0, constant("noise_open") * np.sqrt(left)]
    return float(np.sqrt(np.sum(np.square(widths))))


def slopes(ready: Ready | Kernel, at: Mapping[str, float]) -> tuple[float, Array]:
    """Return the logarithm of the forecast and its slopes along the deviations of a case or kernel. (name)"""
    index = {n: i for i, n in enumerate(ready.names)}

    def draw(name: str) -> Array:
        i = index.get(name)
        values = np.full(len(index) + 1, at.get(name, 0.0))
        if i is not None:
            values[i + 1] += STEP
        return values

    out = ready.forecast(draw) if isinstance(ready, Kernel) else log_forecast(ready, draw)
    return float(out[0]), (out[1:] - out[0]) / STEP


def _aim(item: Ready | Kernel) -> tuple[str, float, float]:
    """Return the source of a measurement, the logarithm to meet, and its width."""
    if isinstance(item, Kernel):
        return f"{item.source} kernels", item.log_value, constant("kernel_noise")
    return item.case.source, item.log_value + (constant("floor_shift") if item.case.floor else 0.0), noise_of(item.case)


def fit(items: Sequence[Ready], *, as_of: str, start: Mapping[str, float] | None = None, steps: int = 6,
        kernels: Sequence[Kernel] = ()) -> Posterior:
    """Return the posterior of the deviations given measured cases, and single operations where there are any.

    Notes
    -----
    Gauss-Newton with the standard normal prior; heavy tails by reweighting, (nu + 1)/(nu + r^2); a source of n rows
    counts as sqrt(n).
    """
    every: list[Ready | Kernel] = [*items, *kernels]
    names = sorted({n for r in every for n in r.names})
    if not names:
        return Posterior(as_of=as_of, digest=digest_of(items), names=(), mean=np.zeros(0), factor=np.zeros((0, 0)))
    index = {n: i for i, n in enumerate(names)}
    z = np.array([(start or {}).get(n, 0.0) for n in names])
    aims = [_aim(r) for r in every]
    count = Counter(source for source, _, _ in aims)
    precision, tail = np.eye(len(names)), constant("noise_tail")
    for _ in range(steps):
        at = dict(zip(names, z, strict=True))
        precision, pull = np.eye(len(names)), -z.copy()
        for r, (source, aim, sigma) in zip(every, aims, strict=True):
            value, slope = slopes(r, at)
            residual = (aim - value) / sigma
            weight = (tail + 1) / (tail + residual**2) / np.sqrt(count[source])
            where = np.array([index[n] for n in r.names])
            j = slope / sigma
            precision[np.ix_(where, where)] += weight * np.outer(j, j)
            pull[where] += weight * residual * j
        move = np.linalg.solve(precision, pull)
        z = z + move * min(1.0, 2.0 / max(float(np.max(np.abs(move))), 1e-9))
        if np.max(np.abs(move)) < 0.02:
            break
    covariance = np.linalg.inv(precision)
    keep = np.flatnonzero((np.abs(z) > 0.03) | (np.diag(covariance) < 0.98))
    factor = np.linalg.cholesky(covariance[np.ix_(keep, keep)] + 1e-10 * np.eye(len(keep)))
    seen = sorted({("train" if r.job is not None else "serve", r.group, r.case.model.name) for r in items})
    return Posterior(as_of=as_of, digest=digest_of(items, kernels), names=tuple(names[i] for i in keep), mean=z[keep],
                     factor=np.asarray(factor, dtype=float), rows=len(every), seen=tuple(seen))


__all__ = ["Posterior", "Ready", "as_stated", "digest_of", "effects", "fit", "from_text", "group_of", "log_forecast",
           "noise_of", "prepare", "rows_ready", "slopes", "to_text"]
