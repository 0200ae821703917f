"""Words that the verbs of `tokens` share: options, chips of a comma list, sizes of a deployment, reading of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import given, measured, note

MOST_CHIPS = 1_000_000
"""More chips than this in one deployment are taken for a slip."""

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A shipped model or a config.json.")]
Chips = Annotated[str, typer.Option("--chip", metavar="ID[,ID...]", help="Chip ids or common names, comma between.")]
Count = Annotated[str, typer.Option("--chips", metavar="N | N..N",
                                    help="Chips of a replica, at most; `8..64` compares 8, 16, 32, 64.")]
Input = Annotated[float, measured("--input", "tokens", "Prompt.", above=0, most=1e8)]
Output = Annotated[float, measured("--output", "tokens", "Answer.", above=0, most=1e8)]
Tpot = Annotated[float, measured("--tpot-ms", "ms", "Promised time per output token.", above=0)]
Ttft = Annotated[float, measured("--ttft-ms", "ms", "Promised time to first token.", above=0)]
Precision = Annotated[str, typer.Option("--precision", help="fp8, int8, w4a8, bf16, ...; default: the chip's own.")]
Scene = Annotated[str, typer.Option("--scenario", help="Scenario of costs, faults and vintage.")]


def day_of(scenario: str, as_of: str) -> str:
    """Return the information date of a question: what is asked, else the scenario's own."""
    from chipcast.scenario import load

    return as_of or str(load(scenario).as_of)


def known_model(name: str, day: str) -> None:
    """Refuse a model that is unknown, or that became public only after the date; say where that is not known."""
    from chipcast.base.calendar import parse_date
    from chipcast.tokens.config import refuse_later, unsure_date
    from chipcast.tokens.model import load

    load(name)
    refuse_later(name, parse_date(day))
    if unsure_date(name, parse_date(day)):
        note(unsure_date(name, parse_date(day)))


def chip_ids(text: str, as_of: str, *, bins: bool = True) -> tuple[str, ...]:
    """Return the ids of a comma list of chips, known on the date, each once.

    Parameters
    ----------
    bins : bool
        Whether a 910B without a bin stands for a row per bin; else it stays one name.
    """
    from chipcast.cli.common import catalogue
    from chipcast.tokens.names import BINS
    from chipcast.tokens.speed import PROXIES

    catalog = catalogue(as_of)
    words = [w.strip() for w in text.split(",") if w.strip()]
    if not words:
        raise InputError("--chip needs at least one chip, for example --chip h20")
    out: list[str] = []
    for w in words:
        if w.lower() in ("910b", "ascend-910b"):
            out += list(BINS) if bins else ["ascend-910b"]
        elif w in PROXIES or w == "domestic_other":
            out.append(w)
        else:
            out.append(catalog.resolve_chip(w))
    return tuple(dict.fromkeys(out))


def one_chip(text: str, as_of: str, flag: str = "--chip") -> str:
    """Return the id of a single chip; a list, or a 910B without a bin, is refused."""
    ids = chip_ids(text, as_of)
    if len(ids) == 1:
        return ids[0]
    if text.strip().lower() in ("910b", "ascend-910b"):
        raise InputError(f"{flag} must name a bin of the 910B here: {', '.join(ids)}")
    raise InputError(f"{flag} must be one chip here, got '{text}'")


def sizes(text: str) -> tuple[int, ...]:
    """Return the sizes of `64`, or of `8..64` by doubling.

    Raises
    ------
    InputError
        If they are no whole numbers above zero, or fall.
    """
    from chipcast.base.units import parse_quantity

    ends = [parse_quantity(word, "chips", "--chips") for word in text.split("..", 1)]
    if any(n != int(n) or not 1 <= n <= MOST_CHIPS for n in ends) or ends[0] > ends[-1]:
        raise InputError(f"--chips must be a whole number from 1 to {MOST_CHIPS:,} or a range such as 8..64, "
                         f"got '{text}'")
    out = [int(ends[0])]
    while out[-1] * 2 <= ends[-1]:
        out.append(out[-1] * 2)
    return tuple(out if out[-1] == int(ends[-1]) else [*out, int(ends[-1])])


def world(scenario: str, as_of: str, draws: int, seed: int, chips: tuple[str, ...], sets: Sequence[str] = ()) -> Any:
    """Return the table of a question with the figures of its chips."""
    from chipcast.tokens.speed import stand_in

    real = [stand_in(i) for i in chips if i != "domestic_other"]
    return given(scenario, as_of=as_of, draws=draws, seed=seed, chips=tuple(dict.fromkeys(real)), sets=sets)


def read_text(path: str) -> str:
    """Return a file's text, or refuse it in one sentence."""
    try:
        with open(path, encoding="utf-8-sig") as lines:
            return lines.read()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"cannot read '{path}': no text in UTF-8") from None


def read_rows(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV with a header that names hardware and model.

    Raises
    ------
    InputError
        If the file cannot be read, is empty or lacks these columns.
    """
    import csv
    import io

    text = read_text(path)
    reader = csv.DictReader(io.StringIO(text))
    try:
        missing = {"hardware", "model"} - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"'{path}' lacks the column{'s' if len(missing) > 1 else ''} "
                             f"{', '.join(sorted(missing))}; its first line must be a header such as "
                             "id,hardware,model,quantity")
        rows = [{k: v or "" for k, v in row.items() if isinstance(k, str)} for row in reader]
    except csv.Error as error:
        raise InputError(f"'{path}' is no CSV: {error}") from None
    if not rows:
        raise InputError(f"'{path}' has a header and no rows")
    return rows


def write_text(path: str, text: str) -> None:
    """Write a file whole or not at all: under a temporary name first, then renamed."""
    import os
    from pathlib import Path

    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from None
