"""Verbs of `fab` on one wafer: how many dies, and maps of what fails."""

from __future__ import annotations

from typing import Annotated

import typer

from chipcast.cli.common import Json, Seed, emit_json, measured, say, table, whole
from chipcast.cli.fab_words import areas_of, die_of, needs_of, share_of, write


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("dies")(dies)
    app.command("map")(map_)


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
         objective: Annotated[str, typer.Option(help="What --phase best counts: dies, or good (dies without a defect "
                                                     "where the rim is worse).")] = "dies",
         d0_per_cm2: Annotated[float, measured("--d0-per-cm2", "1/cm2", "Mean density, for --objective good.", least=0,
                                               most=10)] = 0.16,
         edge_rise: Annotated[float, measured("--edge-rise", "1", "How much denser the rim is than the middle.",
                                              least=0)] = 3.0,
         edge_power: Annotated[float, measured("--edge-power", "1", "How late that rise comes.", above=0)] = 4.0,
         map_file: Annotated[str, typer.Option("--map", metavar="FILE.svg", help="Draw the wafer.")] = "",
         json_: Json = False) -> None:
    """Complete dies on a wafer, exactly: best, given or average phase, and the reticle fields."""
    from chipcast.base.errors import InputError
    from chipcast.fab.phase import EdgeProfile, best_good_phase, good_dies
    from chipcast.fab.shots import shots
    from chipcast.fab.wafer import APPROXIMATIONS, Wafer, approximate, mean_gross_dies, phase_of, place

    if objective not in ("dies", "good"):
        raise InputError(f"objective must be dies or good, got '{objective}'")
    w, h = die_of(width_mm, height_mm, area_mm2, aspect)
    wafer = Wafer(die_width_mm=w, die_height_mm=h, edge_mm=edge_mm, scribe_mm=scribe_mm, diameter_mm=diameter_mm,
                  notch_mm=notch_mm)
    profile = EdgeProfile(d0_per_cm2=d0_per_cm2, rise=edge_rise, power=edge_power)
    by_good = objective == "good"
    at = best_good_phase(wafer, profile)[1] if by_good and phase == "best" else phase_of(wafer, phase)
    placed = place(wafer, at)
    good = good_dies(placed, profile) if by_good else None
    most = good_dies(place(wafer, phase_of(wafer, "best")), profile) if by_good else None
    fields = shots(placed, shared_scribe=not own_scribe, half_field=half_field)
    mean = mean_gross_dies(w, h, edge_mm, scribe_mm, diameter_mm, notch_mm)
    closed = {name: approximate(wafer, name) for name in APPROXIMATIONS}
    if map_file:
        from chipcast.fab.picture import placement_svg

        write(map_file, placement_svg(placed, fields))
    if json_:
        emit_json({"gross_dies": placed.dies, "fields": fields.count, "edge_mm": edge_mm, "scribe_mm": scribe_mm,
                   "phase": phase, "phase_mm": placed.phase_mm, "die_width_mm": w, "die_height_mm": h,
                   "die_area_mm2": w * h, "diameter_mm": diameter_mm, "notch_mm": notch_mm, "mean_over_phases": mean,
                   "dies_per_field": fields.across * fields.along, "full_fields": fields.full,
                   "closed_forms": closed, "objective": objective,
                   **({"good_dies": good, "good_dies_at_most_dies": most, "d0_per_cm2": d0_per_cm2,
                       "edge_rise": edge_rise, "edge_power": edge_power} if by_good else {}),
                   **({"map": map_file} if map_file else {})})
        return
    say(f"{placed.dies} dies of {w:g} x {h:g} mm ({w * h:.2f} mm2) on a {diameter_mm:g} mm wafer: {edge_mm:g} mm edge, "
        f"{scribe_mm:g} mm scribe, phase {phase} ({placed.phase_mm[0]:.3f}, {placed.phase_mm[1]:.3f} mm).")
    if good is not None and most is not None:
        say(f"{good:.2f} of them without a defect at D0 {d0_per_cm2:g} per cm2 that rises to the rim (b {edge_rise:g}, "
            f"p {edge_power:g}); the phase with most complete dies has {most:.2f}. A search, no proof.")
    say(f"Average over all phases {mean:.2f}. Fields: {fields.count} shots of {fields.across} x {fields.along} dies, "
        f"{fields.full} of them full.")
    table("Closed forms, for comparison", ("name", "dies", "error"),
          [(n, f"{v:.1f}", f"{v / placed.dies - 1:+.1%}" if placed.dies else "-") for n, v in closed.items()])


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
         sizes: Annotated[str, typer.Option("--sizes", metavar="MM2,...", help="Areas of square dies for which the "
                                            "effective alpha is shown.")] = "107,456,666,814",
         out: Annotated[str, typer.Option(metavar="FILE.svg", help="Draw a typical wafer here, and a poor one "
                                                                   "beside it as FILE-poor.svg.")] = "",
         seed: Seed = 1, json_: Json = False) -> None:
    """Wafer maps drawn defect by defect; the pictures and the statistics come from the same draws."""
    from dataclasses import replace

    import numpy as np

    from chipcast.base.choose import choose
    from chipcast.base.errors import InputError
    from chipcast.base.summary import interval
    from chipcast.fab.alpha import DRAWN, by_die_size
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
    needs = needs_of(need)
    wafer = Wafer(die_width_mm=w, die_height_mm=h, edge_mm=edge_mm, scribe_mm=scribe_mm)
    found = draw_gallery(place(wafer, phase_of(wafer, phase)), d0_per_cm2, clusters=clusters, alpha=clustering,
                         mixing=mixing, needs=needs, cores=cores, core_area_share=share_of(core_share, "core_share"),
                         wafers=wafers, seed=seed)
    mean = d0_per_cm2 * w * h / 100
    y = float(found.perfect.mean())
    alpha = float(effective_alpha(y, mean)) if y > np.exp(-mean) * 1.001 else None
    exact = thomas_yield(w, h, d0_per_cm2, children=children, sigma_mm=sigma_mm) if clusters == "thomas" else None
    areas = areas_of(sizes)
    seen = by_die_size(areas, d0_per_cm2, mixing, edge_mm=edge_mm, scribe_mm=scribe_mm,
                       wafers=min(wafers, DRAWN), seed=seed)
    files = {}
    if out:
        stem = out.removesuffix(".svg")
        for name, picture, path in (("typical", found.typical, out), ("poor", found.poor, f"{stem}-poor.svg")):
            title = f"A {name} wafer ({clusters}): {picture.sellable} of {found.placement.dies} dies sell"
            write(path, wafer_svg(found.placement, picture.bins, picture.defects, found.bin_names, title,
                                   found.fields))
            files[name] = path
    if json_:
        emit_json({"clusters": clusters, "wafers": wafers, "gross_dies": found.placement.dies, "d0_per_cm2": d0_per_cm2,
                   "yield": y, "definition": "die.perfect", "yield_sd": float(found.perfect.std()),
                   "wafer_yield": interval(found.perfect), "sellable_yield": interval(found.sellable),
                   "bins": {n: float(s) for n, s in zip(found.bin_names, found.shares, strict=True)},
                   "effective_alpha": alpha,
                   "alpha_by_die_size": [{"area_mm2": d.area_mm2, "gross_dies": d.dies, "yield": d.share,
                                          "effective_alpha": d.alpha if np.isfinite(d.alpha) else None} for d in seen],
                   "closed_form_yield": exact, "seed": seed,
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
    table("What square dies of other sizes see of the same defects", ("area, mm2", "dies", "die.perfect",
                                                                      "effective alpha"),
          [(f"{d.area_mm2:g}", d.dies, f"{d.share:.4f}", f"{d.alpha:.2f}" if np.isfinite(d.alpha) else "none seen")
           for d in seen])
    if exact is not None:
        say(f"Closed form of the cluster law: {exact:.4f}.")
    say(f"Typical wafer (number {found.typical.index}): {found.typical.sellable} dies sell; 5th percentile "
        f"(number {found.poor.index}): {found.poor.sellable}.")
    for name, path in files.items():
        say(f"Drew the {name} wafer: {path}")
