"""What may be asked over HTTP: one record per verb with bounds on every field, and the words of the command line.

A question is never computed here. It becomes the words that a user would type, so that page, interface and terminal
cannot differ; a field that is left out keeps the command line's own default.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

FILE_ENDS = (".yaml", ".yml", ".json", ".csv", ".svg", ".html", ".parquet", ".py", ".gz")
"""Endings by which the command line tells a file from a name."""

MOST_CHIPS = 8
"""Chips that one question may compare."""

MOST_TEXT = 65_536
"""Longest scenario text. [characters]"""

MOST_DRAWS = 4000
"""Most draws of one question; the command line takes more."""


def no_file(text: str) -> str:
    """Refuse what the command line would read as a file."""
    for word in text.split(","):
        if word.partition("#")[0].strip().lower().endswith(FILE_ENDS):
            raise ValueError("must be a name and not a file; files are read on the command line only")
    return text


def few(text: str) -> str:
    """Refuse a comma list longer than a request may ask for."""
    if text.count(",") >= MOST_CHIPS:
        raise ValueError(f"must name at most {MOST_CHIPS}; the command line takes more")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+()-]*$", max_length=60),
                 AfterValidator(no_file)]
"""A name from the catalogue: letters, digits and a few signs, no path."""

Names = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+(),-]*$", max_length=300),
                  AfterValidator(no_file), AfterValidator(few)]
"""Names with commas between."""

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$", max_length=10)]
"""A date, YYYY-MM-DD; where a month is meant, YYYY-MM."""

Share = Annotated[str, StringConstraints(pattern=r"^[0-9.]+ ?%?$", max_length=12)]
"""A share such as 40% or 0.4."""

Sentence = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]+$", max_length=160)]
"""One line of text."""

Text = Annotated[str, StringConstraints(max_length=MOST_TEXT)]
"""A scenario as YAML."""

Sets = Annotated[list[Sentence], Field(max_length=20, description="Figures of your own, NAME=VALUE, such as "
                                                                 "h20-96.price_usd=12k to 15k.")]
Draws = Annotated[int, Field(ge=100, le=MOST_DRAWS, description="Number of draws.")]
Seed = Annotated[int, Field(ge=0, le=2**53, description="Seed of all random streams.")]
Tokens = Annotated[float, Field(gt=0, le=1e6, description="Tokens.")]
Milliseconds = Annotated[float, Field(gt=0, le=1e6)]
Segment = Literal["platform", "cloud", "state_funded", "public_centre", "private", "clinic_school"]

Chip = Annotated[Name, Field(description="Chip id or common name.")]
To = Annotated[Name, Field(description="Destination: code or name of a country.")]
Hq = Annotated[Name, Field(description="Seat of the buyer's parent; default: the destination.")]
On = Annotated[Day, Field(description="Day that is asked about; default: the last that the sources speak of.")]
Buyer = Annotated[Name, Field(description="Buyer class, such as platform or clinic_school.")]
Use = Annotated[Literal["datacenter", "other"], Field(description="How the product is sold.")]
World = Annotated[Name, Field(description="A shipped scenario: its information date, ranges and rules.")]
Model = Annotated[Name, Field(description="A shipped model.")]
Area = Annotated[float, Field(gt=0, le=1e5, description="Die area. [mm2]")]
Density = Annotated[float, Field(ge=0, le=1000, description="Killing defects. [1/cm2]")]
Clusters = Annotated[float, Field(gt=0, le=1e6, description="Cluster parameter alpha of the yield law.")]
Cores = Annotated[int, Field(ge=0, le=10_000, description="Cores on the die.")]


class Question(BaseModel):
    """A question to one verb."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)

    VERB: ClassVar[tuple[str, ...]] = ()
    """Words of the verb."""
    PLACES: ClassVar[tuple[str, ...]] = ()
    """Fields that stand without a flag, in their order."""
    FLAGS: ClassVar[dict[str, str]] = {}
    """Flags that are not the field's own name."""
    HEAVY: ClassVar[bool] = False
    """Whether it takes seconds, so that few may run at once."""
    SAYS: ClassVar[str] = ""
    """What it answers, one sentence."""
    EXAMPLE: ClassVar[str] = ""
    """A query that answers."""

    def asked(self) -> dict[str, Any]:
        """Return the fields that were stated; an empty one counts as left out."""
        stated = self.model_dump(exclude_unset=True)
        return {k: v for k, v in stated.items() if v is not None and v is not False and v != "" and v != []}

    def words(self, **instead: str) -> list[str]:
        """Return the words of the command line; values never stand where a flag could be read."""
        stated = {**{k: v for k, v in self.asked().items() if k != "scenario_text"}, **instead}
        flags: list[str] = []
        for name, value in stated.items():
            if name not in self.PLACES:
                flag = self.FLAGS.get(name, "--" + name.replace("_", "-"))
                for one in value if isinstance(value, list | tuple) else [value]:
                    flags.append(flag if one is True else f"{flag}={one}")
        places: list[str] = []
        for name in self.PLACES:
            value = stated.get(name)
            places += [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)] if value else []
        return [*self.VERB, *flags, *(["--", *places] if places else [])]

    def command(self) -> str:
        """Return the command that asks the same in a terminal."""
        from shlex import quote

        own = {"scenario": "FILE.yaml"} if self.asked().get("scenario_text") else {}
        return "chipcast " + " ".join(quote(w) for w in self.words(**own) if w != "--")


class Dated(Question):
    """A question with an information date."""

    as_of: Day | None = Field(None, description="Information date; default: all that is known.")


class Drawn(Dated):
    """A question to draws of a scenario."""

    draws: Draws | None = None
    seed: Seed | None = None


class Story(Drawn):
    """A question to a scenario: a shipped one by name, or one's own as text."""

    scenario: Name | None = Field(None, description="Name of a shipped scenario; default: february-2025.")
    scenario_text: Text | None = Field(None, description="A scenario of your own as YAML, in its place; it may name "
                                                         "shipped scenarios and models, and no file.")
    set: Sets | None = None
