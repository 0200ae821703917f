"""The picture of the smallest deployment that a small buyer could own, chip by chip, against the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.report.form import SPREAD, five, line_at
from chipcast.report.form_rows import ranges
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import STATUS_NAMES, chip_colours, chip_name


def clinic(deployments: Sequence[Mapping[str, Any]], given: Given, measures: Sequence[Mapping[str, Any]] = ()
           ) -> Picture:
    """Draw the price of the smallest deployment of each chip that keeps the buyer's promise.

    Parameters
    ----------
    deployments : sequence of mappings
        chip, chips (whole servers), usd (draw), model.
    given : Given
        Every number; the budget is its row `buyer.budget_usd`, where there is one.
    measures : sequence of mappings
        Status of each chip on the date.
    """
    status = {str(m["chip"]): str(m["status"]) for m in measures}
    order = sorted(deployments, key=lambda d: float(np.median(d["usd"])))
    tones = {chip_name(c): v for c, v in chip_colours([str(d["chip"]) for d in order]).items()}
    rows: list[dict[str, Any]] = []
    for d in order:
        name, word = chip_name(str(d["chip"])), status.get(str(d["chip"]), "free")
        spread = five(np.asarray(d["usd"]) / 1e3)
        label = f"{d['chips']} x {name}" + (f"\n({STATUS_NAMES[word]})" if word != "free" else "")
        tones[label] = tones[name]
        rows.append({"deployment": label, "chips": int(d["chips"]), "status": STATUS_NAMES[word], **spread,
                     "text": f"{short(spread['mid'] * 1e3)} USD"})
    budget = given.middle("buyer.budget_usd") if "buyer.budget_usd" in given else 0.0
    top = max(r["high"] for r in rows)
    shown = 0 < budget / 1e3 < 4 * top
    extra = line_at(budget / 1e3, axis="x", text="budget", tone="#b5392d") if shown else []
    spec = ranges(rows, label="deployment", by="deployment", colours=tones, step=40, log=True,
                  x_title=f"thousand USD, servers and network included, {SPREAD}", extra=extra,
                  hold=(budget / 1e3 * 1.1,) if shown else ())
    legal = [d for d in order if status.get(str(d["chip"]), "free") in ("free", "discouraged", "notified_exception")]
    first = (legal or order)[0]
    usd = five(np.asarray(first["usd"]))
    title = (f"The smallest deployment of {first['model']} that keeps the buyer's promise"
             f"{' and may be bought' if legal and status else ''} is {first['chips']} x "
             f"{chip_name(str(first['chip']))} for {short(usd['mid'])} USD ({short(usd['low'])} to "
             f"{short(usd['high'])})")
    if budget:
        title += f"; the budget of {short(budget)} USD covers it in {np.mean(np.asarray(first['usd']) <= budget):.0%} "
        title += "of the draws"
    return Picture(
        id="clinic", title=title, panels=(Panel(spec=spec),), rows=rows, about=np.asarray(first["usd"]),
        note="The fewest whole servers of each chip on which the model fits and the buyer's promise is kept, with "
        "servers and network. Dot: median; the line holds 90 percent of the draws. Where no bar stands, no layout "
        "keeps the promise.", marks=("chip", "tokens", "ownership", "buyer"))
