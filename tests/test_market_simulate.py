"""The market as a whole: conservation, causality, common luck, and a scalar road beside the vectorised one."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest
from market_world import line_of, months_of, service_of, verdicts_of

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.market import clear, demand, effect, filed, forecast, gates, hoard
from chipcast.market.record import CHIPS, Market
from chipcast.market.simulate import simulate
from chipcast.rules.record import US_WORDS
from chipcast.scenario import SEGMENTS

ONE = np.array([1.0, *[0.0] * (len(CHIPS) - 1)])
"""Only the leading card passes the gates."""


def shut_on(on: date, gate: str = "us", chip: str = "h20", to: str = "licence") -> gates.Event:
    return gates.Event(on=on, gate=gate, chip=chip, to=to)


@pytest.fixture(scope="module")
def some(given: Given) -> Given:
    return given.block(0, 300)


def run(given: Given, count: int = 0, scale: float = 1.0, **options: object) -> Market:
    months = months_of(given)[: count or None]
    return simulate(given, line_of(given, months, scale), verdicts_of(months), service_of(given), months=months,
                    **options)


@pytest.fixture(scope="module")
def market(some: Given) -> Market:
    return run(some)


def cells(market: Market) -> dict[str, np.ndarray]:
    return {f.name: getattr(market, f.name) for f in fields(Market) if isinstance(getattr(market, f.name), np.ndarray)}


def test_the_books_balance_to_a_billionth(market: Market) -> None:
    assert set(market.books) == {"units", "backlog", "shelf", "way", "wallet", "money", "supply", "tokens",
                                 "below_zero"}
    assert all(v < 1e-9 for v in market.books.values()), market.books


def test_every_field_has_the_shape_its_record_says(market: Market, some: Given) -> None:
    S, C, M, D = len(SEGMENTS), len(CHIPS), len(months_of(some)), some.draws
    assert M == 35
    for name in ("need", "orders", "deliveries", "stocks", "installed"):
        assert getattr(market, name).shape == (S, C, M, D)
    for name in ("price_usd", "fill", "lead_time_days", "us_open", "cn_open", "shipped", "under_way", "shelf",
                 "backlog", "written_down_usd"):
        assert getattr(market, name).shape == (C, M, D)
    for name in ("cover_months", "useful_tokens", "unserved_tokens", "leased_abroad", "idle_share", "short_share",
                 "spent_usd"):
        assert getattr(market, name).shape == (S, M, D)
    assert market.line_orders.shape == (2, M, D)
    for name, values in cells(market).items():
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name
        assert values.dtype == (np.float64 if name == "line_orders" else np.float32), name


def test_installed_cards_are_what_was_there_less_retired_plus_delivered(market: Market, some: Given) -> None:
    """Recomputed from the delivered cells alone, an independent road beside the books."""
    keep = 1 - some["market.retirement_per_year"] / 12
    held = market.installed[:, :, 0].astype(float)
    for m in range(1, len(market.months)):
        held = held * keep + market.deliveries[:, :, m]
    assert held == pytest.approx(market.installed[:, :, -1], rel=2e-5, abs=0.5)
    assert (market.stocks <= market.installed * (1 + 1e-6)).all()


def test_nothing_is_delivered_through_a_shut_gate(market: Market) -> None:
    shut = (market.us_open == 0) | (market.cn_open == 0)
    shut[CHIPS.index("h800-sxm")] = False  # comes by the grey door
    assert shut[CHIPS.index("h20-96")].any()
    assert market.shipped[shut].max() == 0


def test_domestic_cards_never_exceed_what_the_line_packaged(market: Market, some: Given) -> None:
    line = line_of(some, months_of(some))
    for p, product in enumerate(line.products):
        made = np.cumsum(line.packages[p], axis=0)
        shipped = np.cumsum(market.deliveries[:, CHIPS.index(product)].sum(axis=0, dtype=float), axis=0)
        assert (shipped <= made * (1 + 1e-5)).all()


def test_no_event_means_no_difference_before_its_date_bit_for_bit(some: Given) -> None:
    plain = run(some, 20, gate="scripted")
    for gate in ("us", "cn"):
        cut = run(some, 20, gate="scripted", events=[shut_on(date(2025, 9, 1), gate=gate, to="closed")])
        m = plain.months.index("2025-09")
        for name, values in cells(cut).items():
            axis = -2
            before = np.take(values, range(m), axis=axis), np.take(getattr(plain, name), range(m), axis=axis)
            assert np.array_equal(*before), name
        assert cut.shipped[0, m:].sum() == 0
        assert plain.shipped[0, m:].sum() > 0


def test_an_event_in_the_middle_of_a_month_lets_the_first_part_through(some: Given) -> None:
    cut = run(some, 6, gate="scripted", events=[shut_on(date(2025, 4, 10))])
    assert cut.us_open[0, 2] == pytest.approx(np.full(some.draws, 9 / 30))
    assert cut.shipped[0, 2].sum() > 0
    assert cut.shipped[0, 3:].sum() == 0


def test_a_longer_horizon_moves_no_draw(some: Given, market: Market) -> None:
    short = run(some, 12)
    for name, values in cells(short).items():
        assert np.array_equal(values, np.take(getattr(market, name), range(12), axis=-2)), name


def test_blocks_of_any_size_give_the_same_bits(some: Given, market: Market) -> None:
    parts = [run(some.block(a, b)) for a, b in ((0, 1), (1, 100), (100, 300))]
    for name, values in cells(market).items():
        joined = np.concatenate([getattr(p, name) for p in parts], axis=-1)
        assert np.array_equal(joined, values), name


def test_without_fear_nobody_hoards(some: Given) -> None:
    calm = run(some, 18, threat=False)
    assert calm.cover_months.max() == 0
    assert calm.us_open[0].min() == 1 and calm.cn_open[0].min() == 1
    fearful = run(some, 18)
    extra = (fearful.orders - calm.orders)[:, 0, :2].sum((0, 1))
    assert np.mean(extra >= -1) > 0.95
    assert np.median(extra) > 0


def test_without_controls_denied_chips_sell_up_to_their_row(some: Given) -> None:
    free = run(some, 12, controls=False)
    held = run(some, 12)
    c = CHIPS.index("h800-sxm")
    assert held.us_open[c].max() == 1  # grey door, not the gate
    assert (free.us_open == 1).all()
    cap = some["h800-sxm.supply_cards_per_quarter_without_controls"] * 4
    got = free.deliveries[:, c].sum((0, 1), dtype=float)
    assert (got <= cap * (1 + 1e-5)).all()
    assert np.median(got) > np.median(held.deliveries[:, c].sum((0, 1), dtype=float))


def test_without_the_local_push_fewer_domestic_cards_are_asked_for(some: Given) -> None:
    domestic = [CHIPS.index(c) for c in ("ascend-910b", "ascend-910c", "domestic_other")]
    pushed, free = run(some, 3), run(some, 3, local_push=False)
    # the first month, before scarcity answers
    more = pushed.need[:, domestic, 0].sum((0, 1)) - free.need[:, domestic, 0].sum((0, 1))
    assert (more >= -1).all() and np.median(more) > 0


def test_a_denied_chip_does_not_ship(some: Given) -> None:
    months = months_of(some)[:6]
    verdicts = verdicts_of(months)
    verdicts.us[3:, :, 0] = US_WORDS.index("letter")
    out = simulate(some, line_of(some, months), verdicts, service_of(some), months=months, gate="scripted")
    assert out.shipped[0, :3].sum() > 0
    assert out.shipped[0, 3:].sum() == 0
    verdicts.us[3:, :, 0] = US_WORDS.index("unknown")
    out = simulate(some, line_of(some, months), verdicts, service_of(some), months=months, gate="scripted")
    assert out.shipped[0, 3:].sum() > 0  # past the horizon the last known word stands


def test_paired_what_ifs_have_far_less_noise_than_independent_ones(given: Given) -> None:
    """A cut three months later: variance of the paired effect against that of unpaired draws."""
    half = given.draws // 4
    a, b = given.block(0, half), given.block(half, 2 * half)
    early, late = [shut_on(date(2025, 7, 1))], [shut_on(date(2025, 10, 1))]
    def total(block: Given, events: list[gates.Event]) -> np.ndarray:
        return run(block, 12, gate="scripted", events=events).deliveries[:, 0].sum((0, 1), dtype=float)
    first = total(a, early)
    paired, unpaired = total(a, late) - first, total(b, late) - first
    assert paired.mean() > 0
    assert unpaired.var() / paired.var() > 3


def test_one_gate_cannot_hold_an_open_us_and_no_sales(some: Given) -> None:
    """July 2025: the US promised licences back and sales stayed near zero; one key cannot say both."""
    events = [shut_on(date(2025, 4, 9)), shut_on(date(2025, 7, 14), to="open"),
              shut_on(date(2025, 7, 31), "cn", to="closed")]
    two, one = (run(some, 12, gate=g, events=events) for g in ("scripted", "single"))
    late = slice(two.months.index("2025-09"), None)
    assert two.us_open[0, late].min() == 1 and two.shipped[0, late].sum() == 0
    assert one.us_open[0, late].min() == 1 and one.shipped[0, late].sum() > 0


@pytest.mark.parametrize("gate", sorted(gates.GATES))
def test_every_gate_keeps_its_shares_between_shut_and_open(gate: str, some: Given) -> None:
    months = months_of(some)
    foreign = ONE + np.array([0, 0, 1.0, 0, 0, 0, 0])
    paths = gates.GATES[gate](some, CHIPS, months, np.full((len(CHIPS), some.draws), 0.05), foreign)
    for path in (paths.us, paths.cn, paths.threat, paths.us_hazard):
        assert (path >= 0).all() and (path <= 1).all()
    assert (paths.us[foreign == 0] == 1).all() and (paths.cn[foreign == 0] == 1).all()


def test_gates_close_about_as_often_as_their_hazard_says(given: Given) -> None:
    months = months_of(given)[:12]
    paths = gates.two_key(given, CHIPS, months, np.full((len(CHIPS), given.draws), 1e-9), ONE)
    survived = np.prod(1 - paths.us_hazard * np.r_[4 / 28, np.ones(11)][:, None], axis=0)
    closed = (paths.us[0].min(axis=0) < 1) | (paths.announced.max(axis=0) > 0)
    expected = 1 - survived.mean()
    assert abs(closed.mean() - expected) < 3 * np.sqrt(expected * (1 - expected) / given.draws)
    both = ONE + np.roll(ONE, 2)
    far = gates.two_key(given, CHIPS, months, np.full((len(CHIPS), given.draws), 50.0), both)
    assert far.us[2].min() == 1 and far.us[0].min() < 1  # only the leading card is reached far below every line


def test_bad_events_and_months_are_refused(some: Given) -> None:
    with pytest.raises(InputError, match="unknown chip 'h21'; did you mean 'h20"):
        run(some, 3, events=[shut_on(date(2025, 3, 1), chip="h21")])
    with pytest.raises(InputError, match="must be one of h20-96, h800-sxm"):
        run(some, 3, events=[shut_on(date(2025, 3, 1), chip="h100")])
    with pytest.raises(InputError, match="must be a state of a gate, got ajar"):
        run(some, 3, events=[shut_on(date(2025, 3, 1), to="ajar")])
    with pytest.raises(InputError, match="months must hold at least one month"):
        simulate(some, line_of(some, ()), verdicts_of(()), service_of(some), months=())
    months = months_of(some)
    with pytest.raises(InputError, match="the line must cover every month"):
        simulate(some, line_of(some, months[:3]), verdicts_of(months), service_of(some), months=months)
    with pytest.raises(InputError, match="unknown gate 'three_key'; did you mean 'two_key'"):
        run(some, 3, gate="three_key")


def test_forecast_series_have_the_fixed_names_and_periods(some: Given, market: Market) -> None:
    series = forecast.series(some, market, line_of(some, months_of(some)))
    assert set(series) == set(forecast.SERIES)
    for name, periods in series.items():
        assert {"2025", "2025Q1", "2025Q2", "FY26Q1", "2026"} <= set(periods), name
        assert all(v.shape == (some.draws,) and np.isfinite(v).all() for v in periods.values())
    h20 = series["h20_revenue_usd_bn"]
    months = market.shipped[0, :3].sum(0, dtype=float)  # February to April is the fiscal quarter
    assert h20["FY26Q1"] == pytest.approx(months * some["h20-96.vendor_asp_usd"] / 1e9, rel=1e-5)
    quarters = sum(h20[f"2025Q{q}"] for q in (1, 2, 3, 4))
    assert quarters == pytest.approx(h20["2025"])


def test_h20_of_2024_comes_from_filings_and_not_from_the_claim(given: Given) -> None:
    out = filed.h20_2024(given)
    assert out["revenue_usd"] == pytest.approx(out["cards"] * given["h20-96.vendor_asp_usd"])
    assert (out["china_revenue_usd"] >= (2.49 + 3.67 + 5.42) * 1e9).all()
    origins = {r["origin"] for r in given.catalog.rows("history") if r["series"] == filed.CHINA_REVENUE}
    assert all(o.startswith("nvda-") for o in origins)
    assert "2025-01" not in filed.china_quarters(given)  # filed one day after the date


def test_a_paired_effect_of_nothing_is_nothing_and_of_a_cut_is_less_foreign_supply(some: Given, market: Market) -> None:
    assert all((e.values == 0).all() for e in effect.paired(market, market))
    plain, cut = run(some, 20, gate="scripted"), run(some, 20, gate="scripted", events=[shut_on(date(2025, 6, 1))])
    found = {(e.name, e.year): e for e in effect.paired(cut, plain)}
    assert found["H20 delivered", "2026"].as_row()["p_positive"] == 0
    assert np.median(found["H20 delivered", "2026"].values) < 0
    assert np.median(found["domestic cards delivered", "2026"].values) > 0
    with pytest.raises(InputError, match="two runs must have the same months and draws"):
        effect.paired(market, plain)


def test_a_letter_in_force_on_the_date_can_be_taken_back_and_a_rule_cannot(given: Given) -> None:
    some = given.block(0, 1000)
    months = months_of(some)
    verdicts = verdicts_of(months)
    verdicts.us[:, :, 0] = US_WORDS.index("letter")
    out = simulate(some, line_of(some, months), verdicts, service_of(some), months=months)
    assert out.us_open[0, 0].max() == 0 and out.deliveries[:, 0, 0].max() == 0
    reopened = np.mean(out.us_open[0].max(axis=0) > 0)
    expected = np.mean(1 - (1 - some["us_gate.opening_hazard_per_month"]) ** 34)
    assert abs(reopened - expected) < 4 * np.sqrt(expected / some.draws)
    calm = simulate(some, line_of(some, months), verdicts, service_of(some), months=months, threat=False)
    assert calm.us_open[0].max() == 0
    free = simulate(some, line_of(some, months), verdicts, service_of(some), months=months, controls=False)
    assert free.us_open[0].min() == 1
    verdicts.us[:, :, 0] = US_WORDS.index("licence_denial")
    barred = simulate(some, line_of(some, months), verdicts, service_of(some), months=months)
    assert barred.us_open[0].max() == 0


def test_a_demand_of_regimes_without_lifts_is_the_local_trend(some: Given) -> None:
    months = np.arange(24.0)
    calm = some.with_rows([replace(some.row("demand.boom_growth_ratio"), law=point(1.0))])
    assert demand.regimes(calm, "platform", months) == pytest.approx(demand.local_trend(some, "platform", months))
    lifted = demand.regimes(some, "platform", months)
    assert (lifted >= demand.local_trend(some, "platform", months) * (1 - 1e-9)).mean() > 0.99
    assert np.array_equal(lifted[:12], demand.regimes(some, "platform", months[:12]))


@pytest.mark.parametrize(("option", "name"), [
    *(("cover", n) for n in hoard.HOARD), *(("allocation", n) for n in clear.ALLOCATION),
    ("choose_by", "cost_share"), ("demand", "regimes")])
def test_every_entry_of_every_table_keeps_the_books(option: str, name: str, some: Given) -> None:
    market = run(some.block(0, 50), 12, **{option: name})
    assert all(v < 1e-9 for v in market.books.values()), market.books
    assert all(np.isfinite(c).all() and (c >= 0).all() for c in cells(market).values())
