"""The market, month by month: gates, beliefs, need, cover, choice, orders, supply, allocation, price, service.

One month is `month_of`, written once for any number of draws; nothing in it mixes draws, so a run of one draw
is the oracle of a run of thousands. Shocks come from named streams by calendar month: neither the horizon nor
a switch moves a draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.market.books import Books
from chipcast.market.buy import wishes
from chipcast.market.gates import Event
from chipcast.market.record import CHIPS, Market, not_kept
from chipcast.market.sell import lease, sell, settle
from chipcast.market.state import State, first_state
from chipcast.market.sums import over_chips, total
from chipcast.market.world import TINY, World, world_of
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

FIELDS = ("need", "orders", "deliveries", "stocks", "installed")
"""Results by segment and chip."""

BY_CHIP = ("price_usd", "fill", "lead_time_days", "shipped", "under_way", "shelf", "backlog", "written_down_usd")
"""Results by chip."""

DOORS = {"us_open": "us", "cn_open": "cn"}
"""Results by chip that no buyer moves, and the path of the gate that each comes from."""

BY_SEGMENT = ("cover_months", "useful_tokens", "unserved_tokens", "leased_abroad", "idle_share", "short_share",
              "spent_usd")
"""Results by segment."""

SHARES = ("domestic_share_cards", "domestic_share_tokens")
"""Results over all."""


def simulate(given: Given, line: Line, verdicts: Verdicts, service: Service, *, months: Sequence[str],
             threat: bool = True, controls: bool = True, local_push: bool = True, events: Sequence[Event] = (),
             gate: str = "two_key", cover: str = "markov", allocation: str = "proportional",
             choose_by: str = "nested_logit", demand: str = "local_trend",
             speed: Mapping[str, Mapping[str, float]] | None = None, line_as_is: Line | None = None,
             room: Mapping[str, Any] | None = None) -> Market:
    """Run the market for one block of draws.

    Parameters
    ----------
    given : Given
        Numbers of the run, for the draws of `line` and `service`.
    line, verdicts, service : records
        What `fab`, `rules` and `tokens` give.
    months : sequence of str
        Calendar months, the first that of `given.as_of`.
    threat : bool
        False removes the hazard of both gates, true and perceived.
    controls : bool
        False opens the US gate for all chips, those denied today included, and removes its threats.
    local_push : bool
        False removes bonuses, goals, quotas and guidance in favour of domestic cards.
    events : sequence
        Dated what-ifs.
    gate, cover, allocation, choose_by, demand : str
        Entries of `GATES`, `HOARD`, `ALLOCATION`, `CHOICE`, `DEMAND`.
    speed : mapping, optional
        Segment -> chip -> rate under the latency that the segment promises, over the rate in `service`.
    line_as_is : Line, optional
        The line as it is, where `line` is a counterfactual one: need is anchored in what was bought in fact.
    room : mapping, optional
        Arrays of `room_for` to fill and to give back, such as this block's part of those of a whole run. Of `FIELDS`
        those that are left out are not kept.

    Raises
    ------
    InputError
        If the months are empty, or a record lacks a month or a buyer class.
    """
    require(len(months) > 0, "months", "hold at least one month", len(months))
    missing = [m for m in months if m not in line.months]
    require(not missing, "the line", "cover every month of the market", f"none for {', '.join(missing[:3])}")
    world = world_of(given, line, verdicts, service, tuple(months), threat=threat, controls=controls,
                     local_push=local_push, events=events, gate=gate, cover=cover, allocation=allocation,
                     choose_by=choose_by, demand=demand, speed=speed,
                     line_as_is=line_as_is)
    state = first_state(world)
    made_by_line = [world.chips.index(p) for p in line.products]
    out = room_for(world.segments, len(months), given.draws, len(made_by_line)) if room is None else room
    places = [CHIPS.index(c) for c in world.chips]
    out["threat"][:] = world.paths.heard()
    for name, gate_of in DOORS.items():
        out[name][places[world.gated.stop :]] = getattr(world.paths, gate_of)[world.gated.stop :]
        out[name][places[world.gated]] = getattr(world.outside, name)
    books, kept = Books(world, state), [name for name in FIELDS if name in out]
    for m in range(len(months)):
        step = month_of(world, state, m)
        books.enter(step)
        for name in kept:
            out[name][:, places, m] = step[name]
        for name in BY_CHIP:
            out[name][places, m] = step[name]
        for name in BY_SEGMENT:
            out[name][:, m] = step[name]
        for name in SHARES:
            out[name][m] = step[name]
        for p, c in enumerate(made_by_line):
            out["line_orders"][p, m] = total(step["orders"][:, c])
    cells: dict[str, Any] = {name: not_kept() for name in FIELDS if name not in out}
    return Market(months=tuple(months), segments=world.segments, chips=CHIPS, books=books.close(state), **cells, **out)


def room_for(segments: Sequence[str], months: int, draws: int, products: int, *, cells: int | None = None
             ) -> dict[str, Any]:
    """Return empty arrays for all that a market gives, by field of `Market`; for `FIELDS` of so many `cells` draws."""
    S, C = len(segments), len(CHIPS)
    shapes = (dict.fromkeys((*BY_CHIP, *DOORS), (C,)) | dict.fromkeys(BY_SEGMENT, (S,))
              | dict.fromkeys((*SHARES, "threat"), ()))
    out: dict[str, Any] = {n: np.empty((*shape, months, draws), dtype=np.float32) for n, shape in shapes.items()}
    few = draws if cells is None else cells
    out |= {n: np.empty((S, C, months, few), dtype=np.float32) for n in FIELDS}
    return out | {"line_orders": np.empty((products, months, draws))}


def month_of(world: World, state: State, m: int) -> dict[str, Array]:
    """Move the state by one month in the order of `docs/method.md` and return what a reader would ask for."""
    wallet, work = state.wallet, world.need.work[:, m]
    wish = wishes(world, state, m)
    sale = sell(world, state, wish, m)
    lease(world, state, np.maximum(work - state.have, 0.0), m)
    retired, foreign, domestic = settle(world, state, sale)

    own = foreign + domestic
    serving = np.minimum(1.0, state.have / np.maximum(work, TINY))
    tokens = world.need.tokens[:, m] * DAYS_PER_MONTH
    useful = tokens * serving
    price = world.cards.price_usd * wish.move
    systems = over_chips(sale.arrived, world.cards.system_usd)
    left = wallet + world.budget
    left -= systems
    state.wallet = np.minimum(left, 0.0)
    home = total(sale.shipped[world.home])
    came = home + total(total(sale.arrived[:, : world.home.start]))
    under_way = np.zeros_like(sale.shipped)
    under_way[world.gated] = total(state.under_way)
    return {
        "need": wish.wanted, "orders": wish.orders, "net": wish.net, "deliveries": sale.arrived, "sent": sale.sent,
        "stocks": stocks_of(world, state, foreign, own, work), "installed": state.installed,
        "cover_months": wish.cover, "price_usd": price, "fill": sale.fill,
        "lead_time_days": state.lead_days, "shipped": sale.shipped, "under_way": under_way,
        "shelf": np.maximum(state.shelf, 0.0), "backlog": np.maximum(wish.asked - sale.shipped, 0.0),
        "written_down_usd": sale.written_down_usd, "useful_tokens": useful, "unserved_tokens": tokens - useful,
        "leased_abroad": state.leased,
        "idle_share": 1 - (1 - world.idle) * np.minimum(1.0, work / np.maximum(own, TINY)),
        "short_share": 1 - serving, "spent_usd": over_chips(sale.arrived, price),
        "domestic_share_cards": home / np.maximum(came, TINY),
        "domestic_share_tokens": total(domestic) / np.maximum(total(own), TINY),
        "retired": retired, "made": sale.made, "supply": sale.supply, "tokens": tokens, "sent_back": sale.sent_back,
        "budget": world.budget, "systems_usd": systems, "lapsed_usd": np.maximum(left, 0.0),
    }


def stocks_of(world: World, state: State, foreign: Array, have: Array, work: Array) -> Array:
    """Return cards held beyond the month's use, counted on foreign cards first: those are what buyers hoard."""
    spare = np.maximum(have - work, 0.0)
    first = np.minimum(1.0, spare / np.maximum(foreign, TINY))
    spare -= foreign
    spare /= np.maximum(have - foreign, TINY)
    rest = np.minimum(np.maximum(spare, 0.0, out=spare), 1.0, out=spare)
    out = state.desk.stocks
    for part, chips in ((first, slice(0, world.home.start)), (rest, world.home)):
        np.multiply(state.installed[:, chips], part[:, None], out=out[:, chips])
    return out
