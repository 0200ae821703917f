"""The month written again in plain Python, one draw at a time, without a line of the market's own formulas.

It takes what does not change (rates, need, gates, capacities) and moves the stocks by loops over floats; the
vectorised run must agree draw by draw. Cover comes from the inequality itself, not from its closed form.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from market_world import line_of, months_of, service_of, verdicts_of

from chipcast.base.given import Given
from chipcast.market import gates
from chipcast.market.record import CHIPS, DOMESTIC
from chipcast.market.simulate import first_state, simulate, world_of

COUNT = 20
SMALL = ("state_funded", "public_centre", "private", "clinic_school")


def cover_by_inequality(q: float, p: float, h: float, r: float) -> int:
    beta, n, held = (1 + r) ** (-1 / 12), 0, 0.0
    bar = h + 1 - beta * (1 - q)
    while n < 4000 and q * (beta ** (n + 1) * p - h * held) > bar * (1 + 1e-12):
        n += 1
        held += beta**n
    return n


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


def one_draw(given: Given, j: int) -> dict[str, np.ndarray]:
    """Run the market for draw j with floats and loops."""
    block = given.block(j, j + 1)
    months = months_of(block)[:COUNT]
    world = world_of(block, line_of(block, months), verdicts_of(months), service_of(block), months, threat=True,
                     controls=True, local_push=True, events=())
    start = first_state(world)
    S, C = len(world.segments), len(CHIPS)
    segments = world.segments

    def g(name: str) -> float:
        return float(block[name][0])

    domestic = [c in DOMESTIC for c in CHIPS]
    grey = [c == "h800-sxm" for c in CHIPS]
    gated = [not d and not x for d, x in zip(domestic, grey, strict=True)]
    nest = [1 if d else 2 if x else 0 for d, x in zip(domestic, grey, strict=True)] + [3]
    rate, price0 = world.cards.rate[:, 0].tolist(), world.cards.price_usd[:, 0].tolist()
    hourly, system = world.cards.usd_per_h[:, 0].tolist(), world.cards.system_usd[:, 0].tolist()
    lam = [g("choice.nest_lambda")] * 3 + [1.0]
    installed = start.installed[:, :, 0].tolist()
    backlog = [[0.0] * C for _ in range(S)]
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
    budget = [g(f"{s}.budget_usd_per_quarter") / 3 for s in segments]
    slope, p, h = g("choice.cost_sensitivity"), g("market.shortage_cost_ratio"), g("market.holding_cost_per_month")
    r = g("market.carrying_rate_per_year")
    names = ("orders", "deliveries", "installed", "need")
    out = {n: np.zeros((S, C, COUNT)) for n in names} | {"price_usd": np.zeros((C, COUNT)), "cover_months":
           np.zeros((S, COUNT)), "lead_time_days": np.zeros((C, COUNT)), "useful_tokens": np.zeros((S, COUNT))}
    for m in range(COUNT):
        door = [float(world.paths.us[c, m, 0] * world.paths.cn[c, m, 0]) for c in range(C)]
        price = [price0[c] * g("market.list_price_ratio_per_year") ** (m / 12) * (1 + premium[c]) for c in range(C)]
        learnt = max(used / first_used, 1.0) ** math.log2(1 - g("choice.porting_learning_rate"))
        log_cost = [math.log(hourly[c] / rate[c] * price[c] / price0[c]) + r * lead[c] / 365.25
                    + (g("choice.porting_cost_ln") * learnt if domestic[c] else 0.0) for c in range(C)]
        cheapest = min(math.log(hourly[c] / rate[c]) for c in range(C) if not grey[c])
        shares, gap, need_card, all_cover = [], [], [], []
        have = [sum(installed[s][c] * rate[c] for c in range(C)) for s in range(S)]
        parts = []
        for s in range(S):
            belief[s] += (float(world.paths.threat[m, 0]) - belief[s]) * (1 - math.exp(-1 / lag[s]))
            us = base * (world.paths.us_hazard[m, 0] > 0) + belief[s] * max(after - base, 0)
            q = max(1 - (1 - min(us, 1)) * (1 - g("cn_gate.closing_hazard_per_month")),
                    float(world.paths.announced[m, 0]))
            cover = phi[s] * cover_by_inequality(q, p, h, r)
            all_cover.append(cover)
            value = [-slope * (x - cheapest) + (slope * bonus[s] if domestic[c] else 0)
                     for c, x in enumerate(log_cost)] + [-slope * math.log(p)]
            weight = [float(world.permit[m, s, c, 0]) * (door[c] > 0) for c in range(C)] + [1.0]
            share = choice_by_hand(value, nest, weight, lam)
            home = sum(share[c] for c in range(C) if domestic[c])
            bought = 1 - share[C]
            floor = float(world.floor[m, s, 0])
            if 0 < home < floor * bought:
                share = [x * (floor * bought / home if c < C and domestic[c] else
                              (1 - floor) * bought / (bought - home) if c < C else 1) for c, x in enumerate(share)]
            foreign = max(sum(share[c] for c in range(C) if gated[c]), 1e-9)
            ahead = float(world.need.work[s, m + world.lookahead, 0])
            cover_work = cover * float(world.need.additions[s, m, 0]) * foreign / max(bought, 1e-9)
            kept = min(max(have[s] - float(world.need.work[s, m, 0]), 0), cover_work)
            gap.append(max(ahead - (have[s] - kept), 0))
            parts.append((foreign, max(cover_work - kept - max(have[s] - kept - ahead, 0), 0)))
            shares.append(share)
        for c in range(C):  # the grey door takes no more than its flow
            if grey[c]:
                flow = float(world.capacity[c, m, 0]) * g("grey.flow_factor_when_closed") * world.lookahead
                asked = sum(shares[s][c] * gap[s] for s in range(S)) / rate[c]
                cut = min(1.0, flow / max(asked, 1e-9))
                for s in range(S):
                    kept_share = shares[s][c] * cut
                    scale = (1 - kept_share) / max(1 - shares[s][c], 1e-9)
                    shares[s] = [kept_share if k == c else x * scale for k, x in enumerate(shares[s])]
        wanted_total, orders = [[0.0] * C for _ in range(S)], [[0.0] * C for _ in range(S)]
        for s in range(S):
            need_card.append([shares[s][c] * gap[s] / rate[c] for c in range(C)])
            both = [need_card[s][c] + (shares[s][c] / rate[c] * parts[s][1] / parts[s][0] if gated[c] else 0)
                    for c in range(C)]
            cost = sum(both[c] * system[c] for c in range(C))
            room = max(wallet[s] + budget[s] * (1 + 3 * g("market.budget_commit_quarters")), 0)
            both = [x * min(1.0, room / max(cost, 1e-9)) for x in both]
            wanted_total[s] = both
            for c in range(C):
                target = both[c] * max(1 + (g("allocation.order_inflation") - 1) * scarcity[c], 1.0)
                orders[s][c] = max(target - backlog[s][c], 0)
                backlog[s][c] = target
        used_now = 0.0
        lead_h20 = CHIPS.index("h20-96")
        pressed = sum(backlog[s][lead_h20] for s in range(S)) > 3 * float(world.capacity[lead_h20, m, 0])
        goal = g("h20-96.capacity_response_ratio") if pressed else 1.0
        growth = max(growth, growth + (goal - growth) / g("h20-96.capacity_response_months"))
        for c in range(C):
            asked = sum(backlog[s][c] for s in range(S))
            cap = float(world.capacity[c, m, 0]) * (growth if c == lead_h20 else 1)
            if grey[c]:
                cap *= 1 + (g("grey.flow_factor_when_closed") - 1) * (
                    1 - door[lead_h20] * float(world.us_widest[m, lead_h20, 0]))
            made = cap
            if CHIPS[c] not in ("ascend-910b", "ascend-910c"):
                made = min(cap, max(asked + (0 if grey[c] else cap) - shelf[c], 0)) * (door[c] if gated[c] else 1)
            ready = (shelf[c] + made) * (door[c] if gated[c] else 1)
            got = share_out([backlog[s][c] for s in range(S)], ratio, min(ready, asked))
            shipped, truly = sum(got), sum(wanted_total[s][c] for s in range(S))
            unfilled = max(1 - shipped / max(truly, 1e-9), 0) if truly > 0 else 0.0
            asks = g("grey.premium_max") * (1 - math.exp(-g("grey.premium_kappa") * unfilled))
            premium[c] += (asks - premium[c]) * (1 - math.exp(-1 / g("market.price_adjust_months")))
            scarcity[c] = unfilled
            handling = float(block.first(f"{CHIPS[c]}.lead_time_days", "ascend-910b2.lead_time_days")[0])
            lead[c] = handling + 30.4375 * min((asked - shipped) / max(made, shipped, 1e-30), 36)
            shelf[c] += made - shipped
            for s in range(S):
                installed[s][c] = installed[s][c] * (1 - g("market.retirement_per_year") / 12) + got[s]
                backlog[s][c] -= got[s]
                out["deliveries"][s, c, m], out["orders"][s, c, m] = got[s], orders[s][c]
                out["installed"][s, c, m], out["need"][s, c, m] = installed[s][c], need_card[s][c]
            if domestic[c]:
                used_now += shipped
            out["price_usd"][c, m], out["lead_time_days"][c, m] = price[c], lead[c]
        used += used_now
        for s in range(S):
            spent = sum(out["deliveries"][s, c, m] * system[c] for c in range(C))
            wallet[s] = min(wallet[s] + budget[s] - spent, 0)
            serving = min(1.0, sum(installed[s][c] * rate[c] for c in range(C)) / float(world.need.work[s, m, 0]))
            out["useful_tokens"][s, m] = float(world.need.tokens[s, m, 0]) * 30.4375 * serving
            out["cover_months"][s, m] = all_cover[s]
    return out


def test_the_vectorised_month_equals_plain_loops_draw_by_draw(given: Given) -> None:
    some = given.block(0, 12)
    months = months_of(some)[:COUNT]
    market = simulate(some, line_of(some, months), verdicts_of(months), service_of(some), months=months)
    assert (market.us_open[0] < 1).any() and (market.cn_open[0] < 1).any()  # gates move in these draws
    for j in range(12):
        by_hand = one_draw(given, j)
        for name, cells in by_hand.items():
            scale = max(float(np.abs(cells).max()), 1.0)
            assert getattr(market, name)[..., j] == pytest.approx(cells, rel=2e-5, abs=2e-6 * scale), (name, j)


def test_the_belief_step_is_exact_for_a_constant_threat() -> None:
    two = gates.perceived_hazard(gates.perceived_hazard(np.zeros(1), np.ones(1), np.full(1, 2.0)), np.ones(1),
                                 np.full(1, 2.0))
    assert two == pytest.approx(1 - math.exp(-1.0))
