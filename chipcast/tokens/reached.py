"""What does this run believe that chips and engines reach? The fit of the run's vintage, draw by draw.

One road from measurements to step times: `predict` and `serve` read the same deviations. A name that the fit has not
moved keeps its prior, so that a run of a day without serving measurements is as unsure as that.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from chipcast.base import draws
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.tokens.beliefs import CHIP_NAMES, GROUPS, STACK_NAMES, Draw, belief, constant, maker
from chipcast.tokens.effects import deployment_width, widths
from chipcast.tokens.model import Model
from chipcast.tokens.posterior import Posterior, shipped_posterior, vintage_for
from chipcast.tokens.step import Speed

ENGINE_OF = {"open": "sglang", "ascend-open": "vllm-ascend", "ascend-best": "mindie"}
"""Engine that a buyer runs of each group of stacks."""


@lru_cache(maxsize=16)
def _noise(vintage: str, seed: int, start: int, stop: int) -> Array:
    """Return the standard normals behind all fitted deviations. (name, draw)"""
    names = shipped_posterior(vintage).names
    return np.stack([draws.normals(seed, f"tokens:{n}", start, stop) for n in names]) if names \
        else np.zeros((0, stop - start))


def vintage_of(given: Given) -> tuple[str, Posterior]:
    """Return the fit that a run of this date may see, and its name."""
    name = vintage_for(given.catalog)
    return name, shipped_posterior(name)


def deviations(given: Given) -> Draw:
    """Return the function from a deviation's name to its draws in this block, or to its mean at the middle."""
    vintage, known = vintage_of(given)
    index = {n: i for i, n in enumerate(known.names)}
    alone = given.draws == 1 and all(row.law.fixed for row in given.rows.values())
    noise = None if alone else _noise(vintage, given.seed, given.start, given.stop)

    def draw(name: str) -> Array:
        i = index.get(name)
        if alone:
            return np.full(1, 0.0 if i is None else known.mean[i])
        if i is None:
            return draws.normals(given.seed, f"tokens:{name}", given.start, given.stop)
        assert noise is not None
        out: Array = known.mean[i] + np.add.reduce(known.factor[i, : i + 1, None] * noise[: i + 1], axis=0)
        return out

    return draw


def family_of(given: Given, chip: str) -> str:
    """Return the family of beliefs of a chip: nvidia, ascend or other."""
    return "other" if chip == "domestic_other" else maker(chip, given.catalog)


def shares(given: Given, chip: str, stack: str) -> tuple[dict[str, Numeric], dict[str, Numeric]]:
    """Return what a chip reaches and what its engine costs. (draw)

    Parameters
    ----------
    chip : str
        Chip id, classes already replaced by their stand-in.
    stack : str
        Group of stacks.
    """
    draw, family, group = deviations(given), family_of(given, chip), GROUPS.get(chip, chip)
    engine = engine_of(stack, given, chip)
    return ({n: belief(family, n, group, draw) for n in CHIP_NAMES},
            {n: belief(stack, n, engine, draw) for n in STACK_NAMES})


def engine_of(stack: str, given: Given, chip: str) -> str:
    """Return the engine that a buyer of a chip runs of a group of stacks."""
    return ENGINE_OF.get(stack, f"unknown-{family_of(given, chip)}")


def years_later(given: Given) -> float:
    """Return by how many years a run's date lies after the software that the beliefs speak of, 0 for earlier ones.

    Earlier runs look ahead, to chips served with the software of then. [years]
    """
    day = given.catalog.as_of
    return float(np.clip(day.year + (day.month - 0.5) / 12 - constant("software_year"), 0.0, 1.0))


def for_model(given: Given, speed: Speed, model: Model, precision: str, stack: str) -> Speed:
    """Return the speed with what this kind of model, its weights and one more deployment do to all of a step.

    The deviations are those of `predict`: architecture, model, format of weights, and the width of a source that
    nobody has seen beside the model's own lack of fit. A run of a later day than the software that the beliefs speak
    of has that day's software (`years_later`).
    """
    draw = deviations(given)
    total: Numeric = deployment_width() * draw(f"deployment:{speed.chip}:{stack}")
    for name, width in widths(model, precision, stack).items():
        total = total + width * draw(name)
    faster = np.exp(total)
    later = np.exp(years_later(given) * belief(stack, "growth", engine_of(stack, given, speed.chip), draw))
    return replace(speed, maturity=speed.maturity * faster * later ** constant("growth_of_operations"),
                   launch_s=speed.launch_s / faster / later,
                   layer_s=speed.layer_s / faster, host_s=speed.host_s / faster, request_s=speed.request_s / faster)
