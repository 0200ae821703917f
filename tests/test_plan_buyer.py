"""The plan of a buyer on a small synthetic market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plan_world import SERVED, market_of, service_of, verdicts_of, world_of

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.plan import Need, need_from, plan
from chipcast.plan.decide import Asked, Ground, quarters_until, work, written
from chipcast.plan.foresight import sees_ahead
from chipcast.plan.judge import recourse
from chipcast.plan.labels import labels_by_date
from chipcast.plan.need import need_for, quarters_of
from chipcast.plan.ownership import own
from chipcast.plan.procure import _world, api_price_usd, case_of
from chipcast.plan.record import Plan
from chipcast.plan.value import First
from chipcast.scenario import load, resolve


@pytest.fixture(scope="module")
def world(given: Given):  # type: ignore[no-untyped-def]
    return world_of(given)


@pytest.fixture(scope="module")
def need(given: Given) -> Need:
    return need_from(given, "hospital", "clinic_school", model="deepseek-r1")


@pytest.fixture(scope="module")
def done(given: Given, need: Need, world) -> Ground:  # type: ignore[no-untyped-def]
    return work(given, need, *world, Asked(scenarios=60))


@pytest.fixture(scope="module")
def answer(done: Ground, given: Given, need: Need) -> Plan:
    return written(done, given, need, Asked(scenarios=60))


def test_need_is_users_times_tokens_at_the_busiest_hour(given: Given, need: Need) -> None:
    by_hand = given["buyer.concurrent_users"] * 40_000 * 0.3 / 86_400
    assert need.mean_tokens_per_s == pytest.approx(by_hand)
    assert need.peak_tokens_per_s(1)[0] == pytest.approx(by_hand * given["demand.peak_to_mean"])
    assert need.budget_usd == pytest.approx(6e6)


def test_need_refuses_a_buyer_without_demand_or_budget(given: Given) -> None:
    def without(*names: str) -> Given:
        return replace(given, rows={k: v for k, v in given.rows.items() if k not in names}, _values={})

    with pytest.raises(InputError, match="states no need; write concurrent_users"):
        need_from(without("buyer.concurrent_users"), "x", "cloud")
    with pytest.raises(InputError, match="concurrent_users without tokens_per_user_day"):
        need_from(without("buyer.tokens_per_user_day"), "x", "cloud")
    with pytest.raises(InputError, match="buyer has no budget; write budget_usd: or budget_cny:"):
        need_from(without("buyer.budget_usd"), "x", "cloud")


def stated(folder: Path, demand: str, buyer: str) -> Path:
    """Write a scenario of a buyer."""
    path = folder / "mine.yaml"
    path.write_text("buyer:\n  {name: x, segment: private, " + f"demand: {{{demand}}}, {buyer}}}\n", encoding="utf-8")
    return path


USERS = "concurrent_users: 1000, tokens_per_user_day: 40k"


@pytest.mark.parametrize(("demand", "buyer", "match"), [
    (USERS + ", input_share: 100%", "budget_usd: 6M", "input_share must lie above 0% and below 100%"),
    (USERS + ", input_share: 0%", "budget_usd: 6M", "input_share must lie above 0% and below 100%"),
    (USERS + ", input_tokens: 0, output_tokens: 300", "budget_usd: 6M", "above 0% and below 100%"),
    (USERS, "budget_usd: 6M, budget_cny: 40M", "states both budget_usd: and budget_cny:; keep one"),
    (USERS + ", requests_per_s: 5", "budget_usd: 6M", "states both concurrent_users: and requests_per_s:; keep one"),
    (USERS + ", input_share: 70%, input_tokens: 3k", "budget_usd: 6M", "both input_share: and input_tokens:; keep one"),
    (USERS, "budget_usd: 6M, country: US", "say nothing of a buyer in United States; write country: CN, or ask"),
    (USERS, "budget_usd: 6M, country: Mars", "'Mars' is no country"),
    (USERS, "budget_usd: 6M, model: gpt-9", "unknown model 'gpt-9'"),
    (USERS, "", "buyer has no budget; write budget_usd: or budget_cny:"),
])
def test_a_buyer_that_cannot_be_meant_is_refused_before_the_long_work(
        cli: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demand: str,
        buyer: str, match: str) -> None:
    """Twice stated, nothing read or written, or a seat where this market does not sell: no figure is dropped unsaid."""
    monkeypatch.setattr("chipcast.chain.prepare", lambda *_, **__: pytest.fail("computed before it was refused"))
    code, out, err = cli("plan", str(stated(tmp_path, demand, buyer)))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert match in err


def test_a_request_of_so_many_tokens_gives_the_share_that_is_read(tmp_path: Path) -> None:
    """3k in and 1k out are the input share 75 %, whether users or requests are counted."""
    needs = []
    for k, words in enumerate(("input_share: 75%", "input_tokens: 3k, output_tokens: 1k")):
        (tmp_path / str(k)).mkdir()
        story = load(stated(tmp_path / str(k), f"{USERS}, {words}", "budget_usd: 6M"))
        needs.append(need_for(resolve(story, draws=100), story.buyer).mean_tokens_per_s)
    first, second = needs
    assert np.array_equal(first, second)


def test_quarters_are_those_the_months_touch() -> None:
    quarters, months = quarters_of(("2025-02", "2025-03", "2025-04"))
    assert quarters == ("2025Q1", "2025Q2") and months.tolist() == [2.0, 1.0]


def test_here_and_now_orders_come_in_whole_servers_and_first_blocks(done: Ground, answer: Plan) -> None:
    blocks = {o.chip: o.first_block for o in done.case.problem.offers}
    now = [o for o in answer.orders if o.now]
    assert now
    for o in now:
        assert o.units % 8 == 0 and o.units >= blocks[o.chip]


def test_the_plan_does_not_see_ahead(done: Ground) -> None:
    orders, labels, decide = done.solved.orders(), done.solved.labels, done.solved.decide
    assert not sees_ahead(orders, labels, decide, scale=done.solved.problem.scale)
    leak = np.where(orders > 0, orders * (1 + 0.1 * np.arange(orders.shape[-1])), orders)
    assert sees_ahead(leak, labels, decide, scale=done.solved.problem.scale)


def test_no_order_is_placed_and_nothing_arrives_where_a_gate_is_shut(done: Ground) -> None:
    p = done.solved.problem
    orders = done.solved.orders()
    assert orders[:, 1:][p.order_cap[:, 1:] == 0].max(initial=0.0) == 0.0
    owned = done.solved.solution.x[done.solved.program.named["owned"]]
    never = (p.arrive * (p.order_cap > 0)).sum(axis=1) == 0
    for i, o in enumerate(p.offers):
        if o.stock >= 0:
            assert owned[o.stock][:, never[i]].max(initial=0.0) == 0.0


def test_a_chip_the_rules_bar_is_never_offered(done: Ground) -> None:
    assert "h800-sxm" not in {o.chip for o in done.case.problem.offers}
    assert "rules in force bar it" in done.case.left_out["h800-sxm"]


def test_values_are_in_order_and_rivals_are_judged_on_the_same_futures(done: Ground, answer: Plan) -> None:
    v = answer.values
    assert v["ws"] <= v["sp"] + 1 and v["sp"] <= v["eev"] + 1e-2 * v["eev"]
    assert v["evpi"] == pytest.approx(v["sp"] - v["ws"]) and v["vss"] == pytest.approx(v["eev"] - v["sp"])
    for name in ("mean_value", "need_only", "hoard_all", "wait", "api"):
        r = answer.rivals[name]
        assert r["difference"] == pytest.approx(r["risk_cost"] - v["out_of_sample"], rel=1e-6, abs=1e-3)
        assert r["verdict"] in ("better", "worse", "cannot tell")
    ladder = answer.detail["ladder"]
    assert ladder["perfect_news"]["mean"] <= ladder["plan"]["mean"] + 1


def test_money_paid_is_prices_times_flows(done: Ground) -> None:
    solved = done.solved
    p, orders = solved.problem, solved.orders()
    owned = solved.solution.x[solved.program.named["owned"]]
    missing = solved.solution.x[solved.program.named["missing"]]
    by_hand = (p.order_cost * orders).sum(axis=(0, 1)) + (p.hold_cost * owned).sum(axis=(0, 1)) \
        + (p.miss_cost * missing).sum(axis=0)
    assert p.resale is not None
    for t in range(len(p.quarters)):
        after = done.solved.labels[t + 1] if t + 1 < len(p.quarters) else np.arange(p.size)
        sold = done.solved.solution.x[done.solved.program.named[f"sold {t}"]]
        by_hand = by_hand - (p.resale[:, t] * sold[:, np.unique(after, return_inverse=True)[1]]).sum(axis=0)
    assert solved.costs == pytest.approx(by_hand, rel=1e-9)


def test_the_budget_is_kept_in_every_scenario(done: Ground, need: Need) -> None:
    p = done.solved.problem
    spent = (p.spend * done.solved.orders()).sum(axis=(0, 1)) * p.money
    assert spent.max() <= need.budget_usd * (1 + 1e-6)


def test_a_deposit_is_lost_when_the_gate_shuts_before_shipping(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    case = case_of(given, need, *world)
    p = case.problem
    i = next(k for k, o in enumerate(p.offers) if o.chip == "h20-96")
    lost = p.arrive[i, 0] == 0
    assert 0 < lost.mean() < 0.5
    price = p.spend[i, 0] * p.money
    full = given["h20-96.price_usd"] * given["clinic_school.server_factor"] * (1 + given["ownership.network_share"])
    assert price[~lost] == pytest.approx(full[~lost])
    assert price[lost] == pytest.approx((full * given["plan.deposit_share"])[lost])


def test_the_plan_is_the_same_bits_twice(given: Given, need: Need, world, done: Ground, answer: Plan) -> None:  # type: ignore[no-untyped-def]
    assert plan(given, need, *world, scenarios=60) == answer


def test_a_certain_open_market_gives_no_reason_to_hurry(given: Given, need: Need) -> None:
    market = market_of(given, hazard=0.0, fill=1.0)
    open_ = work(given, need, market, service_of(given), verdicts_of(market.months), Asked(scenarios=30))
    shut = work(given, need, market_of(given, hazard=0.5, fill=1.0), service_of(given), verdicts_of(market.months),
                Asked(scenarios=30))
    assert open_.worth["evpi"] <= shut.worth["evpi"]
    assert open_.judged["plan"].costs.mean() <= shut.judged["plan"].costs.mean()


def test_a_domestic_quota_is_kept_now_and_later(given: Given, need: Need) -> None:
    market = market_of(given)
    half = work(given, replace(need, mean_tokens_per_s=need.mean_tokens_per_s * 60, budget_usd=5e8), market,
                service_of(given), verdicts_of(market.months, domestic=0.5), Asked(scenarios=30))
    p, orders = half.solved.problem, half.solved.orders()
    own = [i for i, o in enumerate(p.offers) if o.stock >= 0]
    home = np.array([p.offers[i].domestic for i in own])
    total, local = orders[own].sum(axis=0), orders[own][home].sum(axis=0)
    assert total.max() > 8
    assert (local >= 0.5 * total - 1e-6).all()


def test_power_is_kept(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    big = replace(need, mean_tokens_per_s=need.mean_tokens_per_s * 60, budget_usd=5e8, power_kw=60.0)
    w = work(given, big, *world, Asked(scenarios=30))
    p = w.solved.problem
    owned = w.solved.solution.x[w.solved.program.named["owned"]]
    assert p.power is not None
    assert np.einsum("c,cts->ts", p.power, owned).max() <= 60.0 + 1e-6
    assert written(w, given, big, Asked(scenarios=30)).shadow_prices["one more megawatt"] > 0


def test_rent_and_api_are_offered_where_work_may_leave_the_house(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    free = case_of(given, replace(need, offsite_share_max=1.0), *world).problem
    assert {o.contract for o in free.offers} == {"spot", "rent"}  # the barred chip has no rent row
    assert free.api_cap is not None and free.api_cap == pytest.approx(free.need)
    bound = case_of(given, need, *world).problem
    assert {o.contract for o in bound.offers} == {"spot"} and bound.api_cap is None
    labels = labels_by_date(len(free.quarters), 1, free.size)
    assert labels.shape == free.need.shape


def test_the_right_to_cancel_loses_a_premium_and_no_deposit(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    p = case_of(given, replace(need, segment="platform"), *world).problem
    spot, option = (next(i for i, o in enumerate(p.offers) if (o.chip, o.contract) == ("h20-96", c))
                    for c in ("spot", "option"))
    lost = p.arrive[spot, 0] == 0
    ratio = p.spend[option, 0] / p.spend[spot, 0]
    assert ratio[~lost] == pytest.approx(1 + given["plan.option_premium"][~lost])
    assert ratio[lost] == pytest.approx((given["plan.option_premium"] / given["plan.deposit_share"])[lost])
    assert (p.order_cost[option, 0][lost] < p.order_cost[spot, 0][lost]).mean() > 0.9


def test_a_lease_abroad_does_not_feel_the_gates(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    market, _, _ = world
    chips = ("h20-96", "ascend-910b2", "h100-sxm")
    service = service_of(given, chips=chips, speed=(60, 25, 200), blocks=(8, 16, 16))
    case = case_of(given, replace(need, offsite_share_max=0.3), market, service,
                   verdicts_of(market.months, chips=chips, bar=("h100-sxm",)))
    lease = [i for i, o in enumerate(case.problem.offers) if o.contract == "lease"]
    assert [case.problem.offers[i].chip for i in lease] == ["h100-sxm"]
    assert (case.problem.order_cap[lease] > 0).all() and (case.problem.arrive[lease] == 1).all()


@pytest.mark.parametrize(("named", "leased"), [((), {"h100-sxm"}), (("ascend-910b2",), set()),
                                               (("ascend-910b2", "h100-sxm"), {"h100-sxm"})])
def test_a_chip_that_the_buyer_does_not_name_is_not_leased_either(  # type: ignore[no-untyped-def]
        named: tuple[str, ...], leased: set[str], given: Given, need: Need, world) -> None:
    market, _, _ = world
    chips = ("h20-96", "ascend-910b2", "h100-sxm")
    case = case_of(given, replace(need, offsite_share_max=0.3, chips=named), market,
                   service_of(given, chips=chips, speed=(60, 25, 200), blocks=(8, 16, 16)),
                   verdicts_of(market.months, chips=chips, bar=("h100-sxm",)))
    assert {o.chip for o in case.problem.offers if o.contract == "lease"} == leased
    assert not named or {o.chip for o in case.problem.offers} <= set(named)


def test_the_api_price_is_the_dated_one(given: Given) -> None:
    price = api_price_usd(given, "deepseek-r1")
    assert price is not None
    assert price == pytest.approx(16 / given["ownership.cny_per_usd"])
    assert api_price_usd(given, "some-model") is None


def test_adding_an_offer_never_hurts(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    pick = np.arange(40)
    few = case_of(given, need, *world).problem.take(pick)
    more = case_of(given, replace(need, offsite_share_max=1.0), *world).problem.take(pick)
    a, b = (recourse(p, 1, {"x": First(orders=np.full((len(p.offers), 1), np.nan),
                                       signed=np.full(len(p.offers), np.nan))})["x"].costs.sum() for p in (few, more))
    assert b <= a + 1e-6


def test_a_budget_that_cannot_buy_the_smallest_deployment_says_what_it_costs(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InfeasibleError, match=r"budget of 1,000 USD cannot buy the smallest deployment, 8 x H20 96GB"):
        plan(given, replace(need, budget_usd=1e3), *world)


def test_power_that_cannot_run_the_smallest_deployment_says_what_it_needs(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InfeasibleError, match=r"no plan fits: 2 kW cannot run the smallest deployment, 8 x H20 96GB"):
        plan(given, replace(need, power_kw=2.0), *world)


def test_a_promise_no_chip_keeps_is_infeasible_and_says_why(given: Given, need: Need) -> None:
    market = market_of(given)
    none = service_of(given, blocks=(0, 0, 0, 0))
    with pytest.raises(InfeasibleError, match=r"no chip serves deepseek-r1 for hospital .*does not fit"):
        plan(given, need, market, none, verdicts_of(market.months))


def test_dates_outside_the_horizon_are_refused(given: Given, need: Need, world) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="decide_until 2024-06 lies before the first quarter"):
        plan(given, need, *world, decide_until="2024-06")
    with pytest.raises(InputError, match="is no quarter of the plan"):
        plan(given, need, *world, decide_until="2031Q1")
    assert quarters_until(("2025Q1", "2025Q2"), "2025-05") == 2


@pytest.mark.parametrize(("bad", "match"), [({"tail": 1.0}, "tail must be at least 0 and below 1, got 1.0"),
                                            ({"tail_weight": -0.1}, "tail_weight must lie within 0 and 1"),
                                            ({"scenarios": 1}, "scenarios must be 2 or more, got 1"),
                                            ({"scenarios": 1500}, "draws must be at least twice the 1500 scenarios")])
def test_numbers_out_of_range_are_refused(given: Given, need: Need, world, bad, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        plan(given, need, *world, **bad)


def test_every_served_chip_is_offered_or_left_out_with_a_reason(done: Ground) -> None:
    offered = {o.chip for o in done.case.problem.offers}
    for chip in SERVED:
        assert (chip in offered) != bool(done.case.left_out.get(chip))


@pytest.mark.parametrize(("segment", "fill", "lead_days"), [("cloud", 0.25, 165.0), ("cloud", 1.0, 75.0),
                                                            ("clinic_school", 0.25, 165.0)])
def test_the_wait_of_rationing_is_counted_once(given: Given, segment: str, fill: float, lead_days: float) -> None:
    """The market's lead time is handling plus backlog over throughput: three of four lots unfilled are three months."""
    market = market_of(given, fill=fill)
    lead = np.full_like(market.lead_time_days, lead_days)
    service = service_of(given)
    need = need_from(given, segment, segment, model="deepseek-r1")
    w = _world(given, need, replace(market, lead_time_days=lead), service, verdicts_of(market.months))
    o = own(w, "h20-96")
    months = (lead_days + np.zeros(given.draws)) / 30.4375
    if segment == "clinic_school":
        ratio = given["allocation.small_buyer_fill_ratio"]
        filled = fill * (ratio + (1 - ratio) * fill)
        months = months + 1 / filled - 1 / fill
    assert np.array_equal(o.ships[0], np.minimum(np.floor(months + 1e-9).astype(int), len(market.months) - 1))
    never = replace(w, market=replace(w.market, fill=np.zeros_like(market.fill)))
    assert not own(never, "h20-96").may_order.any()
