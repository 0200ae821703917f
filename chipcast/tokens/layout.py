"""Which ways to lay a model over ranks are legal, and why do the others fall?

Each rule is one function and one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chipcast.base.errors import InputError
from chipcast.tokens.model import Model
from chipcast.tokens.ops import Plan
from chipcast.tokens.step import Speed

BLOCKED = ("fp8_block",)
"""Precisions whose scales cover square blocks of weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One way to lay a model over ranks."""

    tp: int
    """Ranks of an attention group."""
    dp: int
    """Attention groups."""
    pp: int
    """Stages."""
    ep: int
    """Ranks the experts are dealt over."""
    cp: int = 1
    """Ranks that share a request's tokens."""

    @property
    def etp(self) -> int:
        """Ranks that share one expert."""
        return self.tp * self.dp * self.cp // self.ep

    @property
    def ranks(self) -> int:
        """Ranks of a replica."""
        return self.tp * self.dp * self.pp * self.cp

    @property
    def plan(self) -> Plan:
        """The same as the operations take it."""
        return Plan(tp=float(self.tp), dp=float(self.dp), pp=float(self.pp), ep=float(self.ep), etp=float(self.etp),
                    cp=float(self.cp))


Rule = Callable[[Model, Shape, str, Speed], str]


def heads_divide(model: Model, s: Shape, precision: str, speed: Speed) -> str:
    """Refuse where tp does not divide the query heads."""
    for g in model.groups:
        if g.attention.heads and g.attention.heads % s.tp:
            return f"tp {s.tp} does not divide the {g.attention.heads} heads"
    return ""


def experts_divide(model: Model, s: Shape, precision: str, speed: Speed) -> str:
    """Refuse where ep does not divide the experts, or ep x etp is not tp x dp."""
    for g in model.groups:
        if g.ffn.kind == "moe":
            if g.ffn.experts % s.ep:
                return f"ep {s.ep} does not divide the {g.ffn.experts} experts"
            if s.tp * s.dp * s.cp % s.ep:
                return f"ep {s.ep} does not divide the {s.tp * s.dp * s.cp} ranks of a stage"
    return ""


def blocks_divide(model: Model, s: Shape, precision: str, speed: Speed) -> str:
    """Refuse where a cut of an expert or network is no whole number of quantisation blocks."""
    step = (model.block or 128) if precision in BLOCKED else 1
    for g in model.groups:
        ways = s.etp if g.ffn.kind == "moe" else s.tp
        if g.ffn.width and (g.ffn.width % ways or (g.ffn.width // ways) % step):
            return (f"a width of {g.ffn.width} cut by {ways} is {g.ffn.width / ways:g}, "
                    f"no multiple of the block of {step}")
    return ""


def inside_domain(model: Model, s: Shape, precision: str, speed: Speed) -> str:
    """Refuse where tensor parallelism would leave the fast links (without fast links: more than 8 ranks)."""
    limit = speed.domain if speed.domain > speed.ranks_per_chip else 8
    return f"tp {s.tp} leaves the {limit} ranks of the fast domain" if s.tp > limit else ""


def stages_hold_layers(model: Model, s: Shape, precision: str, speed: Speed) -> str:
    """Refuse more stages than layers."""
    return f"pp {s.pp} is more than the {model.layers} layers" if s.pp > model.layers else ""


def groups_without_experts(model: Model, s: Shape, precision: str, speed: Speed) -> str:
    """Refuse attention groups side by side in a dense model: replicas do the same."""
    if s.dp > 1 and not any(g.ffn.kind == "moe" for g in model.groups):
        return "attention groups side by side only serve models with experts; use replicas"
    return ""


RULES: dict[str, Rule] = {"heads": heads_divide, "experts": experts_divide, "blocks": blocks_divide,
                          "domain": inside_domain, "stages": stages_hold_layers, "groups": groups_without_experts}
"""Rules of legality; each returns an empty text or the reason."""


def why_not(model: Model, shape: Shape, precision: str, speed: Speed) -> str:
    """Return the reason of the first rule that a layout breaks, or an empty text."""
    return next((r for r in (rule(model, shape, precision, speed) for rule in RULES.values()) if r), "")


def powers(limit: int) -> tuple[int, ...]:
    """Return powers of two up to a limit."""
    return tuple(2**i for i in range(max(limit, 1).bit_length()) if 2**i <= limit)


LONG_TOKENS = 32_768
"""Prompts longer than this are also tried with ranks that share a request."""


def rings_for(tokens: float) -> tuple[int, ...]:
    """Return the context-parallel ranks worth a look for a prompt of so many tokens."""
    return (1, 2, 4, 8) if tokens > LONG_TOKENS else (1,)


def candidates(model: Model, speed: Speed, max_ranks: int, *, stages: Iterable[int] = (1, 2, 4, 8),
               rings: Iterable[int] = (1,)) -> list[Shape]:
    """Return all layouts worth a look with up to `max_ranks` ranks, legal or not."""
    has_experts = any(g.ffn.kind == "moe" for g in model.groups)
    out = []
    for pp, cp in ((p, c) for p in stages for c in rings):
        for ranks in powers(max_ranks // (pp * cp) if pp * cp <= max_ranks else 0):
            for tp in powers(ranks):
                dp = ranks // tp
                for ep in sorted({1, dp * cp, ranks * cp} if has_experts else {1}):
                    out.append(Shape(tp=tp, dp=dp, pp=pp, ep=ep, cp=cp))
    return out


def legal(model: Model, speed: Speed, precision: str, max_ranks: int, *, rings: Iterable[int] = (1,),
          ) -> tuple[list[Shape], dict[str, int]]:
    """Return the legal layouts, and how many fell for each reason."""
    kept: list[Shape] = []
    fell: dict[str, int] = {}
    for s in candidates(model, speed, max_ranks, rings=rings):
        reason = why_not(model, s, precision, speed)
        if reason:
            fell[reason] = fell.get(reason, 0) + 1
        else:
            kept.append(s)
    return kept, fell


def choose_precision(model: Model, speed: Speed, asked: str | None) -> str:
    """Return the precision to serve with: what is asked, else the narrowest the chip computes natively.

    FP8 falls back to INT8 where the chip has none (Ascend), and to 16 bits where it has neither.

    Raises
    ------
    InputError
        If the asked precision has no arithmetic on the chip.
    """
    from chipcast.base.choose import choose
    from chipcast.tokens.model import PRECISION, deployed

    if asked:
        word = {"fp8": "fp8_block" if model.block else "fp8", "int8": "int8_channel", "w8a8": "int8_channel",
                "fp4": "fp4_block", "int4": "int4_group", "nvfp4": "fp4_block"}.get(asked.lower(), asked.lower())
        word = deployed(word, model)
        both = choose(PRECISION, word, "precision")
        kind = next((k for k in (both.arithmetic, both.outside.arithmetic) if k not in speed.peak), "")
        if kind:
            has = ", ".join(sorted(speed.peak))
            raise InputError(f"chip '{speed.chip}' has no {kind}; it has {has}, so choose another precision")
        return word
    if model.native.startswith(("mxfp4", "int4_group")):
        return model.native
    ascend = speed.chip.startswith("ascend")
    if "fp8" in speed.peak and not ascend:
        return "fp8_block" if model.native == "fp8_block" else "fp8"
    if "int8" in speed.peak and (ascend or model.native == "fp8_block"):
        return "int8_channel"
    return "bf16"
