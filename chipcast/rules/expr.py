"""The language of the tests in `rules.csv`: parsed once, evaluated on intervals, never run as Python.

    test    := or
    or      := and { "or" and }
    and     := not { "and" not }
    not     := "not" not | ["[label]"] primary
    primary := "(" or ")" | flag | sum op sum { op sum }       chained like 2400 <= tpp < 4800
    sum     := term { "+" term }          term := number | quantity
    op      := ">=" | ">" | "<=" | "<"

Quantities are numbers above zero with a unit, flags are yes or no; both may be unknown. Truth is Kleene's:
false and unknown is false, true or unknown is true. How far a chip is from a line is the matter of `distance`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from chipcast.base.errors import RuleError, nearest
from chipcast.base.types import Numeric

QUANTITIES = {
    "tpp": "1", "pd": "1/mm2", "io_bidir_gb_s": "GB/s", "dram_bw_gb_s": "GB/s", "bw_density_gb_s_mm2": "GB/s/mm2",
    "node_nm": "nm", "transistors_bn": "1e9", "year": "years", "owned_by_listed": "1",
}
"""Numbers that a test may name, with their unit."""

FLAGS = ("dc", "sold_in_us", "from_us", "hbm", "copackaged_with_logic", "logic_ic", "nonplanar", "has_hbm",
         "designer_approved", "packaged_by_fab_outside", "approved_osat", "prc_designed")
"""Yes-or-no figures that a test may name."""

Interval = tuple[Numeric, Numeric]
"""Low and high end; equal where a figure is known, (0, inf) where it is not. Flags: (-inf, inf) and 0 or 1."""

Values = Mapping[str, Interval]
"""Figures by name; a name that is absent is unknown."""

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?)|([A-Za-z_][A-Za-z_0-9]*)|(\[[^\]]+\])|(>=|<=|>|<|\(|\)|\+))")


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`, where one side is a sum of quantities and the other a number."""

    names: tuple[str, ...]
    """Quantities that are added up."""
    op: str
    """One of >=, >, <=, <; the sum stands on the left."""
    limit: float
    """The line, in the unit of the quantities."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A yes-or-no figure."""

    name: str
    """Which one."""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a part."""

    part: Node
    """What is denied."""


@dataclass(frozen=True, slots=True)
class And:
    """All parts at once."""

    parts: tuple[Node, ...]
    """What must hold."""


@dataclass(frozen=True, slots=True)
class Or:
    """Any part."""

    parts: tuple[Node, ...]
    """Of which one must hold."""


@dataclass(frozen=True, slots=True)
class Label:
    """A part with the name of a prong, as the text of the rule has it."""

    name: str
    """Name of the prong."""
    part: Node
    """What the prong says."""


Node = Compare | Flag | Not | And | Or | Label


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            match = TOKEN.match(text, place)
            if not match:
                raise RuleError(f"cannot read '{text[place:].strip()[:20]}' in the test '{text}'; "
                                "write quantities, numbers, >= > <= <, and, or, not, brackets")
            self.tokens.append(match.group().strip())
            place = match.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def fail(self, wanted: str) -> RuleError:
        got = self.peek() or "the end"
        return RuleError(f"the test '{self.text}' needs {wanted} before '{got}'")

    def chain(self, word: str, inner: Callable[[], Node], kind: type[And] | type[Or]) -> Node:
        parts = [inner()]
        while self.peek() == word:
            self.take()
            parts.append(inner())
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def any_of(self) -> Node:
        return self.chain("or", self.all_of, Or)

    def all_of(self) -> Node:
        return self.chain("and", self.negated, And)

    def negated(self) -> Node:
        if self.peek() == "not":
            self.take()
            return Not(self.negated())
        if self.peek().startswith("["):
            name = self.take()[1:-1].strip()
            return Label(name, self.negated())
        return self.primary()

    def primary(self) -> Node:
        if self.peek() == "(":
            self.take()
            inside = self.any_of()
            if self.take() != ")":
                self.at -= 1
                raise self.fail("a closing bracket")
            return inside
        if self.peek() in FLAGS:
            return Flag(self.take())
        left = self.sum()
        found: list[Node] = []
        while self.peek() in (">=", ">", "<=", "<"):
            op, right = self.take(), self.sum()
            found.append(self.comparison(left, op, right))
            left = right
        if not found:
            raise self.fail("a comparison such as tpp >= 4800")
        return found[0] if len(found) == 1 else And(tuple(found))

    def sum(self) -> tuple[tuple[str, ...], float | None]:
        names, number = self.term()
        while self.peek() == "+":
            self.take()
            more, extra = self.term()
            if number is not None or extra is not None:
                raise RuleError(f"the test '{self.text}' may add quantities only")
            if QUANTITIES[more[0]] != QUANTITIES[names[0]]:
                raise RuleError(f"the test '{self.text}' adds {names[0]} [{QUANTITIES[names[0]]}] "
                                f"to {more[0]} [{QUANTITIES[more[0]]}]")
            names += more
        return names, number

    def term(self) -> tuple[tuple[str, ...], float | None]:
        token = self.take()
        if re.fullmatch(r"\d+(\.\d*)?", token):
            return (), float(token)
        if token in QUANTITIES:
            return (token,), None
        self.at -= 1
        if token in FLAGS:
            raise RuleError(f"the test '{self.text}' compares the flag '{token}' with a number; write it alone")
        if re.fullmatch(r"[A-Za-z_]\w*", token) and token not in ("and", "or", "not"):
            close = nearest(token, [*QUANTITIES, *FLAGS])
            hint = f"; did you mean '{close[0]}'?" if close else ";"
            raise RuleError(f"unknown quantity '{token}' in the test '{self.text}'{hint} "
                            f"known: {', '.join(sorted([*QUANTITIES, *FLAGS]))}")
        raise self.fail("a quantity or a number")

    def comparison(self, left: tuple[tuple[str, ...], float | None], op: str,
                   right: tuple[tuple[str, ...], float | None]) -> Compare:
        if (left[1] is None) == (right[1] is None):
            raise RuleError(f"the test '{self.text}' must compare a quantity with a number")
        if left[1] is not None:
            op = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}[op]
            left, right = right, left
        assert right[1] is not None
        if right[1] <= 0:
            raise RuleError(f"a line in the test '{self.text}' must be above 0, got {right[1]:g}")
        return Compare(left[0], op, right[1])


@lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """Read the text of a test.

    Raises
    ------
    RuleError
        If it cannot be read, or names an unknown quantity.

    >>> parse("2400 <= tpp < 4800")
    And(parts=(Compare(names=('tpp',), op='>=', limit=2400.0), Compare(names=('tpp',), op='<', limit=4800.0)))
    """
    reader = _Parser(text)
    if not reader.tokens:
        raise RuleError("the test is empty; write a comparison such as tpp >= 4800")
    tree = reader.any_of()
    if reader.peek():
        raise reader.fail("'and', 'or' or the end")
    return tree


def total(names: tuple[str, ...], values: Values) -> Interval:
    """Return the ends of the sum of quantities."""
    ends = [values.get(n, (0.0, math.inf)) for n in names]
    low, high = ends[0]
    for a, b in ends[1:]:
        low, high = low + a, high + b
    return low, high


def truth(node: Node, values: Values) -> tuple[Any, Any]:
    """Return whether a test holds for certain, and whether it may hold (both equal where nothing is unknown)."""
    match node:
        case Compare(names, op, limit):
            low, high = total(names, values)
            if op == ">=":
                return low >= limit, high >= limit
            if op == ">":
                return low > limit, high > limit
            if op == "<=":
                return high <= limit, low <= limit
            return high < limit, low < limit
        case Flag(name):
            low, high = values.get(name, (0, 1))
            return low >= 1, high >= 1
        case Not(part):
            sure, may = truth(part, values)
            return np.logical_not(may), np.logical_not(sure)
        case Label(_, part):
            return truth(part, values)
        case And(parts):
            both = [truth(p, values) for p in parts]
            return fold(np.logical_and, [b[0] for b in both]), fold(np.logical_and, [b[1] for b in both])
        case Or(parts):
            both = [truth(p, values) for p in parts]
            return fold(np.logical_or, [b[0] for b in both]), fold(np.logical_or, [b[1] for b in both])


def fold(function: Any, items: list[Any]) -> Any:
    """Return a function of two folded over a list."""
    out = items[0]
    for item in items[1:]:
        out = function(out, item)
    return out


def without_upper(node: Node) -> Node | None:
    """Return a test without its upper bounds: what is caught by this tier or a stricter one.

    The upper ends of a tier only say which tier; without them the set is an up-set.
    """
    match node:
        case Compare(_, op, _):
            return node if op in (">=", ">") else None
        case Flag() | Not():
            return node
        case Label(name, part):
            kept = without_upper(part)
            return None if kept is None else Label(name, kept)
        case And(parts):
            left = [k for p in parts if (k := without_upper(p)) is not None]
            return None if not left else left[0] if len(left) == 1 else And(tuple(left))
        case Or(parts):
            left = [k for p in parts if (k := without_upper(p)) is not None]
            return None if not left else left[0] if len(left) == 1 else Or(tuple(left))


def prongs(node: Node) -> dict[str, Node]:
    """Return the labelled parts of a test by name."""
    match node:
        case Label(name, part):
            return {name: part}
        case And(parts) | Or(parts):
            return {k: v for p in parts for k, v in prongs(p).items()}
        case _:
            return {}


def comparisons(node: Node) -> tuple[Compare, ...]:
    """Return all comparisons of a test."""
    match node:
        case Compare():
            return (node,)
        case Not(part) | Label(_, part):
            return comparisons(part)
        case And(parts) | Or(parts):
            return tuple(c for p in parts for c in comparisons(p))
        case _:
            return ()


def names_in(node: Node) -> tuple[str, ...]:
    """Return all quantities and flags that a test names."""
    match node:
        case Compare(names, _, _):
            return names
        case Flag(name):
            return (name,)
        case Not(part) | Label(_, part):
            return names_in(part)
        case And(parts) | Or(parts):
            return tuple(dict.fromkeys(n for p in parts for n in names_in(p)))
