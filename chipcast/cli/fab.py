"""Verbs of `fab`: dies, yield, harvest, package, patterning, line, cost, map."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, emit_json, measured, say, table, whole

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Wafers, yield, packages and cost: how many chips a line makes and what limits it.")

Text = Annotated[str, typer.Option()]
Law = Annotated[str, typer.Option("--law", help="poisson, murphy, rectangular, seeds, moore, negative-binomial "
                                                "or bose-einstein.")]
Clustering = Annotated[float, measured(
    "--clustering", "1", "Cluster parameter alpha; layers for bose-einstein.", above=0)]


@app.callback()
def _group() -> None:
    pass


def _share(text: str, name: str) -> float:
    """Read a share such as 40% or 0.4; 40 alone is refused as a likely slip."""
    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity

    value = parse_quantity(text, "1", name)
    require(0 < value <= 1, name, "lie above 0% and not above 100%", text)
    return value


def _needs(text: str) -> tuple[int, ...]:
    """Read the cores that bins ask for, such as 24,20."""
    from chipcast.base.errors import InputError

    words = [w.strip() for w in text.split(",")]
    if not all(w.isdecimal() for w in words):
        raise InputError(f"need must be whole numbers such as 24,20, each 0 or more, got '{text}'")
    return tuple(map(int, words))


def _die(width_mm: float | None, height_mm: float | None, area_mm2: float | None, aspect: float) -> tuple[float, float]:
    """Return width and height from what was given."""
    from chipcast.base.errors import InputError, require

    if width_mm is not None and height_mm is not None and area_mm2 is None:
        return width_mm, height_mm
    if area_mm2 is not None and width_mm is None and height_mm is None:
        require(area_mm2 > 0, "area_mm2", "be above 0", area_mm2)
        require(aspect > 0, "aspect", "be above 0", aspect)
        return (area_mm2 / aspect) ** 0.5, (area_mm2 * aspect) ** 0.5
    raise InputError("give the die as --width-mm and --height-mm, or as --area-mm2 with an optional --aspect")


@app.command()
def dies(width_mm: Annotated[float | None, measured("--width-mm", "mm", "Finished die, across.", above=0)] = None,
         height_mm: Annotated[float | None, measured("--height-mm", "mm", "Finished die, along.", above=0)] = None,
         area_mm2: Annotated[float | None, measured("--area-mm2", "mm2", "Die area, in their place.", above=0)] = None,
         aspect: Annotated[float, measured("--aspect", "1", "Height over width, with --area-mm2.", above=0)] = 1.0,
         edge_mm: Annotated[float, measured("--edge-mm", "mm", "Radial edge exclusion.", least=0)] = 3.0,
         scribe_mm: Annotated[float, measured("--scribe-mm", "mm", "Street between dies.", least=0, most=30)] = 0.1,
         phase: Annotated[str, typer.Option(help="best, center, corner or X,Y in mm.")] = "best",
         diameter_mm: Annotated[float, measured("--diameter-mm", "mm", "Wafer diameter.", above=0)] = 300.0,
         notch_mm: Annotated[float, measured("--notch-mm", "mm", "Strip at the bottom kept free.", least=0,
                                           most=300)] = 0.0,
         own_scribe: Annotated[bool, typer.Option("--own-scribe", help="Each shot brings its own street.")] = False,
         half_field: Annotated[bool, typer.Option("--half-field", help="Field of 26 x 16.5 mm.")] = False,
         map_file: Annotated[str, typer.Option("--map", metavar="FILE.svg", help="Draw the wafer.")] = "",
         json_: Json = False) -> None:
    """Complete dies on a wafer, exactly: best, given or average phase, and the reticle fields."""
    from chipcast.fab.shots import shots
    from chipcast.fab.wafer import APPROXIMATIONS, Wafer, approximate, mean_gross_dies, phase_of, place

    w, h = _die(width_mm, height_mm, area_mm2, aspect)
    wafer = Wafer(die_width_mm=w, die_height_mm=h, edge_mm=edge_mm, scribe_mm=scribe_mm, diameter_mm=diameter_mm,
                  notch_mm=notch_mm)
    placed = place(wafer, phase_of(wafer, phase))
    fields = shots(placed, shared_scribe=not own_scribe, half_field=half_field)
    mean = mean_gross_dies(w, h, edge_mm, scribe_mm, diameter_mm)
    closed = {name: approximate(wafer, name) for name in APPROXIMATIONS}
    if map_file:
        from chipcast.fab.picture import placement_svg

        _write(map_file, placement_svg(placed, fields))
    if json_:
        emit_json({"gross_dies": placed.dies, "fields": fields.count, "edge_mm": edge_mm, "scribe_mm": scribe_mm,
                   "phase": phase, "phase_mm": placed.phase_mm, "die_width_mm": w, "die_height_mm": h,
                   "die_area_mm2": w * h, "diameter_mm": diameter_mm, "notch_mm": notch_mm, "mean_over_phases": mean,
                   "dies_per_field": fields.across * fields.along, "full_fields": fields.full,
                   "closed_forms": closed, **({"map": map_file} if map_file else {})})
        return
    say(f"{placed.dies} dies of {w:g} x {h:g} mm ({w * h:.2f} mm2) on a {diameter_mm:g} mm wafer: {edge_mm:g} mm edge, "
        f"{scribe_mm:g} mm scribe, phase {phase} ({placed.phase_mm[0]:.3f}, {placed.phase_mm[1]:.3f} mm).")
    say(f"Average over all phases {mean:.2f}. Fields: {fields.count} shots of {fields.across} x {fields.along} dies, "
        f"{fields.full} of them full.")
    table("Closed forms, for comparison", ("name", "dies", "error"),
          [(n, f"{v:.1f}", f"{v / placed.dies - 1:+.1%}" if placed.dies else "-") for n, v in closed.items()])


def _write(path: str, text: str) -> None:
    """Write a file, or say in one sentence why not."""
    from pathlib import Path

    from chipcast.base.errors import InputError

    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}; choose another file") from None


@app.command("yield")
def yield_(area_mm2: Annotated[float, measured("--area-mm2", "mm2", "Die area.", above=0, most=1e5)] = 665.61,
           yield_text: Annotated[str, typer.Option("--yield", metavar="SHARE", help="A yield, such as 40%.")] = "",
           d0_per_cm2: Annotated[float | None, measured("--d0-per-cm2", "1/cm2",
                                                        "Killing defects per cm2.", least=0, most=1000)] = None,
           law: Law = "negative-binomial", clustering: Clustering = 2.0,
           definition: Annotated[str, typer.Option(help="die.perfect, die.any, die.bin, through, blind, final.")] = "",
           dies: Annotated[int, whole("--dies", "Dies in a package.", most=64)] = 1,
           assembly: Annotated[str, typer.Option(metavar="SHARE", help="Assembly yield, such as 95%.")] = "",
           system_test: Annotated[str, typer.Option(metavar="SHARE", help="System test, for 'final'.")] = "100%",
           pairing: Annotated[str, typer.Option(help="independent or wafer; left out, both are shown.")] = "",
           cores: Annotated[int, whole("--cores", "Cores on the die, for die.any and die.bin.", least=0,
                                      most=10_000)] = 0,
           need: Annotated[int, whole("--need", "Cores that the bin asks for.", least=0, most=10_000)] = 0,
           core_share: Annotated[str, typer.Option(help="Share of the die that is cores.")] = "50%",
           repair_share: Annotated[str, typer.Option(help="Share of the rest that repair saves.")] = "0",
           critical_share: Annotated[float, measured("--critical-share", "1", "Critical over drawn area.", above=0,
                                                  most=1)] = 1.0,
           json_: Json = False) -> None:
    """Yield of a defect density, or the defect density behind a reported yield of a stated definition."""
    from chipcast.base.choose import choose
    from chipcast.base.errors import InputError, require, unknown
    from chipcast.base.units import parse_quantity
    from chipcast.fab.defects import DEFINITIONS, PAIRINGS, YIELD_LAWS, d0_of_yield, implied_die_yield
    from chipcast.fab.harvest import bin_yield, implied_d0_of_bin
    from chipcast.fab.package import all_good

    entry = choose(YIELD_LAWS, law, "yield law")
    if bool(yield_text) == (d0_per_cm2 is not None):
        raise InputError("give either --yield (to find the density) or --d0-per-cm2 (to find the yield)")
    if yield_text and not definition:
        raise InputError("a yield means nothing without its definition; add --definition, one of "
                         + ", ".join(n for n in DEFINITIONS if n not in ("line", "assembly")))
    definition = definition or ("die.any" if need else "die.perfect")
    choose(DEFINITIONS, definition, "definition of yield")
    binned = definition in ("die.any", "die.bin") and need > 0
    if definition == "die.bin" and not need:
        raise InputError("die.bin needs --cores and --need, for example --cores 25 --need 24")
    if binned and law not in ("negative-binomial", "poisson"):
        raise InputError("bins with spare cores are computed for negative-binomial and poisson; choose one of them")
    alpha = float("inf") if law == "poisson" else clustering
    repair = parse_quantity(repair_share, "1", "repair_share")
    require(0 <= repair <= 1, "repair_share", "lie from 0% to 100%", repair_share)
    require(need <= cores or not need, "need", f"not exceed the cores of the die; add --cores {need} or more", need)
    if pairing and pairing not in PAIRINGS:
        unknown("pairing", pairing, PAIRINGS)
    bins: dict[str, Any] = {"cores": cores, "die_area_mm2": area_mm2, "alpha": alpha,
                            "core_area_share": _share(core_share, "core_share"), "uncore_repair_share": repair}
    y_a = _share(assembly, "assembly") if assembly else None
    final = _share(system_test, "system_test")
    answers: dict[str, dict[str, Any]] = {}
    for pair in [pairing] if pairing else (PAIRINGS if definition == "blind" and dies > 1 else PAIRINGS[:1]):
        if yield_text:
            share = _share(yield_text, "yield")
            p = implied_die_yield(share, definition, dies=dies, assembly=y_a, system_test=final, pairing=pair, law=law,
                                  clustering=clustering)
            d0 = implied_d0_of_bin(p, need, **bins) if binned else d0_of_yield(
                p, area_mm2, law=law, clustering=clustering, critical_share=critical_share)
        else:
            d0 = float(d0_per_cm2 or 0.0)
            p = bin_yield(need, d0_per_cm2=d0, **bins) if binned else _forward(
                area_mm2, d0, law, clustering, critical_share)
            share = p
            if DEFINITIONS[definition].needs_assembly:
                if y_a is None:
                    raise InputError(f"a '{definition}' yield is {DEFINITIONS[definition].formula}; give the assembly "
                                     "yield, for example --assembly 95%")
                both = all_good(p, dies, pairing=pair, law=law, clustering=clustering) if definition == "blind" else p
                share = both * y_a * (final if definition == "final" else 1.0)
        answers[pair] = {"yield": float(share), "d0_per_cm2": float(d0), "die_yield": float(p)}
    first = next(iter(answers.values()))
    facts = {"law": law, "formula": entry.formula, "clustering": clustering if entry.uses_alpha else None,
             "definition": definition, "meaning": DEFINITIONS[definition].formula, "area_mm2": area_mm2, "dies": dies,
             "assembly": y_a, **({"cores": cores, "need": need} if binned else {}),
             **({"d0_per_layer_per_cm2": first["d0_per_cm2"] / clustering} if law == "bose-einstein" else {})}
    if json_:
        emit_json({**first, "pairing": next(iter(answers)), **facts,
                   **({"by_pairing": answers} if len(answers) > 1 else {})})
        return
    for pair, a in answers.items():
        how = f" ({pair} dies)" if definition == "blind" and dies > 1 else ""
        say(f"yield {a['yield']:.1%} as '{definition}'{how}: die yield {a['die_yield']:.3f}, "
            f"D0 {a['d0_per_cm2']:.4f} per cm2 on {area_mm2:g} mm2.")
    alpha_text = f" with alpha {clustering:g}" if entry.uses_alpha and law != "bose-einstein" else ""
    layers = f", {first['d0_per_cm2'] / clustering:.4f} per cm2 and layer" if law == "bose-einstein" else ""
    say(f"Law: {law}, Y = {entry.formula}{alpha_text}{layers}. '{definition}' = {DEFINITIONS[definition].formula}.")


def _forward(area_mm2: float, d0: float, law: str, clustering: float, critical_share: float) -> float:
    from chipcast.fab.defects import die_yield

    return float(die_yield(area_mm2, d0, law=law, clustering=clustering, critical_share=critical_share))


@app.command()
def harvest(cores: Annotated[int, whole("--cores", "Cores on the die.", most=10_000)] = 25,
            need: Annotated[str, typer.Option(help="Cores that each bin asks for, from high to low.")] = "24,20",
            area_mm2: Annotated[float, measured("--area-mm2", "mm2", "Die area.", above=0, most=1e5)] = 665.61,
            d0_per_cm2: Annotated[float, measured("--d0-per-cm2", "1/cm2", "Killing defects per cm2.", least=0,
                                                  most=1000)] = 0.2,
            clustering: Annotated[float, measured("--clustering", "1", "Cluster parameter alpha.", above=0)] = 2.0,
            core_share: Annotated[str, typer.Option(help="Share of the die that is cores.")] = "50%",
            repair_share: Annotated[str, typer.Option(help="Share of the rest that repair saves.")] = "0",
            law: Annotated[str, typer.Option(help="negative-binomial or poisson.")] = "negative-binomial",
            json_: Json = False) -> None:
    """How many dies fit which bin, when the cores of a die share its luck; beside it the naive binomial."""
    import numpy as np
    from scipy.special import betainc

    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.fab.harvest import bin_shares, split_means

    needs = _needs(need)
    require(law in ("negative-binomial", "poisson"), "law", "be negative-binomial or poisson here", law)
    require(area_mm2 > 0, "area_mm2", "be above 0", area_mm2)
    require(d0_per_cm2 >= 0, "d0_per_cm2", "not be below 0", d0_per_cm2)
    alpha = float("inf") if law == "poisson" else clustering
    share, repair = _share(core_share, "core_share"), parse_quantity(repair_share, "1", "repair_share")
    require(0 <= repair <= 1, "repair_share", "lie from 0% to 100%", repair_share)
    shares, scrap = bin_shares(needs, cores=cores, die_area_mm2=area_mm2, d0_per_cm2=d0_per_cm2, core_area_share=share,
                               uncore_repair_share=repair, alpha=alpha)
    core, fixed = split_means(area_mm2, d0_per_cm2, cores, share, repair)
    from chipcast.fab.harvest import at_least

    mean_core = at_least(1, 1, core, 0.0, alpha)
    rest = at_least(1, 0, 0.0, fixed, alpha)
    naive = [float(rest * betainc(n, cores - n + 1, mean_core)) if n else float(rest) for n in needs]
    naive = [b - a for a, b in zip([0.0, *naive[:-1]], naive, strict=True)]
    rows = [{"need": n, "share": float(s), "naive_share": v} for n, s, v in zip(needs, shares, naive, strict=True)]
    if json_:
        emit_json({"bins": rows, "scrap": float(scrap), "sellable": float(np.sum(shares)), "cores": cores,
                   "area_mm2": area_mm2, "d0_per_cm2": d0_per_cm2, "law": law, "core_share": share,
                   "clustering": None if law == "poisson" else clustering, "repair_share": repair,
                   "definition": "die.bin"})
        return
    table(f"Bins of a die with {cores} cores, D0 {d0_per_cm2:g} per cm2, {area_mm2:g} mm2, {law}",
          ("bin", "share of gross dies", "binomial on the mean core (wrong under clustering)"),
          [*((f"{r['need']} cores", f"{r['share']:.2%}", f"{r['naive_share']:.2%}") for r in rows),
           ("scrap", f"{float(scrap):.2%}", f"{1 - sum(naive):.2%}")])


@app.command()
def package(chip: Annotated[str, typer.Argument(help="Product of the line.")] = "ascend-910c",
            die_yield: Annotated[str, typer.Option(metavar="SHARE", help="Die yield; default: the drawn one.")] = "",
            assembly: Annotated[str, typer.Option(metavar="SHARE", help="Assembly yield; default: drawn.")] = "",
            pairing: Annotated[str, typer.Option(help="independent or wafer, for blind assembly.")] = "independent",
            coverage: Annotated[str, typer.Option(metavar="SHARE", help="Share of faulty dies that the test "
                                                                        "catches.")] = "100%",
            scenario: Annotated[str, typer.Option(help="A shipped scenario or a YAML file.")] = "february-2025",
            draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json_: Json = False) -> None:
    """Tested against blind assembly: cost per good package, memory burned, money lost at each step."""
    from chipcast.base.summary import interval, span
    from chipcast.fab.package import FLOWS, all_good, blind_pays_above_test_usd, screen

    g, item, facts = _situation(chip, scenario, as_of, draws, seed, die_yield)
    y_a = _share(assembly, "assembly") if assembly else item.assembly_yield
    y = facts["die_yield"]
    costs = {"wafer_usd": facts["wafer_usd"], "gross_dies": facts["gross_dies"], "dies": item.dies,
             "memory_usd": item.memory_usd, "package_usd": item.package_usd, "line_yield": facts["line_yield"]}
    alpha = g["smic_n2.cluster_alpha"]
    tested = screen(y, _share(coverage, "coverage"))
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
    if json_:
        emit_json({"chip": item.name, "flows": {k: {n: interval(_wide(v, draws)) for n, v in f.items()}
                                                for k, f in flows.items()},
                   "blind_pays_above_test_usd": interval(_wide(pays, draws)), "pairing": pairing,
                   "die_yield": interval(_wide(y, draws)), "definition": "die.any"})
        return
    table(f"{item.name}: tested dies against blind assembly, as of {g.as_of}",
          ("per good package", "known-good-die", "blind"),
          [(label, *(span(_wide(f[key], draws)) for f in flows.values())) for label, key in (
              ("package yield", "package_yield"), ("cost, USD", "usd"), ("memory stacks burned", "stacks_per_good"),
              ("gross dies burned", "dies_per_good"))],
          foot=f"Blind assembly pays only if testing one gross die costs more than USD {span(_wide(pays, draws))}. "
               f"Die yield {span(_wide(y, draws))}, pairing {pairing}.")


def _wide(values: Any, draws: int) -> Any:
    import numpy as np

    return np.broadcast_to(np.asarray(values, dtype=float), (draws,))


def _situation(chip: str, scenario: str, as_of: str, draws: int, seed: int,
               die_yield: str) -> tuple[Any, Any, dict[str, Any]]:
    """Return the table of numbers, the product and the state of the line in the month of the information date."""
    from chipcast.cli.common import given
    from chipcast.fab.front import die_yields, gross_dies
    from chipcast.fab.product import product
    from chipcast.fab.ramp import d0_path

    g = given(scenario, as_of=as_of, draws=draws, seed=seed)
    alias = {"910c": "ascend-910c", "910b": "ascend-910b"}
    item = product(g, alias.get(chip.lower(), chip.lower()))
    month = f"{g.as_of:%Y-%m}"
    y = _share(die_yield, "die_yield") if die_yield else die_yields(g, d0_path(g, [month])).any[0]
    return g, item, {"die_yield": y, "gross_dies": gross_dies(g), "wafer_usd": g["smic_n2.wafer_price_usd"],
                     "line_yield": g["smic_n2.line_yield"], "month": month}


@app.command()
def patterning(node: Annotated[str, typer.Option(help="n+2; the EUV twin stands beside it.")] = "n+2",
               scenario: Annotated[str, typer.Option(help="A shipped scenario or a YAML file.")] = "february-2025",
               draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json_: Json = False) -> None:
    """Exposures, cost, defects, cycle time and edge yield, without and with EUV on the tightest layers."""
    from dataclasses import fields

    from chipcast.base.summary import interval, span
    from chipcast.cli.common import given
    from chipcast.fab.front import scanner_cap
    from chipcast.fab.patterning import Route, route

    g = given(scenario, as_of=as_of, draws=draws, seed=seed)
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


@app.command()
def line(scenario: ScenarioName = "february-2025",
         no_controls: Annotated[bool, typer.Option("--no-controls", help="The world without export controls.")] = False,
         close: Annotated[list[str] | None, typer.Option(metavar="GATE=DATE", help="Shut tools, hbm or foundry from a "
                                                                                   "date.")] = None,
         learning: Annotated[str, typer.Option(help="exponential, volume or logistic.")] = "exponential",
         until: Annotated[str, typer.Option(metavar="MONTH", help="Last month.")] = "",
         shadow: Annotated[bool, typer.Option("--shadow", help="What one more of each limit is worth.")] = False,
         prior: Annotated[bool, typer.Option("--prior", help="Leave the reports out: assumed ranges alone.")] = False,
         draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json_: Json = False) -> None:
    """By month: wafers, dies, banks, packages, and what binds, on what the reports left of the ranges."""
    import numpy as np

    from chipcast.base.calendar import month_range, quarter_name
    from chipcast.base.errors import InputError
    from chipcast.base.summary import interval, intervals, span
    from chipcast.chain import prepare
    from chipcast.fab import line as station
    from chipcast.fab.record import LIMITS

    g = prepare(scenario, as_of=as_of or None, draws=draws, seed=seed, prior=prior).given
    months = month_range(station.FIRST, until or f"{g.until:%Y-%m}")
    shut: dict[str, str] = {}
    for text in close or []:
        gate, equals, day = text.partition("=")
        if not equals:
            raise InputError(f"--close must be GATE=DATE such as hbm=2025-06-01, got '{text}'")
        shut[gate] = day
    run = station.run(g, months, controls=not no_controls, closed=shut, learning=learning)
    binding = {name: float(np.mean(run.binding == i)) for i, name in enumerate(LIMITS)}
    worth = station.shadow_values(g, months) if shadow else {}
    if json_:
        single = {"wafer_starts": run.wafer_starts, "wafers_out": run.wafers_out, "good_dies": run.good_dies,
                  "die_bank": run.die_bank, "hbm_bank": run.hbm_bank, "yield_die_any": run.yield_die_any,
                  "yield_die_perfect": run.yield_die_perfect, "d0_per_cm2": run.d0_per_cm2}
        emit_json({"scenario": scenario, "as_of": g.as_of, "draws": draws, "seed": seed, "months": list(months),
                   "series": {p: {"packages": intervals(run.packages[i])} for i, p in enumerate(run.products)},
                   "binding": binding,
                   "binding_by_month": [{name: float(np.mean(row == i)) for i, name in enumerate(LIMITS)}
                                        for row in run.binding],
                   "line": {k: intervals(v) for k, v in single.items()},
                   "by_year": {year: {p: interval(run.packages[i][_in(months, year)].sum(axis=0))
                                      for i, p in enumerate(run.products)} for year in sorted({m[:4] for m in months})},
                   "gross_dies": interval(run.gross_dies), "balance": station.balance(run),
                   **({"shadow_values": {k: {**interval(v), "mean": float(v.mean())} for k, v in worth.items()}}
                      if shadow else {}),
                   "assumes": station.CONTROLS[not no_controls]})
        return
    rows = []
    for quarter in dict.fromkeys(quarter_name(m) for m in months):
        k = [i for i, m in enumerate(months) if quarter_name(m) == quarter]
        shares = [float(np.mean(run.binding[k] == i)) for i in range(len(LIMITS))]
        worst = int(np.argmax(shares))
        rows.append((quarter, span(run.wafers_out[k].sum(axis=0)), f"{span(run.yield_die_any[k].mean(axis=0))}",
                     *(span(run.packages[p][k].sum(axis=0)) for p in range(len(run.products))),
                     span(run.die_bank[k[-1]]), span(run.hbm_bank[k[-1]]), f"{LIMITS[worst]} {shares[worst]:.0%}"))
    table(f"The line by quarter, as of {g.as_of}", ("quarter", "wafers out", "die.any", *run.products, "die bank",
                                                    "HBM bank", "binds most"), rows,
          foot=f"Median (5th to 95th percentile) of {draws} draws. Assumes {station.CONTROLS[not no_controls]}. Wafers "
               "follow their range; home-made dies beyond the stock limit go to other customers of the line.")
    for year in sorted({m[:4] for m in months}):
        both = run.packages[:, _in(months, year)].sum(axis=(0, 1))
        say(f"{year}: {span(both)} packages of both products.")
    units = {"hbm": "memory stack", "dies": "good die", "packaging": "slot in every month"}
    for limit, value in worth.items():
        say(f"One more {units[limit]} is worth {float(value.mean()):.3f} packages on average (as controls stand).")


def _in(months: tuple[str, ...], year: str) -> list[int]:
    return [i for i, m in enumerate(months) if m.startswith(year)]


def _edges(values: Any) -> dict[str, float]:
    """Return the interval of values that may be infinite, where no value breaks even."""
    import numpy as np

    p05, p50, p95 = np.quantile(values, (0.05, 0.50, 0.95), method="nearest")
    return {"p05": float(p05), "p50": float(p50), "p95": float(p95)}


@app.command()
def cost(chip: Annotated[str, typer.Argument(help="ascend-910c or ascend-910b.")] = "ascend-910c",
         why: Annotated[bool, typer.Option("--why", help="Which inputs move the cost, with sources.")] = False,
         flow: Annotated[str, typer.Option(help="known-good-die or blind.")] = "known-good-die",
         die_yield: Annotated[str, typer.Option(metavar="SHARE", help="Die yield; default: the drawn one.")] = "",
         scenario: Annotated[str, typer.Option(help="A shipped scenario or a YAML file.")] = "february-2025",
         draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json_: Json = False) -> None:
    """Waterfall of one good card that adds up to the cent, margin, and break-even in any variable."""
    import numpy as np

    from chipcast.base.summary import interval, short, span
    from chipcast.fab.cost import BREAK_EVEN, Deal, break_even, waterfall

    g, item, facts = _situation(chip, scenario, as_of, draws, seed, die_yield)
    steps = waterfall(item, wafer_usd=facts["wafer_usd"], gross_dies=facts["gross_dies"],
                      line_yield=facts["line_yield"], die_yield=facts["die_yield"], flow=flow)
    mean = steps.usd.mean(axis=-1)
    total, margin = steps.total_usd, 1 - steps.total_usd / item.price_usd
    deal = Deal(price_usd=item.price_usd, wafer_usd=facts["wafer_usd"], gross_dies=facts["gross_dies"],
                die_yield=facts["die_yield"], other_usd=item.memory_usd + item.package_usd, dies=item.dies,
                assembly_yield=item.assembly_yield, line_yield=facts["line_yield"], test_usd=item.die_test_usd,
                board_usd=item.board_usd, system_yield=item.system_yield, blind=flow == "blind")
    solved = {v: _wide(break_even(deal, v), draws) for v in BREAK_EVEN if v not in ("fixed_usd", "packages")}
    bearable = item.price_usd - total
    if json_:
        emit_json({"chip": item.name, "flow": flow, "as_of": g.as_of, "month": facts["month"],
                   "waterfall": [{"step": s, "usd": float(u)} for s, u in zip(steps.steps, mean, strict=True)],
                   "waterfall_is": "mean over draws; the steps sum to unit_cost_mean_usd",
                   "unit_cost_mean_usd": float(mean.sum()), "unit_cost_usd": interval(total),
                   "price_usd": interval(item.price_usd), "margin": interval(margin),
                   "break_even": {k: _edges(v) for k, v in solved.items()},
                   "fixed_cost_borne_per_card_usd": interval(bearable),
                   **({"drivers": _drivers(g, total)} if why else {})})
        return
    rows = [(s, f"{u:,.2f}", f"{u / mean.sum():.1%}") for s, u in zip(steps.steps, mean, strict=True)]
    table(f"Where the money of one good {item.name} goes ({flow}, dies of {facts['month']}), mean over draws",
          ("step", "USD", "share"), [*rows, ("unit cost", f"{mean.sum():,.2f}", "100.0%")])
    say(f"Unit cost {span(total)} USD, price {span(item.price_usd)} USD, margin {span(margin)}; "
        f"{short(float(np.median(bearable)))} USD a card are left for fixed cost.")
    table("Break-even, each solved with all others as drawn", ("variable", "value", "as drawn"),
          [(k, "none pays" if not np.isfinite(_edges(v)["p50"]) else span(_edges(v)),
            span(_wide(getattr(deal, k), draws)))
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


@app.command("map")
def map_(clusters: Annotated[str, typer.Option(help="none, die, block, wafer, lot, radial, thomas or "
                                                    "stack.")] = "block",
         wafers: Annotated[int, whole("--wafers", "Wafers to draw.", most=1_000_000)] = 20_000,
         width_mm: Annotated[float | None, measured("--width-mm", "mm", "Finished die, across.", above=0)] = None,
         height_mm: Annotated[float | None, measured("--height-mm", "mm", "Finished die, along.", above=0)] = None,
         edge_mm: Annotated[float, measured("--edge-mm", "mm", "Radial edge exclusion.", least=0)] = 3.0,
         scribe_mm: Annotated[float, measured("--scribe-mm", "mm", "Street between dies.", least=0, most=30)] = 0.1,
         phase: Annotated[str, typer.Option(help="best, center, corner or X,Y in mm.")] = "best",
         d0_per_cm2: Annotated[float, measured("--d0-per-cm2", "1/cm2", "Killing defects per cm2.", least=0,
                                               most=10)] = 0.16,
         clustering: Annotated[float, measured("--clustering", "1", "Cluster parameter alpha.", above=0)] = 2.0,
         children: Annotated[float, measured("--children", "1", "Defects per round cluster (thomas).", above=0)] = 5.0,
         sigma_mm: Annotated[float, measured("--sigma-mm", "mm", "Spread of a round cluster (thomas).", above=0)] = 6.0,
         cores: Annotated[int, whole("--cores", "Cores on the die.", most=10_000)] = 25,
         need: Annotated[str, typer.Option(help="Cores that each bin asks for, from high to low.")] = "24,20",
         core_share: Annotated[str, typer.Option(help="Share of the die that is cores.")] = "50%",
         out: Annotated[str, typer.Option(metavar="FILE.svg", help="Draw a typical wafer here, and a poor one "
                                                                   "beside it as FILE-poor.svg.")] = "",
         seed: Seed = 1, json_: Json = False) -> None:
    """Wafer maps drawn defect by defect; the pictures and the statistics come from the same draws."""
    from dataclasses import replace

    import numpy as np

    from chipcast.base.choose import choose
    from chipcast.base.errors import InputError
    from chipcast.base.summary import interval
    from chipcast.fab.gallery import draw_gallery
    from chipcast.fab.maps import CLUSTERS
    from chipcast.fab.picture import wafer_svg
    from chipcast.fab.spatial import effective_alpha, thomas_yield
    from chipcast.fab.wafer import Wafer, phase_of, place

    if (width_mm is None) != (height_mm is None):
        raise InputError("give both --width-mm and --height-mm, or neither for the 910B die")
    w, h = (width_mm, height_mm) if width_mm is not None and height_mm is not None else (21.32, 31.22)
    mixing = choose(CLUSTERS, clusters, "way to cluster")(clustering)
    if clusters == "thomas":
        mixing = replace(mixing, children=children, sigma_mm=sigma_mm)
    needs = _needs(need)
    wafer = Wafer(die_width_mm=w, die_height_mm=h, edge_mm=edge_mm, scribe_mm=scribe_mm)
    found = draw_gallery(place(wafer, phase_of(wafer, phase)), d0_per_cm2, clusters=clusters, alpha=clustering,
                         mixing=mixing, needs=needs, cores=cores, core_area_share=_share(core_share, "core_share"),
                         wafers=wafers, seed=seed)
    mean = d0_per_cm2 * w * h / 100
    y = float(found.perfect.mean())
    alpha = float(effective_alpha(y, mean)) if y > np.exp(-mean) * 1.001 else None
    exact = thomas_yield(w, h, d0_per_cm2, children=children, sigma_mm=sigma_mm) if clusters == "thomas" else None
    files = {}
    if out:
        stem = out.removesuffix(".svg")
        for name, picture, path in (("typical", found.typical, out), ("poor", found.poor, f"{stem}-poor.svg")):
            title = f"A {name} wafer ({clusters}): {picture.sellable} of {found.placement.dies} dies sell"
            _write(path, wafer_svg(found.placement, picture.bins, picture.defects, found.bin_names, title,
                                   found.fields))
            files[name] = path
    if json_:
        emit_json({"clusters": clusters, "wafers": wafers, "gross_dies": found.placement.dies, "d0_per_cm2": d0_per_cm2,
                   "yield": y, "definition": "die.perfect", "yield_sd": float(found.perfect.std()),
                   "wafer_yield": interval(found.perfect), "sellable_yield": interval(found.sellable),
                   "bins": {n: float(s) for n, s in zip(found.bin_names, found.shares, strict=True)},
                   "effective_alpha": alpha, "closed_form_yield": exact, "seed": seed,
                   "typical": {"wafer": found.typical.index, "sellable": found.typical.sellable},
                   "poor": {"wafer": found.poor.index, "sellable": found.poor.sellable}, "files": files})
        return
    spread = interval(found.perfect)
    say(f"{wafers} wafers of {found.placement.dies} dies, D0 {d0_per_cm2:g} per cm2, clusters '{clusters}': "
        f"die.perfect {y:.4f}, wafers from {spread['p05']:.2f} to {spread['p95']:.2f} (sd {found.perfect.std():.4f}).")
    say("Sold top-down: " + ", ".join(f"{n} {s:.1%}" for n, s in zip(found.bin_names, found.shares, strict=True))
        + f", scrap {1 - found.shares.sum():.1%}.")
    if alpha is not None:
        say(f"Effective alpha for a die of this size: {alpha:.2f} (it is no constant of the process).")
    if exact is not None:
        say(f"Closed form of the cluster law: {exact:.4f}.")
    say(f"Typical wafer (number {found.typical.index}): {found.typical.sellable} dies sell; 5th percentile "
        f"(number {found.poor.index}): {found.poor.sellable}.")
    for name, path in files.items():
        say(f"Drew the {name} wafer: {path}")
