"""The plan in words and tables: orders, the first question, contracts and their reasons, the futures that fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.summary import interval, short
from chipcast.base.types import Array
from chipcast.plan.cash import cash
from chipcast.plan.explain import Box, boxes, sentence
from chipcast.plan.judge import Judged
from chipcast.plan.need import Need
from chipcast.plan.problem import Problem
from chipcast.plan.procure import Case
from chipcast.plan.record import Order, Plan
from chipcast.plan.value import First, Solved

LEAST_SHOWN = 0.5
"""Mean later orders below this many units are not shown."""

RARE, MOSTLY = 0.01, 0.5
"""Share of failing futures below which no cause is sought, and above which those that hold are described. [1]"""

LEAST_COVERED = 0.1
"""A box that holds less of what it describes says little. [1]"""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Percentiles of fans."""


def order_table(case: Case, first: First, judged: Judged) -> tuple[Order, ...]:
    """Return here-and-now orders, then the mean and spread of later ones over fresh futures."""
    p, out, decide = case.problem, [], first.orders.shape[1]
    for t, quarter in enumerate(p.quarters):
        for i, offer in enumerate(p.offers):
            units, now = judged.orders[i, t], t < decide
            mean = float(first.orders[i, t]) if now else float(units.mean())
            if mean < (1e-6 if now else LEAST_SHOWN):
                continue
            out.append(Order(quarter=quarter, chip=offer.chip, name=case.names[offer.chip], supplier=offer.supplier,
                             contract=offer.contract, site=offer.site, units=round(mean, 6) if now else round(mean, 2),
                             now=now, interval={} if now else interval(units),
                             ordered_share=1.0 if now else round(float((units > 1e-6).mean()), 4)))
    used = judged.api * case.service_unit
    for t, quarter in enumerate(p.quarters):
        mean = float(used[t].mean())
        if mean >= LEAST_SHOWN:
            out.append(Order(quarter=quarter, chip=case.model, name=case.model, supplier="API", contract="api",
                             units=round(mean, 2), now=False, interval=interval(used[t]),
                             ordered_share=round(float((used[t] > 0).mean()), 4)))
    return tuple(sorted(out, key=lambda o: (not o.now, o.quarter)))


def signed_table(case: Case, solved: Solved) -> tuple[dict[str, Any], ...]:
    """Return framework volumes signed here and now and what of them must be taken."""
    return tuple({"chip": o.chip, "name": case.names[o.chip], "site": o.site, "units": float(u),
                  "must_take": float(np.ceil(u * o.take))}
                 for o, u in zip(case.problem.offers, solved.signed(), strict=True) if u > 1e-6)


def failures(told: tuple[list[Box], dict[str, str]], fails: npt.NDArray[np.bool_], quarters: tuple[str, ...],
             unserved: float) -> tuple[str, ...]:
    """Return sentences on the futures in which the plan fails; where it mostly fails, on those in which it holds.

    Parameters
    ----------
    told : tuple
        Boxes and words of `told_apart`.
    unserved : float
        Share of tokens left unserved above which a future counts as failed. [1]
    """
    share = float(fails.mean())
    meant = f"(leaves over {unserved:.0%} of all tokens unserved)"
    if share < RARE:
        return (f"fails in {share:.1%} of the fresh futures {meant}",)
    head = f"fails in {share:.0%} of the fresh futures {meant}"
    found, words = told
    return (head, *(sentence(b, quarters, **words) for b in found))


def told_apart(causes: dict[str, Array], fails: npt.NDArray[np.bool_]) -> tuple[list[Box], dict[str, str]]:
    """Return boxes of what is rarer, futures that fail or futures that hold, and the words for it.

    Where most fail a box of failures would be nearly all futures: what must come true says more.
    """
    often = float(fails.mean()) > MOSTLY
    words = {"verb": "holds", "noun": "futures in which it holds"} if often else {}
    rare = ~fails if often else fails
    return [b for b in boxes(causes, rare) if b.coverage >= LEAST_COVERED and b.density > rare.mean()], words


def answer(orders: tuple[Order, ...], signed: tuple[dict[str, Any], ...], rivals: dict[str, dict[str, Any]],
           fails: tuple[str, ...], fresh: int) -> str:
    """Return the answer in one sentence."""
    api = [o for o in orders if o.contract == "api" and o.quarter == min(x.quarter for x in orders)]
    send = [f"send about {short(sum(o.units for o in api))} tokens/s at the peak to the API"] if api else []
    first = _listed(_actions(orders, signed) + send) or "order no chips now"
    first = first[0].upper() + first[1:]
    end = "; ".join(f"it {f}" for f in fails[:2])
    m = rivals["mean_value"]
    if m["difference"] == m["low"] == m["high"] == 0.0:
        return (f"{first}; buying for the average future comes to the same decision, as {fresh} fresh futures show; "
                f"{end}.")
    verdict = {"better": "better than", "worse": "worse than",
               "cannot tell": "not told apart from"}[m["verdict"]]
    money = f"saves {short(m['difference'])} USD, 90 %: {short(m['low'])} to {short(m['high'])}"
    if m["difference"] < 0:
        money = f"costs {short(-m['difference'])} USD more, 90 %: {short(-m['high'])} to {short(-m['low'])}"
    return f"{first}; this is {verdict} buying for the average future ({money}) on {fresh} fresh futures; {end}."


def _actions(orders: tuple[Order, ...], signed: tuple[dict[str, Any], ...]) -> list[str]:
    """Return what is to be done now, each as verb and count; a volume is signed and called off in one breath."""
    quarters = list(dict.fromkeys(o.quarter for o in orders if o.now))
    out: list[str] = []
    called: dict[tuple[str, str], list[str]] = {}
    for o in (o for o in orders if o.now):
        what = f"{o.units:,.0f} x {o.name}{' for ' + o.site if o.site else ''}"
        when = f" in {o.quarter}" if o.quarter != quarters[0] else " now"
        if o.contract == "framework":
            called.setdefault((o.chip, o.site), []).append(f"{o.units:,.0f}{when}")
        else:
            out.append(ACTS.get(o.contract, f"order {{}} ({o.contract})").format(what) + when)
    deals: list[str] = []
    for s in signed:
        off = called.pop((s["chip"], s["site"]), [])
        deals.append(f"sign for {s['units']:,.0f} x {s['name']}{' for ' + s['site'] if s['site'] else ''}"
                     + f" (call off {_listed(off) if off else 'none yet'})")
    return deals + out


ACTS = {"spot": "order {}", "option": "order {} with the right to cancel", "rent": "rent {}",
        "lease": "lease {} abroad"}
"""What a buyer does by contract, around what and how many."""


def _listed(parts: list[str]) -> str:
    """Return parts as a list in words."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def first_question(need: Need, case: Case, plan_cost: float, served: float, api_cost: float | None) -> str:
    """Return the answer to the first question of every buyer: chips or an API."""
    chip, ratio = worth_of_a_dollar(case)
    worth = f" A dollar spent on {case.names[chip]} now serves tokens worth {ratio:.2f} USD to this buyer in the mean" \
        + ("." if ratio >= 1 else ": less than it costs.") if chip else ""
    if api_cost is None:
        return (f"Chips or an API: no dated API price of {need.model} is in the data; state yours as "
                "api_usd_per_million_tokens: under buyer:." + worth)
    text = (f"Chips or an API: all tokens from the API would cost {short(api_cost)} USD, this plan "
            f"{short(plan_cost)} USD with what it leaves unserved ({1 - served:.0%} of tokens in the mean)")
    if need.offsite_share_max <= 0:
        return text + "; the API is left out because this buyer's work must stay in the house" \
            + (" (what that rule costs is the difference)." if api_cost < plan_cost else ".") + worth
    if need.offsite_share_max < 1:
        return text + f"; at most {need.offsite_share_max:.0%} of need may be served outside." + worth
    return text + ("; the plan uses it where it is the cheaper way." if api_cost > plan_cost else
                   "; on cost alone the API wins.") + worth


def worth_of_a_dollar(case: Case) -> tuple[str, float]:
    """Return the chip on which a dollar spent now saves most missing service, and how much: below one, it is cheaper to
    leave need unserved. An empty name where nothing can be ordered.

    Notes
    -----
    For a card ordered in the first quarter: (value of missing tokens x what it serves from its arrival on) over (price,
    less resale, and upkeep), both discounted and in the mean. The price of going without over the price of a card.
    """
    p = case.problem
    best, chip = 0.0, ""
    for i in (k for k in p.owned if (p.order_cap[k, 0] > 0).any()):
        after = np.arange(len(p.quarters))[:, None] >= p.lead[i, 0]
        saves = (after * p.arrive[i, 0] * p.rate[i] * p.miss_cost).sum(axis=0)
        costs = p.order_cost[i, 0] + (after * p.arrive[i, 0] * p.hold_cost[p.offers[i].stock]).sum(axis=0)
        ratio = float((p.weight * saves).sum() / max(float((p.weight * costs).sum()), 1e-12))
        if ratio > best:
            best, chip = ratio, p.offers[i].chip
    return chip, best


def reasons(case: Case, solved: Solved, decide: int) -> tuple[str, ...]:
    """Return why each contract was or was not chosen now: what one more card of it would add to the objective.

    What is ordered stands first, then what comes nearest to it.

    Notes
    -----
    The reduced cost of an order is how much the objective rises per card beyond the plan; what is at zero now would
    have to be cheaper by that much to be ordered.
    """
    p, dual = case.problem, solved.solution.column_dual
    ranked: list[tuple[float, str]] = []
    for i, offer in enumerate(p.offers if decide else ()):
        column = solved.program.named["order 0"][i, 0]
        name = f"{case.names[offer.chip]}, {case.names.get(offer.contract, offer.contract)}" \
            + (f", {offer.site}" if offer.site else "")
        units, price = float(solved.now()[i, 0]), float(np.median(p.spend[i, 0])) * p.money
        lot = offer.lot if solved.program.whole[column] else 1.0
        worse = float(dual[column]) / max(lot, 1e-9) * p.money
        if (p.order_cap[i, 0] <= 0).all():
            ranked.append((np.inf, f"{name}: cannot be ordered in {p.quarters[0]}, by rules, gates or lead time"))
        elif units > 1e-6:
            ranked.append((-1.0, f"{name}: ordered, {units:.0f} cards at about {short(price)} USD"
                           + (" a quarter" if offer.stock < 0 else "")))
        elif worse > 0.005 * price:
            ranked.append((worse / price, f"{name}: not now; a card would have to be {short(worse)} USD cheaper, of "
                                          f"about {short(price)}" + (" a quarter" if offer.stock < 0 else "")))
        else:
            ranked.append((0.0, f"{name}: not now; about as good as what is ordered, but no better"))
    return tuple(text for _, text in sorted(ranked, key=lambda r: r[0]))


def detail(case: Case, solved: Solved, fresh: Problem, judged: Judged,
           costs: dict[str, Array], causes: dict[str, Array], fails: npt.NDArray[np.bool_], found: list[Box]
           ) -> dict[str, Any]:
    """Return series for pictures: quantiles over fresh futures by quarter, and the first box of failures found."""
    unit, p = case.service_unit, case.problem

    def fan(table: Array) -> dict[str, list[float]]:
        return {f"p{int(q * 100):02d}": np.quantile(table, q, axis=-1).tolist() for q in LEVELS}

    fleet = {c: judged.owned[[k for k, name in enumerate(p.stocks) if name == c]].sum(axis=0)
             for c in dict.fromkeys(p.stocks)}
    later: dict[str, Array] = {}
    for i, o in enumerate(p.offers):
        name = f"{o.chip} {o.contract}"
        later[name] = later.get(name, 0.0) + judged.orders[i]
    mean = float(costs["plan"].mean())
    return {
        "fleet": {chip: fan(units) for chip, units in fleet.items()}, "need": fan(fresh.need * unit),
        "served": fan((fresh.need - judged.missing) * unit), "orders": {k: fan(v) for k, v in later.items()},
        "ordered": fan(judged.orders.sum(axis=0)),
        "ladder": {k: interval(v) | {"mean": float(v.mean())} for k, v in costs.items()},
        "regret": interval(costs["plan"][: costs["perfect_news"].size] - costs["perfect_news"]),
        "fail_share": float(fails.mean()), "cash": cash(fresh, judged, solved.decide),
        "failures": {"causes": {k: v.tolist() for k, v in causes.items()}, "fails": fails.tolist(),
                     "box": next((b.sides for b in found), {})},
        "left_out": case.left_out, "names": case.names, "unit_usd": case.unit_usd,
        "in_sample": float(solved.problem.weight @ solved.costs) * p.money, "out_of_sample": mean,
        "nodes": [int(np.unique(row).size) for row in solved.labels],
        "note": "Later orders are in whole servers and are the mean over fresh futures."}


def regrets(case: Case, judged: dict[str, Judged], seen: npt.NDArray[np.intp], plan: Plan) -> tuple[str, ...]:
    """Return sentences on the futures in which the plan is regretted most: the worst tail of regret."""
    news = judged["perfect_news"].costs
    regret = judged["plan"].costs[: news.size] - news
    edge = float(np.quantile(regret, plan.tail))
    worst = regret > max(edge, 1e-9)
    causes = {k: v[seen[: news.size]] for k, v in case.causes.items()}
    said = tuple(sentence(b, plan.quarters, verb="is regretted", noun="such futures") for b in boxes(causes, worst))
    head = (f"costs over {short(edge * case.problem.money)} USD more than with perfect news in the worst "
            f"{float(worst.mean()):.0%} of futures",)
    return head + said
