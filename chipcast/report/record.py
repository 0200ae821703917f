"""What `report` takes: the story of a run, and the pictures and tables it is told with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.cluster.record import Fleet
from chipcast.fab.record import Line
from chipcast.market.record import Market
from chipcast.plan.record import Plan
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

Spec = dict[str, Any]
"""A Vega-Lite specification with its data inline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """One run, told from wafer to token; a part that is None has no section in the report."""

    scenario: str
    """Name of the scenario."""
    as_of: str
    """Information date (ISO)."""
    draws: int
    """Number of draws."""
    seed: int
    """Seed of all random streams."""
    version: str = ""
    """Version of the program."""
    claims: Sequence[Mapping[str, Any]] = ()
    """Claims checked: id, said, computed, verdict, why; optional `marks` (source keys or names of `given`)."""
    line: Line | None = None
    """The production line on the posterior of the date."""
    line_prior: Line | None = None
    """The same line before the reports were taken in."""
    routes: Sequence[Mapping[str, Any]] = ()
    """Ways of patterning side by side: route, and quantity names with an interval or a number each."""
    waterfall: Sequence[Mapping[str, Any]] = ()
    """Cost of one 910C package by step: step, usd (a number or an interval); the steps add up."""
    verdicts: Verdicts | None = None
    """Who may buy what, month by month."""
    measures: Sequence[Mapping[str, Any]] = ()
    """Chips on the rule plane: chip, tpp, performance_density, status; optional sentence, name, rule_id."""
    service: Service | None = None
    """What each chip delivers on the model."""
    deployments: Sequence[Mapping[str, Any]] = ()
    """Smallest deployment of each chip that keeps the buyer's promise: chip, chips, model, usd (draw)."""
    fleet: Fleet | None = None
    """What large machines keep of it."""
    market: Market | None = None
    """Who ordered, got and held what."""
    market_without_threat: Market | None = None
    """The same on common luck where no buyer fears a cut-off."""
    market_without_push: Market | None = None
    """The same on common luck without Beijing's push to buy local."""
    plan: Plan | None = None
    """What the buyer should order."""
    posterior: Sequence[Mapping[str, Any]] = ()
    """Prior against posterior: name, unit, prior, posterior (intervals), contraction."""
    ess: float | None = None
    """Effective sample size of the conditioning. [draws]"""
    given: Given | None = None
    """Every number of the run."""
    backtests: Sequence[Mapping[str, str]] = ()
    """Forecasts and predictions of the past beside what came: rows of `backtests.csv`."""
    given_blind: Given | None = None
    """Every number of the paired worlds of `market` and the claims, which never saw the claims' own reports."""
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Rows of the table of sources by key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One drawing area of a picture."""

    spec: Spec
    """What is drawn."""
    title: str = ""
    """Short name of the panel, empty where the picture has one panel only."""
    legend: tuple[tuple[str, str], ...] = ()
    """Names with their colours, where they are this panel's own."""
    svg: str = ""
    """A drawing of our own in place of `spec`, for what a chart grammar cannot keep in shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart with the sentence it shows, its data and where they come from."""

    id: str
    """Short name, unique in the report."""
    title: str
    """The finding, a sentence computed from the draws."""
    note: str
    """How to read it: what band, line and dot stand for."""
    panels: tuple[Panel, ...]
    """Drawing areas, side by side where the page is wide enough."""
    rows: Sequence[Mapping[str, Any]]
    """What is drawn, as a table for readers who compute on."""
    legend: tuple[tuple[str, str], ...] = ()
    """Names with their colours."""
    marks: tuple[str, ...] = ()
    """Where the numbers come from: stations of `given`, its row names, or source keys."""
    about: Array | None = None
    """The computed number of the finding, whose drivers are named below the chart. (draw)"""
    blind: bool = False
    """Whether `about` was computed on `Story.given_blind`."""
    wide: bool = False
    """Whether its panels need half a page each, for long names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table for the terminal and the page alike; the first column is text."""

    id: str
    """Short name, unique in the report."""
    title: str
    """What it shows."""
    columns: tuple[str, ...]
    """Heads with units."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, ready to print."""
    foot: str = ""
    """What a reader must know about it."""
    marks: tuple[str, ...] = ()
    """Where the numbers come from, as in `Picture`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One stretch of the story."""

    id: str
    """Anchor in the page."""
    title: str
    """What the stretch is about."""
    text: str
    """Two or three sentences built from computed numbers; plain text."""
    marks: tuple[str, ...]
    """Where the numbers of the text come from."""
    pictures: tuple[Picture, ...] = ()
    """Its charts."""
    tables: tuple[Table, ...] = ()
    """Its tables."""
