"""YAML documents read safely: bounded size, no aliases, messages with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chipcast.base.errors import InputError

MAX_BYTES = 262_144
"""A document larger than this is refused before it is read."""

MAX_DEPTH = 64
"""Most lists and tables within each other; reading takes a time that grows with the square of the depth."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file safely: bounded size, no aliases, messages with file and line.

    Raises
    ------
    InputError
        If the file cannot be read, is too large, is nested too deeply, uses aliases or is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}; name a YAML file that may be read") from None
    if len(text) > MAX_BYTES:
        raise InputError(f"{path.name} is larger than {MAX_BYTES} bytes; a scenario states only what differs")
    try:
        decoded = text.decode("utf-8")
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(decoded):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise InputError(f"{path.name}:{event.start_mark.line + 1}: nested too deeply, over {MAX_DEPTH} "
                                 "levels; write it flat")
            if isinstance(event, AliasEvent):
                raise InputError(f"{path.name}:{event.start_mark.line + 1}: aliases (*name) are not allowed; "
                                 "write the value out")
        reader = YAML(typ="rt")
        reader.Constructor = type("_DatesAsText", (reader.Constructor,), {})
        reader.Constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))
        return reader.load(decoded)
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8 text; save it as UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path.name}{line}: not valid YAML: {error.problem}; check indentation and quotes") from None
    except (YAMLError, ValueError) as error:
        raise InputError(f"{path.name}: not valid YAML: {str(error).splitlines()[0]}") from None


def bare(tree: Any) -> Any:
    """Return plain dictionaries, lists and values of a parsed tree."""
    if isinstance(tree, Mapping):
        return {str(k): bare(v) for k, v in tree.items()}
    if isinstance(tree, list):
        return [bare(v) for v in tree]
    if isinstance(tree, bool) or tree is None:
        return tree
    for kind in (int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    return tree


def line_of(tree: Any, place: tuple[Any, ...]) -> int:
    """Return the line of a key in a parsed tree, counted from 1."""
    line = 0
    for key in place:
        try:
            line = tree.lc.data[key][0]
            tree = tree[key]
        except (AttributeError, KeyError, TypeError, IndexError):
            break
    return line + 1
