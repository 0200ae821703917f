"""Verbs of `fab` on yield: by law and definition, there and back, and by bin."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Json, emit_json, measured, say, table, whole
from chipcast.cli.fab_words import Clustering, Law, needs_of, share_of

DIE_CORES, DIE_MM2 = 25, 665.61
"""Cores and area of the 910B die, rows of the catalogue and of the priors; what stands where nothing is given."""


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("yield")(yield_)
    app.command("harvest")(harvest)


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
                            "core_area_share": share_of(core_share, "core_share"), "uncore_repair_share": repair}
    y_a = share_of(assembly, "assembly") if assembly else None
    final = share_of(system_test, "system_test")
    answers: dict[str, dict[str, Any]] = {}
    for pair in [pairing] if pairing else (PAIRINGS if definition == "blind" and dies > 1 else PAIRINGS[:1]):
        if yield_text:
            share = share_of(yield_text, "yield")
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


def harvest(cores: Annotated[int | None, whole("--cores", "Cores on the die; default: the 25 of the 910B, or the "
                                               "largest bin of --family where that is more.", most=10_000)] = None,
            need: Annotated[str, typer.Option(help="Cores that each bin asks for, from high to low.")] = "24,20",
            area_mm2: Annotated[float | None, measured("--area-mm2", "mm2", "Die area; default: the 910B's 665.61.",
                                                       above=0, most=1e5)] = None,
            d0_per_cm2: Annotated[float, measured("--d0-per-cm2", "1/cm2", "Killing defects per cm2.", least=0,
                                                  most=1000)] = 0.2,
            clustering: Annotated[float, measured("--clustering", "1", "Cluster parameter alpha.", above=0)] = 2.0,
            core_share: Annotated[str, typer.Option(help="Share of the die that is cores.")] = "50%",
            repair_share: Annotated[str, typer.Option(help="Share of the rest that repair saves.")] = "0",
            law: Annotated[str, typer.Option(help="negative-binomial or poisson.")] = "negative-binomial",
            family: Annotated[str, typer.Option(help="Take the bins of the platform files in place of --need: 910B, "
                                                     "910C or 950.")] = "",
            as_of: AsOf = "",
            json_: Json = False) -> None:
    """How many dies fit which bin, when the cores of a die share its luck; beside it the naive binomial."""
    import numpy as np
    from scipy.special import betainc

    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.fab.harvest import bin_shares, split_means

    needs, rates = needs_of(need), {}
    remarks: list[str] = []
    if family:
        rates = _sold(family, as_of)
        needs = tuple(sorted(rates, reverse=True))
        require(cores is None or needs[0] <= cores, "cores", f"reach the largest bin of {family}, {needs[0]} cores",
                cores)
        if needs[0] > DIE_CORES and cores is None:
            remarks.append(f"how many cores the die has is not public: read as the {needs[0]} of its largest bin, so "
                           "none is spare there; give --cores")
        if not family.upper().startswith("910") and area_mm2 is None:
            remarks.append(f"the die area is not public: the 910B's {DIE_MM2:g} mm2 stands in; give --area-mm2")
    cores = cores if cores is not None else max(DIE_CORES, *needs) if family else DIE_CORES
    area_mm2 = DIE_MM2 if area_mm2 is None else area_mm2
    require(law in ("negative-binomial", "poisson"), "law", "be negative-binomial or poisson here", law)
    require(area_mm2 > 0, "area_mm2", "be above 0", area_mm2)
    require(d0_per_cm2 >= 0, "d0_per_cm2", "not be below 0", d0_per_cm2)
    alpha = float("inf") if law == "poisson" else clustering
    share, repair = share_of(core_share, "core_share"), parse_quantity(repair_share, "1", "repair_share")
    require(0 <= repair <= 1, "repair_share", "lie from 0% to 100%", repair_share)
    shares, scrap = bin_shares(needs, cores=cores, die_area_mm2=area_mm2, d0_per_cm2=d0_per_cm2, core_area_share=share,
                               uncore_repair_share=repair, alpha=alpha)
    core, fixed = split_means(area_mm2, d0_per_cm2, cores, share, repair)
    from chipcast.fab.harvest import at_least

    mean_core = at_least(1, 1, core, 0.0, alpha)
    rest = at_least(1, 0, 0.0, fixed, alpha)
    naive = [float(rest * betainc(n, cores - n + 1, mean_core)) if n else float(rest) for n in needs]
    naive = [b - a for a, b in zip([0.0, *naive[:-1]], naive, strict=True)]
    rows: list[dict[str, Any]] = [{"need": n, "share": float(s), "naive_share": v}
                                  for n, s, v in zip(needs, shares, naive, strict=True)]
    for row in rows if family else ():
        row["fp16_cube_tflops"], row["skus"] = rates[row["need"]]
    if json_:
        emit_json({"bins": rows, "scrap": float(scrap), "sellable": float(np.sum(shares)), "cores": cores,
                   "area_mm2": area_mm2, "d0_per_cm2": d0_per_cm2, "law": law, "core_share": share,
                   "clustering": None if law == "poisson" else clustering, "repair_share": repair,
                   "definition": "die.bin", **({"family": family, "remarks": remarks} if family else {})})
        return
    table(f"Bins of a die with {cores} cores, D0 {d0_per_cm2:g} per cm2, {area_mm2:g} mm2, {law}",
          ("bin", "share of gross dies", "binomial on the mean core (wrong under clustering)",
           *(("FP16 matrix TFLOPS", "sold as") if family else ())),
          [*((f"{r['need']} cores", f"{r['share']:.2%}", f"{r['naive_share']:.2%}",
              *((f"{r['fp16_cube_tflops']:g}", ", ".join(r["skus"][:3])) if family else ())) for r in rows),
           ("scrap", f"{float(scrap):.2%}", f"{1 - sum(naive):.2%}", *(("", "") if family else ()))])
    for remark in remarks:
        say(f"note: {remark}")


def _sold(family: str, as_of: str) -> dict[int, tuple[float, list[str]]]:
    """Return cores -> (best FP16 matrix rate, names) of the bins that the platform files sell of a family."""
    from chipcast.base.choose import choose
    from chipcast.chip.bins import bins
    from chipcast.cli.common import catalogue

    known = bins(catalogue(as_of))
    names = {b.family.split(" ")[0]: b.family for b in known if not b.family.startswith("910 ")}
    wanted = choose(names, family.upper(), "family of bins")
    found: dict[int, tuple[float, list[str]]] = {}
    for b in known:
        if b.family == wanted:
            rate, skus = found.get(b.cube_cores, (0.0, []))
            found[b.cube_cores] = (max(rate, round(b.cube_tflops, 1)), [*skus, b.sku])
    return found
