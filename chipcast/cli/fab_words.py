"""Words and options that the verbs of `fab` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import measured

Law = Annotated[str, typer.Option("--law", help="poisson, murphy, rectangular, seeds, moore, negative-binomial "
                                                "or bose-einstein.")]
Clustering = Annotated[float, measured(
    "--clustering", "1", "Cluster parameter alpha; layers for bose-einstein.", above=0)]


def share_of(text: str, name: str) -> float:
    """Read a share such as 40% or 0.4; 40 alone is refused as a likely slip."""
    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity

    value = parse_quantity(text, "1", name)
    require(0 < value <= 1, name, "lie above 0% and not above 100%", text)
    return value


def needs_of(text: str) -> tuple[int, ...]:
    """Read the cores that bins ask for, such as 24,20."""
    from chipcast.base.errors import InputError

    words = [w.strip() for w in text.split(",")]
    if not all(w.isdecimal() for w in words):
        raise InputError(f"need must be whole numbers such as 24,20, each 0 or more, got '{text}'")
    return tuple(map(int, words))


def areas_of(text: str) -> tuple[float, ...]:
    """Read die areas such as 107,666, each in mm2."""
    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity

    areas = tuple(parse_quantity(part.strip(), "mm2", "sizes") for part in text.split(",") if part.strip())
    require(areas and all(1 <= a <= 10_000 for a in areas), "sizes", "be areas from 1 to 10,000 mm2 such as 107,666",
            text)
    return areas


def die_of(width_mm: float | None, height_mm: float | None, area_mm2: float | None,
           aspect: float) -> tuple[float, float]:
    """Return width and height from what was given."""
    from chipcast.base.errors import InputError, require

    if width_mm is not None and height_mm is not None and area_mm2 is None:
        return width_mm, height_mm
    if area_mm2 is not None and width_mm is None and height_mm is None:
        require(area_mm2 > 0, "area_mm2", "be above 0", area_mm2)
        require(aspect > 0, "aspect", "be above 0", aspect)
        return (area_mm2 / aspect) ** 0.5, (area_mm2 * aspect) ** 0.5
    raise InputError("give the die as --width-mm and --height-mm, or as --area-mm2 with an optional --aspect")


def write(path: str, text: str) -> None:
    """Write a file, or say in one sentence why not."""
    from pathlib import Path

    from chipcast.base.errors import InputError

    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}; choose another file") from None


def wide(values: Any, draws: int) -> Any:
    import numpy as np

    return np.broadcast_to(np.asarray(values, dtype=float), (draws,))
