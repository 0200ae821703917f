"""Verbs of `fab` on money: tested against blind packages, the waterfall of a card, what would just pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, Seed, Sets, emit_json, measured, say, table, whole
from chipcast.cli.fab_words import share_of, wide

BASIS = {False: "assumed ranges, no report weighed (--reports weighs them)",
         True: "what the dated reports left of the ranges"}
"""What the numbers of a verb stand on."""

Reports = Annotated[bool, typer.Option("--reports", help="Use what the dated reports left of the ranges.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("package")(package)
    app.command("cost")(cost)


def package(chip: Annotated[str, typer.Argument(help="Product of the line.")] = "ascend-910c",
            die_yield: Annotated[str, typer.Option(metavar="SHARE", help="Die yield; default: the drawn one.")] = "",
            assembly: Annotated[str, typer.Option(metavar="SHARE", help="Assembly yield; default: drawn.")] = "",
            pairing: Annotated[str, typer.Option(help="independent or wafer, for blind assembly.")] = "independent",
            coverage: Annotated[str, typer.Option(metavar="SHARE", help="Share of faulty dies that the test "
                                                                        "catches.")] = "100%",
            bond: Annotated[str, typer.Option("--bond", metavar="SHARE", help="Survival of a die's bonding; with "
                                              "--stack and --substrate in place of --assembly.")] = "",
            stack: Annotated[str, typer.Option("--stack", metavar="SHARE", help="Survival of a memory stack's.")] = "",
            substrate: Annotated[str, typer.Option("--substrate", metavar="SHARE",
                                                   help="Survival of the carrier.")] = "",
            scenario: Annotated[str, typer.Option(help="A shipped scenario or a YAML file.")] = "february-2025",
            sets: Sets = [],  # noqa: B006
            reports: Reports = False, draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "",
            json_: Json = False) -> None:
    """Tested against blind assembly: cost per good package, memory burned, money lost at each step."""
    from chipcast.base.errors import InputError
    from chipcast.base.summary import interval, span
    from chipcast.fab import package as station
    from chipcast.fab.package import FLOWS, all_good, blind_pays_above_test_usd, screen

    parted = [bool(bond), bool(stack), bool(substrate)]
    if any(parted) and (assembly or not all(parted)):
        raise InputError("give --assembly, or all three of --bond, --stack and --substrate")
    g, item, facts = _situation(chip, scenario, as_of, draws, seed, die_yield, sets, reports)
    y_a = share_of(assembly, "assembly") if assembly else item.assembly_yield
    parts = station.even_parts(y_a, item.dies, item.stacks)
    if all(parted):
        parts = station.Parts(bond=share_of(bond, "bond"), stack=share_of(stack, "stack"),
                              substrate=share_of(substrate, "substrate"))
        y_a = station.assembly_yield(bond=parts.bond, dies=item.dies, substrate=parts.substrate, stack=parts.stack,
                                     stacks=item.stacks)
    y = facts["die_yield"]
    costs = {"wafer_usd": facts["wafer_usd"], "gross_dies": facts["gross_dies"], "dies": item.dies,
             "memory_usd": item.memory_usd, "package_usd": item.package_usd, "line_yield": facts["line_yield"]}
    alpha = g["smic_n2.cluster_alpha"]
    tested = screen(y, share_of(coverage, "coverage"))
    kgd = FLOWS["known-good-die"](die_yield=y, assembly=y_a * tested.quality**item.dies, test_usd=item.die_test_usd,
                                  **{**costs, "line_yield": costs["line_yield"] * tested.pass_rate / y})
    blind = FLOWS["blind"](die_yield=y, assembly=y_a, pairing=pairing, clustering=alpha, **costs)
    both = all_good(y, item.dies, pairing=pairing, clustering=alpha)
    flows = {
        "known-good-die": {"package_yield": y_a * tested.quality**item.dies, "usd": kgd,
                           "stacks_per_good": item.stacks / (y_a * tested.quality**item.dies),
                           "dies_per_good": item.dies / (y_a * tested.pass_rate * tested.quality**item.dies)},
        "blind": {"package_yield": both * y_a, "usd": blind, "stacks_per_good": item.stacks / (both * y_a),
                  "dies_per_good": item.dies / (both * y_a)},
    }
    pays = blind_pays_above_test_usd(die_yield=y, **costs)
    silicon = item.dies * (facts["wafer_usd"] / facts["gross_dies"] + item.die_test_usd) / (
        facts["line_yield"] * tested.pass_rate)
    joined = parts.bond**item.dies * parts.stack**item.stacks
    orders = {"chip-first": station.chip_first(silicon + item.memory_usd, item.package_usd, y1=parts.substrate,
                                               y3=joined),
              "chip-last": station.chip_last(silicon + item.memory_usd, item.package_usd, y1=parts.substrate, y2=joined,
                                             y3=1.0)}
    steps = station.scrap([station.Step(name=name, added_usd=wide(usd, draws), survives=wide(share, draws))
                           for name, usd, share in (
                               ("tested dies bonded", silicon, parts.bond**item.dies),
                               ("memory bonded", item.memory_usd, parts.stack**item.stacks),
                               ("carrier and package test", item.package_usd, parts.substrate),
                               ("bad dies found", 0.0, tested.quality**item.dies))])
    rows = [{"step": n, "units_in": float(u.mean()), "spent_usd": float(m.mean()), "lost_usd": float(x.mean())}
            for n, u, m, x in zip(steps.names, steps.units_in, steps.spent_usd, steps.lost_usd, strict=True)]
    if json_:
        emit_json({"chip": item.name, "flows": {k: {n: interval(wide(v, draws)) for n, v in f.items()}
                                                for k, f in flows.items()},
                   "orders_of_assembly_usd": {k: interval(wide(v, draws)) for k, v in orders.items()},
                   "steps": rows, "steps_are": "mean over draws, per package started, dies tested first",
                   "blind_pays_above_test_usd": interval(wide(pays, draws)), "pairing": pairing,
                   "die_yield": interval(wide(y, draws)), "definition": "die.any"})
        return
    table(f"{item.name}: tested dies against blind assembly, as of {g.as_of}",
          ("per good package", "known-good-die", "blind"),
          [(label, *(span(wide(f[key], draws)) for f in flows.values())) for label, key in (
              ("package yield", "package_yield"), ("cost, USD", "usd"), ("memory stacks burned", "stacks_per_good"),
              ("gross dies burned", "dies_per_good"))],
          foot=f"Blind assembly pays only if testing one gross die costs more than USD {span(wide(pays, draws))}. "
               f"Die yield {span(wide(y, draws))}, pairing {pairing}.")
    table("What is spent and lost at each step, per package started, dies tested first (mean over draws)",
          ("step", "units in", "spent, USD", "lost, USD"),
          [(r["step"], f"{r['units_in']:.4f}", f"{r['spent_usd']:,.2f}", f"{r['lost_usd']:,.2f}") for r in rows],
          foot="Per good package by order of assembly: "
               + ", ".join(f"{k} USD {span(wide(v, draws))}" for k, v in orders.items())
               + ". Chip-first loses dies and memory with the wiring.")


def _situation(chip: str, scenario: str, as_of: str, draws: int, seed: int, die_yield: str, sets: Sequence[str],
               reports: bool) -> tuple[Any, Any, dict[str, Any]]:
    """Return the table of numbers, the product and the state of the line in the month of the information date."""
    from chipcast.cli.common import given, load
    from chipcast.fab.front import die_yields, gross_dies
    from chipcast.fab.product import product
    from chipcast.fab.ramp import d0_path

    if reports:
        from chipcast.chain import prepare

        g = prepare(load(scenario, as_of=as_of, sets=sets), draws=draws, seed=seed).given
    else:
        g = given(scenario, as_of=as_of, draws=draws, seed=seed, sets=sets)
    alias = {"910c": "ascend-910c", "910b": "ascend-910b"}
    item = product(g, alias.get(chip.lower(), chip.lower()))
    month = f"{g.as_of:%Y-%m}"
    y = share_of(die_yield, "die_yield") if die_yield else die_yields(g, d0_path(g, [month])).any[0]
    return g, item, {"die_yield": y, "gross_dies": gross_dies(g), "wafer_usd": g["smic_n2.wafer_price_usd"],
                     "line_yield": g["smic_n2.line_yield"], "month": month}


def _edges(values: Any) -> dict[str, float]:
    """Return the interval of values that may be infinite, where no value breaks even."""
    import numpy as np

    p05, p50, p95 = np.quantile(values, (0.05, 0.50, 0.95), method="nearest")
    return {"p05": float(p05), "p50": float(p50), "p95": float(p95)}


def cost(chip: Annotated[str, typer.Argument(help="ascend-910c or ascend-910b.")] = "ascend-910c",
         why: Annotated[bool, typer.Option("--why", help="Which inputs move the cost, with sources.")] = False,
         flow: Annotated[str, typer.Option(help="known-good-die or blind.")] = "known-good-die",
         die_yield: Annotated[str, typer.Option(metavar="SHARE", help="Die yield; default: the drawn one.")] = "",
         cards: Annotated[int, whole("--cards", "Good cards a year that share the fixed cost of the line; 0 leaves it "
                                     "out.", least=0, most=10**9)] = 0,
         fixed_usd: Annotated[float | None, measured("--fixed-usd", "USD", "Fixed cost a year, with --cards; default: "
                                                     "the line's range.", least=0)] = None,
         scenario: Annotated[str, typer.Option(help="A shipped scenario or a YAML file.")] = "february-2025",
         sets: Sets = [],  # noqa: B006
         reports: Reports = False, draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "",
         json_: Json = False) -> None:
    """Waterfall of one good card that adds up to the cent, margin, and break-even in any variable."""
    import numpy as np

    from chipcast.base.summary import interval, short, span
    from chipcast.fab.cost import BREAK_EVEN, Deal, break_even, cents, transfer_price, waterfall

    g, item, facts = _situation(chip, scenario, as_of, draws, seed, die_yield, sets, reports)
    steps = waterfall(item, wafer_usd=facts["wafer_usd"], gross_dies=facts["gross_dies"],
                      line_yield=facts["line_yield"], die_yield=facts["die_yield"], flow=flow)
    mean = steps.usd.mean(axis=-1)
    total, margin = steps.total_usd, 1 - steps.total_usd / item.price_usd
    deal = Deal(price_usd=item.price_usd, wafer_usd=facts["wafer_usd"], gross_dies=facts["gross_dies"],
                die_yield=facts["die_yield"], other_usd=item.memory_usd + item.package_usd, dies=item.dies,
                assembly_yield=item.assembly_yield, line_yield=facts["line_yield"], test_usd=item.die_test_usd,
                board_usd=item.board_usd, system_yield=item.system_yield, blind=flow == "blind",
                **({"packages": float(cards), "fixed_usd": g["ascend_line.fixed_cost_usd_per_year"]
                    if fixed_usd is None else fixed_usd} if cards else {}))
    solved = {v: wide(break_even(deal, v), draws) for v in BREAK_EVEN if cards or v not in ("fixed_usd", "packages")}
    transfer = {"per_wafer": wide(facts["wafer_usd"], draws),
                "per_good_die": wide(transfer_price(facts["wafer_usd"], facts["gross_dies"], facts["die_yield"],
                                                    line_yield=facts["line_yield"]), draws)}
    bearable = item.price_usd - total
    if json_:
        emit_json({"chip": item.name, "flow": flow, "as_of": g.as_of, "month": facts["month"],
                   "waterfall": [{"step": s, "usd": float(u)} for s, u in zip(steps.steps, mean, strict=True)],
                   "waterfall_is": "mean over draws; the steps sum to unit_cost_mean_usd",
                   "unit_cost_mean_usd": float(mean.sum()), "unit_cost_usd": interval(total),
                   "price_usd": interval(item.price_usd), "margin": interval(margin),
                   "break_even": {k: _edges(v) for k, v in solved.items()},
                   "transfer_price_usd": {k: interval(v) for k, v in transfer.items()},
                   "profit_per_card_usd": interval(wide(deal.profit_usd, draws)), "cards_per_year": cards or None,
                   "stands_on": BASIS[reports], "fixed_cost_borne_per_card_usd": interval(bearable),
                   **({"drivers": _drivers(g, total)} if why else {})})
        return
    paid = cents(mean)
    rows = [(s, f"{u:,.2f}", f"{u / paid.sum():.1%}") for s, u in zip(steps.steps, paid, strict=True)]
    table(f"Where the money of one good {item.name} goes ({flow}, dies of {facts['month']}), mean over draws",
          ("step", "USD", "share"), [*rows, ("unit cost", f"{paid.sum():,.2f}", "100.0%")])
    say(f"Unit cost {span(total)} USD, price {span(item.price_usd)} USD, margin {span(margin)}; "
        f"{short(float(np.median(bearable)))} USD a card are left for fixed cost. Stands on {BASIS[reports]}.")
    say(f"A foundry paid {span(transfer['per_wafer'])} USD a wafer and one paid {span(transfer['per_good_die'])} USD a "
        "good die earn the same at this yield.")
    table("Break-even, each solved with all others as drawn", ("variable", "value", "as drawn"),
          [(k, "none pays" if not np.isfinite(_edges(v)["p50"]) else span(_edges(v)),
            span(wide(getattr(deal, k), draws)))
           for k, v in solved.items()])
    if why:
        table("What moves the unit cost", ("input", "rank correlation", "range", "source"),
              [(d["name"], f"{d['rank_correlation']:+.2f}", d["range"], d["source"]) for d in _drivers(g, total)])


def _drivers(g: Any, target: Any) -> list[dict[str, Any]]:
    """Return the uncertain rows of the fab by rank correlation with a target."""
    import numpy as np

    from chipcast.base.summary import span

    def ranks(x: Any) -> Any:
        return np.argsort(np.argsort(x)).astype(float)

    items = ("smic_n2.", "package_", "card.board", "card.system", "hbm.", "ramp.")
    goal = ranks(target)
    found = []
    for name, row in g.rows.items():
        if name.startswith(items) and not row.law.fixed:
            found.append({"name": name, "rank_correlation": float(np.corrcoef(ranks(g[name]), goal)[0, 1]),
                          "range": span(g[name]), "unit": row.unit, "source": row.source, "why": row.why})
    found.sort(key=lambda d: -abs(d["rank_correlation"]))
    return found[:10]
