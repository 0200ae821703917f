"""Where the money of a package goes, and which price, yield or volume would just pay for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import InfeasibleError, require
from chipcast.base.types import Array, Numeric
from chipcast.fab.product import Product


def unit_cost(item: Product, *, wafer_usd: Numeric, gross_dies: Numeric, line_yield: Numeric, die_yield: Numeric,
              screened: Array | None = None) -> Numeric:
    """Return the variable cost per good card, of dies made at home. [USD] (month, draw)

    Parameters
    ----------
    wafer_usd, gross_dies, line_yield, die_yield : numeric
        Price of a wafer started, complete dies on it, wafers out over started, sellable share of its dies.
    screened : array, optional
        0 where two-die packages take untested dies; left out, all dies are tested first.

    Notes
    -----
    Tested: ((k (p_w/N + t)/(Y_line Y) + memory + package)/Y_a + board)/Y_system. Blind: no test, and the
    package dies with any die: (k p_w/(N Y_line) + memory + package)/(Y^k Y_a), then the same.
    """
    k, raw = item.dies, wafer_usd / gross_dies
    rest = item.memory_usd + item.package_usd
    tested = (k * (raw + item.die_test_usd) / (line_yield * die_yield) + rest) / item.assembly_yield
    if screened is not None and bool(np.any(screened < 0.5)):
        blind = (k * raw / line_yield + rest) / (die_yield**k * item.assembly_yield)
        tested = np.where(screened < 0.5, blind, tested)
    return (tested + item.board_usd) / item.system_yield


@dataclass(frozen=True, kw_only=True, slots=True)
class Waterfall:
    """Cost of one good card, step by step; the steps sum to the unit cost."""

    steps: tuple[str, ...]
    """What the money is for. (step)"""
    usd: Array
    """Money per good card. [USD] (step, draw)"""

    @property
    def total_usd(self) -> Array:
        """Sum of all steps. [USD] (draw)"""
        total: Array = self.usd.sum(axis=0)
        return total


def cents(usd: Array) -> Array:
    """Round steps to cents so that they still add up to their rounded sum: the largest remainders go up. [USD] (step)

    >>> cents(np.array([1.004, 1.004, 1.004])).tolist()
    [1.01, 1.0, 1.0]
    """
    exact = np.asarray(usd, dtype=float) * 100
    whole = np.floor(exact)
    missing = round(float(np.rint(exact.sum()) - whole.sum()))
    order = np.argsort(whole - exact, kind="stable")
    whole[order[:missing]] += 1
    return np.asarray(whole / 100)


STEPS = ("raw dies", "wafers lost in the line", "dies lost at sort", "die test", "memory", "packaging and test",
         "packages lost in assembly", "board and module test", "cards lost at system test")


def waterfall(item: Product, *, wafer_usd: Numeric, gross_dies: Numeric, line_yield: Numeric, die_yield: Numeric,
              flow: str = "known-good-die") -> Waterfall:
    """Return the cost of a good card as what goes into it and what is lost on the way; the steps add up exactly.

    In the blind flow no die is tested and none is lost at sort: packages with a bad die are lost with all
    that is in them, memory too.
    """
    parts = choose(_LOSSES, flow, "flow")
    k, raw = item.dies, wafer_usd / gross_dies
    raw_usd = k * raw
    line_loss = raw_usd * (1 / line_yield - 1)
    sort_loss, test_usd, survive = parts(item, raw_usd / line_yield, die_yield, line_yield)
    start = raw_usd + line_loss + sort_loss + test_usd + item.memory_usd + item.package_usd
    assembly_loss = start * (1 / survive - 1)
    card = start + assembly_loss + item.board_usd
    system_loss = card * (1 / item.system_yield - 1)
    money = (raw_usd, line_loss, sort_loss, test_usd, item.memory_usd, item.package_usd, assembly_loss, item.board_usd,
             system_loss)
    shape = np.broadcast_shapes(*(np.shape(m) for m in money))
    return Waterfall(steps=STEPS, usd=np.stack([np.broadcast_to(np.asarray(m, dtype=float), shape) for m in money]))


def _tested_losses(item: Product, dies_usd: Numeric, die_yield: Numeric,
                   line_yield: Numeric) -> tuple[Numeric, Numeric, Numeric]:
    test_usd = item.dies * item.die_test_usd / (line_yield * die_yield)
    return dies_usd * (1 / die_yield - 1), test_usd, item.assembly_yield


def _blind_losses(item: Product, dies_usd: Numeric, die_yield: Numeric,
                  line_yield: Numeric) -> tuple[Numeric, Numeric, Numeric]:
    return 0.0, 0.0, item.assembly_yield * die_yield**item.dies


_LOSSES: Mapping[str, Callable[..., tuple[Numeric, Numeric, Numeric]]] = MappingProxyType(
    {"known-good-die": _tested_losses, "blind": _blind_losses})


@dataclass(frozen=True, kw_only=True, slots=True)
class Deal:
    """One product sold at a price: the relation in which any one number follows from the others.

    profit = price - ((dies (wafer/gross + test)/(line yield x die yield) + other)/assembly + board)/system
             - fixed cost / good packages
    """

    price_usd: Numeric
    """Price of a card. [USD]"""
    wafer_usd: Numeric
    """Price of a wafer started. [USD]"""
    gross_dies: Numeric
    """Complete dies on it. [dies]"""
    die_yield: Numeric
    """Sellable share of its dies. [1]"""
    other_usd: Numeric
    """Memory and packaging per start. [USD]"""
    assembly_yield: Numeric
    """Share of starts that survive. [1]"""
    dies: int = 1
    """Dies in a package. [dies]"""
    line_yield: Numeric = 1.0
    """Wafers out over started. [1]"""
    test_usd: Numeric = 0.0
    """Test of one gross die. [USD]"""
    board_usd: Numeric = 0.0
    """Board per card. [USD]"""
    system_yield: Numeric = 1.0
    """Share of cards that pass. [1]"""
    fixed_usd: Numeric = 0.0
    """Fixed cost over the period. [USD]"""
    packages: Numeric = np.inf
    """Good cards over the period; infinite leaves fixed cost out. [packages]"""
    blind: bool = False
    """Whether untested dies are assembled."""

    @property
    def profit_usd(self) -> Numeric:
        """Profit per good card. [USD]"""
        return self.price_usd - self.cost_usd - self.fixed_usd / self.packages

    @property
    def cost_usd(self) -> Numeric:
        """Variable cost per good card. [USD]"""
        raw = self.wafer_usd / self.gross_dies
        if self.blind:
            start = self.dies * raw / self.line_yield + self.other_usd
            made = start / (self.die_yield**self.dies * self.assembly_yield)
        else:
            dies = self.dies * (raw + self.test_usd) / (self.line_yield * self.die_yield)
            made = (dies + self.other_usd) / self.assembly_yield
        return (made + self.board_usd) / self.system_yield


def _solve_price(d: Deal) -> Numeric:
    return d.cost_usd + d.fixed_usd / d.packages


def _solve_fixed(d: Deal) -> Numeric:
    return (d.price_usd - d.cost_usd) * d.packages


def _solve_packages(d: Deal) -> Numeric:
    margin = np.asarray(d.price_usd - d.cost_usd, dtype=float)
    return np.where(margin > 0, d.fixed_usd / np.where(margin > 0, margin, 1.0), np.inf)


def _start_budget(d: Deal) -> Numeric:
    """Money that may be spent per package start so that a sale just pays. [USD]"""
    survive = d.assembly_yield * (d.die_yield**d.dies if d.blind else 1.0)
    return ((d.price_usd - d.fixed_usd / d.packages) * d.system_yield - d.board_usd) * survive


def _solve_other(d: Deal) -> Numeric:
    raw = d.wafer_usd / d.gross_dies
    per_die = raw / d.line_yield if d.blind else (raw + d.test_usd) / (d.line_yield * d.die_yield)
    return _start_budget(d) - d.dies * per_die


def _raw_budget(d: Deal) -> Numeric:
    """Money that may be spent on one raw die, test included in the tested flow. [USD]"""
    left = (_start_budget(d) - d.other_usd) / d.dies * d.line_yield
    return left if d.blind else left * d.die_yield - d.test_usd


def _solve_wafer(d: Deal) -> Numeric:
    return _raw_budget(d) * d.gross_dies


def _solve_gross(d: Deal) -> Numeric:
    budget = np.asarray(_raw_budget(d), dtype=float)
    return np.where(budget > 0, d.wafer_usd / np.where(budget > 0, budget, 1.0), np.inf)


def _solve_die_yield(d: Deal) -> Numeric:
    raw = d.wafer_usd / d.gross_dies
    if d.blind:
        sale = ((d.price_usd - d.fixed_usd / d.packages) * d.system_yield - d.board_usd) * d.assembly_yield
        ratio = (d.dies * raw / d.line_yield + d.other_usd) / np.where(np.asarray(sale) > 0, sale, np.nan)
        return _or_none(ratio ** (1 / d.dies))
    left = np.asarray(_start_budget(d) - d.other_usd, dtype=float)
    return _or_none(d.dies * (raw + d.test_usd) / (d.line_yield * np.where(left > 0, left, np.nan)))


def _solve_assembly(d: Deal) -> Numeric:
    full = replace(d, assembly_yield=1.0)
    sale = np.asarray((d.price_usd - d.fixed_usd / d.packages) * d.system_yield - d.board_usd, dtype=float)
    made = full.cost_usd * full.system_yield - full.board_usd
    return _or_none(made / np.where(sale > 0, sale, np.nan))


def _or_none(values: Numeric) -> Numeric:
    """Return infinity where no value breaks even."""
    return np.where(np.isnan(values), np.inf, values)


BREAK_EVEN: Mapping[str, Callable[[Deal], Numeric]] = MappingProxyType({
    "price_usd": _solve_price, "die_yield": _solve_die_yield, "wafer_usd": _solve_wafer, "gross_dies": _solve_gross,
    "other_usd": _solve_other, "assembly_yield": _solve_assembly, "fixed_usd": _solve_fixed,
    "packages": _solve_packages,
})
"""Each number that can be solved for, given all others; a share above 1 or infinity means that none pays."""


def break_even(deal: Deal, variable: str) -> Numeric:
    """Return the value of one variable at which the deal neither wins nor loses.

    >>> d = Deal(price_usd=16500, wafer_usd=14000, gross_dies=80, die_yield=0.4, other_usd=2630, assembly_yield=0.95)
    >>> round(float(break_even(d, "die_yield")), 4)
    0.0134
    """
    return choose(BREAK_EVEN, variable, "variable to solve for")(deal)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sale:
    """One product of a line, for the profit of the whole line."""

    dies: int
    """Dies in a package. [dies]"""
    die_share: Numeric
    """Share of good dies that go into it. [1]"""
    price_usd: Numeric
    """Price. [USD]"""
    assembly_yield: Numeric
    """Share of starts that survive. [1]"""
    other_usd: Numeric
    """Other cost, per good package unless `per_start`. [USD]"""
    per_start: bool = False
    """Whether other cost is per package started."""

    @property
    def worth_of_a_die_usd(self) -> Numeric:
        """What a good die earns before its wafer is paid. [USD]"""
        if self.per_start:
            return (self.assembly_yield * self.price_usd - self.other_usd) / self.dies
        return self.assembly_yield * (self.price_usd - self.other_usd) / self.dies


def line_profit(wafers: Numeric, gross_dies: Numeric, die_yield: Numeric, sales: tuple[Sale, ...], *,
                wafer_usd: Numeric, fixed_usd: Numeric = 0.0, line_yield: Numeric = 1.0) -> Numeric:
    """Return the profit of a line, W (N Y_line y mu - p_w) - F, mu what a good die earns. [USD]"""
    mu = sum(s.die_share * s.worth_of_a_die_usd for s in sales)
    return wafers * (gross_dies * line_yield * die_yield * mu - wafer_usd) - fixed_usd


def line_break_even_yield(wafers: Numeric, gross_dies: Numeric, sales: tuple[Sale, ...], *, wafer_usd: Numeric,
                          fixed_usd: Numeric, line_yield: Numeric = 1.0) -> Numeric:
    """Return the die yield at which a line just pays, (p_w + F/W) / (N Y_line mu). [1]

    Raises
    ------
    InfeasibleError
        If a good die earns nothing, so that no yield pays.
    """
    mu = sum(s.die_share * s.worth_of_a_die_usd for s in sales)
    if np.any(np.asarray(mu) <= 0):
        raise InfeasibleError("no yield breaks even: a good die earns less than what is added to it; raise the price "
                              "or lower the other cost")
    return (wafer_usd + fixed_usd / wafers) / (gross_dies * line_yield * mu)


def transfer_price(wafer_usd: Numeric, gross_dies: Numeric, die_yield: Numeric, *,
                   line_yield: Numeric = 1.0) -> Numeric:
    """Return the price of a good die at which a foundry paid per good die gets its wafer price, p_w/(N Y_line Y).

    >>> transfer_price(14000, 80, 0.4)
    437.5
    """
    require(np.all(np.asarray(die_yield) > 0), "die_yield", "be above 0", die_yield)
    return wafer_usd / (gross_dies * line_yield * die_yield)
