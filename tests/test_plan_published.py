"""Published programs of several stages, on the planner's own sheet and trees, to their published values."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chipcast.plan.labels import Labels, labels_by_date, labels_by_history
from chipcast.plan.sheet import Sheet
from chipcast.plan.solve import solve

Array = npt.NDArray[np.float64]


class Tree:
    """A program in stages: columns by what has been seen, rows and costs by future."""

    def __init__(self, labels: Labels) -> None:
        self.sheet, self.labels = Sheet(), labels
        self.s = np.arange(labels.shape[1])

    def columns(self, stage: int, count: int, **bounds: Any) -> npt.NDArray[np.int32]:
        """Return columns of a stage. (column, future)"""
        inverse = np.unique(self.labels[stage], return_inverse=True)[1]
        name = f"{stage}:{self.sheet.columns}"
        at: npt.NDArray[np.int32] = self.sheet.new_columns(name, (count, int(inverse.max()) + 1), **bounds)[:, inverse]
        return at

    def row(self, low: float | Array = -np.inf, high: float | Array = np.inf) -> npt.NDArray[np.int32]:
        """Return a row in every future. (future)"""
        return self.sheet.new_rows(f"r{self.sheet.rows}", (self.s.size,), lower=low, upper=high)

    def best(self, weight: Array, *, tail: float = 0.9, tail_weight: float = 0.0, risk: str = "mean_cvar") -> float:
        """Return the least mean cost, or the least of another objective."""
        return solve(self.sheet.close(weight, tail=tail, tail_weight=tail_weight, risk=risk, labels=self.labels)
                     ).objective


def chain(matrices: list[Array], first: Array) -> tuple[npt.NDArray[np.int_], Array]:
    """Return all paths of a Markov chain and their probability. (stage, path), (path)"""
    paths = list(product(*[range(first.size), *[range(m.shape[1]) for m in matrices]]))
    weight = np.array([first[p[0]] * np.prod([m[a, b] for m, a, b in zip(matrices, p, p[1:], strict=False)])
                       for p in paths])
    return np.array(paths).T, weight


def capacity(stages: int, penalty: float) -> float:
    """Problem 5.2 of StructDualDynProg: build four kinds of plant, then meet three modes of a random load."""
    build, run = np.array([16.0, 5, 32, 2]), np.array([25.0, 80, 6.5, 160])
    hours = np.array([8760.0, 7000, 1500]) / 8760
    load = np.array([np.diff([0, 3919, 7329, 10315]), np.diff([0, 7086, 9004, 11169])], dtype=float)
    steps = np.tile([0.9, 0.1], (2, 1))
    seen, weight = chain([steps] * (stages - 2), np.array([0.9, 0.1]))
    seen = np.vstack([np.zeros((1, seen.shape[1]), dtype=int), seen])
    tree = Tree(labels_by_history(seen))
    built: list[npt.NDArray[np.int32]] = []
    for t in range(stages):
        if t > 0:
            use, short = tree.columns(t, 12), tree.columns(t, 1)
            tree.sheet.charge(tree.s, use, (run[:, None] * hours).ravel()[:, None])
            tree.sheet.charge(tree.s, short, penalty)
            for i in range(4):
                row = tree.row(high=0.0)
                tree.sheet.put(row, use[3 * i: 3 * i + 3], 1.0)
                for b in built:
                    tree.sheet.put(row, b[i], -1.0)
            for j in range(3):
                row = tree.row(low=load[seen[t], j])
                tree.sheet.put(row, use[j::3], 1.0)
                tree.sheet.put(row, short[0], 1.0)
        if t < stages - 1:
            built.append(tree.columns(t, 4))
            tree.sheet.charge(tree.s, built[-1], build[:, None])
    return tree.best(weight)


@pytest.mark.parametrize(("stages", "penalty", "expected"), [(2, 1e6, 340_315.52), (3, 1e5, 406_712.49)])
def test_structdualdynprog_problem_5_2(stages: int, penalty: float, expected: float) -> None:
    assert capacity(stages, penalty) == pytest.approx(expected, abs=0.1)


def test_mccardle_farm_in_three_weathers() -> None:
    """SDDP.jl's farm after R. McCardle, master's thesis, Louisville 2009: hay cut three times, fed, sold and bought."""
    feed = np.array([[0.0, 1, 2], [0, 0, 1], [0, 0, 0]])
    days, demand = np.array([60.0, 60, 245]), np.array([210.0, 210, 858])
    price, cost = np.array([4.5, 5.5, 6.5]), np.array([5.0, 6, 7])
    bales = np.array([[30, 75, 37.5], [15, 37.5, 18.25], [7.5, 18.75, 9.325]])
    weather = np.array([0.14, 0.69, 0.17])
    seen, weight = chain([np.tile(weather, (3, 1))] * 2, weather)
    seen = np.vstack([np.zeros((1, 27), dtype=int), seen])
    tree = Tree(labels_by_history(seen))
    acres, stock = tree.columns(0, 1, upper=60.0), None
    for t in (1, 2, 3):
        k = t - 1
        next_acres, kept = tree.columns(t, 1, upper=60.0), tree.columns(t, 3)
        buy, sell, eat, more, less = (tree.columns(t, 3) for _ in range(5))
        for pair, each in ((more, 1000.0), (less, 1000.0), (buy, cost[:, None]), (eat, feed[:, k, None]),
                           (sell, -price[:, None])):
            tree.sheet.charge(tree.s, pair, each)
        tree.sheet.charge(tree.s, acres, 50.0)
        if stock is not None:
            tree.sheet.charge(tree.s, stock, 0.05 * days[k])
        row = tree.row(high=0.0)
        tree.sheet.put(row, next_acres[0], 1.0)
        tree.sheet.put(row, acres[0], -1.0)
        tree.sheet.put(tree.row(low=demand[k]), eat, 1.0)
        for c in range(3):
            row = tree.row(0.0, 0.0)
            for columns, sign in ((kept, 1.0), (buy, -1.0), (eat, 1.0), (sell, 1.0), (more, -1.0), (less, 1.0)):
                tree.sheet.put(row, columns[c], sign)
            limit = tree.row(high=0.0)
            tree.sheet.put(limit, sell[c], 1.0)
            if stock is not None:
                tree.sheet.put(row, stock[c], -1.0)
                tree.sheet.put(limit, stock[c], -1.0)
            if c == k:
                tree.sheet.put(row, acres[0], -bales[c, seen[t]])
        tree.sheet.put(tree.row(high=3000.0), kept, 1.0)
        tree.sheet.put(tree.row(high=3000.0), sell, 1.0)
        acres, stock = next_acres, kept
    assert tree.best(weight) == pytest.approx(4074.1391, abs=1e-4)


def test_birge_louveaux_asset_management() -> None:
    """55 to invest in stocks and bonds over three periods, 80 wanted at the end: 1.514."""
    rate = np.array([[1.25, 1.06], [1.14, 1.12]])
    seen, weight = chain([np.full((2, 2), 0.5)] * 2, np.full(2, 0.5))
    seen = np.vstack([np.zeros((1, 8), dtype=int), seen])
    tree = Tree(labels_by_history(seen))
    held = tree.columns(0, 2)
    tree.sheet.put(tree.row(55.0, 55.0), held, 1.0)
    for t in (1, 2, 3):
        last = t == 3
        row = tree.row(80.0 if last else 0.0, 80.0 if last else 0.0)
        tree.sheet.put(row, held, rate[:, seen[t]])
        if last:
            over, short = tree.columns(t, 1), tree.columns(t, 1)
            tree.sheet.put(row, over, -1.0)
            tree.sheet.put(row, short, 1.0)
            tree.sheet.charge(tree.s, over, -1.0)
            tree.sheet.charge(tree.s, short, 4.0)
        else:
            held = tree.columns(t, 2)
            tree.sheet.put(row, held, -1.0)
    assert tree.best(weight) == pytest.approx(1.514, abs=1e-3)


def valley(*, inflows: bool, prices: bool, **risk: Any) -> float:
    """SDDP.jl's two dams in a chain, with random inflows, Markov prices or both; the largest value."""
    flow, power = np.array([50.0, 60, 70]), np.array([55.0, 65, 70])
    price = np.array([[1.0, 2], [2, 1], [3, 4]])
    rain = np.array([[0.0, 0], [20, 0], [50, 20]])
    moves = [np.array([[0.6, 0.4]]), np.array([[0.6, 0.4], [0.3, 0.7]])] if prices else [np.ones((1, 1))] * 2
    market, p_market = chain(moves, np.ones(1))
    noise, p_noise = chain([np.full((3, 3), 1 / 3)], np.full(3, 1 / 3)) if inflows else (np.zeros((2, 1), dtype=int),
                                                                                        np.ones(1))
    m, n = (a.ravel() for a in np.meshgrid(np.arange(p_market.size), np.arange(p_noise.size), indexing="ij"))
    market, weight = market[:, m], p_market[m] * p_noise[n]
    noise = np.vstack([np.zeros((1, n.size), dtype=int), noise[:, n]])
    tree = Tree(labels_by_history(10 * market + noise))
    before = None
    for t in range(3):
        level = tree.columns(t, 2, upper=200.0)
        out, spill, inflow = (tree.columns(t, 2) for _ in range(3))
        share = tree.columns(t, 6, upper=1.0)
        tree.sheet.charge(tree.s, share, -price[t, market[t]] * np.tile(power, 2)[:, None])
        tree.sheet.charge(tree.s, spill, 1000.0)
        for r in range(2):
            start = 0.0 if before is not None else 200.0
            row = tree.row(start, start)
            for columns, sign in ((level[r], 1.0), (inflow[r], -1.0), (out[r], 1.0), (spill[r], 1.0)):
                tree.sheet.put(row, columns, sign)
            if before is not None:
                tree.sheet.put(row, before[r], -1.0)
            if r:
                tree.sheet.put(row, out[0], -1.0)
                tree.sheet.put(row, spill[0], -1.0)
            turbine = tree.row(0.0, 0.0)
            tree.sheet.put(turbine, out[r], 1.0)
            tree.sheet.put(turbine, share[3 * r: 3 * r + 3], -flow[:, None])
            tree.sheet.put(tree.row(high=1.0), share[3 * r: 3 * r + 3], 1.0)
            tree.sheet.put(tree.row(high=rain[noise[t], r]), inflow[r], 1.0)
        before = level
    return -tree.best(weight, **risk)


@pytest.mark.parametrize(("inflows", "prices", "expected"), [(False, False, 835.0), (True, False, 838.33),
                                                             (False, True, 851.8), (True, True, 855.0)])
def test_hydro_valley_with_random_inflows_and_markov_prices(inflows: bool, prices: bool, expected: float) -> None:
    assert valley(inflows=inflows, prices=prices) == pytest.approx(expected, abs=0.01 if not prices else 1.0)


def test_hydro_valley_with_risk_weighed_at_every_stage() -> None:
    """Half the mean and half the mean of the worst 66 percent, nested: SDDP.jl's EAVaR(0.5, 0.66)."""
    nested = valley(inflows=True, prices=True, tail=1 - 0.66, tail_weight=0.5, risk="nested")
    assert nested == pytest.approx(828.157, abs=1e-2)
    # Negative control: the same tail at the root is another number.
    assert abs(valley(inflows=True, prices=True, tail=1 - 0.66, tail_weight=0.5) - nested) > 0.5


def test_hydro_valley_in_the_worst_case_is_the_limit_of_the_nested_tail() -> None:
    limit = valley(inflows=True, prices=True, tail=0.999, tail_weight=1.0, risk="nested")
    assert limit == pytest.approx(valley(inflows=True, prices=True, risk="worst_case"))


def test_a_tree_that_knows_everything_at_once_beats_the_published_value() -> None:
    """Negative control: with labels all different at the start the farm of problem 5.2 costs less."""
    labels = labels_by_date(2, 0, 2)
    assert np.unique(labels[0]).size == 2
    tree, load = Tree(labels), np.array([[3919.0, 7086]])
    plant, short = tree.columns(0, 1), tree.columns(1, 1)
    tree.sheet.charge(tree.s, plant, 16.0)
    tree.sheet.charge(tree.s, short, 1000.0)
    row = tree.row(low=load[0])
    tree.sheet.put(row, plant, 1.0)
    tree.sheet.put(row, short, 1.0)
    assert tree.best(np.array([0.9, 0.1])) == pytest.approx(16 * (0.9 * 3919 + 0.1 * 7086))
