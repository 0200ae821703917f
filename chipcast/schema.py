"""What a scenario file may say: its keys, their types, and the sentence for what it may not say."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from chipcast.base.calendar import parse_date
from chipcast.base.document import line_of
from chipcast.base.errors import InputError, nearest
from chipcast.base.units import parse_quantity


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(_Strict):
    """A dated what-if; without events the hazard decides."""

    on: date
    gate: Literal["us", "cn", "tools", "hbm", "foundry", "demand", "quota", "yield", "offer"]
    chip: str = ""
    to: Literal["", "free", "notified_exception", "licence", "case_by_case", "denied", "discouraged", "open",
                "closed"] = ""
    segment: Literal["", "platform", "cloud", "state_funded", "public_centre", "private", "clinic_school"] = ""
    value: float | None = None
    grace_days: int = 0
    why: str = ""

    @field_validator("on", mode="before")
    @classmethod
    def _on(cls, value: object) -> date:
        return day(value)

    @field_validator("value", mode="before")
    @classmethod
    def _value(cls, value: object) -> object:
        """Read `60%` as 0.6, as everywhere else."""
        if not isinstance(value, str):
            return value
        try:
            return parse_quantity(value, "1", "value")
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _whole(self) -> Event:
        """Refuse an event that says nothing, or what its kind has no use for."""
        amount = self.gate in AMOUNTS
        if amount:
            low, high, what = AMOUNTS[self.gate]
            if self.value is None or not low <= self.value <= high:
                raise ValueError(f"an event at gate {self.gate} needs value: {what}")
            if self.to:
                raise ValueError(f"an event at gate {self.gate} takes value: and no to:")
        elif not self.to:
            raise ValueError(f"an event at gate {self.gate} needs to:, such as open, licence or closed")
        elif self.value is not None:
            raise ValueError(f"an event at gate {self.gate} takes to: and no value:")
        if self.segment and self.gate not in ("demand", "quota"):
            raise ValueError(f"an event at gate {self.gate} acts on all buyers; leave segment: out")
        if self.grace_days and (self.gate not in ("us", "cn") or self.to not in ("licence", "denied", "closed")):
            raise ValueError("grace_days: belongs to a closing of gate us or cn")
        if not 0 <= self.grace_days <= MOST_GRACE_DAYS:
            raise ValueError(f"grace_days must lie in 0 to {MOST_GRACE_DAYS}, got {self.grace_days}")
        return self


AMOUNTS = {"demand": (0.0, 100.0, "the factor of what is wanted, 0 to 100"),
           "quota": (0.0, 1.0, "the least domestic share of new cards, 0 to 1"),
           "yield": (0.0, 10.0, "the factor of what the line makes, 0 to 10"),
           "offer": (0.0, 100.0, "the factor of supply of the next foreign card, 0 to 100")}
"""Events that take a value: least, most, and what it is."""

MOST_GRACE_DAYS = 1000
"""A longer announcement is no grace period. [days]"""


class Demand(_Strict):
    """What a buyer must serve: users, or requests a second."""

    concurrent_users: Any = None
    tokens_per_user_day: Any = None
    requests_per_s: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    input_share: Any = None
    growth_per_month: Any = 0


class Promise(_Strict):
    """Latency that must be kept."""

    ttft_s: float = 2.0
    tpot_ms: float = 50.0


class Room(_Strict):
    """A room of the buyer's in which machines may stand."""

    name: str
    power_kw: Any = None
    rack_units: Any = None
    pue: Any = None
    usd_per_kwh: Any = None


class Buyer(_Strict):
    """The one for whom `plan` decides."""

    name: str
    segment: Literal["platform", "cloud", "state_funded", "public_centre", "private", "clinic_school"]
    country: str = "CN"
    hq: str = ""
    model: str = "deepseek-r1"
    demand: Demand
    promise: Promise = Promise()
    budget_usd: Any = None
    budget_cny: Any = None
    power_kw: Any = None
    sites: tuple[Room, ...] = ()
    decide_until: str = ""
    shortage_usd_per_million_tokens: Any = None
    api_usd_per_million_tokens: Any = None
    min_domestic_share: Any = None
    chips: tuple[str, ...] = ()
    max_domestic_wait_months: int | None = None


class Report(_Strict):
    """A report of the analyst's own, added to the evidence."""

    series: str
    value: Any
    definition: str = ""
    published: date
    known_by: date | None = None
    source_class: Literal["filing", "teardown", "vendor_plan", "testimony", "letter_or_broker", "forecast", "newspaper",
                          "forum"]
    period: str = ""
    origin: str = ""
    unit: str = ""
    why: str = ""

    @field_validator("period", mode="before")
    @classmethod
    def _period(cls, value: object) -> object:
        """A year is a number in YAML."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("published", "known_by", mode="before")
    @classmethod
    def _published(cls, value: object) -> date | None:
        return None if value is None else day(value)


class File(_Strict):
    """One file as it is written, before its bases are folded in."""

    name: str = ""
    base: str | None = None
    as_of: date | None = None
    until: str | None = None
    set: dict[str, Any] = {}
    events: tuple[Event, ...] = ()
    buyer: Buyer | None = None
    chips: dict[str, dict[str, Any]] = {}
    rules: dict[str, dict[str, Any]] = {}
    reports: tuple[Report, ...] = ()
    why: str = ""

    @field_validator("as_of", mode="before")
    @classmethod
    def _as_of(cls, value: object) -> date | None:
        return None if value is None else day(value)

    @field_validator("until", mode="before")
    @classmethod
    def _until(cls, value: object) -> str | None:
        if value is None:
            return None
        return f"{day(value, last=True):%Y-%m}"


def day(value: object, *, last: bool = False) -> date:
    """Return a date as pydantic wants it: what is wrong raises ValueError with our sentence."""
    try:
        return parse_date(value, last=last)
    except InputError as error:
        raise ValueError(str(error)) from None


def refusal(error: ValidationError, tree: Any, path: Path) -> str:
    """Return one sentence for the first problem pydantic found."""
    first = error.errors()[0]
    place = first["loc"]
    name = ".".join(map(str, place))
    at = f"{path.name}:{line_of(tree, place)}"
    if first["type"] == "extra_forbidden":
        model: Any = File
        for key in place[:-1]:
            model = {"buyer": Buyer, "demand": Demand, "promise": Promise, "events": Event,
                     "reports": Report, "sites": Room}.get(str(key), model)
        known = list(model.model_fields)
        close = nearest(str(place[-1]), known)
        hint = f"; did you mean '{close[0]}'?" if close else ";"
        return f"{at}: unknown key '{name}'{hint} known: {', '.join(known)}"
    if first["type"] == "missing":
        return f"{at}: {name} is missing; add it"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message.startswith("Input should") else message
    got = first.get("input")
    shown = f", got {got!r}" if isinstance(got, str | int | float) and str(got) not in message else ""
    return f"{at}: {name}: {message}{shown}"
