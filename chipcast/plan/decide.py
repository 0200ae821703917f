"""What to order now and what later: the plan of one buyer, judged on futures it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.calendar import parse_date, quarter_name
from chipcast.base.choose import choose
from chipcast.base.errors import InputError, require
from chipcast.base.given import Given
from chipcast.base.summary import interval, short
from chipcast.base.types import Array
from chipcast.market.record import Market
from chipcast.plan.explain import boxes, sentence
from chipcast.plan.need import Need
from chipcast.plan.problem import INFORMATION, Problem
from chipcast.plan.procure import Case, case_of
from chipcast.plan.record import Order, Plan
from chipcast.plan.reduce import reduce
from chipcast.plan.roll import Rolled, roll
from chipcast.plan.solve import solve
from chipcast.plan.study import STRATEGIES, by_date, follow, frontier, gap
from chipcast.plan.value import (
    Judged,
    Risk,
    Solved,
    contributions,
    functional,
    mean_plan,
    paired,
    polish,
    recourse,
    solve_plan,
    tail_mean,
    values,
)
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

JUDGES = {True: 300, False: 2000}
"""Fresh futures on which plans are compared: few inside a run, many for the verb of its own."""

TRIALS = {True: 250, False: 750}
"""Futures on which near orders are tried before the plan is settled."""

LEAST_SHOWN = 0.5
"""Mean later orders below this many units are not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A plan with everything it was made from, for ranges, sweeps and pictures."""

    plan: Plan
    """The answer."""
    case: Case
    """The problem on all draws."""
    solved: Solved
    """The solved program on the chosen scenarios."""
    fresh: Problem
    """The problem on the futures it was judged on."""
    judged: dict[str, Judged]
    """Each plan on those futures."""
    risk: Risk
    """What was minimised."""
    picks: npt.NDArray[np.intp]
    """Draws that became scenarios."""
    weight: Array
    """Their probability."""
    seen: npt.NDArray[np.intp]
    """Draws that the plan was judged on."""


def plan(given: Given, buyer: Need, market: Market, service: Service, verdicts: Verdicts, *,
         decide_until: str | None = None, tail: float = 0.9, tail_weight: float = 0.5, scenarios: int = 150,
         fast: bool = True, information: str = "date") -> Plan:
    """Return what a buyer should order now and later, what that is worth and where it fails.

    Parameters
    ----------
    given, market, service, verdicts
        The world, on the same draws.
    buyer : Need
        From `need_from`.
    decide_until : str, optional
        Last quarter (`2025Q2`) or month (`2025-06`) decided before anything is observed; default: the first.
    tail, tail_weight : float
        Level of the tail and its weight against the mean.
    scenarios : int
        Futures in the program.
    fast : bool
        Judge on fewer fresh futures, as inside a run.
    information : str
        Entry of `INFORMATION`: later orders know everything (`date`) or only gates and need (`regimes`).

    Raises
    ------
    InputError
        If the date lies outside the horizon, or a number is out of range.
    InfeasibleError
        If no chip keeps the promise or the budget cannot buy the smallest deployment.
    """
    return work(given, buyer, market, service, verdicts, decide_until=decide_until, tail=tail,
                tail_weight=tail_weight, scenarios=scenarios, fast=fast, information=information).plan


def work(given: Given, buyer: Need, market: Market, service: Service, verdicts: Verdicts, *,
         decide_until: str | None = None, tail: float = 0.9, tail_weight: float = 0.5, scenarios: int = 150,
         fast: bool = True, information: str = "date", with_gap: bool = False) -> Work:
    """Return the plan with everything it was made from; arguments as in `plan`, and whether to bound its distance
    to the best by replicated samples.
    """
    require(scenarios >= 2, "scenarios", "be 2 or more", scenarios)
    require(0 <= tail < 1, "tail", "be at least 0 and below 1", tail)
    require(0 <= tail_weight <= 1, "tail_weight", "lie within 0 and 1", tail_weight)
    case = case_of(given, buyer, market, service, verdicts)
    p = case.problem
    decide = quarters_until(p.quarters, decide_until)
    half = p.size // 2
    require(half >= scenarios, "draws", f"be at least twice the {scenarios} scenarios", p.size)
    picks, weight = reduce(case.features[:half], case.stratum[:half], scenarios)
    chosen = p.take(picks, weight)
    risk = Risk(tail=tail, tail_weight=tail_weight, whole=True)
    labels = choose(INFORMATION, information, "information")(case.seen[:, picks], decide)
    solved = solve_plan(chosen, labels, decide, risk)
    penalty = given.middle("plan.overdraft_penalty")
    unseen = np.setdiff1d(np.arange(half), picks)
    solved, chosen_by = improve(solved, replace(p.take(unseen[: TRIALS[fast]]), overdraft=penalty), risk)
    worth, mean_now = values(replace(chosen, overdraft=penalty), decide, risk, solved=solved,
                             labels=None if information == "date" else labels)
    seen = np.arange(half, min(p.size, half + JUDGES[fast]))
    fresh = replace(p.take(seen), overdraft=penalty)
    now = solved.now()
    plans = {"plan": now, "mean_value": mean_now, **simple_plans(chosen, decide)}
    judged = recourse(fresh, decide, {**plans, "perfect_news": np.full_like(now, np.nan)})
    costs = {k: v.costs * p.money for k, v in judged.items()}
    rivals = {name: {"cost": float(costs[name].mean()), "units_now": float(np.nansum(plans[name][_owned(p)])),
                     "risk_cost": float(contributions(costs[name], risk).mean()),
                     **paired(costs["plan"], costs[name], risk)} for name in plans if name != "plan"}
    if case.api_usd is not None:
        rivals["api"] = {"cost": float(case.api_usd[seen].mean()), "units_now": 0.0,
                         "risk_cost": float(contributions(case.api_usd[seen], risk).mean()),
                         **paired(costs["plan"], case.api_usd[seen], risk)}
    money = {k: v * p.money for k, v in worth.items()}
    if with_gap:
        bounds = gap(p.take(unseen), decide, risk, judged["plan"].costs)
        money |= {k: v * p.money for k, v in bounds.items()}
    money["out_of_sample"] = float(contributions(costs["plan"], risk).mean())
    served = served_share(fresh, judged["plan"], case.seconds)
    fails = 1 - served > given.middle("plan.fail_unserved_share")
    said = failures({k: v[seen] for k, v in case.causes.items()}, fails, p.quarters)
    orders = order_table(solved, case)
    even = np.full(seen.size, 1 / seen.size)
    result = Plan(
        buyer=buyer.name, quarters=p.quarters, decide_until=p.quarters[max(decide - 1, 0)], orders=orders,
        expected_cost_usd=float(costs["plan"].mean()), cvar_usd=tail_mean(costs["plan"], even, tail), tail=tail,
        tail_weight=tail_weight, values=money, rivals=rivals, service_share=interval(served), fails=said,
        shadow_prices=shadow_prices(solved),
        solver={"status": solved.solution.status, "gap": solved.solution.gap, "columns": solved.program.cost.size,
                "rows": solved.program.row_lower.size, "entries": solved.program.value.size,
                "scenarios": chosen.size, "fresh": int(seen.size), "orders_from": chosen_by,
                "information": information, "at_cut": risk.at_cut},
        sentence=answer(orders, rivals, said, int(seen.size), buyer),
        detail=_detail(solved, fresh, judged["plan"], case, seen, costs, fails, risk))
    return Work(plan=result, case=case, solved=solved, fresh=fresh, judged=judged, risk=risk, picks=picks,
                weight=weight, seen=seen)


def improve(solved: Solved, trial: Problem, risk: Risk) -> tuple[Solved, str]:
    """Try the plan's here-and-now orders against near and simple ones on futures it has not seen; keep the best.

    A program on a hundred futures fits their luck, in the tail most of all; trial futures are neither those of the
    program nor those of the judge.

    Returns
    -------
    solved, name
        The program solved with the orders that did best, and where they come from.
    """
    now = solved.now()
    p = solved.problem
    tried = {"program": now, "mean_value": mean_plan(p, solved.decide, risk), **simple_plans(p, solved.decide)}
    for i in _owned(p):
        lot, block = p.offers[i].lot, p.offers[i].first_block
        if now[i, 0] > 0:
            more, less = now.copy(), now.copy()
            more[i, 0] += lot
            less[i, 0] = now[i, 0] - lot if now[i, 0] - lot >= block else 0.0
            tried |= {f"a lot more {i}": more, f"a lot less {i}": less}
    free = {k: np.where(np.isnan(v), now, v) for k, v in tried.items()}
    judged = recourse(trial, solved.decide, {k: v for k, v in free.items() if _fits(p, v)}, at_cut=risk.at_cut)
    even = np.full(trial.size, 1 / trial.size)
    value = {k: functional(j.costs, even, risk) for k, j in judged.items()}
    best = min(value, key=lambda k: (value[k], k != "program"))
    if best == "program" or paired(judged[best].costs, judged["program"].costs, risk)["verdict"] != "better":
        return solved, "program"
    program = solved.program
    low, high = program.lower.copy(), program.upper.copy()
    for t in range(solved.decide):
        columns = program.named[f"order {t}"][:, 0]
        steps = np.where(program.whole[columns], [max(o.lot, 1.0) for o in p.offers], 1.0)
        low[columns] = high[columns] = free[best][:, t] / steps
    again = replace(program, lower=low, upper=high)
    solution = solve(again)
    return replace(solved, program=again, solution=polish(again, solution) if again.whole.any() else solution), \
        "a near one" if best.startswith("a lot") else best


def _fits(p: Problem, now: Array) -> bool:
    """Return whether orders keep caps and the quota of the first quarters; the budget is judged softly."""
    cap = p.order_cap[:, : now.shape[1]].max(axis=-1)
    if (now > cap + 1e-9).any():
        return False
    if p.min_domestic is None:
        return True
    own = _owned(p)
    home = np.array([p.offers[i].domestic for i in own])
    return bool((now[own][home].sum(axis=0) >= p.min_domestic[: now.shape[1]] * now[own].sum(axis=0) - 1e-9).all())


def quarters_until(quarters: tuple[str, ...], decide_until: str | None) -> int:
    """Return how many quarters are decided here and now.

    >>> quarters_until(("2025Q1", "2025Q2", "2025Q3"), "2025-06")
    2
    """
    if not decide_until:
        return 1
    word = str(decide_until).strip().upper()
    if "Q" not in word:
        day = parse_date(word)
        word = quarter_name(f"{day:%Y-%m}")
    if word < quarters[0]:
        raise InputError(f"decide_until {decide_until} lies before the first quarter of the plan; "
                         f"write {quarters[0]} or later")
    if word not in quarters:
        raise InputError(f"decide_until {decide_until} is no quarter of the plan, {quarters[0]} to {quarters[-1]}; "
                         f"write for example {quarters[0]}")
    return quarters.index(word) + 1


def _owned(p: Problem) -> list[int]:
    return [i for i, o in enumerate(p.offers) if o.stock >= 0]


def simple_plans(p: Problem, decide: int) -> dict[str, Array]:
    """Return the here-and-now orders of rules of thumb; what is not a chip to own is left free (not-a-number).

    Notes
    -----
    `wait` orders nothing. `need_only` orders the chip with the lowest price per token for the mean need at its
    arrival. `hoard_all` orders foreign chips, or the cheapest if there are none, for the mean need of the last
    quarter. All within the mean budget, in whole servers and first blocks, in the first quarter.
    """
    free = np.full((len(p.offers), decide), np.nan)
    nothing = free.copy()
    nothing[_owned(p)] = 0.0
    mean = p.weight
    price = (p.spend[:, 0] @ mean)
    rate = p.rate[:, 0] @ mean
    legal = [i for i in _owned(p) if (p.order_cap[i, 0] > 0).any() and rate[i] > 0]
    if not legal:
        return {"wait": nothing, "need_only": nothing, "hoard_all": nothing}
    cheapest = min(legal, key=lambda i: price[i] / rate[i])
    foreign = [i for i in legal if not p.offers[i].domestic] or legal
    hoard = min(foreign, key=lambda i: price[i] / rate[i])
    arrival = int(np.clip(np.median(p.lead[cheapest, 0]), 0, len(p.quarters) - 1))
    out = {"wait": nothing}
    for name, i, t in (("need_only", cheapest, arrival), ("hoard_all", hoard, len(p.quarters) - 1)):
        grown = float((p.rate[i, t] * mean).sum())
        units = max(float(p.need[t] @ mean) / grown, p.offers[i].first_block)
        lot = max(p.offers[i].lot, 1e-9)
        most = min(float(p.budget[0] / price[i]), float(p.order_cap[i, 0].max()))
        units = min(np.ceil(units / lot - 1e-9), np.floor(most / lot + 1e-9)) * lot
        out[name] = _with_quota(p, nothing, i, units, price, rate)
    return out


def _with_quota(p: Problem, nothing: Array, i: int, units: float, price: Array, rate: Array) -> Array:
    """Return an order of one chip, with the domestic share that the quota asks for in whole first blocks."""
    out, quota = nothing.copy(), 0.0 if p.min_domestic is None else float(p.min_domestic[0])
    home = [k for k in _owned(p) if p.offers[k].domestic and (p.order_cap[k, 0] > 0).any() and rate[k] > 0]
    if quota > 0 and not p.offers[i].domestic:
        if not home or units < p.offers[i].first_block:
            return out
        k = min(home, key=lambda j: price[j] / rate[j])
        lot = max(p.offers[k].lot, 1e-9)
        local = max(np.ceil(quota / (1 - quota) * units / lot - 1e-9) * lot, p.offers[k].first_block) \
            if quota < 1 else p.offers[k].first_block
        out[k, 0] = local
        units = 0.0 if quota >= 1 else units
        if local * price[k] + units * price[i] > p.budget[0]:
            return nothing.copy()
    out[i, 0] = units if units >= p.offers[i].first_block else 0.0
    return out


def served_share(p: Problem, judged: Judged, seconds: Array) -> Array:
    """Return the share of all tokens needed over the horizon that are served. [1] (draw)"""
    total = (p.need * seconds[:, None]).sum(axis=0)
    out: Array = 1 - (judged.missing * seconds[:, None]).sum(axis=0) / np.maximum(total, 1e-12)
    return out


def order_table(solved: Solved, case: Case) -> tuple[Order, ...]:
    """Return here-and-now orders, then the mean and spread of later ones."""
    p, orders, out = solved.problem, solved.orders(), []
    for t, quarter in enumerate(p.quarters):
        for i, offer in enumerate(p.offers):
            units = orders[i, t]
            now = t < solved.decide
            mean = float(p.weight @ units)
            if mean < (1e-6 if now else LEAST_SHOWN):
                continue
            out.append(Order(quarter=quarter, chip=offer.chip, supplier=offer.supplier, contract=offer.contract,
                             units=round(mean, 6) if now else round(mean, 2), now=now,
                             interval={} if now else interval(_spread(units, p.weight))))
    if "api" in solved.program.named:
        used = solved.solution.x[solved.program.named["api"]] * case.service_unit
        for t, quarter in enumerate(p.quarters):
            mean = float(p.weight @ used[t])
            if mean >= LEAST_SHOWN:
                out.append(Order(quarter=quarter, chip=case.model, supplier="API", contract="api", units=round(mean, 2),
                                 now=False, interval=interval(_spread(used[t], p.weight))))
    return tuple(sorted(out, key=lambda o: (not o.now, o.quarter)))


def _spread(values_: Array, weight: Array) -> Array:
    """Return values at even steps of probability, so that weights count in quantiles."""
    order = np.argsort(values_, kind="stable")
    steps = (np.arange(1000) + 0.5) / 1000
    at = np.searchsorted(np.cumsum(weight[order]), steps * weight.sum())
    out: Array = values_[order][np.minimum(at, values_.size - 1)]
    return out


def shadow_prices(solved: Solved) -> dict[str, float]:
    """Return what one more unit of each limit would save. [USD per unit]"""
    p, dual = solved.problem, solved.solution.row_dual
    out = {}
    blocks = solved.program.blocks
    if "budget" in blocks:
        out["one more dollar of budget"] = -float(dual[blocks["budget"]].sum())
    if "power" in blocks:
        out["one more kilowatt"] = -float(dual[blocks["power"]].sum()) * p.money
    for i, offer in enumerate(p.offers):
        columns = np.concatenate([solved.program.named[f"order {t}"][i] for t in range(len(p.quarters))])
        at_cap = solved.solution.x[columns] >= solved.program.upper[columns] - 1e-9
        worth = -float(solved.solution.column_dual[columns][at_cap & (solved.program.upper[columns] > 0)].sum())
        if worth * p.money > 0.5:
            out[f"one more {offer.chip} by {offer.contract} allowed in every quarter"] = worth * p.money
    return out


def failures(causes: dict[str, Array], fails: npt.NDArray[np.bool_], quarters: tuple[str, ...]) -> tuple[str, ...]:
    """Return sentences on the futures in which the plan fails."""
    share = float(fails.mean())
    if share < 0.01:
        return (f"fails in {share:.1%} of the fresh futures",)
    found = boxes(causes, fails)
    return (f"fails in {share:.0%} of the fresh futures", *(sentence(b, quarters) for b in found))


def answer(orders: tuple[Order, ...], rivals: dict[str, dict[str, Any]], fails: tuple[str, ...], fresh: int,
           buyer: Need) -> str:
    """Return the answer in one sentence."""
    now = [f"{o.units:.0f} x {o.chip} ({o.contract})" for o in orders if o.now]
    api = [o for o in orders if o.contract == "api" and o.quarter == min(x.quarter for x in orders)]
    first = "Order " + " and ".join(now) + " now" if now else "Order no chips now"
    if api:
        first += f" and send about {short(sum(o.units for o in api))} tokens/s at the peak to the API"
    m = rivals["mean_value"]
    money = "saves" if m["difference"] >= 0 else "costs"
    verdict = {"better": "better than", "worse": "worse than",
               "cannot tell": "not told apart from"}[m["verdict"]]
    return (f"{first}; this is {verdict} buying for the average future ({money} {short(abs(m['difference']))} USD, "
            f"90 %: {short(m['low'])} to {short(m['high'])}) on {fresh} fresh futures; "
            f"it {fails[min(1, len(fails) - 1)]}.")


def _detail(solved: Solved, p: Problem, judged: Judged, case: Case, seen: npt.NDArray[np.int_], costs: dict[str, Array],
            fails: npt.NDArray[np.bool_], risk: Risk) -> dict[str, Any]:
    """Return series for pictures: quantiles over fresh futures by quarter."""
    owned, missing = judged.owned, judged.missing
    unit = case.service_unit
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)

    def fan(table: Array) -> dict[str, list[float]]:
        return {f"p{int(q * 100):02d}": np.quantile(table, q, axis=-1).tolist() for q in levels}

    orders = solved.orders()
    later = {f"{o.chip} {o.contract}": fan(np.stack([_spread(u, solved.problem.weight) for u in orders[i]]))
             for i, o in enumerate(p.offers)}
    return {
        "fleet": {chip: fan(owned[c]) for c, chip in enumerate(p.stocks)}, "need": fan(p.need * unit),
        "served": fan((p.need - missing) * unit), "orders": later,
        "ladder": {k: interval(v) | {"mean": float(v.mean())} for k, v in costs.items()},
        "regret": interval(costs["plan"] - costs["perfect_news"]), "fail_share": float(fails.mean()),
        "failures": {"causes": {k: v[seen].tolist() for k, v in case.causes.items()}, "fails": fails.tolist()},
        "left_out": case.left_out, "unit_usd": case.unit_usd,
        **sweeps(case, solved.decide, risk),
        "in_sample": functional(solved.costs, solved.problem.weight, Risk()) * p.money,
        "note": "Later orders are not rounded to whole servers."}


def compare(done: Work, given: Given, buyer: Need, market: Market, service: Service, verdicts: Verdicts,
            names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return simple strategies beside a plan: orders now, costs, paired saving of the plan and a verdict.

    Strategies may rent and use an API even where the buyer's records stay in the house, so that their price is
    seen; a strategy without an offer says so. `wait` and the other rules of thumb of the plan may be named too.

    Raises
    ------
    InputError
        If a name is no strategy.
    """
    known = {**dict.fromkeys(STRATEGIES), **dict.fromkeys(done.plan.rivals)}
    for name in names:
        choose(known, name, "strategy")
    wide = case_of(given, replace(buyer, offsite_share_max=1.0), market, service, verdicts).problem
    sample = wide.take(done.picks, done.weight)
    fresh = replace(wide.take(done.seen), overdraft=done.fresh.overdraft)
    money = done.case.problem.money
    mine = done.judged["plan"].costs * money
    out: dict[str, dict[str, Any]] = {}
    for name in names:
        if name in STRATEGIES:
            followed = follow(sample, fresh, done.solved.decide, done.risk, name)
            if followed is None:
                out[name] = {"cost": None, "why": "nothing on offer"}
                continue
            now, judged = followed
            served = served_share(fresh, judged, done.case.seconds)
            orders = {f"{o.chip} by {o.contract}": float(u) for o, u in zip(wide.offers, now.sum(axis=1), strict=True)
                      if u > 1e-6}
            costs = judged.costs * wide.money
            out[name] = {"cost": float(costs.mean()), "risk_cost": float(contributions(costs, done.risk).mean()),
                         "now": orders, "served": interval(served), **paired(mine, costs, done.risk)}
        else:
            out[name] = dict(done.plan.rivals[name])
    return out


def regrets(done: Work) -> tuple[str, ...]:
    """Return sentences on the futures in which the plan is regretted most: the worst tail of regret."""
    regret = done.judged["plan"].costs - done.judged["perfect_news"].costs
    edge = float(np.quantile(regret, done.plan.tail))
    worst = regret > max(edge, 1e-9)
    causes = {k: v[done.seen] for k, v in done.case.causes.items()}
    said = tuple(sentence(b, done.plan.quarters, verb="is regretted", noun="such futures")
                 for b in boxes(causes, worst))
    head = (f"costs over {short(edge * done.case.problem.money)} USD more than with perfect news in the worst "
            f"{float(worst.mean()):.0%} of futures",)
    return head + said


def rolled(done: Work, futures: int, *, tell: Callable[[int, int], None] | None = None) -> tuple[Rolled, Array]:
    """Live through fresh futures with a plan made anew each quarter; beside it their cost with all news later. [USD]"""
    count = min(futures, done.seen.size)
    half = done.case.problem.size // 2
    out = roll(done.case, done.seen[:count], np.arange(half), done.risk, tell=tell)
    return out, done.judged["plan"].costs[:count] * done.case.problem.money


SWEPT = 40
"""Scenarios of the sweeps behind pictures: enough for their shape, small enough for a run."""


def sweeps(case: Case, decide: int, risk: Risk) -> dict[str, Any]:
    """Return cost by decision date and the frontier of mean and tail, on a small set of futures. [USD]"""
    p = case.problem
    half = p.size // 2
    picks, weight = reduce(case.features[:half], case.stratum[:half], min(SWEPT, half))
    few = p.take(picks, weight)
    dates = tuple(n for n in (0, 1, 2, 3, 4, 6, 8) if n <= len(p.quarters))
    return {"by_date": [{"quarters": n, "until": p.quarters[n - 1] if n else "", "cost": v * p.money}
                        for n, v in by_date(few, risk, dates).items()],
            "frontier": [{k: v if k == "tail_weight" else v * p.money for k, v in point.items()}
                         for point in frontier(few, decide, risk)]}


__all__ = ["Work", "plan", "quarters_until", "simple_plans", "work"]
