"""Verbs of `fab` on the line: how a wafer is exposed, and what the line makes month by month."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, Sets, emit_json, say, table


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("patterning")(patterning)
    app.command("line")(line)


def patterning(node: Annotated[str, typer.Option(help="n+2; the EUV twin stands beside it.")] = "n+2",
               scenario: Annotated[str, typer.Option(help="A shipped scenario or a YAML file.")] = "february-2025",
               sets: Sets = [],  # noqa: B006 - typer copies it
               draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json_: Json = False) -> None:
    """Exposures, cost, defects, cycle time and edge yield, without and with EUV on the tightest layers."""
    from dataclasses import fields

    from chipcast.base.summary import interval, span
    from chipcast.cli.common import given
    from chipcast.fab.front import scanner_cap
    from chipcast.fab.patterning import Route, route

    g = given(scenario, as_of=as_of, draws=draws, seed=seed, sets=sets)
    own = route(g, node)
    twin = route(g, "euv-twin")
    names = [f.name for f in fields(Route) if f.name != "name"]
    cap = scanner_cap(g)
    if json_:
        emit_json({"routes": {r.name: {n: interval(getattr(r, n)) for n in names} for r in (own, twin)},
                   "difference": {n: interval(getattr(own, n) - getattr(twin, n)) for n in names},
                   "scanner_limit_wafers_per_month": interval(cap), "assumed": True})
        return
    table(f"Process {own.name} beside its EUV twin, as of {g.as_of}", ("per wafer", own.name, twin.name, "difference"),
          [(n.replace("_", " "), span(getattr(own, n)), span(getattr(twin, n)),
            span(getattr(own, n) - getattr(twin, n))) for n in names],
          foot=f"Immersion scanners can expose {span(cap)} AI wafers a month. No coefficient here is public: all are "
               "assumed ranges, and the twin is a construct, not a real process.")


def line(scenario: ScenarioName = "february-2025",
         no_controls: Annotated[bool, typer.Option("--no-controls", help="The world without export controls.")] = False,
         close: Annotated[list[str] | None, typer.Option(metavar="GATE=DATE", help="Shut tools, hbm or foundry from a "
                                                                                   "date.")] = None,
         learning: Annotated[str, typer.Option(help="exponential, volume or logistic.")] = "exponential",
         orders: Annotated[str, typer.Option("--orders", metavar="910B,910C", help="Cards of each product asked for a "
                                             "month, such as 30k,8k; unserved ones wait, and wafer starts answer."
                                             )] = "",
         until: Annotated[str, typer.Option(metavar="MONTH", help="Last month.")] = "",
         shadow: Annotated[bool, typer.Option("--shadow", help="What one more of each limit is worth.")] = False,
         sets: Sets = [],  # noqa: B006
         prior: Annotated[bool, typer.Option("--prior", help="Leave the reports out: assumed ranges alone.")] = False,
         draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json_: Json = False) -> None:
    """By month: wafers, dies, banks, packages, and what binds, on what the reports left of the ranges."""
    import numpy as np

    from chipcast.base.calendar import month_range, places_by_quarter
    from chipcast.base.choose import choose
    from chipcast.base.errors import InputError
    from chipcast.base.summary import interval, intervals, span
    from chipcast.chain import prepare
    from chipcast.cli.common import load
    from chipcast.fab import line as station
    from chipcast.fab.record import LIMITS

    story = load(scenario, as_of=as_of, sets=sets)
    months = month_range(station.FIRST, until or f"{story.until:%Y-%m}")
    shut: dict[str, str] = {}
    for text in close or []:
        gate, equals, day = text.partition("=")
        if not equals:
            raise InputError(f"--close must be GATE=DATE such as hbm=2025-06-01, got '{text}'")
        choose(dict.fromkeys(station.GATES), gate, "gate")
        shut[gate] = day
    asked = _orders(orders, len(months), draws)
    g = prepare(story, draws=draws, seed=seed, prior=prior).given
    run = station.run(g, months, controls=not no_controls, closed=shut, learning=learning, orders=asked,
                      answer=asked is not None)
    binding = {name: float(np.mean(run.binding == i)) for i, name in enumerate(LIMITS)}
    worth = station.shadow_values(g, months) if shadow else {}
    if json_:
        single = {"wafer_starts": run.wafer_starts, "wafers_out": run.wafers_out, "good_dies": run.good_dies,
                  "die_bank": run.die_bank, "hbm_bank": run.hbm_bank, "yield_die_any": run.yield_die_any,
                  "yield_die_perfect": run.yield_die_perfect, "d0_per_cm2": run.d0_per_cm2,
                  "hbm_used": run.hbm_used, "dies_used": run.dies_used}
        emit_json({"scenario": scenario, "as_of": g.as_of, "draws": draws, "seed": seed, "months": list(months),
                   "series": {p: {"packages": intervals(run.packages[i])} for i, p in enumerate(run.products)},
                   "binding": binding,
                   "binding_by_month": [{name: float(np.mean(row == i)) for i, name in enumerate(LIMITS)}
                                        for row in run.binding],
                   "line": {k: intervals(v) for k, v in single.items()},
                   "scanner_cap_wafers_per_month": interval(run.scanner_cap),
                   "by_year": {year: {p: interval(run.packages[i][_in(months, year)].sum(axis=0))
                                      for i, p in enumerate(run.products)} for year in sorted({m[:4] for m in months})},
                   "gross_dies": interval(run.gross_dies), "balance": station.balance(run),
                   **({"shadow_values": {k: {**interval(v), "mean": float(v.mean())} for k, v in worth.items()}}
                      if shadow else {}),
                   "assumes": station.CONTROLS[not no_controls]})
        return
    rows = []
    for quarter, k in places_by_quarter(months).items():
        shares = [float(np.mean(run.binding[k] == i)) for i in range(len(LIMITS))]
        worst = int(np.argmax(shares))
        rows.append((quarter, span(run.wafers_out[k].sum(axis=0)), f"{span(run.yield_die_any[k].mean(axis=0))}",
                     *(span(run.packages[p][k].sum(axis=0)) for p in range(len(run.products))),
                     span(run.die_bank[k[-1]]), span(run.hbm_bank[k[-1]]), f"{LIMITS[worst]} {shares[worst]:.0%}"))
    table(f"The line by quarter, as of {g.as_of}", ("quarter", "wafers out", "die.any", *run.products, "die bank",
                                                    "HBM bank", "binds most"), rows,
          foot=f"Median (5th to 95th percentile) of {draws} draws. Assumes {station.CONTROLS[not no_controls]}. Wafers "
               "follow their range; home-made dies beyond the stock limit go to other customers of the line.")
    say("What binds, share of all months and draws: "
        + ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in binding.items())
        + f". Scanners can expose {span(run.scanner_cap)} AI wafers a month.")
    for year in sorted({m[:4] for m in months}):
        both = run.packages[:, _in(months, year)].sum(axis=(0, 1))
        say(f"{year}: {span(both)} packages of both products.")
    units = {"hbm": "memory stack", "dies": "good die", "packaging": "slot in every month"}
    for limit, value in worth.items():
        say(f"One more {units[limit]} is worth {float(value.mean()):.3f} packages on average (as controls stand).")


def _orders(text: str, months: int, draws: int) -> Any:
    """Return cards asked for by product, month and draw, or None where nothing was said."""
    import numpy as np

    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.fab.record import PRODUCTS

    if not text.strip():
        return None
    parts = [p.strip() for p in text.split(",")]
    require(len(parts) == len(PRODUCTS), "orders", "be cards a month of 910B and 910C such as 30k,8k", text)
    cards = [parse_quantity(p, "cards", "orders") for p in parts]
    require(min(cards) >= 0, "orders", "not be below 0", text)
    return np.broadcast_to(np.array(cards)[:, None, None], (len(PRODUCTS), months, draws))


def _in(months: tuple[str, ...], year: str) -> list[int]:
    return [i for i, m in enumerate(months) if m.startswith(year)]
