"""Verbs of `market`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, emit_json, say, table

WITHOUT = ("threat", "controls", "local-push")
"""What a market can be run without, on the same draws."""

Without = Annotated[list[str] | None, typer.Option(
    "--without", metavar="threat|controls|local-push", help="Leave something out, on the same draws; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""

    @app.command("market")
    def market(scenario: ScenarioName = "february-2025", without: Without = None, draws: Draws = 2000,
               seed: Seed = 1, as_of: AsOf = "", as_json: Json = False) -> None:
        """Who orders, gets and holds which chips, month by month, and at what price."""
        result, given = _run(scenario, draws=draws, seed=seed, as_of=as_of, without=tuple(without or ()))
        if as_json:
            emit_json(payload(result, scenario=scenario, given=given, without=tuple(without or ())))
        else:
            _print(result, without=tuple(without or ()))


def _run(scenario: str, *, draws: int, seed: int, as_of: str, without: tuple[str, ...]) -> tuple[Any, Any]:
    """Run the chain as far as the market; returns the record and its `given`."""
    from chipcast.base.errors import nearest

    for word in without:
        if word not in WITHOUT:
            close = nearest(word, WITHOUT)
            hint = f"; did you mean '{close[0]}'?" if close else ";"
            raise InputError(f"--without '{word}' is unknown{hint} known: {', '.join(WITHOUT)}")
    from dataclasses import replace

    from chipcast import chain

    ready = chain.prepare(scenario, draws=draws, seed=seed, as_of=as_of or None)
    switches = {word.replace("-", "_"): word not in without for word in WITHOUT}
    world = chain.trade(replace(ready.setting, **switches), ready.given)
    return world.market, world.given


def payload(market: Any, *, scenario: str, given: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the JSON object of a market: intervals by month."""
    from chipcast.base.summary import intervals

    def by_buyer(cells: Any) -> dict[str, Any]:
        return {s: {c: intervals(cells[i, k]) for k, c in enumerate(market.chips)}
                for i, s in enumerate(market.segments)}

    def by_chip(cells: Any) -> dict[str, Any]:
        return {c: intervals(cells[k]) for k, c in enumerate(market.chips)}

    return {
        "scenario": scenario, "as_of": str(given.as_of), "draws": given.draws, "without": list(without),
        "months": list(market.months), "orders": by_buyer(market.orders), "deliveries": by_buyer(market.deliveries),
        "stocks": by_buyer(market.stocks), "price_usd": by_chip(market.price_usd), "fill": by_chip(market.fill),
        "lead_time_days": by_chip(market.lead_time_days),
        "cover_months": {s: intervals(market.cover_months[i]) for i, s in enumerate(market.segments)},
        "us_open": by_chip(market.us_open), "cn_open": by_chip(market.cn_open),
        "domestic_share": {"cards": intervals(market.domestic_share_cards),
                           "tokens": intervals(market.domestic_share_tokens)},
        "useful_tokens": {s: intervals(market.useful_tokens[i]) for i, s in enumerate(market.segments)},
        "unserved_tokens": {s: intervals(market.unserved_tokens[i]) for i, s in enumerate(market.segments)},
        "books": market.books,
    }


def _print(market: Any, *, without: tuple[str, ...]) -> None:
    """Print orders, deliveries and stocks by chip and by buyer over the first two years."""
    from chipcast.base.calendar import quarter_name
    from chipcast.base.summary import span

    quarters: dict[str, list[int]] = {}
    for i, month in enumerate(market.months):
        quarters.setdefault(quarter_name(month), []).append(i)
    shown = list(quarters)[:6]
    note = f" without {', '.join(without)}" if without else ""
    names = [f"{q} ({len(quarters[q])} m)" if len(quarters[q]) < 3 else q for q in shown]
    for title, cells in (("Cards ordered", market.orders), ("Cards delivered", market.deliveries)):
        table(f"{title} by chip{note}, median (5 % to 95 %)", ("chip", *names),
              [(c, *(span(cells[:, k, quarters[q]].sum((0, 1))) for q in shown)) for k, c in enumerate(market.chips)])
    columns = ("buyer", "ordered", "delivered", "foreign stock at end", "cover wanted, months", "tokens served")
    table(f"Buyers in their first six months{note}", columns,
          [(s, span(market.orders[i, :, :6].sum((0, 1))), span(market.deliveries[i, :, :6].sum((0, 1))),
            span(market.stocks[i, :3, min(5, len(market.months) - 1)].sum(0)), span(market.cover_months[i, 0]),
            _percent(market.useful_tokens[i, :6].sum(0), market.unserved_tokens[i, :6].sum(0)))
           for i, s in enumerate(market.segments)])
    ends = [quarters[q][-1] for q in shown]
    both = market.us_open[0] * market.cn_open[0]
    table("Market at the end of each quarter", ("", *names),
          [("H20 street price, USD", *(span(market.price_usd[0, i]) for i in ends)),
           ("chance that the US gate lets H20 ship", *(f"{market.us_open[0, i].mean():.0%}" for i in ends)),
           ("chance that both gates do", *(f"{both[i].mean():.0%}" for i in ends)),
           ("domestic share of cards", *(span(market.domestic_share_cards[i]) for i in ends)),
           ("domestic share of token capacity", *(span(market.domestic_share_tokens[i]) for i in ends))])
    say(f"Books balance to {max(market.books.values()):.1e} of scale; "
        f"months {market.months[0]} to {market.months[-1]}.")


def _percent(useful: Any, unserved: Any) -> str:
    import numpy as np

    share = np.quantile(useful / np.maximum(useful + unserved, 1e-30), [0.05, 0.5, 0.95])
    return f"{share[1]:.0%} ({share[0]:.0%} to {share[2]:.0%})"
