"""Does a training run fit in memory: weights, gradients, optimizer and activations of one rank.

Sources: ZeRO 1910.02054; activations 2205.05198.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.types import Numeric
from chipcast.tokens.model import Model
from chipcast.tokens.pipeline import BURDEN

RECOMPUTE: Mapping[str, tuple[float, float]] = {"none": (0.0, 0.0), "selective": (0.0, 1.0),
                                               "half": (0.5, 1.0), "full": (1.0, 1.0)}
"""Share of the forward products and of the attention core that the backward pass does again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Bytes of state per parameter. [B]"""

    weights: float
    """Weights that the products read."""
    gradients: float
    """Gradients as they are summed."""
    optimizer: float
    """Master weights and moments."""

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return self.weights + self.gradients + self.optimizer


STATES: Mapping[str, State] = {
    "mixed": State(weights=2.0, gradients=2.0, optimizer=12.0),
    "wide_gradients": State(weights=2.0, gradients=4.0, optimizer=12.0),
    "narrow_moments": State(weights=2.0, gradients=4.0, optimizer=8.0),
}
"""State by recipe: 16-bit weights and gradients with a 32-bit master and two moments; gradients in 32 bits; those
with moments in 16 bits."""

ZERO: Mapping[int, float] = {0: 2.0, 1: 2.0, 2: 2.0, 3: 3.0}
"""Parameter sizes that a step sends, by stage of sharding: sum of gradients, and with 3 the weights once more."""


def state_bytes(params: Numeric, ranks: Numeric, zero: int, *, recipe: str = "mixed", copies: Numeric = 1.0) -> Numeric:
    """Return weights, gradients and optimizer state of one rank. [B]

    Parameters
    ----------
    params : numeric
        Parameters of the rank before sharding.
    ranks : numeric
        Data-parallel ranks that share.
    zero : int
        0 shares nothing, 1 the optimizer, 2 gradients too, 3 everything.
    recipe : str
        Entry of `STATES`.
    copies : numeric
        Copies of weights and gradients that a schedule keeps.

    Notes
    -----
    16 bytes a parameter in the mixed recipe: 4 + 12/D, 2 + 14/D, 16/D on D ranks. Sources: 1910.02054.

    >>> state_bytes(1e9, 64, 1)
    4187500000.0
    """
    choose({str(k): v for k, v in ZERO.items()}, str(zero), "ZeRO stage")
    s = choose(STATES, recipe, "recipe of states")
    weights, gradients, optimizer = copies * s.weights, copies * s.gradients, s.optimizer
    return params * (weights / (ranks if zero >= 3 else 1.0) + gradients / (ranks if zero >= 2 else 1.0)
                     + optimizer / (ranks if zero >= 1 else 1.0))


def layer_activations(hidden: Numeric, heads: Numeric, sequence: Numeric, micro: Numeric, *, tp: Numeric,
                      recompute: str, sequence_parallel: bool) -> Numeric:
    """Return the activations that one layer keeps of one micro-batch for its backward pass. [B]

    Notes
    -----
    s b H times: none 10 + 24/t + 5 a s/(H t), or (34 + 5 a s/H)/t with sequence parallelism; selective 34/t, or
    10 + 24/t; full 2; half of the layers the mean of both. Sources: 2205.05198.
    """
    choose(RECOMPUTE, recompute, "recomputation")
    t, scores = tp, 5 * heads * sequence / hidden
    if recompute == "full":
        each = 2.0
    elif recompute == "half":
        each = 1.0 + 17 / t if sequence_parallel else 6 + 12 / t
    elif recompute == "selective":
        each = 34 / t if sequence_parallel else 10 + 24 / t
    else:
        each = (34 + scores) / t if sequence_parallel else 10 + 24 / t + scores / t
    return sequence * micro * hidden * each


def activation_bytes(hidden: float, heads: float, layers: float, sequence: float, micro: float, *, tp: float, pp: float,
                     virtual: float = 1, recompute: str = "selective", sequence_parallel: bool = True,
                     schedule: str = "interleaved", micro_batches: Numeric = np.inf) -> Numeric:
    """Return the activations that the fullest stage holds. [B]

    A stage has L/p layers and holds as many micro-batches as its schedule keeps in flight (`BURDEN`): p under 1F1B,
    so that the pieces multiply out to L layers, and 1 + (p-1)/(p v) times that with v pieces a stage.
    """
    one = layer_activations(hidden, heads, sequence, micro, tp=tp, recompute=recompute,
                            sequence_parallel=sequence_parallel)
    held = choose(BURDEN, schedule, "pipeline schedule").in_flight(pp, virtual, micro_batches)
    return one * layers / pp * held


def rank_params(model: Model, *, tp: Numeric, pp: Numeric, ep: Numeric, ranks: Numeric,
                ) -> tuple[tuple[Numeric, Numeric], tuple[Numeric, Numeric]]:
    """Return (parameters of a rank, ranks that hold the same ones) of the dense part and of the experts.

    The dense part is cut by tp, experts are dealt out over ep (or cut by tp where that is wider), both by pp; so each
    part times pp times its cuts is the model, and a part's copies are the ranks that remain.
    """
    experts = model.expert_params
    cuts = np.maximum(np.asarray(ep, dtype=float), tp)[()]
    return (((model.params_total - experts) / (tp * pp), ranks / (tp * pp)),
            (experts / (cuts * pp), ranks / (cuts * pp)))
