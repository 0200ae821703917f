"""What does a wafer give: dies, yield by law, and what can be sold."""

from __future__ import annotations

from chipcast.fab.defects import YIELD_LAWS
from chipcast.report.form_rows import bars, stack
from chipcast.report.record import Panel, Picture, Table
from chipcast.web.ask import Question
from chipcast.web.form import Answers, Field, Given, Page, make
from chipcast.web.questions import FabDies, FabHarvest, FabYield
from chipcast.web.show import View, said

LAYERED = "bose-einstein"
"""A law whose clustering is a count of layers; it answers another question than the rest and is not set beside them."""

SOLD = ("#0b5fa5", "#4fb3e8", "#9db4c7", "#b9c4d6")
"""Colours of the bins from high to low."""


def questions(given: Given) -> dict[str, Question]:
    """Return dies, yield by every law, and bins."""
    area = given.get("area_mm2")
    asked: dict[str, Question] = {
        "dies": make(FabDies, given, "area_mm2", "edge_mm", "scribe_mm"),
        "bins": make(FabHarvest, given, "area_mm2", "d0_per_cm2", "clustering", "cores", "need")}
    for law in YIELD_LAWS:
        if law != LAYERED:
            alpha = {"clustering": given.get("clustering")} if YIELD_LAWS[law].uses_alpha else {}
            asked[law] = make(FabYield, given, "d0_per_cm2", area_mm2=area, law=law, **alpha)
    return asked


def view(answers: Answers, given: Given) -> View:
    """Return good dies a wafer and how far the choice of law moves them."""
    dies, bins = answers["dies"], answers["bins"]
    laws = {law: answers[law] for law in YIELD_LAWS if law in answers}
    chosen = given.get("law", "negative-binomial")
    y = laws[chosen]["yield"]
    gross = dies["gross_dies"]
    ends = sorted(laws.values(), key=lambda a: float(a["yield"]))
    rows = [{"law": law, "yield": a["yield"], "text": f"{a['yield']:.1%}, {gross * a['yield']:.0f} of {gross}"}
            for law, a in laws.items()]
    parts = [(f"{b['need']} of {bins['cores']} cores", b["share"]) for b in bins["bins"]] + [("scrap", bins["scrap"])]
    tones = {name: (SOLD[i % len(SOLD)] if name != "scrap" else "#e1cfc9") for i, (name, _) in enumerate(parts)}
    sold = [{"wafer": "dies", "bin": n, "share": s} for n, s in parts]
    return View(
        headline=f"{gross} dies a wafer, of which {gross * y:.0f} are perfect ({y:.1%})",
        lines=said([f"Law: {chosen}, Y = {laws[chosen]['formula']}, as {laws[chosen]['definition']}: "
                    f"{laws[chosen]['meaning']}",
                    f"Over all phases of the grid a wafer holds {dies['mean_over_phases']:.1f} dies in the mean; "
                    f"{dies['full_fields']} full reticle fields",
                    f"With spare cores {bins['sellable']:.1%} of the dies can be sold in some bin, with "
                    f"{bins['core_share']:.0%} of the die being cores"]),
        pictures=(Picture(
            id="laws", title=f"The choice of law alone moves the yield from {ends[0]['yield']:.1%} to "
            f"{ends[-1]['yield']:.1%}", note="Perfect dies by yield law, at the same area and density of defects.",
            rows=rows, panels=(Panel(spec=bars(rows, label="law", value="yield", percent=True, domain=(0, 1), step=30,
                                               x_title="share of dies without a defect")),)), Picture(
            id="bins", title=f"{bins['sellable']:.0%} of the dies can be sold in some bin", rows=sold,
            note="Shares of dies by the best bin that each fits.", legend=tuple(tones.items()),
            panels=(Panel(spec=stack(sold, x="wafer", y="share", by="bin", colours=tones, y_title="share of dies",
                                     percent=True, horizontal=True, height=110, domain=(0, 1))),))),
        tables=(Table(id="counts", title="Dies on a wafer, by formula", columns=("formula", "dies"),
                      rows=(("counted exactly, best phase", f"{gross}"), ("mean over all phases",
                            f"{dies['mean_over_phases']:.1f}"), *((k, f"{v:.1f}") for k, v in
                                                                   dies["closed_forms"].items()))),),
        foot="A yield means nothing without its definition. What stands in the form first is the die of the 910B and "
        "an assumed density of defects; set your own.")


PAGE = Page(
    path="/fab", title="What does a wafer give?", asks="analyst", instant=True, questions=questions, view=view,
    lead="Dies on a wafer, counted exactly; yield by every law; bins with spare cores. It answers as you type.",
    fields=(Field(name="area_mm2", label="Die area, mm²", kind="number", default="665.61"),
            Field(name="d0_per_cm2", label="Killing defects per cm²", kind="number", default="0.2", step="0.01"),
            Field(name="law", label="Yield law of the headline", kind="select", default="negative-binomial",
                  options=tuple((n, n) for n in YIELD_LAWS if n != LAYERED)),
            Field(name="clustering", label="Cluster parameter alpha", kind="number", default="2"),
            Field(name="cores", label="Cores on the die", kind="number", default="25", step="1"),
            Field(name="need", label="Cores each bin asks for", default="24,20"),
            Field(name="edge_mm", label="Edge exclusion, mm", kind="number", default="3"),
            Field(name="scribe_mm", label="Street between dies, mm", kind="number", default="0.1")))
