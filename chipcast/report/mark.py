"""Source marks: which numbers of the appendix and which sources stand behind a sentence, chart or table.

A mark [n] leads to the list of references. A reference is one number of the appendix with its own source, a source
(title, publisher, date), or all numbers of one station, which the appendix lists with a source each. So every number
can be followed to its origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from chipcast.base.given import Given, Row
from chipcast.base.summary import short
from chipcast.report.theme import quantity_name

STATIONS = {
    "fab": "Line: wafers, dies, packages, memory, cost",
    "evidence": "Reports: what a word can mean, how far a source errs",
    "chip": "Chips: figures of the catalogue and prices",
    "cluster": "Large machines: links, faults, recovery",
    "tokens": "Serving: efficiency, software, traffic",
    "ownership": "What an hour of a chip costs",
    "rules": "Gates: threats, delays and enforcement on both sides",
    "market": "Market: buyers, demand, supply, choice",
    "plan": "Plan: contracts, money, service",
    "buyer": "The buyer of this scenario",
    "other": "The run itself, and other numbers",
}
"""Groups of the appendix in the order of the line."""

PREFIXES = {
    "fab": (
        "smic_n2",
        "ramp",
        "package_",
        "die_bank",
        "hbm",
        "patterning",
        "euv_twin",
        "ascend_line",
        "fab",
        "wafer",
        "mask",
        "overlay",
        "learning",
        "foundry",
    ),
    "evidence": ("source_", "yield_reading", "yield_story", "claim", "evidence"),
    "cluster": (
        "ladder",
        "spares",
        "detection",
        "checkpoint",
        "hccs",
        "ub_a3",
        "nvlink",
        "rdma",
        "roce",
        "fleet",
        "optical_module",
        "fault",
        "infiniband",
        "network",
        "memory",
        "cluster",
        "repair",
        "slow",
        "hopper",
        "silent",
        "near",
        "elastic",
        "lemons",
        "relapse",
        "tree",
        "software",
        "adaptive",
    ),
    "tokens": ("fit-", "stack-", "overlap", "serving", "engine", "routing", "tokens", "ascend", "maturity", "op_",
               "layer"),
    "ownership": ("ownership", "card", "server"),
    "rules": ("us_gate", "gates", "no_controls", "cn_gate", "country_", "rules"),
    "market": (
        "platform",
        "cloud",
        "state_funded",
        "public_centre",
        "private",
        "clinic_school",
        "market",
        "demand",
        "choice",
        "grey",
        "allocation",
        "speculation",
        "beliefs",
        "other_segments",
        "small_segments",
        "domestic_other",
        "nvidia_",
        "overseas",
        "past",
    ),
    "plan": ("plan", "api", "rent", "contract"),
    "buyer": ("buyer",),
}
"""How the name of a number begins, by station; a chip's own figures belong to `chip`."""


LONG_RUN = 5
"""Marks in a row from which only the ends are shown."""


def station_of(name: str, chips: Iterable[str] = ()) -> str:
    """Return the group of the appendix in which a number stands.

    >>> station_of("smic_n2.d0_per_cm2"), station_of("h20-96.mem_gb", ["h20-96"])
    ('fab', 'chip')
    """
    item = name.partition(".")[0]
    if item in chips or item.startswith(("ascend-9", "h20", "h100", "h200", "h800")):
        return "chip"
    for station, starts in PREFIXES.items():
        if item.startswith(starts):
            return station
    return "other"


def anchor(name: str) -> str:
    """Return the anchor of a number in the appendix."""
    return "g-" + "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


class Marks:
    """Numbers the references of one page in the order in which they are first used."""

    def __init__(self, given: Given | None, sources: Mapping[str, Mapping[str, str]]) -> None:
        """Start an empty list of references."""
        self.sources = sources
        self.rows: Mapping[str, Row] = given.rows if given else {}
        chips = frozenset(given.catalog.chip_ids()) if given else frozenset()
        self.groups: dict[str, list[Row]] = {key: [] for key in STATIONS}
        for name in sorted(self.rows):
            self.groups[station_of(name, chips)].append(self.rows[name])
        self.numbers: dict[str, int] = {}

    def number(self, key: str) -> int | None:
        """Return the number of a row, station or source; None where nothing stands behind it."""
        known = key in self.rows or key in self.sources or bool(self.groups.get(key))
        return self.numbers.setdefault(key, len(self.numbers) + 1) if known else None

    def html(self, keys: Iterable[str]) -> str:
        """Return the marks of these stations, sources and rows as links; of a long run its two ends."""
        found = sorted({n for n in (self.number(k) for k in keys) if n is not None})
        links = " ".join("\u2013".join(f'<a href="#ref-{n}">[{n}]</a>' for n in part) for part in runs(found))
        return f'<sup class="marks">{links}</sup>' if links else ""

    def references(self) -> str:
        """Return the list of references used so far."""
        out = []
        for key, n in sorted(self.numbers.items(), key=lambda item: item[1]):
            if key in self.rows:
                words = self._row(self.rows[key])
            elif key in STATIONS:
                rows = self.groups[key]
                kinds = ", ".join(f"{sum(r.kind == k for r in rows)} {k}" for k in dict.fromkeys(r.kind for r in rows))
                words = (
                    f'{escape(STATIONS[key])}: <a href="#app-{key}">{len(rows)} numbers in the appendix</a> ({kinds}), '
                    "each with its source there; drawn and computed by the formulas of this station"
                )
            else:
                words = source_words(self.sources[key])
            out.append(f'<li id="ref-{n}" value="{n}">{words}</li>')
        return "\n".join(out)

    def _row(self, row: Row) -> str:
        """Return one number as a reference: value, kind, reason, its place in the appendix and its source."""
        source = self.numbers.get(row.source)
        origin = f', from <a href="#ref-{source}">[{source}]</a>' if source and row.source != "assumed" else ""
        unit = "" if row.unit == "1" else f" {escape(row.unit)}"
        why = f": {escape(row.why)}" if row.why else ""
        return (f'<a href="#{anchor(row.name)}">{escape(quantity_name(row.name))}</a>, {escape(law_words(row.law))}'
                f"{unit}, {escape(row.kind)}{origin}{why}")


def runs(numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Return numbers in order, each alone or, of `LONG_RUN` and more that follow each other, the first and the last.

    >>> runs([1, 4, 5, 8, 9, 10, 11, 12])
    [(1,), (4,), (5,), (8, 12)]
    """
    out: list[list[int]] = []
    for n in numbers:
        if out and n == out[-1][-1] + 1:
            out[-1].append(n)
        else:
            out.append([n])
    return [part for whole in out
            for part in ([(whole[0], whole[-1])] if len(whole) >= LONG_RUN else [(n,) for n in whole])]


def law_words(law: Any) -> str:
    """Return a law as its range: 5th percentile, middle, 95th percentile; mixtures part by part."""
    if law.family == "mix":
        return "a mixture of " + " or ".join(f"{law_words(p)} ({w:.0%})" for w, p in law.parts)
    if law.fixed:
        return short(law.middle, 5)
    return f"{short(law.low)} … {short(law.mode)} … {short(law.high)} ({law.family.replace('_', '-')})"


def source_words(row: Mapping[str, str]) -> str:
    """Return a source as a reader cites it, with its address as a link to follow by hand."""
    title, url = row.get("title") or row.get("key", ""), row.get("url", "")
    words = escape(title)
    if row.get("publisher") and row["publisher"] not in title:
        words += f", {escape(row['publisher'])}"
    if row.get("date"):
        words += f", {escape(row['date'])}"
    if url.startswith(("http://", "https://")):
        words += f', <a class="out" rel="noreferrer" href="{escape(url, quote=True)}">{escape(_short(url))}</a>'
    return words + (f" (read {escape(row['accessed'])})" if row.get("accessed") else "")


def _short(url: str) -> str:
    bare = url.split("://", 1)[1]
    return bare if len(bare) <= 60 else bare[:57] + "..."
