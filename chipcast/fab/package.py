"""From dies and memory stacks to good packages: tested dies or blind assembly, and where value is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric
from chipcast.fab.defects import YIELD_LAWS


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """Dies after a test that catches only a part of the faulty ones."""

    pass_rate: Numeric
    """Share of dies that pass. [1]"""
    quality: Numeric
    """Share of passed dies that are good. [1]"""


def screen(die_yield: Numeric, coverage: Numeric) -> Tested:
    """Return pass rate and quality when a test catches the share `coverage` of faulty dies.

    Notes
    -----
    Pass rate 1 - (1 - Y) c; quality Y over pass rate. This coverage is of faulty dies; `escape` takes a
    coverage of faults: two numbers, two names.
    """
    passed = 1 - (1 - die_yield) * coverage
    return Tested(pass_rate=passed, quality=die_yield / passed)


def escape(die_yield: Numeric, fault_coverage: Numeric) -> Numeric:
    """Return the share of passed dies that are bad, 1 - Y^(1-f), f the share of faults that the test covers.

    Sources: Williams, Brown, IEEE Trans. Comp. C-30 (1981) 987.
    """
    return 1 - die_yield ** (1 - fault_coverage)


def all_good(die_yield: Numeric, dies: int, *, pairing: str = "independent", law: str = "negative-binomial",
             clustering: Numeric = 2.0) -> Numeric:
    """Return E[p^k]: the chance that all dies of an untested package work.

    Parameters
    ----------
    pairing : str
        `independent`: each die has a multiplier of its own, E[p^k] = Y^k. `wafer`: the dies share the
        multiplier of their wafer, and E[p^k] is the law at k times the mean.

    >>> round(float(all_good(0.5, 2, pairing="wafer", clustering=1.0)), 4)
    0.3333
    """
    return choose(PAIRINGS, pairing, "pairing")(die_yield, dies, law, clustering)


def _independent(die_yield: Numeric, dies: int, law: str, clustering: Numeric) -> Numeric:
    return die_yield**dies


def _same_wafer(die_yield: Numeric, dies: int, law: str, clustering: Numeric) -> Numeric:
    entry = choose(YIELD_LAWS, law, "yield law")
    return entry.forward(dies * np.asarray(entry.inverse(die_yield, clustering)), clustering)


PAIRINGS: Mapping[str, Callable[[Numeric, int, str, Numeric], Numeric]] = MappingProxyType(
    {"independent": _independent, "wafer": _same_wafer})
"""How the dies of an untested package relate."""


def stack_yield(base: Numeric, layer: Numeric, bond: Numeric, height: int) -> Numeric:
    """Return the yield of a memory stack, base x (layer x bond)^height.

    >>> round(stack_yield(0.97, 0.98, 1.0, 8), 4)
    0.8252
    """
    require(height >= 0, "height", "not be below 0", height)
    return base * (layer * bond) ** height


def assembly_yield(*, bond: Numeric = 1.0, dies: int = 1, substrate: Numeric = 1.0, stack: Numeric = 1.0,
                   stacks: int = 0) -> Numeric:
    """Return the share of packages that survive assembly: bond^dies x substrate x stack^stacks."""
    return bond**dies * substrate * stack**stacks


def chip_first(chips_usd: Numeric, carrier_usd: Numeric, *, y1: Numeric, y3: Numeric) -> Numeric:
    """Return cost per good package when chips are embedded before the wiring: all is lost with the wiring.

    Parameters
    ----------
    chips_usd, carrier_usd : numeric
        Tested chips and redistribution layer per package. [USD]
    y1, y3 : numeric
        Yield of making the redistribution layer, and of the last joining step. [1]

    Sources: Feng, Ma, "Chiplet Actuary", arXiv 2203.12268.
    """
    return (chips_usd + carrier_usd) / (y1 * y3)


def chip_last(chips_usd: Numeric, carrier_usd: Numeric, *, y1: Numeric, y2: Numeric, y3: Numeric) -> Numeric:
    """Return cost per good package when only good interposers get chips.

    Parameters
    ----------
    y1, y2, y3 : numeric
        Yield of making the interposer, of bonding chips to it, and of the last joining step. [1]

    Sources: Feng, Ma, "Chiplet Actuary", arXiv 2203.12268.
    """
    return carrier_usd / (y1 * y2 * y3) + chips_usd / (y2 * y3)


def known_good_die_cost(*, wafer_usd: Numeric, gross_dies: Numeric, die_yield: Numeric, dies: int,
                        memory_usd: Numeric, package_usd: Numeric, assembly: Numeric, test_usd: Numeric = 0.0,
                        line_yield: Numeric = 1.0) -> Numeric:
    """Return cost per good package when each die is tested first. [USD]

    Parameters
    ----------
    wafer_usd, gross_dies, line_yield : numeric
        Price of a wafer, complete dies on it, wafers out over wafers paid. [USD], [dies], [1]
    test_usd : numeric
        Test of one gross die; a good die carries test / yield. [USD]
    memory_usd, package_usd, assembly : numeric
        Memory and packaging per start, and the share of starts that survive. [USD], [USD], [1]

    >>> round(known_good_die_cost(wafer_usd=12000, gross_dies=78, die_yield=0.4, dies=2, memory_usd=880,
    ...                           package_usd=1200, assembly=0.95), 2)
    2999.19
    """
    die_usd = (wafer_usd / gross_dies + test_usd) / (line_yield * die_yield)
    return (dies * die_usd + memory_usd + package_usd) / assembly


def blind_cost(*, wafer_usd: Numeric, gross_dies: Numeric, die_yield: Numeric, dies: int, memory_usd: Numeric,
               package_usd: Numeric, assembly: Numeric, line_yield: Numeric = 1.0, pairing: str = "independent",
               law: str = "negative-binomial", clustering: Numeric = 2.0) -> Numeric:
    """Return cost per good package when untested dies are assembled: all of a package dies with one die. [USD]"""
    both = all_good(die_yield, dies, pairing=pairing, law=law, clustering=clustering)
    return (dies * wafer_usd / (gross_dies * line_yield) + memory_usd + package_usd) / (both * assembly)


FLOWS: Mapping[str, Callable[..., Numeric]] = MappingProxyType({"known-good-die": known_good_die_cost,
                                                                "blind": blind_cost})
"""Cost per good package by flow."""


def blind_pays_above_test_usd(*, wafer_usd: Numeric, gross_dies: Numeric, die_yield: Numeric, dies: int,
                              memory_usd: Numeric, package_usd: Numeric, line_yield: Numeric = 1.0) -> Numeric:
    """Return the test cost of one gross die above which blind assembly is the cheaper flow. [USD]"""
    raw = wafer_usd / gross_dies
    start = dies * raw / line_yield + memory_usd + package_usd
    tested = start / die_yield**dies - memory_usd - package_usd
    return tested * line_yield * die_yield / dies - raw


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Survival of each kind of join in one package; their product is the assembly yield."""

    bond: Numeric
    """Share of dies that survive bonding. [1]"""
    stack: Numeric
    """Share of memory stacks that survive theirs. [1]"""
    substrate: Numeric
    """Share of interposers and substrates that survive. [1]"""


def even_parts(assembly: Numeric, dies: int, stacks: Numeric) -> Parts:
    """Return parts that all survive alike, so that bond^dies x stack^stacks x substrate is the assembly yield.

    Nothing public tells the joins of a package apart.
    """
    each = np.asarray(assembly, dtype=float) ** (1 / (dies + stacks + 1))
    return Parts(bond=each, stack=each, substrate=each)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of making a package: what it adds and what survives it."""

    name: str
    """What is done."""
    added_usd: Numeric
    """Cost added to each unit that enters. [USD]"""
    survives: Numeric
    """Share of units that survive. [1]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scrap:
    """What happens at each step, per unit started."""

    names: tuple[str, ...]
    """Steps. (step)"""
    units_in: Array
    """Units that enter. [1] (step, ...)"""
    spent_usd: Array
    """Money spent at the step. [USD] (step, ...)"""
    lost_usd: Array
    """Carried cost of units that die at the step. [USD] (step, ...)"""
    carried_usd: Array
    """Cost carried by each surviving unit. [USD] (step, ...)"""
    survives: Array
    """Share of starts that survive all steps. [1]"""

    @property
    def cost_per_good_usd(self) -> Array:
        """Money spent per good unit. [USD]"""
        total: Array = self.spent_usd.sum(axis=0) / self.survives
        return total


def scrap(steps: Sequence[Step]) -> Scrap:
    """Return units, money spent and money lost at each step, per unit started.

    Notes
    -----
    With n_i units, carried cost C_i and yield y_i the loss is n_i (1 - y_i) C_i; the sum of losses and
    n_out C_last is the money spent.
    """
    require(len(steps) > 0, "steps", "hold at least one step", 0)
    units: Numeric = np.ones(np.broadcast_shapes(*(np.shape(s.added_usd) for s in steps),
                                                 *(np.shape(s.survives) for s in steps)))
    carried: Numeric = 0.0
    entered, spent, lost, cost = [], [], [], []
    for step in steps:
        require(np.all((np.asarray(step.survives) > 0) & (np.asarray(step.survives) <= 1)), f"yield of '{step.name}'",
                "lie above 0 and not above 1", step.survives)
        carried = carried + step.added_usd
        entered.append(units * 1.0)
        spent.append(units * step.added_usd)
        lost.append(units * (1 - step.survives) * carried)
        cost.append(units * 0.0 + carried)
        units = units * step.survives
    return Scrap(names=tuple(s.name for s in steps), units_in=np.stack(entered), spent_usd=np.stack(spent),
                 lost_usd=np.stack(lost), carried_usd=np.stack(cost), survives=np.asarray(units))
