"""Which shares does a run compute with? What the fit says, written into the table of every number a run uses.

Serving reads the deviations behind the fit; these rows show the same values, draw by draw, so that the appendix, the
sensitivities and `explain` see what moves an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.draws import CHUNK
from chipcast.base.given import Given, Row
from chipcast.base.laws import Z95, Law
from chipcast.base.types import Array
from chipcast.tokens.beliefs import CHIP_NAMES, GROUPS, STACK_NAMES, logit, table
from chipcast.tokens.effects import deployment_width, widths
from chipcast.tokens.layout import choose_precision
from chipcast.tokens.model import load
from chipcast.tokens.posterior import Posterior
from chipcast.tokens.reached import deviations, engine_of, family_of, shares, vintage_of, years_later
from chipcast.tokens.speed import STACKS, at_middle, overruled, speed_of, stack, stand_in

SOURCE = "chipcast-fit-of-measurements"
"""Key of the source of these rows."""

UNSERVED = ("ttft_ms", "burst")
"""Beliefs of an engine that a run of the whole chain does not read: they shape single measurements."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """A belief as a normal on its own scale."""

    name: str
    """Name of the row."""
    scope: str
    """Family or stack whose centre it has."""
    key: str
    """Name of the belief."""
    own: str
    """Chip group or engine that it belongs to."""


def with_fit(given: Given, chips: Sequence[str], segments: Iterable[str] = ("platform",),
             models: Sequence[str] = ()) -> Given:
    """Return the table with what the fit of its vintage says of these chips in place of the ranges it overrules.

    A row that the scenario itself states stays, and is what the run computes with. For `models` it also lists what
    moves a whole step of theirs: kind of architecture, model, format of weights, and one more deployment.
    """
    segments = tuple(segments)
    vintage, known = vintage_of(given)
    said: dict[str, _Said] = {}
    values: dict[str, list[Array]] = {}
    blocks = [given.block(a, min(a + CHUNK, given.stop)) for a in range(given.start, given.stop, CHUNK)]
    for chip in dict.fromkeys(stand_in(c) for c in chips):
        for soft in dict.fromkeys(STACKS[stack(chip, s)] for s in segments):
            names = _names(given, chip, soft)
            if all(n in said for n in names):
                continue
            for block in blocks:
                reached, costs = shares(block, chip, soft)
                for name, one in names.items():
                    if name not in said:
                        x = np.broadcast_to((reached if one.key in reached else costs)[one.key], (block.draws,))
                        values.setdefault(name, []).append(np.asarray(x, dtype=float))
            said |= names
    rows, normals = [], {}
    for name, one in said.items():
        row, z = _row(one, np.concatenate(values[name]), known, vintage)
        rows.append(row)
        normals[name] = z if given.start == 0 else np.concatenate([np.zeros(given.start), z])
    for chip in dict.fromkeys(chips) if models else ():
        for soft in dict.fromkeys(STACKS[stack(chip, s)] for s in segments):
            for name, (deviation, width, why) in _steps(given, chip, soft, models).items():
                if name in normals:
                    continue
                row, load_of = _factor(name, deviation, width, why, known, vintage)
                rows.append(row)
                z = np.concatenate([load_of(deviations(b)(deviation)) for b in blocks])
                normals[name] = z if given.start == 0 else np.concatenate([np.zeros(given.start), z])
    unread = [n for n, r in given.rows.items() if r.kind != "scenario" and overruled(n)]
    return given.without(unread).with_rows(rows).with_posterior(normals)


def _steps(given: Given, chip: str, soft: str, models: Sequence[str]) -> dict[str, tuple[str, float, str]]:
    """Return the deviations that move a whole step on a chip by row: name of the deviation, width [log], words."""
    out = {f"fit-{chip}.deployment_{soft}": (f"deployment:{chip}:{soft}", deployment_width(),
                                             "Speed of one more deployment over that of the usual one")}
    here = speed_of(at_middle(given), chip)
    for shape in (load(m) for m in models):
        for deviation, width in widths(shape, choose_precision(shape, here, None), soft).items():
            kind, a, b = deviation.split(":")
            own = (b if a == soft else a).lower().replace(".", "-")
            out[f"fit-{soft}.{kind}_{own}"] = (deviation, width, f"Speed of a step beyond its operations, {kind} {own}")
    return out


def _factor(name: str, deviation: str, width: float, why: str, known: Posterior,
            vintage: str) -> tuple[Row, Callable[[Array], Array]]:
    """Return the row of a factor of speed, and what turns draws of its deviation into normals. (draw)"""
    at = known.names.index(deviation) if deviation in known.names else -1
    mean, sd = (float(known.mean[at]), float(np.linalg.norm(known.factor[at]))) if at >= 0 else (0.0, 1.0)
    low, mode, high = (float(np.exp(width * (mean + k * sd))) for k in (-Z95, 0.0, Z95))
    law = Law(family="lognormal", low=low, mode=mode, high=high)
    return Row(name=name, law=law, unit="1", kind="estimated", source=SOURCE, as_of=vintage,
               why=f"{why}; what {known.rows} measurements leave of it, assumed 1 before them"), \
        lambda draws: np.asarray((draws - mean) / sd, dtype=float)


def _names(given: Given, chip: str, soft: str) -> dict[str, _Said]:
    """Return the beliefs of a chip and of the software on it by the name of their row."""
    group, engine = GROUPS.get(chip, chip), engine_of(soft, given, chip)
    four_bit = "fp4_tflops" in given.catalog.chip_facts(chip)
    out = {f"fit-{group}.{_unit_name(family_of(given, chip), k)}": (family_of(given, chip), k, group)
           for k in CHIP_NAMES if k != "four_bit" or four_bit}
    out |= {f"fit-{soft}.{_unit_name(soft, k)}": (soft, k, engine) for k in STACK_NAMES
            if k not in UNSERVED and (k != "growth" or years_later(given))}
    return {name: _Said(name=name, scope=scope, key=k, own=own) for name, (scope, k, own) in out.items()}


def _unit_name(scope: str, key: str) -> str:
    """Return the name of a belief with `share` where it is one."""
    return f"{key}_share" if table()[(scope, key)]["law"] == "logit" else key


def _row(one: _Said, values: Array, known: Posterior, vintage: str) -> tuple[Row, Array]:
    """Return the row of a belief, and the normals that give its values in this run. (draw)"""
    belief = table()[(one.scope, one.key)]
    share = belief["law"] == "logit"
    centre = logit(float(belief["centre"])) if share else float(np.log(float(belief["centre"])))
    index = {n: i for i, n in enumerate(known.names)}
    mean, loads, alone = centre, np.zeros(len(known.names)), 0.0
    for name, width in ((f"{one.key}@{one.scope}", float(belief["width"])),
                        (f"{one.key}@{one.scope}:{one.own}", float(belief["chip_width"]))):
        if name in index:
            mean += width * known.mean[index[name]]
            loads += width * known.factor[index[name]]
        else:
            alone += width**2
    sd = float(np.sqrt(loads @ loads + alone))
    ends = [mean - Z95 * sd, mean, mean + Z95 * sd]
    low, mode, high = (float(1 / (1 + np.exp(-x)) if share else np.exp(x)) for x in ends)
    law = Law(family="logitnormal" if share else "lognormal", low=low, mode=mode, high=high)
    scale = np.log(values / (1 - values)) if share else np.log(values)
    why = (f"{belief['reason'].rstrip('.')}; what {known.rows} measurements leave of it, "
           f"assumed {float(belief['centre']):g} before them")
    return Row(name=one.name, law=law, unit=belief["unit"], kind="estimated", source=SOURCE, as_of=vintage,
               why=why), (scale - mean) / sd
