"""What a worker of `chipcast web` does: run a verb as the command line would, and open no file for anyone.

Each worker runs one question at a time in a process of its own, so that standard output may be caught.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any

from chipcast.base.errors import ChipcastError, InputError

KINDS = {0: "answer", 2: "input", 3: "infeasible"}
"""Kind of reply by exit code; every other is our own fault."""

OWN = "yours.yaml"
"""Name under which a scenario text lies in the folder of a worker."""

LAST_UNTIL = "2035-12-31"
"""Longest horizon that a request may ask for."""

DRAWS, SEED = 2000, 1
"""Draws and seed of `market` where none are asked for; a test holds them to the command line's own."""

READ_FROM = ("/usr/share/zoneinfo", "/dev/null", "/dev/urandom")
"""Places outside the program that its libraries may read."""


def ready(place: str) -> None:
    """Make a worker ready: load what questions need, go to an empty folder in `place`, open no file outside."""
    import numba
    import polars
    import ruamel.yaml

    import chipcast.chain
    from chipcast.cli import build

    assert numba and polars and ruamel.yaml and chipcast.chain
    build()
    folder = tempfile.mkdtemp(dir=place)
    os.chdir(folder)
    _open_nothing_else((folder, str(Path(chipcast.__file__).parent), sys.prefix, sys.base_prefix, *READ_FROM))


def _open_nothing_else(places: tuple[str, ...]) -> None:
    """Refuse, for the rest of this process, to open files elsewhere, to start programs or to use the network."""
    roots = tuple(os.path.realpath(p) for p in places)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not any(path == root or path.startswith(root + os.sep) for root in roots):
                raise PermissionError(13, "a request may open no file")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.bind"):
            raise PermissionError(13, "a request may start no program and call nobody")

    sys.addaudithook(watch)


def answer(verb: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind and the text of the reply to a verb: the JSON of the command line, or its one sentence."""
    try:
        return "answer", _answer(verb, fields)
    except ChipcastError as error:
        return KINDS.get(error.exit_code, "fault"), str(error)
    except MemoryError:
        raise
    except Exception as error:
        import traceback

        traceback.print_exc()  # for who runs the server; the requester gets a sentence
        return "fault", f"chipcast itself failed on this question ({type(error).__name__}); it is not your input"


def _answer(verb: str, fields: Mapping[str, Any]) -> str:
    from chipcast.base.summary import plain, to_json
    from chipcast.web.questions import QUESTIONS

    if verb == "numbers":
        return to_json(numbers(str(fields["scenario"])))
    asked = QUESTIONS[verb](**fields)
    scenario = _scenario(fields)
    if verb == "market":
        return json.dumps(plain(_market(scenario, fields)), ensure_ascii=False, allow_nan=False)  # no time for indents
    return _verb(asked.words(**({"scenario": scenario} if fields.get("scenario_text") else {})))


def _verb(words: list[str]) -> str:
    """Return what the command line prints with `--json`."""
    from chipcast.base.errors import InfeasibleError
    from chipcast.cli import main

    out, said = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(said):
        at = words.index("--") if "--" in words else len(words)
        code = main([*words[:at], "--json", *words[at:]])
    if code == 0:
        return out.getvalue()
    sentence = said.getvalue().rstrip().rsplit("chipcast: ", 1)[-1]
    raise {2: InputError, 3: InfeasibleError}.get(code, ChipcastError)(" ".join(sentence.split()))


def _scenario(fields: Mapping[str, Any]) -> str:
    """Return the scenario of a question as the command line takes it; a text is checked and laid down first."""
    from chipcast.base.errors import unknown
    from chipcast.scenario import shipped

    for key in ("scenario", "first", "second"):
        if fields.get(key) and fields[key] not in shipped():
            unknown("scenario", fields[key], shipped())
    text = fields.get("scenario_text")
    if not text:
        return str(fields.get("scenario") or "february-2025")
    if fields.get("scenario"):
        raise InputError("give either scenario or scenario_text; a text may name a shipped scenario as its base:")
    Path(OWN).write_text(text, encoding="utf-8")
    _names_no_file(Path(OWN))
    return OWN


def _names_no_file(path: Path) -> None:
    """Refuse a scenario text that names a file: as its base or as a model."""
    from chipcast.base.calendar import parse_date
    from chipcast.base.document import bare, read_yaml
    from chipcast.base.errors import unknown
    from chipcast.scenario import shipped
    from chipcast.tokens import config

    tree = bare(read_yaml(path))
    if not isinstance(tree, Mapping):
        raise InputError("a scenario is a table of keys such as name:, as_of:, set:")
    base, buyer = tree.get("base"), tree.get("buyer")
    if base is not None and base not in shipped():
        unknown("base", str(base), shipped())
    model = buyer.get("model") if isinstance(buyer, Mapping) else None
    if model is not None and ("/" in str(model) or str(model).endswith(".json")):
        unknown("model", str(model), [*config.shipped(), *config.ALIASES])
    until = tree.get("until")
    if until is not None and str(parse_date(str(until), last=True)) > LAST_UNTIL:
        raise InputError(f"until: {until} lies beyond {LAST_UNTIL}; the command line goes farther")


@lru_cache(maxsize=2)
def _warm(scenario: str, as_of: str, sets: tuple[str, ...], draws: int, seed: int) -> tuple[Any, Any]:
    """Return a shipped scenario prepared, and its plain world: a what-if then takes a fraction of the time."""
    from chipcast import chain
    from chipcast.cli.common import load
    from chipcast.cli.market import begin

    ready = begin(load(scenario, as_of=as_of, sets=sets), draws=draws, seed=seed)
    return ready, chain.trade(ready.setting, ready.given)


def _market(scenario: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Answer `market` by the command line's own functions, on a prepared scenario where it is a shipped one."""
    from chipcast.cli import market
    from chipcast.cli.common import load

    without, events, sets = (tuple(fields.get(k, ())) for k in ("without", "event", "set"))
    draws, seed, as_of = int(fields.get("draws", DRAWS)), int(fields.get("seed", SEED)), str(fields.get("as_of", ""))
    plain = load(scenario, as_of=as_of, sets=sets)
    market.check_without(without)
    market.story_with(plain, events)
    if scenario == OWN:
        ready, base = market.begin(plain, draws=draws, seed=seed), None
    else:
        ready, base = _warm(scenario, as_of, sets, draws, seed)
    return market.answer(market.ask(ready, without=without, events=events, base=base), scenario=scenario)


def numbers(scenario: str) -> dict[str, Any]:
    """Return every number that a shipped scenario is given, with range, kind, source and reason."""
    from chipcast.base.catalog import sources
    from chipcast.chain import FIGURES
    from chipcast.report.mark import law_words, station_of
    from chipcast.scenario import load, resolve

    _scenario({"scenario": scenario})
    story = load(scenario)
    given = resolve(story, draws=1, chips=tuple(c for c in FIGURES if c in _known(story)))
    table = sources()
    used = sorted({r.source for r in given.rows.values() if r.source in table})
    return {"scenario": scenario, "as_of": str(given.as_of), "numbers": [
        {"name": r.name, "value": law_words(r.law), "unit": r.unit, "kind": r.kind, "source": r.source,
         "known_by": str(r.known_by or r.as_of or ""), "why": r.why, "station": station_of(r.name)}
        for r in given.rows.values()], "sources": {k: dict(table[k]) for k in used}}


def _known(story: Any) -> set[str]:
    from chipcast.base.catalog import Catalogue

    return set(Catalogue(story.as_of).chip_ids())


def stories() -> list[dict[str, str]]:
    """Return the shipped scenarios for the start page: name, information date, buyer, model and need in words."""
    from chipcast.scenario import load, shipped

    out = []
    for name in sorted(shipped(), key=lambda n: n != "february-2025"):
        story = load(name)
        need = ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in story.buyer.demand.model_dump().items() if v)
        out.append({"name": name, "as_of": str(story.as_of), "buyer": story.buyer.name, "model": story.buyer.model,
                    "segment": story.buyer.segment, "need": need,
                    "budget": f"{story.buyer.budget_usd} USD" if story.buyer.budget_usd else
                              f"{story.buyer.budget_cny} CNY" if story.buyer.budget_cny else "no limit"})
    return out
