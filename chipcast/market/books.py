"""Accounts of the market, kept beside its stocks from the flows alone and compared with them at the end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chipcast.base.types import Array
from chipcast.market.sell import NOTHING
from chipcast.market.state import State, settled
from chipcast.market.sums import total
from chipcast.market.world import World


class Books:
    """Accounts of units, backlog, shelf, cards under way, money and tokens."""

    def __init__(self, world: World, state: State) -> None:
        """Open the books on the first state."""
        self.gated = world.gated
        self.installed = settled(state.installed)
        self.backlog = settled(state.backlog)
        self.shelf = state.shelf.copy()
        self.under_way = state.under_way.copy()
        self.wallet = state.wallet.copy()
        self.worst = dict.fromkeys(("supply", "tokens", "money"), 0.0)

    def enter(self, step: Mapping[str, Array]) -> None:
        """Book one month from its flows."""
        sent, arrived, back = step["sent"], step["deliveries"], step["sent_back"]
        self.installed += arrived
        self.installed -= step["retired"]
        self.backlog += step["net"]
        rest = slice(self.gated.stop, None)
        self.backlog[:, self.gated] -= sent
        self.backlog[:, rest] -= arrived[:, rest]
        self.under_way += sent
        self.under_way -= arrived[:, self.gated]
        received = total(arrived)
        shipped = np.concatenate([total(sent), received[rest]])
        self.shelf += step["made"]
        self.shelf -= shipped
        if back is not NOTHING:
            self.under_way -= back
            self.shelf[self.gated] += total(back)
        self.wallet += step["budget"]
        self.wallet -= step["systems_usd"]
        self.wallet -= step["lapsed_usd"]
        received *= step["price_usd"]
        self._note("money", total(received) - total(step["spent_usd"]), received)
        self._note("supply", np.maximum(shipped - step["supply"], 0), step["supply"])
        self._note("tokens", step["useful_tokens"] + step["unserved_tokens"] - step["tokens"], step["tokens"])

    def _note(self, name: str, residual: Array, scale: Array) -> None:
        self.worst[name] = max(self.worst[name], _worst(residual, scale))

    def close(self, state: State) -> dict[str, float]:
        """Return the largest relative residual of each balance."""
        lowest = min(x.min() for x in (state.installed, state.backlog, state.shelf, state.under_way))
        return {"units": _worst(self.installed - state.installed, state.installed),
                "backlog": _worst(self.backlog - state.backlog, state.backlog),
                "shelf": _worst(self.shelf - state.shelf, state.shelf),
                "way": _worst(self.under_way - state.under_way, state.under_way),
                "wallet": _worst(self.wallet - state.wallet, step_scale(self.wallet)), **self.worst,
                "below_zero": max(0.0, -float(lowest))}


def step_scale(values: Array) -> Array:
    """Return the size against which a residual of money counts."""
    return np.maximum(np.abs(values), 1.0)


def _worst(residual: Array, scale: Array) -> float:
    """Return the largest residual over the largest value. [1]"""
    top = max(float(np.max(residual)), -float(np.min(residual)))
    size = max(float(np.max(scale)), -float(np.min(scale)), 1.0)
    return top / size
