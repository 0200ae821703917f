"""What limits and news are worth: prices of limits, causes that would change the decision, one more month, one more
point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import LIMITS, Line
from chipcast.market.record import Cells, Market
from chipcast.plan.labels import labels_by_date
from chipcast.plan.need import Need
from chipcast.plan.problem import Problem
from chipcast.plan.procure import Case, case_of
from chipcast.plan.value import Z90, Risk, Solved, contributions, functional, solve_plan
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

THIRDS = 3
"""A cause is low or high in the lowest or highest third of futures."""

TORNADO_SCENARIOS = 24
"""Futures of the small program that decides with a cause known."""

KW_PER_MW = 1000.0


def shadow_prices(solved: Solved, names: Mapping[str, str]) -> dict[str, float]:
    """Return what one more unit of each limit would save, by the duals of the program. [USD per unit]"""
    p, dual = solved.problem, solved.solution.row_dual
    out = {}
    blocks = solved.program.blocks
    if "budget" in blocks:
        out["one more million USD of budget"] = -float(dual[blocks["budget"]].sum()) * 1e6
    if "power" in blocks:
        out["one more megawatt"] = -float(dual[blocks["power"]].sum()) * p.money * KW_PER_MW
    if "space" in blocks:
        out["one more rack unit"] = -float(dual[blocks["space"]].sum()) * p.money
    if "outside" in blocks and p.outside_cap is not None:
        columns = solved.program.named["outside"]
        share = -float((solved.solution.column_dual[columns] * p.need).sum()) * p.money / 100
        out["one more point of need that may be served outside"] = max(share, 0.0)
    caps: dict[str, float] = {}
    for i, offer in enumerate(p.offers):
        columns = np.concatenate([solved.program.named[f"order {t}"][i] for t in range(len(p.quarters))])
        at_cap = solved.solution.x[columns] >= solved.program.upper[columns] - 1e-9
        worth = -float(solved.solution.column_dual[columns][at_cap & (solved.program.upper[columns] > 0)].sum())
        key = f"one more {names.get(offer.chip, offer.chip)} by {offer.contract} allowed in every quarter"
        caps[key] = max(caps.get(key, 0.0), worth * p.money)
    return out | {k: v for k, v in caps.items() if v > 0.5}


def tornado(case: Case, decide: int, risk: Risk, pool: npt.NDArray[np.intp], causes: Mapping[str, Array],
            costs: Array) -> list[dict[str, Any]]:
    """Return what each cause does to cost and to the decision, the strongest first.

    Parameters
    ----------
    causes, costs : arrays
        Named causes and the plan's cost on fresh futures. [USD]

    Returns
    -------
    rows
        For each cause: mean cost in its lowest and highest third, what would be ordered now if one knew that it is
        low or high, and whether that is another decision than a program of the same size makes without knowing.
    """
    p = case.problem
    spread = {k: _thirds(costs, v) for k, v in causes.items()}
    ranked = sorted(spread, key=lambda k: -abs(spread[k][1] - spread[k][0]))

    def decision(members: npt.NDArray[np.intp]) -> dict[str, float]:
        small = p.take(members[:TORNADO_SCENARIOS])
        known = solve_plan(small, labels_by_date(len(p.quarters), decide, small.size), decide,
                           replace(risk, whole=False))
        return _by_chip(p, case, known.now())

    blind = decision(pool)
    out = []
    for name in ranked[:MOST_CAUSES]:
        values = case.causes[name][pool]
        low, high = (float(v) for v in np.quantile(values, [1 / THIRDS, 1 - 1 / THIRDS]))
        known = {"low": decision(pool[values <= low]), "high": decision(pool[values >= high])}
        out.append({"cause": name, "low": low, "high": high, "cost_low": spread[name][0],
                    "cost_high": spread[name][1], "now_if_low": known["low"], "now_if_high": known["high"],
                    "now_blind": blind, "changes": any(_differs(k, blind, p) for k in known.values())})
    return out


MOST_CAUSES = 6
"""Causes of the tornado for which the decision is worked out."""


def _thirds(costs: Array, values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [1 / THIRDS, 1 - 1 / THIRDS])
    return float(costs[values <= low].mean()), float(costs[values >= high].mean())


def _by_chip(p: Problem, case: Case, orders: Array) -> dict[str, float]:
    out: dict[str, float] = {}
    for o, units in zip(p.offers, orders.sum(axis=1), strict=True):
        lots = float(np.round(units / o.lot) * o.lot) if o.lot > 0 else float(units)
        if lots > 0:
            name = case.names[o.chip]
            out[name] = out.get(name, 0.0) + lots
    return out


def _differs(known: dict[str, float], mine: dict[str, float], p: Problem) -> bool:
    """Return whether two decisions differ by more than a server, or in the chip that is ordered most."""
    if set(known) ^ set(mine) and max(known, key=known.__getitem__, default="") != max(mine, key=mine.__getitem__,
                                                                                       default=""):
        return True
    lot = max((o.lot for o in p.offers), default=1.0)
    total = max(sum(mine.values()), lot)
    return abs(sum(known.values()) - sum(mine.values())) > max(lot, total / 4)


def open_longer(market: Market, months: int = 1) -> Market:
    """Return the market in which every closing comes some months later; the first months stay as they were."""

    def later(path: Cells) -> Cells:
        return np.concatenate([path[:, :1].repeat(months, axis=1), path[:, :-months]], axis=1)

    return replace(market, us_open=later(market.us_open), cn_open=later(market.cn_open))


YIELD_ROW = "smic_n2.line_yield"
"""Row that one more point of yield raises: wafers that survive the line, which lifts every die alike."""


def point_more_yield(given: Given) -> tuple[Given, float]:
    """Return the table in which about a hundredth more of all wafers survive the local line, draw by draw, and by how
    many points the mean rises: the law is fitted to its ends, so a shift of these is not exactly the shift of the mean.
    """
    row = given.row(YIELD_ROW)
    law = row.law
    raised = replace(law, low=min(law.low + 0.01, 1.0), mode=min(law.mode + 0.01, 1.0), high=min(law.high + 0.01, 1.0))
    kept = {k: v for k, v in given.posterior.items() if k == YIELD_ROW}
    better = given.with_rows([replace(row, law=raised)]).with_posterior(kept)
    return better, 100 * float((better[YIELD_ROW] - given[YIELD_ROW]).mean())


STACKS_ROW = "hbm_inflow.stacks_per_month"
"""Row that a tenth more memory raises: stacks that reach the local line."""

TENTH = 1.1


def tenth_more_stacks(given: Given) -> Given:
    """Return the table in which a tenth more memory stacks reach the local line each month, draw by draw."""
    row = given.row(STACKS_ROW)
    law = row.law
    raised = replace(law, low=law.low * TENTH, mode=law.mode * TENTH, high=law.high * TENTH)
    kept = {k: v for k, v in given.posterior.items() if k == STACKS_ROW}
    return given.with_rows([replace(row, law=raised)]).with_posterior(kept)


BINDS = {"wafers": "wafers", "scanner_hours": "scanner hours", "dies": "good dies", "hbm": "memory stacks",
         "packaging": "packaging", "orders": "orders"}
"""Limits of the line in words."""


def through_the_line(before: Line, after: Line) -> dict[str, Any]:
    """Return how many more local cards a change makes, and what mostly binds the line: why its worth is large or small.
    """
    shares = {name: float(np.mean(before.binding == i)) for i, name in enumerate(LIMITS)}
    most = max(shares, key=shares.__getitem__)
    return {"more_cards": float(after.packages.sum() / before.packages.sum() - 1), "bound_by": BINDS[most],
            "bound_share": shares[most]}


def worth_of_change(case: Case, decide: int, risk: Risk, picks: npt.NDArray[np.intp], weight: Array, given: Given,
                    need: Need, market: Market, service: Service, verdicts: Verdicts) -> dict[str, float]:
    """Return how much cheaper the best plan gets in another world on the same draws, with its standard error. [USD]

    Parameters
    ----------
    market : Market
        The changed market, on the draws of `given`.
    """
    changed = case_of(given, need, market, service, verdicts).problem
    labels = labels_by_date(len(changed.quarters), decide, picks.size)
    soft = replace(risk, whole=False)
    before, after = (solve_plan(p.take(picks, weight), labels, decide, soft).costs * p.money
                     for p in (case.problem, changed))
    gain = contributions(before, risk) - contributions(after, risk)
    mean = functional(before, weight, risk) - functional(after, weight, risk)
    error = float(np.sqrt(weight**2 @ (gain - weight @ gain) ** 2))
    return {"saves": mean, "low": mean - Z90 * error, "high": mean + Z90 * error}
