"""The answer in words and as one JSON object."""

from __future__ import annotations

import math
from typing import Any

from chipcast.base.catalog import read_table, sources
from chipcast.rules.answer import Answer, Assessment
from chipcast.rules.check import Verdict, native_slack
from chipcast.rules.costs import border_costs, permit_days
from chipcast.rules.distance import Reason, reason
from chipcast.rules.expr import Interval
from chipcast.rules.levers import levers
from chipcast.rules.measure import Figures
from chipcast.rules.record import STATUS_OF
from chipcast.rules.rule import Layer, known_layers

MEANING = {
    "free": "free", "notice": "notice to the US authority, then no licence (exception NAC)",
    "licence_approval": "licence, approval presumed or promised", "letter": "licence by letter, policy not public",
    "licence_case": "licence, reviewed case by case", "licence_denial": "licence, denial presumed",
    "quota": "with a share of domestic chips", "discouraged": "discouraged", "barred": "barred", "unknown": "unknown",
}
"""Consequences in plain words."""

QUANTITY = {"tpp": "TPP", "pd": "performance density", "area_mm2": "die area",
            "io_bidir_gb_s": "links, both directions", "dram_bw_gb_s": "memory bandwidth",
            "dc": "whether it is for data centres", "sold_in_us": "whether it is sold in the United States"}
"""Figures in plain words."""


def number(x: float) -> str:
    """Print a figure of a rule with up to five significant digits."""
    return f"{x:.5g}" if abs(x) < 1e5 else f"{x:,.0f}"


def span(ends: Interval) -> str:
    """Print an interval, or that it is unknown."""
    low, high = ends
    if (low, high) == (0.0, math.inf):
        return "unknown"
    return number(low) if low == high else f"{number(low)} to {'any' if math.isinf(high) else number(high)}"


def against(why: Reason, figures: Figures) -> str:
    """Return a comparison in words: `performance density 3.1422 against 3.2, 0.0578 or 1.8% left`."""
    if not why.names:
        return ""
    values = figures.values()
    ends = (sum(values[n][0] for n in why.names), sum(values[n][1] for n in why.names))
    what = " plus ".join(QUANTITY.get(n, n) for n in why.names)
    text = f"{what} {span(ends)} against {number(why.limit)}"
    if not math.isfinite(why.slack):
        return text
    share = abs(math.expm1(-why.slack)) if why.slack < 0 else math.expm1(why.slack)
    if ends == (why.limit, why.limit):
        return f"{text}, on the line"
    unit = f" {why.unit}" if why.unit[:1].isalpha() else ""
    native = f"{round(abs(why.limit - ends[0]), 4):g}{unit} or " if ends[0] == ends[1] else ""
    return f"{text}, {native}{share:.1%} {'left' if why.slack > 0 else 'beyond'}"


def span_of(why: Reason, figures: Figures) -> str:
    """Return a comparison without its distance: `performance density 2.7 to 3.3 against 3.2`."""
    return against(why, figures).partition(",")[0] if why.names else "a figure"


def sentence(v: Verdict) -> str:
    """Return the verdict in one sentence."""
    f, ask = v.ask.figures, v.ask
    head = f"{f.model} to {ask.to.name}"
    if ask.hq.code != ask.to.code:
        head += f", parent in {ask.hq.name}"
    head += f", buyer class {ask.segment}, on {ask.on}"
    if v.past_horizon:
        then = f", as known on {v.as_of}," if v.as_of < v.unknown_after else ""
        return (f"{head}: unknown, the sources end on {v.unknown_after}; the last known state{then} is "
                f"{v.last_status}. Not legal advice.")
    parts = [_us_words(v)]
    if ask.to.code == "CN" and not f.domestic:
        if v.cn.word == "free":
            parts.append("no Chinese rule found for this class and chip")
        else:
            parts.append(f"China's gate: {MEANING[v.cn.word]} by {v.cn.decided_by}")
    parts.append(f"known as of {v.as_of}" if v.unknown_after >= v.as_of else f"sources to {v.unknown_after}")
    return f"{head}: {v.status}; " + "; ".join(parts) + ". Not legal advice."


def _us_words(v: Verdict) -> str:
    us, f = v.us, v.ask.figures
    if us.why:
        return us.why
    if us.word == "unknown":
        words = [MEANING[w] for w in us.possible]
        between = f"US gate: {', '.join(words[:-1])} or {words[-1]}"
        where = next((h.layer.name for h in us.hits if h.through == "place"), "")
        if not us.needs:
            return f"{between}: {where}, whose text is not in these rows" if where else f"{between}: not in the sources"
        lacking = [QUANTITY[n] for n in us.needs if n in f.missing or n in ("dc", "sold_in_us")]
        if lacking:
            return f"{between}: {', '.join(lacking)} not stated"
        return f"{between}: {span_of(us.reason, f)} lies on both sides of a line"
    reason = against(us.reason, f)
    if us.word == "free":
        near = f" (nearest prong {us.prong}: {reason})" if reason else ""
        if us.looked_at:
            far = [x for x, a in us.looked_at if x.form == "letter" and math.isfinite(a.low) and a.low > 0]
            letters = "".join(f"; {_away(x, v)}" for x in far if x.rule_id != _line_of(us))
            return f"US gate: no rule in force catches it{near}{letters}"
        first = min((x.effective for x in known_layers(v.catalog) if x.subject == "chip" and x.gate == "us"
                     and x.effective), default=None)
        early = first is None or v.ask.on < first
        return "US gate: no rule yet" if early else "US gate: no rule in force reaches this chip at this place"
    doubt = ", enforcement doubtful" if us.enforced == "doubtful" else ""
    prong = f" prong {us.prong}" if us.prong else ""
    return f"US gate: {MEANING[us.word]} by {us.decided_by}{prong}{f' ({reason})' if reason else ''}{doubt}"


def _line_of(us: Answer) -> str:
    """Return the row whose line is nearest to a free chip."""
    near = [(a.high, x.rule_id) for x, a in us.looked_at if math.isfinite(a.high)]
    return min(near)[1] if near else ""


def _away(x: Layer, v: Verdict) -> str:
    """Return how far a letter's nearest line is, in its own unit."""
    assert x.test is not None, "a letter with a slack has a test"
    values = v.ask.figures.values(from_us=v.ask.from_us)
    why = reason(x.test, values, end=0)
    left = why.limit - sum(float(values[n][1]) for n in why.names)
    return f"the line of {x.rule_id} is {number(left)} {why.unit} away"


def payload(v: Verdict) -> dict[str, Any]:
    """Return the verdict as one JSON object."""
    ask, values = v.ask, v.ask.figures.values(from_us=v.ask.from_us)
    one = v.deciding
    gate = "cn" if one is v.cn else "us"
    out: dict[str, Any] = {
        "chip": ask.figures.id, "model": ask.figures.model, "to": ask.to.code, "hq": ask.hq.code, "on": str(ask.on),
        "as_of": str(v.as_of), "buyer": ask.segment, "from": "US" if ask.from_us else "elsewhere",
        "us": v.us.word, "cn": v.cn.word, "status": v.status, "us_range": [v.us.low, v.us.high],
        "us_possible": list(v.us.possible), "status_range": [STATUS_OF[v.us.low], STATUS_OF[v.us.high]],
        "classification": classification(v.us), "needs": list(v.us.needs),
        "last_known_status": v.last_status, "unknown_after": str(v.unknown_after),
        "deciding": {"gate": gate, "rule_id": one.decided_by or None, "prong": one.prong or None,
                     "slack": _finite(one.reason.slack), "native": native_slack(one, values),
                     "enforced": one.enforced or None},
        "slack_to_leave_control": [_finite(v.us.slack_low), _finite(v.us.slack_high)],
        "slack_to_leave_tier_a": _finite(v.us.slack_tier_a),
        "layers": [_layer(x, a, "us", v) for x, a in (*v.us.looked_at, *v.us.reviewed)]
        + [_layer(h.layer, h.assessment, "us", v) for h in v.us.hits if h.through in ("buyer", "place")]
        + [_layer(x, a, "cn", v) for x, a in v.cn.looked_at],
        "not_in_force": [{"rule_id": x.rule_id, "phase": phase} for x, phase in not_in_force(v)],
        "also_true": sorted({h.layer.rule_id for h in (*v.us.hits, *v.cn.hits) if h.assessment.sure}
                            | {x.rule_id for x, a in v.us.reviewed if a.sure} - {one.decided_by}),
        "enforced": one.enforced or None, "min_domestic_share": v.cn.min_domestic_share,
        "permit_days": permit_days(v.catalog, v.us.word), "costs": border_costs(v.catalog, ask.figures, ask.on),
        "would_change": [] if v.past_horizon else levers(v.catalog, ask),
        "announced": ask.figures.announced or None,
        "on_sale": None if not ask.figures.announced else ask.figures.announced <= str(ask.on),
        "missing": list(ask.figures.missing), "remarks": [*ask.figures.remarks, *_elsewhere(v)],
        "disputed": [*v.us.disputed, *v.cn.disputed],
        "scheduled": [{"on": str(day), "rule_id": rule, "what": what} for day, rule, what in v.scheduled],
        "sentence": sentence(v), "not_legal_advice": "Says what published text says; no legal advice.",
    }
    return out


def _elsewhere(v: Verdict) -> list[str]:
    """Return what the words leave out: controls that the table does not hold, quotas, tables that differ on a chip."""
    out = []
    if v.ask.figures.announced > str(v.ask.on):
        out.append(f"the chip was announced on {v.ask.figures.announced}, after the day that is asked for")
    if v.ask.to.arms_group and v.ask.to.code not in ("CN", "HK", "MO"):
        out.append(f"embargoes and other controls on {v.ask.to.name} are not in the table of rules")
    acting = [*(h.layer for h in v.us.hits), *(x for x, a in v.us.reviewed if a.may)]
    out += [f"of {x.rule_id} not counted: {x.row['not_counted']}" for x in acting if x.row.get("not_counted")]
    if any(x.form == "policy" for x, _ in v.us.reviewed):
        out += [r["disputed"] for r in read_table("chip_flags") if r["item"] == v.ask.figures.id and r["disputed"]]
    return out


def classification(us: Answer) -> str:
    """Return the strictest class that the chip meets for certain, `unknown` where one is open, else `none`."""
    met = [x for x, a in us.looked_at if x.classification and a.sure]
    if met:
        return met[0].classification if len(met) == 1 else min(x.classification for x in met)
    return "unknown" if any(x.classification and a.may for x, a in us.looked_at) else "none"


def not_in_force(v: Verdict) -> list[tuple[Layer, str]]:
    """Return the rows on chips and buyers that were public and do not bind on the day, with the reason in a word."""
    return [(x, phase) for x in known_layers(v.catalog)
            if x.subject in ("chip", "prc_chip", "affiliate", "pending")
            and (phase := x.phase(v.ask.on, v.as_of)) in ("never", "suspended", "scheduled", "pending", "unknown")]


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _layer(x: Layer, a: Assessment, gate: str, v: Verdict) -> dict[str, Any]:
    answer = v.us if gate == "us" else v.cn
    hit = next((h for h in answer.hits if h.layer is x), None)
    return {
        "rule_id": x.rule_id, "gate": gate, "name": x.name,
        "met": True if a.sure else None if a.may else False,
        "caught": "yes" if a.sure else "unknown" if a.may else "no", "prongs": list(a.prongs),
        "classification": (x.classification if a.sure else "unknown" if a.may else f"not_{x.classification}")
        if x.classification else None,
        "consequence": None if hit is None else hit.high, "through": None if hit is None else hit.through,
        "changed_by": None if hit is None or hit.by == x.rule_id else hit.by,
        "enforced": x.state(v.ask.on, v.as_of) if hit is None else hit.state,
        "nearest": against(a.reason, v.ask.figures) or None, "prong": a.reason.prong or None,
        "slack": [_finite(a.low), _finite(a.high)],
        "published": str(x.published), "effective": str(x.effective), "confidence": x.row["confidence"],
        "source": x.row["source"], "url": sources().get(x.row["source"], {}).get("url", ""),
        "note": x.row["note"] if v.as_of >= x.horizon else ""}


def measurement(f: Figures) -> dict[str, Any]:
    """Return what the rules measure of a chip, with every figure that went in."""
    return {
        "chip": f.id, "model": f.model, "vendor": f.vendor,
        "tpp": _ends(f.tpp), "winner": f.winner or None,
        "tpp_by_precision": {p: _ends(v) for p, v in f.tpp_by_precision.items()},
        "applicable_die_mm2": _ends(f.area_mm2), "performance_density": _ends(f.pd), "pd": _ends(f.pd),
        "io_bidir_gb_s": _ends(f.io_bidir_gb_s),
        "dram_bw_gb_s": _ends(f.dram_bw_gb_s), "transistors_bn": _ends(f.transistors_bn),
        "datacenter": _word(f.dc), "sold_in_us": _word(f.sold_in_us),
        "inputs": [{"name": e.name, "value": e.low if e.low == e.high else [e.low, e.high], "unit": e.unit,
                    "kind": e.kind, "source": e.source, "known_by": e.known_by} for e in f.entries],
        "missing": list(f.missing), "remarks": list(f.remarks),
    }


def _ends(ends: Interval) -> float | list[float | None] | None:
    if ends == (0.0, math.inf):
        return None
    return float(ends[0]) if ends[0] == ends[1] else [_finite(ends[0]), _finite(ends[1])]


def _word(flag: Interval) -> str:
    return {(1, 1): "yes", (0, 0): "no"}.get((int(flag[0]), int(flag[1])), "unknown")
