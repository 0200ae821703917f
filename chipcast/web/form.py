"""A page as a form: its fields, the questions they become, and how what is wrong is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from chipcast.base.catalog import Catalogue, last_known, read_table
from chipcast.base.errors import InputError
from chipcast.report.theme import SEGMENT_NAMES
from chipcast.tokens.config import shipped
from chipcast.web.api import sentence_of
from chipcast.web.ask import Question
from chipcast.web.show import View

Given = Mapping[str, Any]
"""A filled form: field to text, or to texts where several may be chosen; empty fields are left out."""

Answers = Mapping[str, Any]
"""Answers by the key of their question."""

SERVED = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c")
"""Chips that the form of serving offers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a form."""

    name: str
    """Name in the address."""
    label: str
    """What stands above it."""
    kind: str = "text"
    """text, number, date, select, several or list: a text with proposals."""
    default: Any = ""
    """What stands in it first."""
    options: tuple[tuple[str, str], ...] = ()
    """Values with their words."""
    hint: str = ""
    """What stands below it."""
    step: str = "any"
    """Step of a number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One question with its form."""

    path: str
    """Address."""
    title: str
    """The question."""
    lead: str
    """What the answer holds, one or two sentences."""
    asks: str
    """buyer or analyst."""
    fields: tuple[Field, ...]
    """Its form."""
    questions: Callable[[Given], dict[str, Question]]
    """The questions that a filled form becomes, by key."""
    view: Callable[[Answers, Given], View]
    """The answers as the page shows them."""
    instant: bool = False
    """Whether it answers at once, also as the page opens and while one types."""
    takes: str = ""
    """How long an answer takes, for a reader who waits."""


def filled(page: Page, stated: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return a form with what was stated, and defaults for fields that were not sent at all."""
    out: dict[str, Any] = {}
    for f in page.fields:
        texts = [t.strip() for t in stated.get(f.name, []) if t.strip()]
        if f.name not in stated:
            out[f.name] = f.default
        else:
            out[f.name] = tuple(texts) if f.kind == "several" else texts[-1] if texts else ""
    return out


def given_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a form that say something."""
    return {k: v for k, v in form.items() if v not in ("", ())}


def make(kind: type[Question], given: Given, *names: str, **more: Any) -> Question:
    """Return a question from fields of a form and what else is asked.

    Raises
    ------
    InputError
        If a field is missing, or out of its bounds.
    """
    fields = {n: given[n] for n in names if n in given} | {k: v for k, v in more.items() if v not in (None, "", ())}
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(sentence_of(error.errors())) from None


def in_words_of(page: Page, sentence: str) -> str:
    """Return a sentence of the command line with the labels of the form in place of flags and names of fields."""
    labels = {f.name: f.label for f in page.fields}

    def label(found: re.Match[str]) -> str:
        name = found.group(1).replace("-", "_")
        return f"'{labels[name]}'" if name in labels else found.group()

    text = re.sub(r"--([a-z][a-z0-9-]*)", label, sentence)
    return re.sub(r"^([a-z][a-z0-9_]*)(?= is missing| must|: | is not written)", label, text)


@lru_cache(maxsize=1)
def chip_options() -> tuple[tuple[str, str], ...]:
    """Return every chip of the catalogue with its name, and the common names that lead to it."""
    catalog = Catalogue(last_known())
    names = {r["item"]: r["model"] for r in (catalog.chip_names(c) for c in catalog.chip_ids())}
    also = [(r["alias"], names[r["item"]]) for r in read_table("aliases") if r["item"] in names]
    return tuple(sorted({**dict(also), **names}.items()))


@lru_cache(maxsize=1)
def model_options() -> tuple[tuple[str, str], ...]:
    """Return every shipped model."""
    return tuple((key, path.stem.split("__", 1)[1]) for key, path in sorted(shipped().items()))


def segment_options() -> tuple[tuple[str, str], ...]:
    """Return the buyer classes."""
    return tuple(SEGMENT_NAMES.items())
