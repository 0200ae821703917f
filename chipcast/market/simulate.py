"""The market, month by month: gates, beliefs, need, cover, choice, orders, supply, allocation, price, service.

One month is `month_of`, written once for any number of draws; nothing in it mixes draws, so a run of one draw
is the oracle of a run of thousands. Shocks come from named streams by calendar month: neither the horizon nor
a switch moves a draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.market.books import Books
from chipcast.market.buy import wishes
from chipcast.market.clear import total
from chipcast.market.gates import Event
from chipcast.market.record import Market
from chipcast.market.sell import lease, sell, settle
from chipcast.market.world import DAYS_PER_MONTH, TINY, State, World, first_state, over_chips, world_of
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

FIELDS = ("need", "orders", "deliveries", "stocks", "installed")
"""Results by segment and chip."""

BY_CHIP = ("price_usd", "fill", "lead_time_days", "shipped", "under_way", "shelf", "backlog", "written_down_usd",
           "us_open", "cn_open")
"""Results by chip."""

BY_SEGMENT = ("cover_months", "useful_tokens", "unserved_tokens", "leased_abroad", "idle_share", "short_share",
              "spent_usd")
"""Results by segment."""

SHARES = ("domestic_share_cards", "domestic_share_tokens")
"""Results over all."""


def simulate(given: Given, line: Line, verdicts: Verdicts, service: Service, *, months: Sequence[str],
             threat: bool = True, controls: bool = True, local_push: bool = True, events: Sequence[Event] = (),
             gate: str = "two_key", cover: str = "markov", allocation: str = "proportional",
             choose_by: str = "nested_logit", demand: str = "local_trend",
             speed: Mapping[str, Mapping[str, float]] | None = None, line_as_is: Line | None = None) -> Market:
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
    S, C, M, D = len(world.segments), len(world.chips), len(months), given.draws
    out: dict[str, Any] = {name: np.empty((S, C, M, D), dtype=np.float32) for name in FIELDS}
    out |= {name: np.empty((C, M, D), dtype=np.float32) for name in BY_CHIP}
    out |= {name: np.empty((S, M, D), dtype=np.float32) for name in BY_SEGMENT}
    out |= {name: np.empty((M, D), dtype=np.float32) for name in SHARES}
    products = [world.chips.index(p) for p in line.products]
    line_orders = np.empty((len(products), M, D))
    books = Books(world, state)
    for m in range(M):
        step = month_of(world, state, m)
        books.enter(step)
        for name in FIELDS:
            out[name][:, :, m] = step[name]
        for name in (*BY_CHIP, *BY_SEGMENT):
            out[name][:, m] = step[name]
        for name in SHARES:
            out[name][m] = step[name]
        line_orders[:, m] = total(step["orders"])[products]
    return Market(months=tuple(months), segments=world.segments, chips=world.chips, line_orders=line_orders,
                  threat=world.paths.heard().astype(np.float32), books=books.close(state), **out)


def month_of(world: World, state: State, m: int) -> dict[str, Array]:
    """Move the state by one month in the order of `docs/method.md` and return what a reader would ask for."""
    us, cn = world.paths.us[:, m], world.paths.cn[:, m]
    door = us * cn
    wallet = state.wallet
    wish = wishes(world, state, door, m)
    sale = sell(world, state, wish, door, m)
    lease(world, state, np.maximum(world.need.work[:, m] - state.have, 0.0), door, m)
    retired, own = settle(world, state, sale.arrived)

    work = world.need.work[:, m]
    serving = np.minimum(1.0, state.have / np.maximum(work, TINY))
    tokens = world.need.tokens[:, m] * DAYS_PER_MONTH
    useful = tokens * serving
    systems = over_chips(sale.arrived, world.cards.system_usd)
    left = wallet + world.budget - systems
    state.wallet = np.minimum(left, 0.0)
    home = np.zeros_like(serving[0])
    for c in world.home:
        home = home + total(sale.arrived[:, c])
    arrived = total(sale.arrived)
    under_way = np.zeros_like(sale.shipped)
    under_way[list(world.gated)] = total(state.under_way)
    us_wide, cn_wide = us.copy(), cn.copy()
    for c in world.gated:
        us_rule, cn_rule = world.widest[c][m]
        us_wide[c] *= us_rule
        cn_wide[c] *= cn_rule
    home_work = np.zeros_like(home)
    for c in world.home:
        home_work += total(state.installed[:, c] * world.rate[:, c])
    return {
        "need": wish.wanted, "orders": wish.orders, "deliveries": sale.arrived, "sent": sale.sent,
        "stocks": stocks_of(world, state.installed, own, work), "installed": state.installed,
        "cover_months": wish.cover, "price_usd": wish.price, "fill": sale.fill, "lead_time_days": state.lead_days,
        "shipped": sale.shipped, "under_way": under_way, "shelf": np.maximum(state.shelf, 0.0),
        "backlog": np.maximum(total(state.backlog), 0.0), "written_down_usd": sale.written_down_usd,
        "us_open": us_wide, "cn_open": cn_wide, "useful_tokens": useful,
        "unserved_tokens": tokens - useful, "leased_abroad": state.leased,
        "idle_share": 1 - (1 - world.idle) * np.minimum(1.0, work / np.maximum(own, TINY)),
        "short_share": 1 - serving, "spent_usd": over_chips(sale.arrived, wish.price),
        "domestic_share_cards": home / np.maximum(total(arrived), TINY),
        "domestic_share_tokens": home_work / np.maximum(total(own), TINY),
        "cancelled": wish.cancelled, "retired": retired, "made": sale.made, "supply": sale.supply, "tokens": tokens,
        "sent_back": sale.sent_back, "budget": world.budget, "systems_usd": systems,
        "lapsed_usd": np.maximum(left, 0.0),
    }


def stocks_of(world: World, installed: Array, have: Array, work: Array) -> Array:
    """Return cards held beyond the month's use, counted on foreign cards first: those are what buyers hoard."""
    spare = np.maximum(have - work, 0.0)
    on_foreign = np.zeros_like(have)
    for c in range(len(world.chips)):
        if c not in world.home:
            on_foreign += installed[:, c] * world.rate[:, c]
    first = np.minimum(1.0, spare / np.maximum(on_foreign, TINY))
    rest = np.clip((spare - on_foreign) / np.maximum(have - on_foreign, TINY), 0.0, 1.0)
    out = np.empty_like(installed)
    for c in range(len(world.chips)):
        np.multiply(installed[:, c], rest if c in world.home else first, out=out[:, c])
    return out
