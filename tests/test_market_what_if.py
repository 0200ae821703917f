"""Goods under way, redesigns, leases, write-downs, and dated what-ifs: what moves, what must not, and by how much."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from market_world import line_of, months_of, service_of, verdicts_of

from chipcast import chain
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.market import buy, choice, demand, hoard
from chipcast.market.gates import Event
from chipcast.market.record import CHIPS, DOMESTIC, Market
from chipcast.market.simulate import simulate
from chipcast.market.state import first_state
from chipcast.market.world import HOME as HOME_GROUP
from chipcast.market.world import World, world_of
from chipcast.news import effects
from chipcast.rules.record import CN_WORDS, US_WORDS
from chipcast.scenario import SEGMENTS, load, with_events

CUT = Event(on=date(2025, 6, 10), gate="us", chip="h20", to="licence")
H20, NEXT, HOME = CHIPS.index("h20-96"), CHIPS.index("nvidia_next"), [CHIPS.index(c) for c in CHIPS if c in DOMESTIC]
JUNE = 4


@pytest.fixture(scope="module")
def some(given: Given) -> Given:
    return given.block(0, 200)


def run(given: Given, count: int = 20, **options: object) -> Market:
    months = months_of(given)[:count]
    options = {"gate": "scripted"} | options
    return simulate(given, line_of(given, months), verdicts_of(months), service_of(given), months=months, **options)


def stated(given: Given, **values: float) -> Given:
    """Return the table with rows set to points; underscores twice stand for the dot of a name."""
    names = {k.replace("__", "."): v for k, v in values.items()}
    return given.with_rows([replace(given.row(n), law=point(v)) for n, v in names.items()])


@pytest.fixture(scope="module")
def plain(some: Given) -> Market:
    return run(some)


@pytest.fixture(scope="module")
def cut(some: Given) -> Market:
    return run(some, events=[CUT])


def test_cards_arrive_after_their_mean_time_under_way(some: Given) -> None:
    """One stage emptied exactly: with a steady flow what is under way tends to flow x mean time (Little)."""
    slow = stated(some, market__transit_months=2.0)
    market = run(slow)
    way, flow = market.under_way[H20].astype(float), market.shipped[H20].astype(float)
    expected = np.zeros(some.draws)
    for m in range(20):
        expected = expected * np.exp(-0.5) + flow[m] * (1 - np.exp(-0.5)) / 0.5
        assert way[m] == pytest.approx(expected, rel=1e-4, abs=1.0)
    arrived = market.deliveries[:, H20].sum(axis=0, dtype=float)
    assert np.cumsum(arrived, axis=0) + way == pytest.approx(np.cumsum(flow, axis=0), rel=1e-5, abs=2.0)


def test_a_cut_sends_back_the_stated_share_of_what_is_under_way(some: Given) -> None:
    none, all_ = (run(stated(some, market__transit_loss_share=x), events=[CUT]) for x in (0.0, 1.0))
    late = slice(JUNE, None)
    assert np.array_equal(none.shipped[H20, :JUNE + 1], all_.shipped[H20, :JUNE + 1])
    lost = none.deliveries[:, H20, late].sum((0, 1)) - all_.deliveries[:, H20, late].sum((0, 1))
    assert (lost >= 0).all() and np.median(lost) > 0
    assert (all_.shelf[H20, JUNE] >= none.shelf[H20, JUNE] * (1 - 1e-6)).all()
    assert none.under_way[H20, JUNE + 5].sum() < 0.02 * none.under_way[H20, JUNE].sum()


def test_a_redesign_comes_no_sooner_than_its_row_after_a_cut_and_never_without_one(some: Given, plain: Market,
                                                                                   cut: Market) -> None:
    assert plain.shipped[NEXT].max() == 0
    months = np.ceil(some["past.redesign_days"] / 30.4375).astype(int)
    first = np.argmax(cut.shipped[NEXT] > 0, axis=0)
    came = cut.shipped[NEXT].max(axis=0) > 0
    assert came.mean() > 0.3
    assert (first[came] >= JUNE + months[came] - 1).all()
    barred = some.shock("gates:redesign_barred") < some["cn_gate.counter_block_probability"]
    assert not came[barred].any()


def test_leases_abroad_grow_when_the_door_shuts_and_need_access(some: Given) -> None:
    short = stated(some, platform__power_mw_per_quarter=20.0)  # so that work is left unserved
    open_, shut = run(short), run(short, events=[CUT])
    end = -1
    assert shut.leased_abroad[:, end].sum() > open_.leased_abroad[:, end].sum() > 0
    clinic = SEGMENTS.index("clinic_school")
    assert shut.leased_abroad[clinic].max() == 0
    more = run(stated(short, overseas__headquarters_rule_share=0.9), events=[CUT])
    assert more.leased_abroad[:, end].sum() < shut.leased_abroad[:, end].sum()


def test_the_maker_writes_down_once_and_only_when_a_door_shuts(some: Given, plain: Market, cut: Market) -> None:
    assert plain.written_down_usd.max() == 0
    by_month = cut.written_down_usd.sum(axis=0)
    assert (by_month[JUNE] > 0).all()
    assert by_month[:JUNE].max() == 0 and by_month[JUNE + 1:].max() == 0
    goods = by_month[JUNE] / (some["h20-96.vendor_asp_usd"] * some["h20-96.inventory_cost_share"]
                              * some["market.write_down_share"])
    assert (goods >= cut.shelf[H20, JUNE - 1] * (1 - 1e-4)).all()  # at least what stood on the shelf
    twice = run(some, events=[CUT, Event(on=date(2025, 8, 1), gate="us", chip="h20", to="open"),
                              Event(on=date(2025, 10, 1), gate="us", chip="h20", to="closed")])
    assert (twice.written_down_usd[H20] > 0).any(axis=1).nonzero()[0].tolist() == [JUNE, JUNE + 4]


def test_the_street_price_of_a_card_rises_when_it_is_held_back(plain: Market, cut: Market) -> None:
    assert (cut.price_usd[H20, JUNE + 3] >= plain.price_usd[H20, JUNE + 3] * (1 - 1e-6)).all()
    assert np.median(cut.price_usd[H20, JUNE + 3] / plain.price_usd[H20, JUNE + 3]) > 1.05


def test_glut_and_shortage_stand_side_by_side(cut: Market) -> None:
    """Public centres keep idle halls while others turn work away, in the same month and draw."""
    idle = cut.idle_share[SEGMENTS.index("public_centre")]
    short = cut.short_share[[SEGMENTS.index(s) for s in ("platform", "private", "cloud")]].max(axis=0)
    assert np.mean((idle > 0.2) & (short > 0.02)) > 0.1


def test_an_announced_cut_is_a_last_time_buy(some: Given) -> None:
    """Sixty days' notice: in the window platforms want what a certain end asks for, and order more than without it."""
    notice = replace(CUT, on=date(2025, 6, 1), grace_days=60)
    at_once, told = run(some, events=[replace(CUT, on=date(2025, 7, 31))]), run(some, events=[notice])
    p = SEGMENTS.index("platform")
    certain = hoard.reopening(np.ones(200), 1.0, some["market.shortage_cost_ratio"],
                              some["market.holding_cost_per_month"], some["market.carrying_rate_per_year"],
                              some["us_gate.opening_hazard_per_month"])
    assert told.cover_months[p, JUNE] == pytest.approx(some["platform.cover_share_phi"] * certain, rel=1e-5)
    assert (told.cover_months[p, JUNE] >= at_once.cover_months[p, JUNE] - 1e-6).all()
    window = slice(JUNE, JUNE + 2)
    assert told.orders[:, H20, window].sum() > at_once.orders[:, H20, window].sum()


@pytest.mark.parametrize("event", [
    Event(on=date(2025, 6, 15), gate="demand", value=1.5), Event(on=date(2025, 6, 15), gate="quota", value=0.8),
    Event(on=date(2025, 6, 15), gate="yield", value=1.4), Event(on=date(2025, 6, 15), gate="offer", value=1.0)],
    ids=lambda e: e.gate)
def test_nothing_moves_before_a_what_if_and_books_balance_after(event: Event, some: Given, plain: Market) -> None:
    out = run(some, events=[event])
    months = 1 if event.gate == "demand" else JUNE  # need is known three months ahead, so orders move sooner
    for name in ("orders", "deliveries", "price_usd", "installed", "useful_tokens"):
        before = np.take(getattr(out, name), range(months), axis=-2)
        assert np.array_equal(before, np.take(getattr(plain, name), range(months), axis=-2)), name
    assert all(v < 1e-9 for v in out.books.values())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_offer_leaves_the_redesign_before_it_and_decides_from_its_month_on(value: float,
                                                                              some: Given) -> None:
    soon = stated(some, past__redesign_days=75.0, cn_gate__counter_block_probability=0.0)
    usual = run(soon, events=[CUT])
    later = run(soon, events=[CUT, Event(on=date(2026, 2, 1), gate="offer", value=value)])
    at = later.months.index("2026-02")
    assert usual.shipped[NEXT, :at].sum() > 0  # there is a redesign to be lost
    for name in ("orders", "shipped", "price_usd", "installed", "useful_tokens"):
        before = np.take(getattr(later, name), range(at), axis=-2)
        assert np.array_equal(before, np.take(getattr(usual, name), range(at), axis=-2)), name
    gained = later.shipped[NEXT, at:].sum() - usual.shipped[NEXT, at:].sum()
    assert gained > 0 if value else later.shipped[NEXT, at + 3 :].sum() < 0.2 * usual.shipped[NEXT, at + 3 :].sum()


def test_a_demand_shock_wants_more_and_serves_a_smaller_part(some: Given, plain: Market) -> None:
    p = SEGMENTS.index("platform")
    more = run(some, events=[Event(on=date(2025, 6, 1), gate="demand", value=1.5, segment="platform")])
    wanted, usual = (m.need[p, :, JUNE].sum(0) for m in (more, plain))
    assert np.median(wanted / np.maximum(usual, 1.0)) > 1.1
    assert (more.short_share[p, -1] >= plain.short_share[p, -1] - 1e-6).mean() > 0.95
    total = more.useful_tokens[p] + more.unserved_tokens[p]
    assert total[-1] == pytest.approx(1.5 * (plain.useful_tokens[p] + plain.unserved_tokens[p])[-1], rel=1e-4)


def test_a_quota_is_kept_in_what_is_wanted(some: Given) -> None:
    s = SEGMENTS.index("cloud")
    out = run(some, events=[Event(on=date(2025, 5, 1), gate="quota", value=0.7, segment="cloud")])
    wanted = out.need[s, :, 6:].astype(float)
    share = wanted[HOME].sum(axis=0) / np.maximum(wanted.sum(axis=0), 1e-9)
    assert (share[wanted.sum(axis=0) > 1] > 0.65).mean() > 0.95  # the cap of the grey flow shifts a little


def test_a_yield_step_brings_domestic_cards_with_its_delay(some: Given, plain: Market) -> None:
    better = run(stated(some, market__yield_to_card_months=3.0), events=[
        Event(on=date(2025, 4, 1), gate="yield", value=2.0)])
    line = [CHIPS.index("ascend-910b"), CHIPS.index("ascend-910c")]
    made = better.shelf[line] + np.cumsum(better.shipped[line], axis=1)
    usual = plain.shelf[line] + np.cumsum(plain.shipped[line], axis=1)
    gained = np.diff(made - usual, axis=1).mean(axis=(0, 2))
    assert np.abs(gained[:3]).max() < 1e-3 * usual[:, -1].mean() and (gained[6:] > 0).all()


def test_partial_licences_let_through_their_share_and_pass_the_rest_on(some: Given) -> None:
    months = months_of(some)[:8]
    verdicts = verdicts_of(months)
    verdicts.us[2:, :, 0] = US_WORDS.index("licence_case")
    verdicts.cn[4:, :, 0] = CN_WORDS.index("discouraged")
    few = simulate(some, line_of(some, months), verdicts, service_of(some), months=months, gate="scripted")
    free = run(some, 8)
    grant, left = some["us_gate.case_by_case_grant_share"], 1 - some["cn_gate.discouraged_effect_share"]
    assert few.us_open[0, 3] == pytest.approx(grant, rel=1e-5)
    assert few.cn_open[0, 5] == pytest.approx(left, rel=1e-5)
    assert few.need[:, H20, 2].sum() < free.need[:, H20, 2].sum()
    assert few.need[:, HOME, 2].sum() > free.need[:, HOME, 2].sum()


@cases(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=6), st.data())
def test_what_cannot_pass_goes_to_what_is_open_and_nothing_is_lost(raw: list[float], data: st.DataObject) -> None:
    shares = np.array(raw)[:, None] / sum(raw)
    kept = np.array([data.draw(st.floats(0.0, 1.0)) for _ in raw])[:, None]
    kept[-1] = 1.0
    out = shares.copy()
    choice.pass_on(out, kept, (kept >= 1).astype(float))
    assert out.sum() == pytest.approx(1.0) and (out >= 0).all()
    assert (out[kept < 1] <= shares[kept < 1] + 1e-12).all()


def test_safety_stock_is_nothing_without_surprise_and_grows_with_the_root_of_the_wait() -> None:
    assert hoard.safety_months(1.0, 2.0, 0.01, 0.4, 0.0, 3.0) == 0
    short, long = (hoard.safety_months(1.0, 2.0, 0.01, 0.4, 0.1, x) for x in (0.0, 3.0))
    assert long == pytest.approx(2 * short) and short > 0
    assert hoard.safety_months(1.0, 0.9, 0.01, 0.4, 0.1, 3.0) == 0  # a shortage that costs less than a card


def test_need_starts_at_what_was_bought(some: Given) -> None:
    """Where token growth does not already explain more, the first months' additions are the purchases of the date."""
    months = months_of(some)[:4]
    world = world_of(some, line_of(some, months), verdicts_of(months), service_of(some), months, threat=False,
                     controls=True, local_push=True, events=())
    cards = world.cards
    bought = sum(world.capacity[c, 0] * cards.rate[c] for c in range(len(CHIPS)) if c != world.lead)
    from chipcast.market.filed import best_quarter

    bought = bought + best_quarter(some) / 3 * cards.rate[world.lead]
    first = world.need.additions[:, :1].sum(axis=(0, 1))
    assert np.median(first / bought) == pytest.approx(1.0, abs=0.15)
    assert (first / bought > 0.7).mean() > 0.95


def test_need_and_liking_are_facts_that_no_counterfactual_moves(some: Given) -> None:
    months = months_of(some)[:6]
    line = line_of(some, months)

    def world(**switches: bool) -> World:
        options = {"threat": True, "controls": True, "local_push": True} | switches
        made = line_of(some, months, 2.0) if not options["controls"] else line
        return world_of(some, made, verdicts_of(months), service_of(some), months, events=(), line_as_is=line,
                        **options)

    plain = world()
    for other in (world(threat=False), world(controls=False), world(local_push=False)):
        assert np.array_equal(other.need.work, plain.need.work)
        assert np.array_equal(other.pull, plain.pull)
    free = run(some, 12, controls=False)
    bound = run(some, 12)
    served = free.useful_tokens.sum(axis=(0, 1)) - bound.useful_tokens.sum(axis=(0, 1))
    assert served.mean() > 0  # what may be bought can only help, but for the hoards of some


def test_growth_settles_from_its_first_rate_to_its_later_one() -> None:
    months = np.array([[0.0], [1e-3], [400.0], [401.0]])
    path = np.log(demand.settling_growth(months, np.array([0.2]), np.array([0.03]), np.array([6.0])))[:, 0]
    assert path[0] == 0 and path[1] / 1e-3 == pytest.approx(0.2, rel=1e-3)
    assert path[3] - path[2] == pytest.approx(0.03, rel=1e-6)


def test_shares_of_a_month_sum_to_one_with_every_gate_at_work(some: Given) -> None:
    months = months_of(some)[:6]
    verdicts = verdicts_of(months)
    verdicts.us[:, :, 0] = US_WORDS.index("licence_case")
    world = world_of(some, line_of(some, months), verdicts, service_of(some), months, threat=True, controls=True,
                     local_push=True, events=(CUT, Event(on=date(2025, 3, 1), gate="quota", value=0.5)))
    offer = buy.weights(world, first_state(world), np.ones_like(world.log_weight), 3) * world.taste
    share, each = buy.shares_of(world, offer, 3)
    assert share.sum(axis=0) == pytest.approx(np.ones_like(world.phi))
    assert (share >= 0).all()
    bought = 1 - share[-1]
    assert (share[HOME_GROUP] >= world.floor[3] * bought - 1e-12).all() and (world.floor[3] > 0).any()
    for g, chips in enumerate(world.groups):
        assert (offer[:, chips].sum(axis=1) * each[g])[share[g] > 1e-9] == pytest.approx(1.0)


def test_market_and_line_settle(given: Given) -> None:
    ready = chain.prepare("february-2025", draws=100, seed=2)
    short = replace(ready.setting, months=ready.setting.months[:15], line_months=ready.setting.line_months[:16])
    settled = chain.settle(short, ready.given, tolerance=0.01)
    assert settled.changes[-1] < 0.01 and settled.changes[-1] < settled.changes[0]
    again = chain.settle(short, ready.given, rounds=len(settled.changes) + 2, tolerance=0.0)
    apart = np.abs(again.world.line.packages - settled.world.line.packages).sum()
    assert apart < 0.02 * settled.world.line.packages.sum()


@pytest.mark.parametrize(("keys", "message"), [
    ({"on": "2025-04-09", "gate": "us"}, "needs to:"),
    ({"on": "2025-04-09", "gate": "demand"}, "needs value: the factor"),
    ({"on": "2025-04-09", "gate": "quota", "value": "1.5"}, "0 to 1"),
    ({"on": "2025-04-09", "gate": "demand", "value": "2", "to": "open"}, "takes value: and no to:"),
    ({"on": "2025-04-09", "gate": "us", "to": "closed", "value": "2"}, "takes to: and no value:"),
    ({"on": "2025-04-09", "gate": "us", "to": "open", "grace_days": "30"}, "belongs to a closing"),
    ({"on": "2025-04-09", "gate": "us", "to": "closed", "segment": "cloud"}, "acts on all buyers"),
    ({"on": "2025-04-09", "gate": "us", "to": "closed", "grace_days": "-1"}, "0 to 1000"),
    ({"on": "2025-04-09", "gat": "us"}, "did you mean 'gate'"),
    ({"gate": "us", "to": "closed"}, "on:"),
])
def test_an_event_that_says_nothing_or_too_much_is_refused(keys: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_events(load("february-2025"), [keys])


@pytest.mark.parametrize(("first", "second"), [
    ({"gate": "us", "chip": "h20", "to": "closed"}, {"gate": "us", "chip": "h20-96", "to": "open"}),
    ({"gate": "us", "chip": "h20", "to": "closed"}, {"gate": "us", "to": "open"}),
    ({"gate": "demand", "value": "2"}, {"gate": "demand", "value": "3", "segment": "cloud"}),
    ({"gate": "us", "to": "closed", "grace_days": "5"}, {"gate": "us", "to": "closed"}),
])
def test_two_events_of_a_day_that_contradict_are_refused(first: dict[str, str], second: dict[str, str]) -> None:
    day = {"on": "2025-05-01"}
    with pytest.raises(InputError, match="events contradict: on 2025-05-01"):
        with_events(load("february-2025"), [day | first, day | second])
    with_events(load("february-2025"), [day | first, day | first])  # the same thing twice is no contradiction


def test_a_yield_step_raises_what_the_line_is_counted_to_make(tmp_path: Path) -> None:
    """Cards made and cards sold are of one world: half as much again shows in both, a factor of 1 in none."""
    for name, factor in (("up", 1.5), ("same", 1.0)):
        (tmp_path / f"{name}.yaml").write_text("events:\n  - {on: 2025-03-01, gate: yield, value: " + f"{factor}}}\n",
                                               encoding="utf-8")
    up, same = ({r["name"]: r for r in effects("february-2025", str(tmp_path / f"{name}.yaml"), draws=200, seed=1)}
                for name in ("up", "same"))
    assert not any(any(r["effect"].values()) or r["p_positive"] for r in same.values())
    for year in ("huawei_ascend_cards.2026", "huawei_910c_packages.2026"):
        assert up[year]["second"]["p50"] == pytest.approx(1.5 * up[year]["first"]["p50"])
    made, sold = up["huawei_ascend_cards.2025"], up["china_total_cards.2025"]
    assert made["p_positive"] > 0.95 and sold["effect"]["p50"] > 0


def test_rounding_is_no_effect(tmp_path: Path) -> None:
    """Closing the tools moves wafers and rounds cards elsewhere: what differs by rounding has no sign."""
    (tmp_path / "b.yaml").write_text("events:\n  - {on: 2025-03-01, gate: tools, to: closed}\n", encoding="utf-8")
    rows = effects("february-2025", str(tmp_path / "b.yaml"), draws=200, seed=1)
    assert any(r["effect"]["p05"] < 0 for r in rows)
    for r in rows:
        small = min(abs(x) for x in r["first"].values())  # a quantile may lie near a small draw
        for q in r["effect"].values():
            assert q == 0 or abs(q) > 1e-11 * small, r["name"]
