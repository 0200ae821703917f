"""A plan in words and tables, as the verb prints it."""

from __future__ import annotations

import math
from typing import Any

from chipcast.cli.common import say, table


def payload(done: object, scenario: str) -> dict[str, object]:
    """Return the JSON object of a plan: the contract's keys first, then everything of the record."""
    from dataclasses import asdict

    record = asdict(done)  # type: ignore[call-overload]
    first = {"scenario": scenario, "orders": record["orders"], "cost": record["expected_cost_usd"],
             "cvar": record["cvar_usd"]}
    rest = {k: v for k, v in record.items() if k not in ("orders", "expected_cost_usd", "cvar_usd", "detail")}
    return {**first, **rest, "detail": {k: v for k, v in record["detail"].items() if k != "failures"}}


YEAR = 4
"""Quarters of later orders that the table shows."""

LATER_SHARE = 0.05
"""Later orders placed in a smaller share of futures are not shown in the table."""

REASONS_SHOWN = 6
"""Offers for which the reason is printed: what is ordered and what comes nearest."""

CAUSES_SHOWN = 5
"""Causes that the table of what would change the decision shows."""

RIVALS = {"mean_value": "buy for the average future", "need_only": "buy today's need", "hoard_all": "hoard",
          "wait": "wait a quarter", "api": "everything by API"}
OBJECTIVES = {"nested": " The plan itself weighs the tail anew at every node of the tree, which is another number.",
              "worst_case": " The plan itself minimises its dearest future.",
              "regret": " The plan itself minimises its largest regret."}
VERDICTS = {"better": "plan is better", "worse": "plan is worse", "cannot tell": "cannot tell"}
KNOWS = {"regimes": "later orders know the gates and what can be seen by then",
         "date": "later orders know everything, which flatters every plan alike",
         "open_loop": "later orders know nothing new", "wait_and_see": "every order knows everything"}


def show(done: object) -> None:
    """Print a plan as tables."""
    from chipcast.base.summary import short
    from chipcast.plan.record import Plan

    assert isinstance(done, Plan)
    say(done.sentence)
    say(done.first_question)
    say("")
    last = done.quarters[min(len(done.quarters) - 1, done.quarters.index(done.decide_until) + YEAR)]
    rows, more = [], 0
    for o in done.orders:
        if not o.now and (o.quarter > last or o.ordered_share < LATER_SHARE):
            more += 1
            continue
        name = o.name + (f", {o.site}" if o.site else "")
        rows.append((o.quarter, name, o.contract, "now" if o.now else f"in {o.ordered_share:.0%} of futures",
                     f"{o.units:,.0f}" if o.now else f"{o.units:,.1f}",
                     "" if o.now else f"{short(o.interval['p05'])} to {short(o.interval['p95'])}"))
    table(f"Orders of {done.buyer}", ("quarter", "chip", "contract", "when", "units (mean)", "90 %"), rows,
          foot="Cards, in whole servers; API: tokens/s. " + KNOWS[done.solver["information"]].capitalize() + "."
               + (f" {more} more lines with --json." if more else ""))
    for s in done.signed:
        say(f"Signed now: {s['units']:.0f} x {s['name']}{', ' + s['site'] if s['site'] else ''}, of which "
            f"{s['must_take']:.0f} must be taken.")
    say(done.assumed)
    for why, chips in _by_reason(done.detail["left_out"]).items():
        say(f"Left out: {', '.join(done.detail['names'][c] for c in chips)}: {why}.")
    for line in done.reasons[:REASONS_SHOWN]:
        say(f"  {line}.")
    if len(done.reasons) > REASONS_SHOWN:
        say(f"  {len(done.reasons) - REASONS_SHOWN} more with --json.")
    mean = done.detail["ladder"]["plan"]["mean"]
    money = [("this plan", short(mean), short(done.values["out_of_sample"]), "", "", "")]
    money += [(RIVALS.get(k, k), *_beside(r)) for k, r in done.rivals.items()]
    table(f"Cost on {done.solver['fresh']} fresh futures, discounted USD",
          ("plan", "mean cost", "mean and tail", "saved by the plan", "90 %", "verdict"), money,
          foot=f"Mean and tail: {1 - done.tail_weight:g} x mean + {done.tail_weight:g} x mean of the worst "
               f"{1 - done.tail:.0%}; savings and verdicts are in that." + OBJECTIVES.get(done.solver["risk"], ""))
    v = done.values
    say(f"Value of perfect news {short(v['evpi'])} USD, of planning for many futures {short(v['vss'])} USD; on its own "
        f"futures the plan costs {short(v['sp'])} USD, on fresh ones {short(v['out_of_sample'])} USD.")
    if "gap" in v:
        say(f"Distance of the orders of now to the best ones: at most {short(v['gap_high'])} USD (95 % sure; "
            f"{short(v['gap'])} on average over samples of fresh futures, of which each was planned best for itself).")
    if done.solver["status"] != "optimal":
        say(f"The solver {done.solver['status']}: within {done.solver['gap']:.2%} of the best; best bound "
            f"{short(done.solver['bound'])} USD.")
    say(f"Share of need served: {_percent(done.service_share)}.")
    _show_cash(done.detail["cash"])
    for line in done.fails:
        if line not in done.sentence:
            say(f"It {line}.")
    _show_tornado(done)
    for name, worth in done.shadow_prices.items():
        if abs(worth) > 1e-6:
            say(f"Worth of {name}: {short(worth)} USD.")


def _by_reason(left_out: dict[str, str]) -> dict[str, list[str]]:
    """Return the chips that are left out, those with the same reason together."""
    out: dict[str, list[str]] = {}
    for chip, why in left_out.items():
        out.setdefault(why, []).append(chip)
    return out


def _show_cash(found: dict[str, Any]) -> None:
    """Print costs by year and what is at stake from today."""
    from chipcast.base.summary import short
    from chipcast.plan.cash import COUNTED, at_stake

    rows = [(kind, *(short(c["mean"]) for c in cells), f"{short(cells[-1]['p05'])} to {short(cells[-1]['p95'])}")
            for kind, cells in found["by_year"].items()]
    table("Money by year, USD, mean over futures", ("", *found["years"], "90 % of all"), rows, foot=COUNTED)
    say(at_stake(found))


def _show_tornado(done: Any) -> None:
    from chipcast.base.summary import short

    def orders(now: dict[str, float]) -> str:
        return " and ".join(f"{u:.0f} x {c}" for c, u in now.items()) or "nothing"

    rows = [(r["cause"], f"{short(r['cost_low'])} / {short(r['cost_high'])}",
             f"{orders(r['now_if_low'])} / {orders(r['now_if_high'])}" if r["changes"] else "same decision")
            for r in done.detail["tornado"][:CAUSES_SHOWN]]
    blind = next((orders(r["now_blind"]) for r in done.detail["tornado"]), "nothing")
    table("What would change the decision", ("cause, in its lowest / highest third", "mean cost", "order now if known"),
          rows, foot=f"On a small program in fractions of servers, which orders {blind} without knowing.")


def _percent(share: dict[str, float]) -> str:
    return "{p50:.0%} ({p05:.0%} to {p95:.0%})".format(**{k: max(v, 0.0) for k, v in share.items()})


def _beside(r: Any) -> tuple[str, str, str, str, str]:
    from chipcast.base.summary import short

    if r["difference"] == r["low"] == r["high"] == 0.0:
        return short(r["cost"]), short(r["risk_cost"]), "0", "", "same outcome"
    return (short(r["cost"]), short(r["risk_cost"]), short(r["difference"]),
            f"{short(r['low'])} to {short(r['high'])}", VERDICTS[r["verdict"]])


def near_rows(near: dict[str, dict[str, tuple[float, float]]]) -> list[tuple[str, ...]]:
    """Return ranges in the unit of each quantity; a chip to own stands once, by all contracts together."""
    from chipcast.plan.contracts import TO_OWN

    rows = []
    for name, found in near.items():
        chip, by, rest = name.partition(" by ")
        if by and rest.split(" ")[0] in TO_OWN and f"{chip} decided now" in near:
            continue
        if name.startswith("share"):
            cells = [f"{low:.1%} to {high:.1%}" for low, high in found.values()]
        else:
            cells = [in_servers(low, high) for low, high in found.values()]
        rows.append((name.replace("units decided now", "cards to own, decided now"), *cells))
    return rows


def in_servers(low: float, high: float) -> str:
    """Return a range of cards in whole servers, the narrowest that holds every plan in whole servers.

    >>> in_servers(6.6, 51.0), in_servers(0.0, 4.6), in_servers(9.0, 15.0)
    ('8 to 48', '0', 'part of a server, 9 to 15')
    """
    from chipcast.plan.ownership import SERVER

    least, most = SERVER * math.ceil(low / SERVER - 1e-6), SERVER * math.floor(high / SERVER + 1e-6)
    if least > most:
        return f"part of a server, {low:.3g} to {high:.3g}"
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def show_extra(extra: dict[str, Any]) -> None:
    """Print what was asked for beside the plan."""
    from chipcast.base.summary import short

    if "compare" in extra:
        rows = []
        for name, r in extra["compare"].items():
            if r["cost"] is None:
                rows.append((name, r["why"], "", "", "", ""))
                continue
            rows.append((name + "".join(f"; now {u:.0f} {o}" for o, u in r.get("now", {}).items()), *_beside(r)))
        say("")
        table("Strategies beside the plan", ("strategy", "mean cost", "mean and tail", "saved by the plan", "90 %",
                                             "verdict"), rows,
              foot="Rent and API are priced even where records must stay in the house.")
    if "near" in extra:
        shares = next(iter(extra["near"].values()))
        say("")
        table("Range among plans nearly as good", ("quantity", *(f"within {s}" for s in shares)),
              near_rows(extra["near"]),
              foot="A narrow range is firm. Cards in whole servers; to own by all contracts together, each contract "
                   "with --json. Each range stands for itself: not all can be at an end at once.")
    for line in extra.get("regrets", ()):
        say(f"It {line}.")
    for name, r in extra.get("worth", {}).items():
        why = f"; it makes {r['more_cards']:.2%} more local cards, as {r['bound_by']} bind the line in " \
              f"{r['bound_share']:.0%} of months" if "more_cards" in r else ""
        size = "not told apart from nothing" if r["low"] <= 0 <= r["high"] else f"{short(r['saves'])} USD"
        say(f"Worth of {name}: {size} (90 %: {short(r['low'])} to {short(r['high'])} USD){why}.")
    if "roll" in extra:
        r = extra["roll"]
        say(f"Lived through {r['futures']} futures, planning again each quarter: mean cost {short(r['cost'])} USD "
            f"(standard error {short(r['standard_error'])}), need served {_percent(r['served'])}; the plan above "
            f"carried out in the same futures: {short(r['plan_on_the_same_futures'])} USD; "
            f"{r['failed_solves']} quarters without a plan.")
