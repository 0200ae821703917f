"""The line by month: stocks, delays, ramps, what binds, and that nothing appears or vanishes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st

from chipcast.base.calendar import month_range
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.fab import delay, line, ramp, stocks
from chipcast.fab.front import front, passage
from chipcast.fab.record import LIMITS, PRODUCTS, Line
from chipcast.fab.stocks import Supply
from chipcast.fab.supply import supply

MONTHS = month_range("2025-01", "2026-12")


def small(share: float = .4, **changes: float) -> Supply:
    """Six months: bank 10,000 dies, 40,000 + 5,000 stacks a month, 3,000 slots, 100 wafers a month, 2 months delay."""
    one, months = np.ones(1), np.ones((6, 1))
    raw = np.array([0, 0, 8000, 8000, 8000, 8000])[:, None] * 1.0
    return Supply(dies=one * (10_000 + changes.get("dies", 0)), raw_dies=one * 10_000,
                  stacks=one * (40_000 + changes.get("stacks", 0)), dies_in=raw * share, raw_dies_in=raw,
                  stacks_in=months * 5000, capacity=months * (3000 + changes.get("slots", 0)), dual_share=one,
                  screened=one, stacks_single=4 * one, stacks_dual=8 * one)


def test_six_months_of_record() -> None:
    flow = stocks.run(small())
    assert list(flow.starts[1, :, 0]) == [3000, 2000, 1600, 900, 625, 625]
    assert [LIMITS[int(i)] for i in flow.binding[:, 0]] == ["packaging", "dies", "dies", "hbm", "hbm", "hbm"]
    assert flow.starts.sum() == 8750
    assert (flow.dies[-1, 0], flow.stacks[-1, 0]) == (5300, 0)
    assert flow.dies_used.sum() + 5300 == 10_000 + 4 * 3200
    assert flow.stacks_used.sum() == 70_000


def test_shipments_from_a_bank_say_nothing_about_yield() -> None:
    totals = [float(stocks.run(small(y)).starts.sum()) for y in (.2, .234375, .3, .4, .5)]
    assert totals == pytest.approx([8200, 8750, 8750, 8750, 8750], abs=1e-9)


def test_shadow_values_of_record() -> None:
    assert stocks.shadow_value(small(), "hbm", 8)[0] == pytest.approx(1, abs=1e-9)
    assert stocks.shadow_value(small(), "packaging", 1)[0] == pytest.approx(0, abs=1e-9)
    assert stocks.shadow_value(small(), "dies", 2)[0] == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="unknown limit 'hmb'"):
        stocks.shadow_value(small(), "hmb")


amounts = st.floats(0, 1e5)


@settings(max_examples=60, deadline=None)
@draw(dies=amounts, stacks=amounts, slots=st.floats(1, 1e4), share=st.floats(0, 1), blind=st.booleans(),
      made=st.lists(st.floats(0, 1e4), min_size=5, max_size=5), y=st.floats(.05, 1), asked=st.floats(0, 5e3),
      ordered=st.booleans())
def test_stocks_never_go_below_zero_and_bank_plus_made_is_used_plus_left(
        dies: float, stacks: float, slots: float, share: float, blind: bool, made: list[float], y: float, asked: float,
        ordered: bool) -> None:
    one = np.ones(1)
    raw = np.array(made)[:, None]
    s = Supply(dies=dies * one, raw_dies=dies * one / .9, stacks=stacks * one, dies_in=raw * y, raw_dies_in=raw,
               stacks_in=np.full((5, 1), 500.0), capacity=np.full((5, 1), slots), dual_share=share * one,
               screened=one * (not blind), stacks_single=4 * one, stacks_dual=8 * one, survive=(.95 * one, .85 * one),
               orders=np.full((2, 5, 1), asked) if ordered else None)
    flow = stocks.run(s)
    assert np.all(flow.starts >= 0) and np.all(flow.dies >= 0) and np.all(flow.stacks >= 0)
    total = dies + raw.sum() * y
    assert flow.dies_used.sum() + flow.dies[-1, 0] == pytest.approx(total, rel=1e-9, abs=1e-6)
    memory = stacks + 2500
    assert flow.stacks_used.sum() + flow.stacks[-1, 0] == pytest.approx(memory, rel=1e-9, abs=1e-6)
    assert np.all(flow.starts.sum(axis=0) <= slots * (1 + 1e-9))
    assert np.all((flow.quality > 0) & (flow.quality <= 1))
    if ordered:
        good = flow.starts[0] * .95 + flow.starts[1] * .85 * flow.quality**2
        assert good.sum() <= 2 * asked * 5 * (1 + 1e-9)


def test_orders_cap_the_line_and_slack_of_one_product_serves_the_other() -> None:
    one = np.ones(1)
    base = replace(small(), dual_share=.5 * one, survive=(one, one), stacks=1e6 * one, dies=1e6 * one)
    none = np.zeros((2, 6, 1))
    assert stocks.run(replace(base, orders=none)).starts.sum() == 0
    only_two = none.copy()
    only_two[1] = 2500.0
    flow = stocks.run(replace(base, orders=only_two))
    assert flow.starts[0].sum() == 0
    assert np.all(flow.starts[1] == 2500)
    assert {LIMITS[int(i)] for i in flow.binding.ravel()} == {"orders"}
    # An order that cannot be served waits.
    late = none.copy()
    late[1, 0] = 9000.0
    assert list(stocks.run(replace(base, orders=late)).starts[1, :, 0]) == [3000, 3000, 3000, 0, 0, 0]


def test_blind_assembly_burns_memory_that_tested_dies_would_save() -> None:
    s = replace(small(), screened=np.zeros(1))
    flow = stocks.run(s)
    assert flow.quality[0, 0] == 1.0  # the bank of this case is all good
    later = stocks.run(replace(s, dies=np.ones(1) * 1000, raw_dies=np.ones(1) * 2500))
    assert later.quality[0, 0] == pytest.approx(.4)
    assert later.quality[:, 0] == pytest.approx(np.full(6, .4))


@pytest.mark.parametrize("stages", [1, 2, 4, 8])
def test_delays_keep_their_mean_and_spread_and_lose_nothing(stages: int) -> None:
    tau = np.array([.8, 2.0, 3.7])
    shares = delay.kernel(tau, np.full(3, float(stages)), lags=120)
    k = np.arange(121)[:, None]
    assert np.all(shares >= -1e-12)
    assert shares.sum(axis=0) == pytest.approx(np.ones(3), abs=1e-12)
    mean = (k * shares).sum(axis=0)
    assert mean == pytest.approx(tau, abs=1e-6)
    variance = (k**2 * shares).sum(axis=0) - mean**2
    assert variance == pytest.approx(tau**2 / stages + 1 / 6, abs=.015)


def test_the_kernel_is_the_exact_propagator_of_a_chain_of_stages() -> None:
    from math import exp, factorial

    tau, m, months = 2.7, 4, 40
    load = m / tau
    pi = [exp(-load) * load**j / factorial(j) for j in range(m)]
    weights = [(1 - sum(pi[: k + 1])) / load for k in range(m)]
    state = np.zeros(m)
    out = []
    for t in range(months):
        inflow = 1.0 if t == 0 else 0.0
        new = np.array([sum(pi[j] * state[k - j] for j in range(k + 1)) + weights[k] * inflow for k in range(m)])
        out.append(state.sum() + inflow - new.sum())
        state = new
    shares = delay.kernel(np.array([tau]), np.array([float(m)]), lags=months)
    assert shares[:months, 0] == pytest.approx(out, abs=1e-12)


def test_what_goes_in_is_inside_or_out() -> None:
    rng = np.random.default_rng(3)
    before, starts = rng.uniform(0, 100, (30, 5)), rng.uniform(0, 100, (12, 5))
    shares = delay.kernel(rng.uniform(1, 5, 5), np.array([2.0, 4, 8, 2, 4]))
    out = delay.through(starts, shares, before)
    opening = delay.inside(before, shares)
    closing = delay.inside(np.concatenate([before, starts]), shares)
    assert opening + starts.sum(axis=0) - out.sum(axis=0) == pytest.approx(closing, rel=1e-9)


@pytest.fixture(scope="module")
def run(given: Given) -> Line:
    return line.run(given, MONTHS)


def test_mass_balance_of_a_whole_run(given: Given, run: Line) -> None:
    worlds = (run, line.run(given, MONTHS, controls=False), line.run(given, MONTHS, closed={"hbm": "2025-07-01"}))
    for world in worlds:
        assert max(line.balance(world).values()) < 1e-9
    made = run.wafers_out * run.gross_dies * run.yield_die_any
    assert np.all(run.good_dies <= made * (1 + 1e-12)), "no more dies are taken than were made"
    limit = supply(given, MONTHS, front(given, MONTHS))[0].stock_limit
    assert limit is not None
    full = run.die_bank + run.dies_used >= 0.999 * limit
    assert run.good_dies[~full] == pytest.approx(made[~full], rel=1e-9), "dies are left only where the stock is full"
    assert full.any()
    assert not full.all()
    wip = np.diff(run.wafers_in_process, axis=0)
    assert wip == pytest.approx((run.wafer_starts - run.wafers_out / given["smic_n2.line_yield"])[1:], abs=1e-6)


def test_shapes_of_the_record(given: Given, run: Line) -> None:
    months, draws = len(MONTHS), given.draws
    two = ("price_usd", "assembly_yield")
    for name in Line.__dataclass_fields__:
        value = getattr(run, name)
        if not isinstance(value, np.ndarray):
            continue
        assert value.shape in ((draws,), (months, draws), (2, months, draws), (2, draws)), name
        assert (value.shape == (2, draws)) == (name in two), name
        assert np.all(np.isfinite(value)), name


def test_a_block_of_draws_gives_the_bits_of_the_whole(given: Given, run: Line) -> None:
    part = line.run(given.block(500, 900), MONTHS)
    for name in ("packages", "die_bank", "unit_cost_usd", "profit_usd", "binding"):
        assert np.array_equal(getattr(part, name), getattr(run, name)[..., 500:900]), name


def test_a_shorter_horizon_and_a_later_start_move_nothing(given: Given, run: Line) -> None:
    short = line.run(given, month_range("2025-04", "2025-09"))
    assert np.array_equal(short.packages, run.packages[:, 3:9])
    assert np.array_equal(short.opening_dies, run.die_bank[2])
    assert np.array_equal(short.d0_per_cm2, run.d0_per_cm2[3:9])


def test_yields_are_ordered_by_definition(run: Line) -> None:
    assert np.all(run.yield_die_perfect <= run.yield_die_top)
    assert np.all(run.yield_die_top <= run.yield_die_any)
    assert np.all((run.yield_die_perfect > 0) & (run.yield_die_any < 1))


def test_raising_a_limit_that_does_not_bind_changes_nothing(given: Given) -> None:
    # The stock that a designer keeps is counted in months of slots; here it may grow, so that slots are one limit only.
    patient = given.with_rows([replace(given.row("smic_n2.die_stock_months"), law=point(1e6))])
    wide = patient.with_rows([replace(given.row("package_line.capacity_per_month"), law=point(1e9))])
    run, free = line.run(patient, MONTHS), line.run(wide, MONTHS)
    never = ~np.any(run.binding == LIMITS.index("packaging"), axis=0)
    assert never.any()
    assert np.array_equal(free.package_starts[:, :, never], run.package_starts[:, :, never])
    # In a blind draw early packages may take the better dies of the bank, and where the share of two-die packages
    # falls early ones take more memory; so only tested draws with a share that does not fall are ordered.
    tested = (run.screened == 1) & (given["package_line.dual_die_share_logit_per_year"] >= 0)
    total_free, total = free.package_starts.sum(axis=(0, 1)), run.package_starts.sum(axis=(0, 1))
    assert np.all(total_free[tested] >= total[tested] * (1 - 1e-9))
    assert not np.any(free.binding == LIMITS.index("packaging"))


def test_the_binding_limit_is_the_least_of_all(given: Given, run: Line) -> None:
    hbm = run.binding == LIMITS.index("hbm")
    # A month may use what arrives and its share of the hoard, see `Supply.pace_months`.
    before = np.concatenate([run.opening_hbm[None], run.hbm_bank[:-1]])
    allowed = run.hbm_inflow + before / given["hbm_bank.pace_months"]
    assert np.allclose(run.hbm_used[hbm], allowed[hbm], rtol=1e-9)
    assert np.all(run.hbm_used <= allowed * (1 + 1e-9))
    short = np.isin(run.binding, [LIMITS.index(k) for k in ("dies", "wafers", "scanner_hours")])
    assert np.all(run.die_bank[short] <= 1e-6 * np.maximum(run.dies_used[short], 1))


def test_gates_that_shut_lower_what_they_feed(given: Given, run: Line) -> None:
    july = MONTHS.index("2025-07")
    hbm = line.run(given, MONTHS, closed={"hbm": "2025-07-01"})
    assert np.array_equal(hbm.hbm_inflow[:july], run.hbm_inflow[:july])
    assert np.all(hbm.hbm_inflow[july:] < run.hbm_inflow[july:])
    assert np.all(hbm.packages.sum(axis=(0, 1)) <= run.packages.sum(axis=(0, 1)) + 1e-6)
    tools = line.run(given, MONTHS, closed={"tools": "2025-07-01"})
    assert np.array_equal(tools.wafer_starts[:july], run.wafer_starts[:july])
    assert np.all(np.diff(tools.wafer_starts[july:], axis=0) <= 1e-9)
    home, shut = (line.run(given, MONTHS, controls=False, closed=c) for c in (None, {"foundry": "2025-07-01"}))
    assert np.all(home.dies_bought[july:] > 0) and np.all(shut.dies_bought[july:] == 0)


def test_without_controls_memory_never_binds(given: Given, run: Line) -> None:
    free = line.run(given, MONTHS, controls=False)
    assert not np.any(free.binding == LIMITS.index("hbm"))
    assert np.median(free.packages.sum(axis=(0, 1)) - run.packages.sum(axis=(0, 1))) > 0


def test_a_gate_shut_later_leaves_memory_free_until_then(given: Given) -> None:
    """Without controls memory is bought as needed up to the day the gate shuts, and comes in its range after it."""
    free = line.run(given, MONTHS, controls=False)
    shut = line.run(given, MONTHS, controls=False, closed={"hbm": "2025-07-01"})
    july = MONTHS.index("2025-07")
    assert np.array_equal(free.packages[:, :july], shut.packages[:, :july])
    assert not np.any(shut.binding[:july] == LIMITS.index("hbm"))
    assert np.any(shut.binding[july:] == LIMITS.index("hbm"))
    always = line.run(given, MONTHS, controls=False, closed={"hbm": "2025-01-01"})
    more = shut.packages.sum(axis=(0, 1)) - always.packages.sum(axis=(0, 1))
    assert np.median(more) > 0


def test_a_hoard_that_cannot_be_refilled_runs_down_and_does_not_end() -> None:
    """With a pace p and nothing coming in the stock of month t is (1 - 1/p)^t of the first."""
    flat = np.full((24, 1), 1e9)
    none, one = 0 * flat, np.ones(1)
    flow = stocks.run(Supply(
        dies=1e12 * one, raw_dies=1e12 * one, stacks=8e6 * one, dies_in=none, raw_dies_in=none, stacks_in=none,
        capacity=flat, dual_share=one, screened=one, stacks_single=4 * one, stacks_dual=8 * one, pace_months=12 * one))
    assert flow.stacks[:, 0] == pytest.approx(8e6 * (11 / 12) ** np.arange(1, 25))
    assert np.all(flow.binding == LIMITS.index("hbm"))


def test_orders_raise_wafer_starts_within_scanner_hours_and_after_a_lag(given: Given) -> None:
    few, many = (np.full((2, len(MONTHS), given.draws), n) for n in (0.0, 1.5e5))
    plan = line.run(given, MONTHS, orders=many)
    lazy = line.run(given, MONTHS, orders=few, answer=True)
    asked = line.run(given, MONTHS, orders=many, answer=True)
    assert np.array_equal(lazy.wafer_starts, plan.wafer_starts)  # fewer orders than the plan leave it
    assert np.all(asked.wafer_starts >= plan.wafer_starts * (1 - 1e-12))
    assert np.all(asked.wafer_starts <= asked.scanner_cap * (1 + 1e-12))
    roomy = np.all(asked.wafer_starts < asked.scanner_cap * 0.999, axis=0)
    rise = (asked.wafer_starts - plan.wafer_starts)[:, roomy]
    assert roomy.sum() > 20
    assert np.median(rise[6]) > np.median(rise[0]) > 0
    with pytest.raises(InputError, match="orders must be given where wafer starts answer them"):
        line.run(given, MONTHS, answer=True)


def test_scanner_hours_bind_where_they_cap_the_wafers_that_are_short(given: Given) -> None:
    """Few scanners and nothing else short: the limit shown is scanner hours; with many it is wafers."""
    rich = [replace(given.row("die_bank.dies"), law=point(1.0)), replace(given.row("hbm_bank.stacks"), law=point(1e9)),
            replace(given.row("package_line.capacity_per_month"), law=point(1e9))]
    for scanners, expected in ((0.1, "scanner_hours"), (1e6, "wafers")):
        run = line.run(given.with_rows([*rich, replace(given.row("smic_n2.immersion_scanners"), law=point(scanners))]),
                       MONTHS)
        other = "wafers" if expected == "scanner_hours" else "scanner_hours"
        assert np.mean(run.binding == LIMITS.index(expected)) > 0.99
        assert not np.any(run.binding == LIMITS.index(other))


def test_volume_teaches_the_line_only_when_asked(given: Given) -> None:
    base, more = (line.run(given, MONTHS, learning="volume", volume_factor=f) for f in (1.0, 2.0))
    assert np.all(more.d0_per_cm2[-1] < base.d0_per_cm2[-1] + 1e-12)
    busier = more.wafers_out.sum(axis=0) > base.wafers_out.sum(axis=0) * 1.01  # elsewhere scanners cap both
    assert busier.mean() > 0.8
    assert np.all(more.d0_per_cm2[-1][busier] < base.d0_per_cm2[-1][busier])
    by_time = line.run(given, MONTHS, volume_factor=2.0)
    assert np.array_equal(by_time.d0_per_cm2, line.run(given, MONTHS).d0_per_cm2)
    assert np.all(by_time.wafers_out >= line.run(given, MONTHS).wafers_out - 1e-9)


def test_orders_of_nothing_stop_new_packages(given: Given) -> None:
    none = line.run(given, MONTHS[:6], orders=np.zeros((2, 6, given.draws)))
    assert np.all(none.package_starts == 0)
    assert {LIMITS[int(i)] for i in np.unique(none.binding)} == {"orders"}


def test_the_year_before_is_made_of_what_was_used(given: Given) -> None:
    y = line.year_before(given)
    single_only = y["stacks_used"] > 0
    assert single_only.all()
    assert np.all(y[PRODUCTS[1]] < y[PRODUCTS[0]] * .5)
    assert np.all(y["yield_die_perfect"] <= y["yield_die_any"])
    assert all(v.shape == (given.draws,) for v in y.values())


@pytest.mark.parametrize(("months", "closed", "words"), [
    (("2024-11", "2024-12"), None, "begin in 2025-01 or later"), (("2025-01", "2025-03"), None, "without a gap"),
    ((), None, "at least one month"), (("2025-01",), {"hmb": "2025-02-01"}, "unknown gate 'hmb'; did you mean 'hbm'"),
    (("2025-01",), {"hbm": "soon"}, "'soon' is no date")])
def test_months_and_gates_that_cannot_be_are_refused(given: Given, months: tuple[str, ...], closed: dict[str, str],
                                                     words: str) -> None:
    with pytest.raises(InputError, match=words):
        line.run(given, months, closed=closed)


@pytest.mark.parametrize(("law", "ratio", "months"), [
    ("poisson", 1.75647, (5.326, 14.202, 21.303)), ("murphy", 1.90485, (4.655, 12.415, 18.622)),
    ("negative-binomial", 2.12698, (3.975, 10.6, 15.9)), ("seeds", 2.66667, (3.059, 8.156, 12.235))])
def test_what_doubling_from_twenty_to_forty_asks_of_the_process(law: str, ratio: float,
                                                                months: tuple[float, ...]) -> None:
    from chipcast.fab.defects import d0_of_yield

    fall = d0_of_yield(.2, 665.61, law=law, clustering=2.0) / d0_of_yield(.4, 665.61, law=law, clustering=2.0)
    assert fall == pytest.approx(ratio, abs=1e-4)
    assert [ramp.e_folding_months(fall, m) for m in (3, 8, 12)] == pytest.approx(list(months), abs=2e-3)


def test_excursions_have_the_mean_and_spread_of_campbell() -> None:
    mean, sd = ramp.campbell(.1, .05, .05**2, 3.0)
    assert (mean, sd) == (pytest.approx(.015), pytest.approx(.019364916731037084, abs=1e-12))


def test_excursions_come_only_after_the_information_date_and_not_by_horizon(given: Given) -> None:
    extra = ramp.excursion_path(given, MONTHS)
    assert np.all(extra[: MONTHS.index("2025-03")] == 0)
    assert np.any(extra[MONTHS.index("2025-03")] > 0)
    assert np.array_equal(ramp.excursion_path(given, MONTHS[:10]), extra[:10])


def test_drawn_excursions_meet_their_rate(given: Given) -> None:
    u = given.shock("test", MONTHS)
    counts = ramp.poisson_count(u, .3)
    assert counts.mean() == pytest.approx(.3, abs=4 * (.3 / counts.size) ** .5)


@pytest.mark.parametrize("name", ramp.LEARNING)
def test_every_learning_curve_falls_and_passes_the_start(given: Given, name: str) -> None:
    months = month_range("2023-01", "2027-12")
    path = ramp.d0_path(given, months, learning=name, excursions=False)
    ratio = path / given["smic_n2.d0_per_cm2"]
    assert np.all(np.diff(ratio, axis=0) <= 1e-12)
    start = months.index("2025-01")
    assert np.all(ratio[start - 1] >= 1 - 1e-9) and np.all(ratio[start] <= 1 + 1e-9)
    assert np.all(ratio <= np.maximum(given["ramp.d0_ceiling_ratio"], 1.0) + 1e-12)
    with pytest.raises(InputError, match="unknown learning curve"):
        ramp.d0_path(given, months, learning="magic")


@pytest.mark.parametrize(("two", "one", "expected"), [
    (100, 300, (2604, 1736, 1302, 1042)), (653, 152, (7594, 5062, 3797, 3038))])
def test_wafers_that_a_plan_needs(two: int, one: int, expected: tuple[int, ...]) -> None:
    for share, wafers in zip((.2, .3, .4, .5), expected, strict=True):
        assert (2 * two + one) * 1000 / 12 / 80 / share == pytest.approx(wafers, abs=.6)


def test_packages_grow_with_wafers_where_wafers_bind(given: Given) -> None:
    tight = given.with_rows([replace(given.row("die_bank.dies"), law=point(1.0)),
                             replace(given.row("hbm_bank.stacks"), law=point(1e9)),
                             replace(given.row("package_line.capacity_per_month"), law=point(1e9))])
    once, twice = (line.run(tight, MONTHS, volume_factor=f) for f in (.5, 1.0))
    assert np.all(np.isin(once.binding, [LIMITS.index("wafers"), LIMITS.index("scanner_hours")]))
    assert np.all(twice.package_starts.sum(axis=(0, 1)) >= once.package_starts.sum(axis=(0, 1)))


def test_what_binds_is_what_is_worth_something(given: Given, run: Line) -> None:
    worth = line.shadow_values(given, MONTHS)
    assert set(worth) == {"hbm", "dies", "packaging"}
    never = {limit: ~np.any(run.binding == LIMITS.index(limit), axis=0) for limit in ("hbm", "packaging")}
    for limit, free in never.items():
        assert np.all(np.abs(worth[limit][free]) < 1e-9)
    short = run.binding[-1] == LIMITS.index("hbm")
    tested = run.screened == 1
    assert np.mean(worth["hbm"][short & tested] > 0.05) > 0.95
    assert np.all(worth["hbm"] <= 0.5 + 1e-9)  # two stacks are the least that any package holds


def test_a_gate_that_opens_is_worth_cards_and_one_that_shuts_costs_them(given: Given) -> None:
    months = month_range("2025-01", "2026-12")
    few = given.block(0, 200)
    base = line.run(few, months)
    for gate in line.GATES:
        wide = line.run(few, months, opened={gate: "2025-07-01"})
        half = months.index("2025-07")
        assert (wide.packages[:, :half] == base.packages[:, :half]).all(), "nothing changes before the day"
        # more home dies of a worse month can dilute a blind stock a little
        assert (wide.packages.sum(axis=(0, 1)) >= base.packages.sum(axis=(0, 1)) * (1 - 1e-3)).all(), gate
        assert wide.packages.sum() > base.packages.sum(), gate
    narrow = line.run(few, months, closed={"hbm": "2025-07-01"})
    assert narrow.packages.sum() < base.packages.sum()
    again = line.run(few, months, closed={"hbm": "2025-07-01"}, opened={"hbm": "2026-01-01"})
    assert narrow.packages.sum() < again.packages.sum()


def test_of_two_dates_of_a_gate_the_later_one_counts() -> None:
    index = np.arange(ramp.START, ramp.START + 4)
    shut, free = passage(index, "hbm", {"hbm": "2025-02-01"}, {"hbm": "2025-04-01"})
    assert shut.tolist() == [False, True, True, False]
    assert free.tolist() == [False, False, False, True]
    shut, free = passage(index, "hbm", {"hbm": "2025-04-01"}, {"hbm": "2025-02-01"})
    assert shut.tolist() == [False, False, False, True]
    assert free.tolist() == [False, True, True, False]
    shut, free = passage(index, "hbm", {"hbm": "2025-03-01"}, None, controls=False)
    assert free.tolist() == [True, True, False, False]
