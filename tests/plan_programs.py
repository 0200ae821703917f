"""Published and hand-made programs that the planner's parts are tested on."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from chipcast.plan.labels import Labels
from chipcast.plan.problem import Offer, Problem
from chipcast.plan.sheet import Program, Sheet

Array = npt.NDArray[np.float64]


def newsvendor() -> Problem:
    """Demands 40, 60, 80, 100; a unit costs 1, a missing one 3, one left over fetches 0.2."""
    need = np.array([[40.0, 60, 80, 100]])
    one = np.ones((1, 1, 4))
    return Problem(quarters=("q0",), offers=(Offer(chip="paper", supplier="", contract="spot", stock=0),),
                   stocks=("paper",), weight=np.full(4, 0.25), order_cost=one, arrive=one,
                   lead=np.zeros((1, 1, 4), dtype=np.int32), order_cap=1000 * one, rate=one, hold_cost=0 * one,
                   final_value=np.zeros((1, 4)), keep=1.0, need=need, miss_cost=3 * np.ones((1, 4)), spend=one,
                   budget=np.array([np.inf]), resale=0.2 * one)


def now_or_wait(q: float) -> Problem:
    """One unit needed next quarter; 1 now, 0.9 then unless the shop shuts (probability q), 3 if missing."""
    weight = np.array([1 - q, q])
    cost = np.array([[[1.0, 1.0], [0.9, 0.9]]])
    one = np.ones((1, 2, 2))
    cap = np.array([[[1.0, 1.0], [1.0, 0.0]]])
    lead = np.array([[[1, 1], [0, 0]]], dtype=np.int32)
    return Problem(quarters=("now", "then"), offers=(Offer(chip="card", supplier="", contract="spot", stock=0),),
                   stocks=("card",), weight=weight, order_cost=cost, arrive=one, lead=lead, order_cap=cap, rate=one,
                   hold_cost=0 * one, final_value=np.zeros((1, 2)), keep=1.0,
                   need=np.array([[0.0, 0.0], [1.0, 1.0]]), miss_cost=np.array([[0.0, 0.0], [3.0, 3.0]]), spend=cost,
                   budget=np.array([np.inf]))


YIELDS = np.array([2.5, 3.0, 20.0])


def farmer(yield_factor: Array, *, shared: bool = True, acres: Array | None = None, tail: float = 0.8,
           tail_weight: float = 0.0) -> Program:
    """The farmer of Birge and Louveaux, section 1.1: 500 acres of wheat, corn and sugar beet."""
    S = yield_factor.size
    s = np.arange(S, dtype=np.int32)
    sheet = Sheet()
    land = sheet.new_columns("acres", (3, 1 if shared else S))
    if acres is not None:
        sheet._lower[0] = sheet._upper[0] = np.repeat(acres, 1 if shared else S)
    land_of = np.broadcast_to(land, (3, S))
    sheet.charge(s, land_of, np.array([150.0, 230, 260])[:, None])
    if shared:
        sheet.put(sheet.new_rows("land", (1, 1), upper=500.0), land, 1.0)
    else:
        sheet.put(sheet.new_rows("land", (1, S), upper=500.0), land, 1.0)
    sold = sheet.new_columns("sold", (3, S), upper=np.array([np.inf, np.inf, 6000])[:, None])
    sheet.charge(s, sold, -np.array([170.0, 150, 36])[:, None])
    dear = sheet.new_columns("sold above quota", (S,))
    sheet.charge(s, dear, -10.0)
    bought = sheet.new_columns("bought", (2, S))
    sheet.charge(s, bought, np.array([238.0, 210])[:, None])
    rows = sheet.new_rows("feed", (3, S), lower=np.array([200.0, 240, 0])[:, None])
    sheet.put(rows, land_of, YIELDS[:, None] * yield_factor)
    sheet.put(rows, sold, -1.0)
    sheet.put(rows[:2], bought, 1.0)
    sheet.put(rows[2], dear, -1.0)
    return sheet.close(np.full(S, 1 / S), tail=tail, tail_weight=tail_weight)


def air_conditioning(labels: Labels) -> Program:
    """SDDP.jl's air conditioners: make 200 a month at 100, overtime at 300, storage at 50; see its documentation."""
    demand = np.array([[100.0, 100, 100, 100], [100, 100, 300, 300], [100, 300, 100, 300]])
    T, S = demand.shape
    s = np.arange(S, dtype=np.int32)
    sheet = Sheet()

    def by_label(name: str, upper: float) -> npt.NDArray[np.int32]:
        out = np.empty((T, S), dtype=np.int32)
        for t in range(T):
            inverse = np.unique(labels[t], return_inverse=True)[1]
            out[t] = sheet.new_columns(f"{name} {t}", (int(inverse.max()) + 1,), upper=upper)[inverse]
        return out

    made, overtime = by_label("made", 200.0), by_label("overtime", np.inf)
    stored = sheet.new_columns("stored", (T, S))
    sheet.charge(s, made, 100.0)
    sheet.charge(s, overtime, 300.0)
    sheet.charge(s, stored, 50.0)
    rows = sheet.new_rows("balance", (T, S), lower=demand, upper=demand)
    sheet.put(rows, made, 1.0)
    sheet.put(rows, overtime, 1.0)
    sheet.put(rows, stored, -1.0)
    sheet.put(rows[1:], stored[:-1], 1.0)
    return sheet.close(np.full(S, 1 / S), tail=0.9, tail_weight=0.0)


P1_HASH = "aca3f4ad186ff671d96981e700ba9f08"
"""BLAKE2b of the arrays of P1 with 50 scenarios, rounded to six digits."""


def p1(S: int) -> Problem:
    """Reference procurement P1: 8 chips, 16 quarters."""
    perf, power = np.linspace(0.15, 2, 8), np.linspace(0.4, 1.4, 8)
    base, foreign = np.linspace(8, 45, 8), np.array([1, 0, 1, 0, 1, 1, 0, 1])
    g = np.random.default_rng(3)
    z1 = g.normal(-0.02, 0.06, (8, 16, S))
    cut = g.geometric(0.08, S)
    z2 = g.normal(0, 0.2, (8, 16, S))
    z3 = g.normal(0.12, 0.10, (16, S))
    price = base[:, None, None] * np.exp(np.cumsum(z1, axis=1))
    cap = np.where(foreign, 18, 9)[:, None, None] * np.exp(z2)
    cap = np.where((np.arange(16)[:, None] >= cut)[None] & (foreign[:, None, None] == 1), 0.0, cap)
    cap[:, :4] = cap[:, :4].min(-1, keepdims=True)
    price[:, :4] = price[:, :4].mean(-1, keepdims=True)
    need = 5 * np.exp(np.cumsum(z3, axis=0))
    discount = 0.97 ** np.arange(16)
    one = np.ones((8, 16, S))
    offers = tuple(Offer(chip=f"c{i + 1}", supplier="", contract="spot", domestic=not foreign[i], stock=i)
                   for i in range(8))
    return Problem(quarters=tuple(f"q{t}" for t in range(16)), offers=offers, stocks=tuple(o.chip for o in offers),
                   weight=np.full(S, 1 / S), order_cost=price * discount[:, None], arrive=one,
                   lead=one.astype(np.int32), order_cap=cap, rate=perf[:, None, None] * one, hold_cost=0 * one,
                   final_value=np.zeros((8, S)), keep=1.0, need=need,
                   miss_cost=40 * discount[:, None] * np.ones((16, S)), spend=price, budget=np.full(16, 900.0),
                   pooled=False, power=power, power_limit=np.full((1, 16), 220.0))


def fingerprint(p: Problem) -> str:
    """Return a hash of a problem's arrays, rounded to six significant digits."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (p.order_cost, p.order_cap, p.need):
        digest.update("".join(f"{v:.6g}," for v in part.ravel()).encode())
    return digest.hexdigest()
