"""Cover under a permanent cut-off: the closed form against value iteration, limits, simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from chipcast.base.draws import uniforms
from chipcast.base.errors import InputError
from chipcast.market import hoard

TABLE = {
    (0.10, 0.0, 0.01): (0, 14, 65, 129), (0.25, 0.0, 0.01): (0, 0, 3, 30), (0.25, 0.0, 0.02): (0, 2, 24, 51),
    (0.25, 0.0, 0.05): (5, 21, 42, 70), (0.25, 0.0, 0.10): (13, 29, 50, 78), (0.40, 0.0, 0.01): (0, 0, 0, 10),
    (0.40, 0.0, 0.02): (0, 0, 8, 26), (0.40, 0.0, 0.05): (0, 9, 24, 42), (0.40, 0.0, 0.10): (6, 16, 31, 49),
    (0.40, 0.0, 1.00): (14, 24, 39, 57), (0.40, 0.01, 0.02): (0, 0, 1, 18), (0.40, 0.01, 0.05): (0, 4, 17, 33),
    (0.40, 0.01, 0.10): (3, 11, 24, 40),
}
RATIOS = (1.5, 2.0, 3.0, 5.0)
POINTS = [(r, h, q, p, n) for (r, h, q), row in TABLE.items() for p, n in zip(RATIOS, row, strict=True)]


def value_iteration(q: float, p: float, h: float, r: float, top: int = 160) -> tuple[int, float]:
    """Best cover and cost from empty, by dynamic programming over stock: an independent road to 3.2.

    While open one unit is used each month; buying to n and using one leaves n to carry, so cost of stock x after
    use is known once the cost of a cut is; values are iterated until they stand still.
    """
    beta = (1 + r) ** (-1 / 12)
    cut = np.zeros(top + 1)
    cut[0] = p / (1 - beta)
    for x in range(1, top + 1):
        cut[x] = h * (x - 1) + beta * cut[x - 1]
    stock = np.arange(top + 1)
    value = np.zeros(top + 1)
    for _ in range(20_000):
        # x on hand at the start of an open month: buy up to y + 1, use one, carry y into the next
        keep = h * stock + beta * (q * cut + (1 - q) * value)
        cost = stock + 1 + keep
        ahead = np.minimum.accumulate(cost[::-1])[::-1]
        new = np.empty_like(value)
        new[0] = ahead[0]
        new[1:] = ahead[:-1] - stock[1:]
        if np.max(np.abs(new - value)) < 1e-12:
            break
        value = new
    best = int(np.argmin(stock + 1 + h * stock + beta * (q * cut + (1 - q) * value)))
    return best, float(value[0])


@pytest.mark.parametrize(("r", "h", "q", "p", "months"), POINTS)
def test_cover_equals_the_published_table(r: float, h: float, q: float, p: float, months: int) -> None:
    assert hoard.cutoff(q, 1.0, p, h, r) == months


@pytest.mark.parametrize(("r", "h", "q", "p", "months"), [x for x in POINTS if x[2] < 1][:36])
def test_cover_equals_value_iteration_at_36_points(r: float, h: float, q: float, p: float, months: int) -> None:
    best, cost = value_iteration(q, p, h, r)
    assert best == months
    assert cost == pytest.approx(hoard.cost_of_cover(months, q, 1.0, p, h, r), rel=1e-9)


@pytest.mark.parametrize(("q", "p", "h", "n", "cost", "below", "above", "none"), [
    (0.05, 3.0, 0.01, 17, 76.039122, 76.045724, 76.070353, 82.275970),
    (0.05, 2.0, 0.0, 9, 57.937415, 57.956159, 57.946840, 59.221234),
    (0.10, 3.0, 0.0, 31, 74.426918, 74.434114, 74.447571, 92.484747)])
def test_cost_of_cover_has_its_known_values(q: float, p: float, h: float, n: int, cost: float, below: float,
                                            above: float, none: float) -> None:
    for cover, known in ((n, cost), (n - 1, below), (n + 1, above), (0, none)):
        assert hoard.cost_of_cover(cover, q, 1.0, p, h, 0.4) == pytest.approx(known, abs=5e-7)


@pytest.mark.parametrize(("r", "h", "floors"), [
    (0.25, 0.0, (0.03754, 0.01877, 0.00938, 0.00469)), (0.40, 0.0, (0.05687, 0.02844, 0.01422, 0.00711)),
    (0.40, 0.01, (0.07744, 0.03872, 0.01936, 0.00968))])
def test_below_the_floor_nobody_hoards_and_above_it_cover_jumps(r: float, h: float, floors: tuple[float, ...]) -> None:
    for p, known in zip(RATIOS, floors, strict=True):
        floor = hoard.hazard_floor(1.0, p, h, r)
        assert floor == pytest.approx(known, abs=6e-6)
        assert hoard.cutoff(floor * 0.999, 1.0, p, h, r) == 0
        assert hoard.cutoff(floor * 1.001, 1.0, p, h, r) >= 1


def test_no_hazard_gives_no_hoard_and_certainty_gives_the_closed_limit() -> None:
    beta = hoard.discount_per_month(0.4)
    for p in RATIOS:
        assert hoard.cutoff(0.0, 1.0, p, 0.0, 0.4) == 0
        assert hoard.cutoff(1.0, 1.0, p, 0.0, 0.4) == np.floor(np.log(p) / -np.log(beta))
        assert hoard.last_time_buy(0.01, 1.0, p, 0.0, 0.4) == hoard.cutoff(1.0, 1.0, p, 0.0, 0.4)


def test_a_quotient_that_is_a_whole_number_loses_one_month() -> None:
    beta = hoard.discount_per_month(0.4)
    for n in (1, 7, 20):
        assert hoard.cutoff(1.0, 1.0, beta**-n, 0.0, 0.4) == n - 1


@settings(max_examples=60, deadline=None)
@each(st.floats(0.001, 0.99), st.floats(1.01, 8), st.floats(0, 0.05), st.floats(0.02, 1.5), st.floats(1.0, 1.6))
def test_cover_rises_with_hazard_and_shortage_and_falls_with_holding_and_rate(q: float, p: float, h: float, r: float,
                                                                             up: float) -> None:
    n = hoard.cutoff(q, 1.0, p, h, r)
    assert hoard.cutoff(min(q * up, 1.0), 1.0, p, h, r) >= n
    assert hoard.cutoff(q, 1.0, p * up, h, r) >= n
    assert hoard.cutoff(q, 1.0, p, h * up, r) <= n
    assert hoard.cutoff(q, 1.0, p, h, r * up) <= n


def test_simulated_policy_costs_what_the_formula_says() -> None:
    q, p, h, r, n, runs = 0.05, 3.0, 0.01, 0.4, 17, 20_000
    beta = hoard.discount_per_month(r)
    month = np.ceil(np.log(uniforms(1, "test:cut", 0, runs)) / np.log(1 - q))  # first closed month, geometric
    paid_open = n + (1 + h * n) * (1 - beta**month) / (1 - beta)
    held = h * sum((n - 1 - k) * beta ** (month + k) for k in range(n))
    short = p * beta ** (month + n) / (1 - beta)
    cost = paid_open + held + short
    error = cost.std() / np.sqrt(runs)
    assert abs(cost.mean() - hoard.cost_of_cover(n, q, 1.0, p, h, r)) < 3 * error


@pytest.mark.parametrize("name", sorted(hoard.HOARD))
def test_every_rule_of_cover_takes_floats_and_arrays_and_is_never_negative(name: str) -> None:
    rule = hoard.HOARD[name]
    grid = rule(np.linspace(0, 1, 7)[:, None], 1.0, np.array([1.0, 2.0, 4.0]), 0.01, 0.4)
    assert grid.shape == (7, 3)
    assert (grid >= 0).all() and (grid == np.floor(grid)).all()
    assert rule(0.05, 1.0, 2.0, 0.01, 0.4) == rule(np.array([0.05]), 1.0, 2.0, 0.01, 0.4)[0]


def test_last_time_buy_with_a_known_date_is_the_newsvendor() -> None:
    assert hoard.newsvendor(1.0, 3.0, 0.4, 1200.0, 300.0) == pytest.approx(1420.8948, abs=5e-5)
    # textbook instance: holding 0.18 and penalty 0.70 are overage c - v and underage p - c, N(50, 8)
    assert hoard.newsvendor(1.0, 1.7, 0.82, 50.0, 8.0) == pytest.approx(56.60395592743389, abs=1e-8)
    with pytest.raises(InputError, match="above the resale value"):
        hoard.newsvendor(1.0, 0.3, 0.4, 10.0, 1.0)


@pytest.mark.parametrize("opening", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize(("q", "p", "h"), [(0.05, 3.0, 0.01), (0.05, 2.0, 0.0), (0.10, 3.0, 0.0), (0.2, 5.0, 0.01),
                                           (0.02, 3.0, 0.0)])
def test_cover_with_reopening_equals_value_iteration(q: float, p: float, h: float, opening: float) -> None:
    levels = hoard.order_up_to(np.array([[1 - q, q], [opening, 1 - opening]]), np.array([1.0, 0.0]), 1.0, p, h, 0.4)
    assert hoard.reopening(q, 1.0, p, h, 0.4, opening) == levels[0]


def test_reopening_never_asks_for_more_cover_and_tends_to_the_permanent_case() -> None:
    rho = np.array([0.0, 1e-6, 0.01, 0.05, 0.2, 0.6])
    cover = hoard.reopening(0.08, 1.0, 3.0, 0.005, 0.4, rho)
    assert (np.diff(cover) <= 0).all()
    assert cover[0] == cover[1] == hoard.cutoff(0.08, 1.0, 3.0, 0.005, 0.4)


def four_states(base: float, after: float, reopening: float = 0.0) -> np.ndarray:
    return np.array([[0.94 - base, 0.06, 0.0, base], [0.2, 0.8 - after, 0.0, after],
                     [0.05, 0.0, 0.9, 0.05], [reopening, 0.0, 0.0, 1 - reopening]])


@pytest.mark.parametrize("r", [0.25, 0.4])
@pytest.mark.parametrize("h", [0.0, 0.01])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("granted", [0.1, 0.25, 0.5, 0.8, 1.0])
def test_the_level_of_a_licence_state_equals_value_iteration(r: float, h: float, p: float, granted: float) -> None:
    """Two states, licences and a shut door that may turn into licences again: twelve points for each case."""
    for q in (0.01, 0.05, 0.1, 0.2):
        for opening in (0.01, 0.03, 0.1):
            chain = np.array([[1 - q, q], [opening, 1 - opening]])
            level = hoard.order_up_to(chain, np.array([granted, 0.0]), 1.0, p, h, r)[0]
            assert hoard.licensed(q, 1.0, p, h, r, opening, granted) == level, (q, opening)


def test_a_licence_state_asks_for_more_cover_than_an_open_door_and_less_where_more_is_granted() -> None:
    q, opening, granted = np.array(0.05), 0.03, np.array([1.0, 0.8, 0.5, 0.25, 0.1])
    levels = np.asarray(hoard.by_state(q, 1.0, 2.5, 0.005, 0.4, opening, granted))
    assert levels[0] == hoard.reopening(0.05, 1.0, 2.5, 0.005, 0.4, opening)
    assert (np.diff(levels) >= 0).all() and levels[-1] > levels[0]
    alone = hoard.licensed(0.0, 1.0, 2.5, 0.005, 0.4, opening, granted)
    assert (np.diff(np.asarray(alone)) >= 0).all() and np.asarray(alone)[0] == 0, "refusals are a reason"
    many = np.repeat(granted[:, None], 7, axis=1)
    assert (np.asarray(hoard.by_state(q, 1.0, 2.5, 0.005, 0.4, opening, many)) == levels[:, None]).all()


def test_order_up_to_levels_rise_with_fear() -> None:
    available = np.array([1.0, 1.0, 0.3, 0.0])
    calm, fear, licence, shut = hoard.order_up_to(four_states(0.01, 0.15), available, 1.0, 3.0, 0.01, 0.4)
    assert 0 <= calm < fear
    assert licence > 0  # a doubtful supply is worth a stock while it can be had
    assert shut == 0
    # with the same hazard in both states they are one state, and the closed form holds
    same = hoard.order_up_to(four_states(0.08, 0.08), np.array([1.0, 1.0, 0.0, 0.0]), 1.0, 3.0, 0.01, 0.4)
    assert same[0] == same[1] == hoard.cutoff(0.08, 1.0, 3.0, 0.01, 0.4)


def test_recoverable_disruptions_tend_to_the_permanent_cut() -> None:
    available = np.array([1.0, 1.0, 0.3, 0.0])
    levels = [hoard.order_up_to(four_states(0.01, 0.15, rho), available, 1.0, 3.0, 0.01, 0.4)[1]
              for rho in (0.3, 0.1, 0.01, 0.0)]
    assert levels == sorted(levels)
    with pytest.raises(InputError, match="transition must have rows that sum to 1"):
        hoard.order_up_to(np.array([[0.5, 0.4], [0.0, 1.0]]), np.array([1.0, 0.0]), 1.0, 3.0, 0.0, 0.4)
