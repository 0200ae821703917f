"""The chart library that a report carries inside itself: Vega, Vega-Lite and Vega-Embed in one file.

`bundle.js` is made once by `python -m chipcast.report.bundle` (making it takes seconds and much memory);
it calls `chipcastReady(vegaEmbed)` and leaves no global behind when wrapped in a function.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

PATH = Path(__file__).with_name("bundle.js")

SNIPPET = "chipcastReady(vegaEmbed);"
"""What the bundle runs once it is loaded."""


@lru_cache(maxsize=1)
def script() -> str:
    """Return the bundle without its first line, ready to stand inside a function of the page."""
    return PATH.read_text(encoding="utf-8").split("\n", 1)[1]


def versions() -> dict[str, str]:
    """Return the versions written in the first line of the bundle."""
    with PATH.open(encoding="utf-8") as lines:
        read: dict[str, str] = json.loads(lines.readline().removeprefix("//"))
    return read


def made_with() -> dict[str, str]:
    """Return the versions of the libraries from which a new bundle would be made."""
    import altair
    import vl_convert

    lite = altair.SCHEMA_VERSION.removeprefix("v")
    return {
        "vega": vl_convert.get_vega_version(),
        "vega-lite": ".".join(lite.split(".")[:2]),
        "vega-embed": vl_convert.get_vega_embed_version(),
    }


def make() -> str:
    """Return a new bundle: one line of versions, then the code."""
    import vl_convert

    made = made_with()
    code = vl_convert.javascript_bundle(SNIPPET, vl_version=made["vega-lite"])
    assert "</script" not in code.lower() and "<!--" not in code, "the bundle would end its own script element"
    return f"//{json.dumps(made)}\n{code}"


if __name__ == "__main__":
    PATH.write_text(make(), encoding="utf-8", newline="\n")
