"""Why no plan fits: the smallest set of limits that fight, and how far each would have to give way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chipcast.base.types import Array
from chipcast.plan.sheet import Index, Program

SAID = {
    "service": "the need for service", "outside": "what may be served outside", "power": "the power limit",
    "space": "the space of the site", "budget": "the budget", "domestic": "the domestic share",
    "first block": "the smallest deployment", "framework": "the volume that was signed",
    "minimum take": "the minimum take of a framework contract", "types": "the limit on chip types",
    "target": "the least share of need to serve", "caps": "what may be ordered",
}
"""Families of limits in words."""

BALANCES = ("stock", "tail", "service", "outside", "framework")
"""Families that define quantities: nobody can relax them."""

GIVES = {"budget": "a budget {more} larger", "power": "a power limit {more} larger", "space": "{more} more space",
         "types": "{more} more chip types"}
"""How a limit gives way, in words."""


def conflict(program: Program) -> tuple[str, ...]:
    """Return the smallest set of families of limits that cannot hold together; empty if bounds alone do.

    Notes
    -----
    Deletion filter over families: a family whose removal keeps the program infeasible is not needed. What may be
    ordered (caps of columns) counts as a family.

    Sources: Chinneck and Dravnieks, "Locating minimal infeasible constraint sets", ORSA J. Computing 3, 1991.
    """
    kept = [n for n in (*program.blocks, "caps") if n not in BALANCES]
    for name in list(kept):
        trial = [n for n in kept if n != name]
        if not _feasible(program, trial):
            kept = trial
    return tuple(kept)


def explain_conflict(program: Program) -> str:
    """Return one sentence: which limits fight, and the nearest thing that works for each of them alone."""
    fight = conflict(program)
    if not fight:
        return "no plan fits: the bounds of single orders contradict each other"
    said = " and ".join(SAID.get(n, n) for n in fight)
    first = f"no plan fits: {said} cannot {'all hold' if len(fight) > 1 else 'be kept'}"
    if fight == ("target",):
        first += ", whatever the other limits: in some futures what is ordered arrives too late or not at all"
    ways = [way for n in fight if (way := nearest(program, n))]
    return first + "; " + ("enough would be " + ", or ".join(ways) if ways else "relax one of them")


def nearest(program: Program, family: str) -> str:
    """Return in words how far one family of limits must give way, all others kept; empty if that cannot help."""
    if family not in program.blocks or (family not in GIVES and family not in program.elastic):
        return ""
    rows = program.blocks[family]
    scale = np.where(np.isfinite(program.row_upper[rows]), program.row_upper[rows], 0.0)
    if family in program.elastic:
        scale = np.full(rows.size, program.elastic[family])
    least = _least(program, rows, scale)
    if least is None:
        return ""
    if family == "target":
        return f"a share of need served of {max(program.serve_share - least - 5e-4, 0):.1%}"
    more = f"{least:.0f}" if family == "types" else f"{1.001 * least:.1%}"
    return GIVES[family].format(more=more)


def _least(program: Program, rows: Index, scale: Array) -> float | None:
    """Return the least r for which sides raised by r times `scale` leave a solution, or None."""
    from chipcast.plan.solve import Session

    hit = scale != 0
    size = program.cost.size
    wider = replace(
        program, cost=np.append(np.zeros(size), 1.0), lower=np.append(program.lower, 0.0),
        upper=np.append(program.upper, np.inf), whole=np.append(program.whole, False),
        start=np.append(program.start, program.start[-1] + int(hit.sum())).astype(np.int32),
        index=np.concatenate([program.index, np.sort(rows[hit])]).astype(np.int32),
        value=np.concatenate([program.value, -scale[hit][np.argsort(rows[hit])]]))
    session = Session(wider)
    return session.solve().objective if session.feasible() else None


def _feasible(program: Program, families: list[str]) -> bool:
    from chipcast.plan.solve import Session

    kept = (*families, *BALANCES)
    free = np.concatenate([program.blocks[n] for n in program.blocks if n not in kept]
                          or [np.zeros(0, dtype=np.int32)])
    low, high, upper = program.row_lower.copy(), program.row_upper.copy(), program.upper.copy()
    low[free], high[free] = -np.inf, np.inf
    if "caps" not in families:
        for name, columns in program.named.items():
            if name.startswith(("order ", "api", "outside")):
                upper[columns] = np.inf
    return Session(replace(program, row_lower=low, row_upper=high, upper=upper, cost=np.zeros_like(program.cost))
                   ).feasible()
