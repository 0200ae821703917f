"""Rules that a user adds or changes: a what-if law in the same words as the rows, read by the same parser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import InputError, RuleError, unknown
from chipcast.rules.place import place
from chipcast.rules.record import CN_WORDS, US_WORDS
from chipcast.rules.rule import STATES, Laws, read_layer

KEYS = ("name", "gate", "effective", "published", "known_by", "end", "enforced", "scope", "vendors", "chips", "test",
        "to", "segments", "share", "modifies", "why")
"""What may be said of a rule."""

GROUPS = ("any", "HQ", "D1", "D4", "D5", "A5", "A6", "DIFF18")
"""Groups that a scope may name beside countries; HQ reaches buyers whose parent sits in the scope."""

UPSTREAM = ("hbm", "foundry", "tools")
"""Gates of a chip line."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "us": {w: w for w in US_WORDS} | {"notified_exception": "notice", "licence": "letter",
                                      "case_by_case": "licence_case", "denied": "licence_denial"},
    "cn": {w: w for w in CN_WORDS} | {"denied": "barred"},
}
"""Consequence for each word that a user may write."""


def laws(rules: Mapping[str, Mapping[str, Any]], catalog: Catalogue, *, own: Iterable[str] = ()) -> Laws:
    """Return rows for rules that a user states, by id; an id of `rules.csv` changes that row alone.

    Parameters
    ----------
    rules : mapping
        Per id: `gate` (us, cn, hbm, foundry or tools), `effective`, `scope`, `test` or `chips`, `to`, and what else
        `KEYS` has. A new rule needs at least a day from which it binds, and a consequence.
    catalog : Catalogue
        Rows known by the information date; a what-if counts as known on it.
    own : iterable of str
        Chips of the user's own that a rule may name.

    Raises
    ------
    InputError
        If a key, a place, a chip, a word, a date or a test cannot be read; the message names the rule.
    """
    out = []
    for rule_id, fields in rules.items():
        try:
            row = _row(rule_id, fields, catalog, frozenset(own))
            read_layer(row)
        except RuleError as error:
            raise InputError(f"rules.{rule_id}: {str(error).removeprefix(f'rules.csv, {rule_id}: ')}") from None
        except InputError as error:
            raise InputError(f"rules.{rule_id}: {error}") from None
        out.append(tuple(sorted(row.items())))
    return tuple(out)


def _row(rule_id: str, fields: Mapping[str, Any], catalog: Catalogue, own: frozenset[str]) -> dict[str, str]:
    for key in fields:
        if key not in KEYS:
            unknown("key", str(key), KEYS, limit=len(KEYS))
    shipped = next((r for r in read_table("rules") if r["rule_id"] == rule_id), None)
    row = dict(shipped) if shipped else _blank(rule_id, fields)
    gate = row["gate"] if row["gate"] in WORDS else "us"
    for key in ("name", "effective", "published", "end"):
        if key in fields:
            row[key] = str(fields[key]) if key == "name" else str(parse_date(fields[key]))
    if not row["effective"]:
        raise InputError("say from which day it binds, as effective: 2025-06-01")
    row["published"] = row["published"] or row["effective"]
    row["known_by"] = str(parse_date(fields["known_by"])) if "known_by" in fields else \
        str(min(parse_date(row["known_by"] or row["published"]), catalog.as_of))
    row["published"] = min(row["published"], row["known_by"])
    if "end" in fields:
        row["end_known_by"] = row["known_by"]
    if "enforced" in fields:
        word = {"true": "yes", "false": "no"}.get(str(fields["enforced"]).lower(), str(fields["enforced"]).lower())
        if word not in STATES:
            unknown("enforcement", word, STATES)
        row["enforced"] = f"{row['effective']} {word} @{row['known_by']}"
        if word == "yes" and "end" not in fields and row["end"] and row["end"] <= row["effective"]:
            row["end"] = row["end_known_by"] = ""
    if "scope" in fields:
        row["scope"] = " ".join(_place(w) for w in _list(fields["scope"]))
    if "test" in fields:
        row["test"] = str(fields["test"])
    if "vendors" in fields:
        row["addressees"] = " ".join(v.upper() for v in _list(fields["vendors"]))
    if "chips" in fields:
        row["parts"] = " ".join(c if c in own else catalog.resolve_chip(c) for c in _list(fields["chips"], comma=True))
    if "to" in fields or "segments" in fields:
        row["words"] = _words(fields, gate)
    if "share" in fields:
        row["share"] = str(float(fields["share"]))
        row["subject"] = "share"
    if "modifies" in fields:
        row["acts"], row["form"] = "modifies:" + " ".join(_list(fields["modifies"])), "policy"
    row["note"] = str(fields.get("why", "")) or row["note"]
    if not shipped and not row["words"] and row["subject"] not in UPSTREAM:
        raise InputError("say what follows, as to: denied")
    return row


def _blank(rule_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return an empty row of a new rule."""
    gate = str(fields.get("gate", "us")).lower()
    if gate not in ("us", "cn", *UPSTREAM):
        unknown("gate", gate, ("us", "cn", *UPSTREAM))
    row = dict.fromkeys(read_table("rules")[0], "")
    row |= {"rule_id": rule_id, "authority": "scenario", "gate": "us" if gate in UPSTREAM else gate,
            "subject": gate if gate in UPSTREAM else "chip", "form": "list" if gate == "us" else "rule", "acts": "adds",
            "name": rule_id, "scope": "CN HK MO D5 HQ" if gate == "us" else "CN", "source": "scenario",
            "confidence": "a what-if of the user", "horizon": read_table("rules")[0]["horizon"]}
    if gate in UPSTREAM:
        row["words"] = "*=licence_denial"
    return row


def _list(value: Any, *, comma: bool = False) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(v).strip() for v in value]
    return [w.strip() for w in (str(value).split(",") if comma else str(value).replace(",", " ").split())]


def _place(word: str) -> str:
    sign, bare = ("-", word[1:]) if word.startswith("-") else ("", word)
    group = next((g for g in GROUPS if g.lower() == bare.lower().replace(":", "")), None)
    return sign + (group or place(bare).code)


def _words(fields: Mapping[str, Any], gate: str) -> str:
    known = WORDS[gate]

    def read(text: Any) -> str:
        word = str(text).strip().lower()
        if word not in known:
            unknown("consequence", word, known)
        return known[word]

    to = fields.get("to")
    if isinstance(to, Mapping):
        return "|".join(f"{k}={read(v)}" for k, v in to.items())
    if to is None:
        raise InputError("say what follows for these buyers, as to: denied")
    keys = _list(fields["segments"]) if "segments" in fields else ["*"]
    return "|".join(f"{k}={read(to)}" for k in keys)
