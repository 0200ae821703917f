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
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.market.record import Market
from chipcast.plan import answer, rivals
from chipcast.plan.judge import Judged, recourse
from chipcast.plan.labels import INFORMATION, Labels, descend
from chipcast.plan.lots import Stop
from chipcast.plan.need import Need
from chipcast.plan.problem import Problem
from chipcast.plan.procure import Case, case_of
from chipcast.plan.record import Plan
from chipcast.plan.reduce import reduce
from chipcast.plan.solve import Solution
from chipcast.plan.study import gap, sweeps
from chipcast.plan.value import First, Fixed, Risk, Solved, contributions, paired, solve_plan, tail_mean, values
from chipcast.plan.weight import assumptions
from chipcast.plan.worth import shadow_prices, tornado
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

JUDGES = {True: 300, False: 2000}
"""Fresh futures on which plans are compared: few inside a run, many for the verb of its own."""

TRIALS = {True: 250, False: 750}
"""Futures on which near orders are tried before the plan is settled."""

NEWS = 300
"""Fresh futures in which the plan is compared with perfect news."""

PER_STRATUM = 4
"""Scenarios for each stratum of cut and reopening; with fewer only the cut tells strata apart."""

Tell = Callable[[str], None]
"""Told what is being done, for progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a buyer asks the planner for, beside the need itself."""

    decide_until: str | None = None
    """Last quarter (`2025Q2`) or month (`2025-06`) decided before anything is observed; None: the first."""
    tail: float = 0.9
    """Level of the tail."""
    tail_weight: float = 0.5
    """Weight of the tail against the mean."""
    scenarios: int = 150
    """Futures in the program."""
    fast: bool = True
    """Judge on fewer fresh futures, as inside a run."""
    information: str = "regimes"
    """Entry of `INFORMATION`: what later orders know."""
    risk: str = "mean_cvar"
    """Entry of `RISK`: what is minimised."""
    reduction: str = "stratified_forward"
    """Entry of `REDUCE`: how scenarios are chosen."""
    types: int = 0
    """Most chip types ordered here and now; 0 for the number that the segment's software team can keep."""
    serve_share: float = 0.0
    """Least share of all tokens that must be served, on average over futures. [1]"""
    with_gap: bool = False
    """Whether to bound the distance to the best plan by replicated samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """Everything a plan was made from and judged on, for ranges, sweeps and pictures."""

    case: Case
    """The problem on all draws."""
    solved: Solved
    """The solved program on the chosen scenarios, with the decision that was settled on."""
    search: Solution
    """The search for whole lots: status, bound and gap."""
    first: First
    """What is decided here and now."""
    chosen_by: str
    """Where it comes from: the program, a near decision or a rule of thumb."""
    plans: dict[str, First]
    """The plan and simpler ones."""
    worth: dict[str, float]
    """ws, sp, eev, evpi and vss. [money]"""
    fresh: Problem
    """The problem on the futures it was judged on."""
    nodes: npt.NDArray[np.intp] | None
    """Node of the tree of each of them; None where later orders know everything. (quarter, future)"""
    judged: dict[str, Judged]
    """Each plan on those futures; `perfect_news` on the first of them."""
    fixed: Fixed
    """The program that is solved again for any other here-and-now decision."""
    risk: Risk
    """What was minimised."""
    picks: npt.NDArray[np.intp]
    """Draws that became scenarios."""
    pool: npt.NDArray[np.intp]
    """Draws from which they were taken."""
    seen: npt.NDArray[np.intp]
    """Draws that the plan was judged on."""


def plan(given: Given, buyer: Need, market: Market, service: Service, verdicts: Verdicts, **asked: Any) -> Plan:
    """Return what a buyer should order now and later, what that is worth and where it fails.

    Parameters
    ----------
    given, market, service, verdicts
        The world, on the same draws.
    buyer : Need
        From `need_from`.
    asked
        Fields of `Asked`.

    Raises
    ------
    InputError
        If the date lies outside the horizon, or a number is out of range.
    InfeasibleError
        If no chip keeps the promise or the budget cannot buy the smallest deployment.
    """
    wanted = Asked(**asked)
    return written(work(given, buyer, market, service, verdicts, wanted), given, buyer, wanted)


def work(given: Given, buyer: Need, market: Market, service: Service, verdicts: Verdicts, asked: Asked, *,
         tell: Tell = lambda _: None, stop: Stop | None = None) -> Ground:
    """Solve and judge the plan of a buyer; `tell` hears what is being done, `stop` ends the search for whole lots."""
    check(asked, given.draws)
    case = case_of(given, buyer, market, service, verdicts, serve_share=asked.serve_share)
    p = case.problem
    decide = quarters_until(p.quarters, asked.decide_until)
    pool = max(p.size // 3, min(p.size // 2, 2 * asked.scenarios))
    picks, weight = reduce(case.features[:pool], _strata(case, pool, asked.scenarios), asked.scenarios,
                           way=asked.reduction)
    chosen = p.take(picks, weight)
    risk = Risk(kind=asked.risk, tail=asked.tail, tail_weight=asked.tail_weight, whole=True,
                types=asked.types or round(_row(given, buyer, "chip_types_max")))
    labels = choose(INFORMATION, asked.information, "information")(case.seen.take(picks), decide)
    tell(f"solving {chosen.size} futures of {len(p.offers)} offers and {len(p.quarters)} quarters")
    solved = solve_plan(chosen, labels, decide, risk, stop=stop)
    search = solved.solution
    penalty = given.middle("plan.overdraft_penalty")
    fixed = Fixed(replace(chosen, overdraft=penalty, serve_share=0.0), labels, decide, replace(risk, whole=False))
    worth, mean = values(fixed.p, decide, risk, solved=solved, labels=labels, fixed=fixed)
    tell("trying near and simple orders on futures of their own")
    tried = np.setdiff1d(np.arange(pool), picks)[: TRIALS[asked.fast]]
    trial = replace(p.take(tried), overdraft=penalty)
    first, chosen_by, after = solved.first(), "program", fixed
    if asked.serve_share == 0 and asked.risk in ("mean", "mean_cvar"):
        first, chosen_by, after = rivals.improve(solved, fixed, mean, trial,
                                                 _nodes(case, labels, picks, tried, asked, decide), risk)
    if chosen_by != "program":
        solved = after.at(first)
    seen = np.arange(pool, min(p.size, pool + JUDGES[asked.fast]))
    tell(f"judging on {seen.size} fresh futures")
    fresh = replace(p.take(seen), overdraft=penalty, serve_share=0.0)
    nodes = _nodes(case, labels, picks, seen, asked, decide)
    plans = {"plan": first, "mean_value": mean, **rivals.simple_plans(chosen, decide)}
    calm = {} if after is fixed else rivals.judge(after, {"plan": first}, fresh, nodes)
    judged = rivals.judge(fixed, {k: v for k, v in plans.items() if k not in calm}, fresh, nodes) | calm
    news = First(orders=np.full_like(first.orders, np.nan) if decide else np.full((len(p.offers), 1), np.nan),
                 signed=np.full(len(p.offers), np.nan))
    some = fresh.take(np.arange(min(NEWS, fresh.size)))
    judged |= rivals.with_porting(some, recourse(some, max(decide, 1), {"perfect_news": news}))
    return Ground(case=case, solved=solved, search=search, first=first, chosen_by=chosen_by, fresh=fresh, nodes=nodes,
                  judged=judged, plans=plans, worth=worth, fixed=fixed, risk=risk, picks=picks, pool=np.arange(pool),
                  seen=seen)


def written(w: Ground, given: Given, buyer: Need, asked: Asked, *, pictures: bool = True) -> Plan:
    """Return the record of a plan from what was worked out; `pictures` adds the sweeps that only pictures show."""
    p, case, seen, risk = w.case.problem, w.case, w.seen, w.risk
    decide = w.solved.decide
    costs = {k: v.costs * p.money for k, v in w.judged.items()}
    beside = {name: _beside(costs["plan"], costs[name], float(np.nansum(first.orders[p.owned])), risk)
              for name, first in w.plans.items() if name != "plan"}
    api = None
    if case.api_usd is not None:
        api = float(case.api_usd[seen].mean())
        beside["api"] = _beside(costs["plan"], case.api_usd[seen], 0.0, risk)
    tiny = 1e-9 * max(abs(w.worth["sp"]), 1e-9)
    money = {k: v * p.money if abs(v) > tiny else 0.0 for k, v in w.worth.items()}
    if asked.with_gap:
        bounds = gap(w.fresh, case.seen.take(seen), w.first, decide, risk, information=asked.information)
        money |= {k: v * p.money for k, v in bounds.items()}
    money["out_of_sample"] = float(contributions(costs["plan"], risk).mean())
    served = served_share(w.fresh, w.judged["plan"], case.seconds)
    unserved = given.middle("plan.fail_unserved_share")
    fails = 1 - served > unserved
    causes = {k: v[seen] for k, v in case.causes.items()}
    told = answer.told_apart(causes, fails)
    said = answer.failures(told, fails, p.quarters, unserved)
    orders = answer.order_table(case, w.first, w.judged["plan"])
    signed = answer.signed_table(case, w.solved)
    even = np.full(seen.size, 1 / seen.size)
    mean_cost = float(costs["plan"].mean())
    return Plan(
        buyer=buyer.name, quarters=p.quarters, decide_until=p.quarters[max(decide - 1, 0)], orders=orders,
        expected_cost_usd=mean_cost, cvar_usd=tail_mean(costs["plan"], even, asked.tail), tail=asked.tail,
        tail_weight=asked.tail_weight, values=money, rivals=beside, service_share=interval(served), fails=said,
        shadow_prices=shadow_prices(w.solved, case.names),
        solver={"status": w.search.status, "gap": w.search.gap, "bound": w.search.bound * p.money,
                "columns": w.solved.program.cost.size,
                "rows": w.solved.program.row_lower.size, "entries": w.solved.program.value.size,
                "scenarios": w.picks.size, "fresh": int(seen.size), "orders_from": w.chosen_by,
                "information": asked.information, "risk": asked.risk, "at_cut": risk.at_cut,
                "leaves": int(np.unique(w.solved.labels[-1]).size)},
        sentence=answer.answer(orders, signed, beside, said, int(seen.size)), signed=signed,
        first_question=answer.first_question(buyer, case, mean_cost, float(served.mean()), api),
        reasons=answer.reasons(case, w.solved, decide), assumed=assumptions(case, orders),
        detail={**answer.detail(case, w.solved, w.fresh, w.judged["plan"], costs, causes, fails, told[0]),
                **(sweeps(case, w.first, decide, risk, w.pool, w.fixed.p.overdraft, {
                    f"{o.name} by {o.contract}{' for ' + o.site if o.site else ''} decided now"
                    for o in orders if o.now}) if pictures else {}),
                "tornado": tornado(case, decide, risk, w.pool, causes, costs["plan"])})


def _beside(mine: Array, theirs: Array, units: float, risk: Risk) -> dict[str, Any]:
    return {"cost": float(theirs.mean()), "units_now": units, "risk_cost": float(contributions(theirs, risk).mean()),
            **paired(mine, theirs, risk)}


def check(asked: Asked, draws: int) -> None:
    """Refuse numbers out of range, before anything is computed."""
    require(asked.scenarios >= 2, "scenarios", "be 2 or more", asked.scenarios)
    require(0 <= asked.tail < 1, "tail", "be at least 0 and below 1", asked.tail)
    require(0 <= asked.tail_weight <= 1, "tail_weight", "lie within 0 and 1", asked.tail_weight)
    require(0 <= asked.serve_share <= 1, "serve", "lie from 0% to 100%", asked.serve_share)
    require(asked.types >= 0, "types", "be 0 or more", asked.types)
    require(draws // 2 > asked.scenarios, "draws", f"be at least twice the {asked.scenarios} scenarios, and two more",
            draws)


def _row(given: Given, buyer: Need, name: str) -> float:
    """Return a figure of the buyer's segment, or the general one."""
    own = f"{buyer.segment}.{name}"
    return given.middle(own if own in given else f"plan.{name}")


def _strata(case: Case, pool: int, scenarios: int) -> npt.NDArray[np.int_]:
    """Return strata by cut quarter, and by reopening where there are scenarios enough. (draw of the pool)"""
    both: npt.NDArray[np.int_] = 2 * case.stratum[:pool] + case.reopens[:pool]
    return both if PER_STRATUM * np.unique(both).size <= scenarios else case.stratum[:pool]


def _nodes(case: Case, labels: Labels, picks: npt.NDArray[np.intp], draws: npt.NDArray[np.intp], asked: Asked,
           decide: int) -> npt.NDArray[np.intp] | None:
    """Return where in the tree some draws find themselves, or None where later orders know everything."""
    if asked.information in ("date", "wait_and_see"):
        return None
    return descend(labels, case.seen.take(picks), case.seen.take(draws), decide)


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


def served_share(p: Problem, judged: Judged, seconds: Array) -> Array:
    """Return the share of all tokens needed over the horizon that are served. [1] (draw)"""
    total = (p.need * seconds[:, None]).sum(axis=0)
    out: Array = 1 - (judged.missing * seconds[:, None]).sum(axis=0) / np.maximum(total, 1e-12)
    return out
