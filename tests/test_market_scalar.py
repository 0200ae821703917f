"""The month written again in plain Python, one draw at a time, without a line of the market's own formulas.

It takes what does not change (rates, need, gates, capacities) and moves the stocks by loops over floats; the
vectorised run must agree draw by draw. Cover comes from the inequality itself, not from its closed form.
"""

from __future__ import annotations

import math
from datetime import date
from statistics import NormalDist

import numpy as np
import pytest
from market_world import line_of, months_of, service_of, verdicts_of

from chipcast.base.given import Given
from chipcast.market import gates
from chipcast.market.record import CHIPS, DOMESTIC
from chipcast.market.simulate import simulate
from chipcast.market.state import first_state
from chipcast.market.world import world_of

COUNT = 20
SPEED = {"public_centre": {"h20-96": 1.6, "ascend-910c": 3.0, "ascend-910b3": 2.5}, "private": {"h20-96": 1.3}}
STANDS = {"ascend-910b": "ascend-910b3", "nvidia_other": "h20-96", "nvidia_next": "h20-96"}
SMALL = ("state_funded", "public_centre", "private", "clinic_school")


def choice_by_hand(value: list[float], nest: list[int], weight: list[float], lam: list[float]) -> list[float]:
    nests: dict[int, float] = {}
    for v, n, w in zip(value, nest, weight, strict=True):
        nests[n] = nests.get(n, 0.0) + w * math.exp(v / lam[n])
    outer = {n: total ** lam[n] for n, total in nests.items() if total > 0}
    whole = sum(outer.values())
    return [w * math.exp(v / lam[n]) / nests[n] * outer[n] / whole if w > 0 else 0.0
            for v, n, w in zip(value, nest, weight, strict=True)]


def share_out(orders: list[float], ratio: list[float], supply: float) -> list[float]:
    weighted = sum(o * r for o, r in zip(orders, ratio, strict=True))
    if weighted == 0:
        return [0.0] * len(orders)
    got = [min(o, o * r * supply / weighted) for o, r in zip(orders, ratio, strict=True)]
    rest = [o - g for o, g in zip(orders, got, strict=True)]
    left, open_orders = max(supply - sum(got), 0.0), sum(rest)
    return [g + (r * min(1.0, left / open_orders) if open_orders > 0 else 0.0) for g, r in zip(got, rest, strict=True)]


def cover_by_inequality(q: float, p: float, h: float, r: float, opening: float, granted: float = 1.0) -> int:
    """Count the units that pay, one after the other, by the months in which no order has been filled since."""
    beta = (1 + r) ** (-1 / 12)
    refused, shut = (1 - q) * (1 - granted), q
    bar, saved, n = h + 1 - beta * (1 - refused - shut), 0.0, 0
    while n < 4000 and saved + (refused + shut) * beta ** (n + 1) * p > bar * (1 + 1e-12):
        n += 1
        before = refused + shut
        refused, shut = (refused * (1 - q) + shut * opening) * (1 - granted), refused * q + shut * (1 - opening)
        saved += (before - refused - shut) * beta ** (n + 1) - before * h * beta**n
    return n


def one_draw(given: Given, j: int, events: tuple[gates.Event, ...]) -> dict[str, np.ndarray]:
    """Run the market for draw j with floats and loops."""
    block = given.block(j, j + 1)
    months = months_of(block)[:COUNT]
    world = world_of(block, line_of(block, months), verdicts_of(months), service_of(block), months, threat=True,
                     controls=True, local_push=True, events=events, speed=SPEED)
    start = first_state(world)
    chips = world.chips
    S, C = len(world.segments), len(chips)
    segments = world.segments

    def g(name: str, otherwise: float = 0.0) -> float:
        return float(block[name][0]) if name in block else otherwise

    domestic = [c in DOMESTIC for c in chips]
    grey = [c == "h800-sxm" for c in chips]
    gated = [not d and not x for d, x in zip(domestic, grey, strict=True)]
    places = [c for c in range(C) if gated[c]]
    nest = [1 if d else 2 if x else 0 for d, x in zip(domestic, grey, strict=True)] + [3]
    rates = [[float(x) * SPEED.get(segments[s], {}).get(STANDS.get(chips[c], chips[c]), 1.0)
              for c, x in enumerate(world.cards.rate[:, 0])] for s in range(S)]
    price0 = world.cards.price_usd[:, 0].tolist()
    hourly, system = world.cards.usd_per_h[:, 0].tolist(), world.cards.system_usd[:, 0].tolist()
    lam = [g("choice.nest_lambda")] * 3 + [1.0]
    installed = start.installed[:, :, 0].tolist()
    backlog = [[0.0] * C for _ in range(S)]
    way = [[0.0] * C for _ in range(S)]
    leased = [0.0] * S
    shelf = start.shelf[:, 0].tolist()
    belief = start.belief[:, 0].tolist()
    premium, scarcity, lead = [0.0] * C, [0.0] * C, [0.0] * C
    wallet = [0.0] * S
    growth = 1.0
    first_used = used = sum(installed[s][c] for s in range(S) for c in range(C) if domestic[c])
    base, after = g("us_gate.closing_hazard_base_per_month"), g("us_gate.closing_hazard_after_threat_per_month")
    ratio = [g("allocation.small_buyer_fill_ratio") if s in SMALL else 1.0 for s in segments]
    phi = [g(f"{s}.cover_share_phi") for s in segments]
    lag = [float(block.first(f"{s}.hazard_lag_months", "small_segments.hazard_lag_months")[0]) for s in segments]
    bonus = [float(block.first(f"{s}.domestic_bonus_ln", "market.domestic_bonus_ln")[0]) for s in segments]
    # 17.1 of Tencent and 31.8 of Alibaba, in billions of yuan a quarter: what was published by February 2025
    named = 48.9e9 / g("ownership.cny_per_usd") * g("platform.capex_over_named") * g("platform.capex_accelerator_share")
    budget = [(named if s == "platform" else g(f"{s}.budget_usd_per_quarter")) / 3 for s in segments]
    power = [g(f"{s}.power_mw_per_quarter", math.inf) * 1000 / 3 / g("market.kw_per_card") for s in segments]
    slope, p, h = g("choice.cost_sensitivity"), g("market.shortage_cost_ratio"), g("market.holding_cost_per_month")
    r = g("market.carrying_rate_per_year")
    beta = (1 + r) ** (-1 / 12)
    handling = [float(block.first(f"{c}.lead_time_days", "ascend-910b2.lead_time_days")[0]) for c in chips]
    h20 = chips.index("h20-96")
    z = NormalDist().inv_cdf((p - 1) / (p - 1 + h + 1 - beta)) if p > 1 else 0.0
    safe = max(z, 0) * g("market.demand_cv_per_month") * math.sqrt(handling[h20] / 30.4375 + 1)
    level = float(world.paths.us[h20, 0, 0] > 0)
    last_door = [float(world.paths.us[c, 0, 0] * world.paths.cn[c, 0, 0]) for c in range(C)]
    names = ("orders", "deliveries", "installed", "need")
    out = {n: np.zeros((S, C, COUNT)) for n in names}
    out |= {n: np.zeros((C, COUNT)) for n in ("price_usd", "lead_time_days", "shipped", "under_way", "shelf", "backlog",
                                              "written_down_usd")}
    out |= {n: np.zeros((S, COUNT)) for n in ("cover_months", "useful_tokens", "leased_abroad", "short_share")}
    for m in range(COUNT):
        door = [float(world.paths.us[c, m, 0] * world.paths.cn[c, m, 0]) for c in range(C)]
        price = [price0[c] * g("market.list_price_ratio_per_year") ** (m / 12) * (1 + premium[c]) for c in range(C)]
        learnt = max(used / first_used, 1.0) ** math.log2(1 - g("choice.porting_learning_rate"))
        shares, gap, all_cover, hoards = [], [], [], []
        have = [sum(installed[s][c] * rates[s][c] for c in range(C)) + leased[s] * rates[s][h20] for s in range(S)]
        coming = [sum(way[s][c] * rates[s][c] for c in range(C)) for s in range(S)]
        for s in range(S):
            rate = rates[s]
            log_cost = [math.log(hourly[c] / rate[c] * price[c] / price0[c]) + r * lead[c] / 365.25
                        + (g("choice.porting_cost_ln") * learnt if domestic[c] else 0.0)
                        - (float(world.pull[0]) if c == h20 else 0.0) for c in range(C)]
            cheapest = min(math.log(hourly[c] / rate[c]) for c in range(C)
                           if not grey[c] and chips[c] != "nvidia_next")
            belief[s] += (float(world.paths.threat[m, 0]) - belief[s]) * (1 - math.exp(-1 / lag[s]))
            us = base * (world.paths.us_hazard[m, 0] > 0) + belief[s] * max(after - base, 0)
            q = max(1 - (1 - min(us, 1)) * (1 - g("cn_gate.closing_hazard_per_month")),
                    float(world.paths.announced[m, 0]))
            granted = float(world.paths.us_end[m, 0]) or 1.0
            cover = phi[s] * cover_by_inequality(q, p, h, r, g("us_gate.opening_hazard_per_month"), granted)
            all_cover.append(cover)
            value = [-slope * (x - cheapest) + (slope * bonus[s] if domestic[c] else 0)
                     for c, x in enumerate(log_cost)] + [-slope * math.log(p)]
            goes = [float(world.permits.share(m, c)[s, 0]) if gated[c] else 1.0 for c in range(C)] + [1.0]
            weight = [float(goes[c] > 0 and door[c] > 0 and (not gated[c] or world.capacity[c, m, 0] > 0))
                      for c in range(C)] + [1.0]
            share = choice_by_hand(value, nest, weight, lam)
            kept = [x * y for x, y in zip(share, goes, strict=True)]
            takers = sum(x for x, y in zip(share, goes, strict=True) if y >= 1)
            share = [x * (1 + (sum(share) - sum(kept)) / takers if y >= 1 else 1)
                     for x, y in zip(kept, goes, strict=True)]
            home = sum(share[c] for c in range(C) if domestic[c])
            bought = 1 - share[C]
            floor = float(world.floor[m, s, 0])
            if 0 < home < floor * bought:
                share = [x * (floor * bought / home if c < C and domestic[c] else
                              (1 - floor) * bought / (bought - home) if c < C else 1) for c, x in enumerate(share)]
            foreign = max(sum(share[c] for c in range(C) if gated[c]), 1e-9)
            added = float(world.need.additions[s, m, 0])
            ahead = float(world.need.work[s, m + world.lookahead, 0]) + phi[s] * safe * added
            cover_work = cover * added * foreign / max(bought, 1e-9)
            stay = min(max(have[s] - float(world.need.work[s, m, 0]), 0), cover_work)
            stock = have[s] + coming[s] - stay
            gap.append(max(ahead - stock, 0))
            hoards.append(max(cover_work - stay - max(stock - ahead, 0), 0) / foreign)
            shares.append(share)
        for c in range(C):  # the grey door takes no more than its flow
            if grey[c]:
                flow = float(world.capacity[c, m, 0]) * g("grey.flow_factor_when_closed") * world.lookahead
                asked = sum(shares[s][c] * gap[s] / rates[s][c] for s in range(S))
                cut = min(1.0, flow / max(asked, 1e-9))
                for s in range(S):
                    kept_share = shares[s][c] * cut
                    scale = (1 - kept_share) / max(1 - shares[s][c], 1e-9)
                    shares[s] = [kept_share if k == c else x * scale for k, x in enumerate(shares[s])]
        wanted_total, orders = [[0.0] * C for _ in range(S)], [[0.0] * C for _ in range(S)]
        months_ahead = 1 + 3 * g("market.budget_commit_quarters")
        for s in range(S):
            need = [shares[s][c] * gap[s] / rates[s][c] for c in range(C)]
            both = [need[c] + (shares[s][c] / rates[s][c] * hoards[s] if gated[c] else 0) for c in range(C)]
            cost = sum(both[c] * system[c] for c in range(C))
            room = max(wallet[s] + budget[s] * months_ahead, 0) / max(cost, 1e-9)
            plug = power[s] * months_ahead / max(sum(both), 1e-9)
            both = [x * min(1.0, room, plug) for x in both]
            wanted_total[s] = both
            for c in range(C):
                out["need"][s, c, m] = need[c]
                target = both[c] * max(1 + (g("allocation.order_inflation") - 1) * scarcity[c], 1.0)
                orders[s][c] = max(target - backlog[s][c], 0)
                backlog[s][c] = target
        unserved = [max(float(world.need.work[s, m, 0]) - have[s], 0) for s in range(S)]
        shut = 1 - door[h20]  # no rule of these verdicts binds the card
        pressed = sum(backlog[s][h20] for s in range(S)) > 3 * float(world.capacity[h20, m, 0])
        goal = g("h20-96.capacity_response_ratio") if pressed else 1.0
        growth = max(growth, growth + (goal - growth) / g("h20-96.capacity_response_months"))
        used_now = 0.0
        for c in range(C):
            asked = sum(backlog[s][c] for s in range(S))
            cap = float(world.capacity[c, m, 0])
            if chips[c] == "nvidia_other":
                cap += (g("past.shut_share_left") * float(world.capacity[h20, m, 0]) * price0[h20] / price0[c] * shut
                        * (1 - float(world.following[m, 0])))
            if c == h20:
                cap *= growth
            if grey[c]:
                cap *= 1 + (g("grey.flow_factor_when_closed") - 1) * shut
            made = cap
            if chips[c] not in ("ascend-910b", "ascend-910c"):
                made = min(cap, max(asked + (0 if grey[c] else cap) - shelf[c], 0)) * (door[c] if gated[c] else 1)
            ready = (shelf[c] + made) * (door[c] if gated[c] else 1)
            sent = share_out([backlog[s][c] for s in range(S)], ratio, min(ready, asked))
            shipped, truly = sum(sent), sum(wanted_total[s][c] for s in range(S))
            closing = max(last_door[c] - door[c], 0.0) if gated[c] else 0.0
            if c == h20:
                last = float(world.paths.us_end[m, 0] * world.paths.cn_end[m, 0])
                ends = max(level - last, 0.0)
                level = last
                goods = shelf[c] + made + g("h20-96.commitment_months") * float(world.capacity[c, 0, 0]) * growth
                out["written_down_usd"][c, m] = (ends * goods * g("h20-96.vendor_asp_usd")
                                                 * g("h20-96.inventory_cost_share") * g("market.write_down_share"))
            unfilled = max(1 - shipped / max(truly, 1e-9), 0) if truly > 0 else 0.0
            if gated[c] and chips[c] != "nvidia_next":
                unfilled = max(unfilled, (1 - float(world.paths.us[c, m, 0])) * float(world.paths.cn[c, m, 0]))
            asks = g("grey.premium_max") * (1 - math.exp(-g("grey.premium_kappa") * unfilled))
            premium[c] += (asks - premium[c]) * (1 - math.exp(-1 / g("market.price_adjust_months")))
            scarcity[c] = unfilled
            lead[c] = handling[c] + 30.4375 * min((asked - shipped) / max(made, shipped, 1e-30), 36)
            shelf[c] += made - shipped
            speed = 1 / g("market.transit_months")
            for s in range(S):
                got = sent[s]
                if gated[c]:
                    left = way[s][c] * math.exp(-speed) + sent[s] * (1 - math.exp(-speed)) / speed
                    got = way[s][c] + sent[s] - left
                    back = left * g("market.transit_loss_share") * closing
                    way[s][c] = left - back
                    shelf[c] += back
                installed[s][c] = installed[s][c] * (1 - g("market.retirement_per_year") / 12) + got
                backlog[s][c] -= sent[s]
                out["deliveries"][s, c, m], out["orders"][s, c, m] = got, orders[s][c]
                out["installed"][s, c, m] = installed[s][c]
                used_now += got if domestic[c] else 0.0
            out["price_usd"][c, m], out["lead_time_days"][c, m] = price[c], lead[c]
            out["shipped"][c, m], out["shelf"][c, m] = shipped, shelf[c]
            out["under_way"][c, m] = sum(way[s][c] for s in range(S))
            out["backlog"][c, m] = sum(backlog[s][c] for s in range(S))
        last_door = [door[c] if c in places else 1.0 for c in range(C)]
        used += used_now
        flow = g("overseas.cards_per_quarter") / 3 * (1 + (g("overseas.flow_factor_when_closed") - 1) * shut) * (
            1 - g("overseas.headquarters_rule_share"))
        want = [unserved[s] * g(f"{segments[s]}.overseas_access_share") / rates[s][h20] for s in range(S)]
        for s in range(S):
            leased[s] = leased[s] * math.exp(-1 / g("overseas.lease_months")) + want[s] * min(
                1.0, flow / max(sum(want), 1e-9))
            spent = sum(out["deliveries"][s, c, m] * system[c] for c in range(C))
            wallet[s] = min(wallet[s] + budget[s] - spent, 0)
            now = sum(installed[s][c] * rates[s][c] for c in range(C)) + leased[s] * rates[s][h20]
            serving = min(1.0, now / float(world.need.work[s, m, 0]))
            out["useful_tokens"][s, m] = float(world.need.tokens[s, m, 0]) * 30.4375 * serving
            out["cover_months"][s, m], out["leased_abroad"][s, m] = all_cover[s], leased[s]
            out["short_share"][s, m] = 1 - serving
    place = [chips.index(c) for c in CHIPS]
    by_chip = (*names, "price_usd", "lead_time_days", "shipped", "under_way", "shelf", "backlog", "written_down_usd")
    return {n: cells[..., place, :] if n in by_chip else cells for n, cells in out.items()}


@pytest.mark.parametrize("events", [(), (
    gates.Event(on=date(2025, 5, 10), gate="us", chip="h20", to="licence", grace_days=20),
    gates.Event(on=date(2025, 8, 1), gate="us", chip="h20", to="case_by_case"),
    gates.Event(on=date(2025, 4, 3), gate="demand", value=1.4, segment="platform"),
    gates.Event(on=date(2025, 6, 1), gate="quota", value=0.4, segment="cloud"),
    gates.Event(on=date(2025, 5, 1), gate="yield", value=1.3))])
def test_the_vectorised_month_equals_plain_loops_draw_by_draw(given: Given, events: tuple[gates.Event, ...]) -> None:
    count = 6 if events else 12
    some = given.block(0, count)
    months = months_of(some)[:COUNT]
    market = simulate(some, line_of(some, months), verdicts_of(months), service_of(some), months=months, events=events,
                      speed=SPEED)
    assert (market.us_open[0] < 1).any()  # gates move in these draws
    for j in range(count):
        by_hand = one_draw(given, j, events)
        for name, cells in by_hand.items():
            scale = max(float(np.abs(cells).max()), 1.0)
            assert getattr(market, name)[..., j] == pytest.approx(cells, rel=2e-5, abs=2e-6 * scale), (name, j)


def test_the_belief_step_is_exact_for_a_constant_threat() -> None:
    two = gates.perceived_hazard(gates.perceived_hazard(np.zeros(1), np.ones(1), np.full(1, 2.0)), np.ones(1),
                                 np.full(1, 2.0))
    assert two == pytest.approx(1 - math.exp(-1.0))
