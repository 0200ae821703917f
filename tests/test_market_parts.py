"""Gates, choice, demand, allocation: closed forms, published numbers, contracts of the tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chipcast.base.draws import uniforms
from chipcast.base.errors import InputError
from chipcast.market import choice, clear, demand, gates


def test_gates_have_their_closed_forms() -> None:
    us, cn = (0.05, 0.10), (0.08, 0.04)
    assert gates.open_probability(12, *us) == pytest.approx(0.721766, abs=5e-7)
    assert gates.open_probability(12, *cn) == pytest.approx(0.491285, abs=5e-7)
    both = gates.open_probability(12, *us) * gates.open_probability(12, *cn)
    assert both == pytest.approx(0.354593, abs=5e-7)
    assert gates.open_probability(1e9, *us) == pytest.approx(2 / 3)
    assert gates.open_months(24, us) == pytest.approx(18.161503, abs=5e-7)
    assert gates.open_months(24, cn) == pytest.approx(13.243696, abs=5e-7)
    assert gates.open_months(24, us, cn) == pytest.approx(10.371414, abs=5e-7)
    assert gates.cloglog_hazard(-3.0) == pytest.approx(0.048568, abs=5e-7)


def test_simulated_two_state_gate_meets_the_closed_form() -> None:
    runs, steps = 4000, 40  # steps per month, small enough that the bias of the step is under the noise
    closing, opening = 1 - np.exp(-0.05 / steps), 1 - np.exp(-0.10 / steps)
    state = np.ones(runs)
    for i in range(12 * steps):
        u = uniforms(1, "test:gate", 0, runs, month=i)
        state = np.where(state > 0, u >= closing, u < opening).astype(float)
    assert abs(state.mean() - gates.open_probability(12, 0.05, 0.10)) < 3 * np.sqrt(0.2 / runs)


VALUES = np.array([1, 0.6, 0.5, 0, 0])
NESTS = (0, 0, 1, 1, 2)
LIKENESS = (0.5, 0.7, 1.0)


def test_nested_logit_has_its_published_shares() -> None:
    shares, logsum = choice.nested_logit(VALUES, NESTS, LIKENESS)
    assert shares == pytest.approx([0.349979, 0.157256, 0.226758, 0.111007, 0.155000], abs=5e-7)
    assert logsum == pytest.approx(1.864332, abs=5e-7)


def test_an_illegal_option_is_removed_and_not_made_dear() -> None:
    shares, _ = choice.nested_logit(VALUES, NESTS, LIKENESS, np.array([0, 1, 1, 1, 1]))
    assert shares == pytest.approx([0, 0.364332, 0.292518, 0.143200, 0.199950], abs=5e-7)


def test_with_likeness_one_it_is_the_plain_logit() -> None:
    shares, _ = choice.nested_logit(VALUES, NESTS, (1.0, 1.0, 1.0))
    assert shares == pytest.approx([0.331938, 0.222505, 0.201331, 0.122113, 0.122113], abs=5e-7)
    assert choice.cost_share(VALUES, NESTS, LIKENESS)[0] == pytest.approx(np.exp(VALUES) / np.exp(VALUES).sum())


def test_the_slope_of_the_logsum_is_the_share() -> None:
    step = 1e-6
    shares, _ = choice.nested_logit(VALUES, NESTS, LIKENESS)
    for i in range(5):
        up, down = VALUES.copy(), VALUES.copy()
        up[i] += step
        down[i] -= step
        high, low = choice.nested_logit(up, NESTS, LIKENESS), choice.nested_logit(down, NESTS, LIKENESS)
        assert (high[1] - low[1]) / (2 * step) == pytest.approx(shares[i], abs=1e-7)
        if i == 0:
            assert (high[0][0] - low[0][0]) / (2 * step) == pytest.approx(0.335996, abs=5e-7)


def test_bad_likeness_and_missing_nest_are_refused() -> None:
    with pytest.raises(InputError, match="likeness must lie above 0 and up to 1"):
        choice.nested_logit(VALUES, NESTS, (0.5, 1.2, 1.0))
    with pytest.raises(InputError, match="name one nest for each option"):
        choice.nested_logit(VALUES, (0, 0), LIKENESS)


@pytest.mark.parametrize("name", sorted(choice.CHOICE))
def test_every_choice_sums_to_one_and_gives_nothing_to_what_is_barred(name: str) -> None:
    value = np.linspace(-2, 2, 5 * 3 * 4).reshape(5, 3, 4)
    allowed = np.ones_like(value)
    allowed[1] = 0
    shares, _ = choice.CHOICE[name](value, NESTS, LIKENESS, allowed)
    assert shares.sum(axis=0) == pytest.approx(1)
    assert (shares[1] == 0).all()


@settings(max_examples=50, deadline=None)
@each(arrays(float, (4, 3), elements=st.floats(0.01, 1)), st.floats(0, 1))
def test_a_domestic_floor_holds_where_anything_domestic_is_sold(raw: np.ndarray, floor: float) -> None:
    shares = raw / raw.sum(axis=0)
    out = choice.at_least(shares, np.array([0, 0, 1, 0]), np.full(3, floor), 3)
    assert out.sum(axis=0) == pytest.approx(1)
    assert (out[2] >= floor * (1 - out[3]) - 1e-12).all()
    assert out[3] == pytest.approx(shares[3])
    assert (out[2] >= shares[2] - 1e-12).all()


def test_chips_for_tokens_bass_and_wright_have_their_known_values() -> None:
    assert demand.chips_for_tokens(1e12, 2.5, 1000.0, 0.95) == pytest.approx(30458.09, abs=0.005)
    assert demand.bass(6.192619, 0.03, 0.38) == pytest.approx(0.460526, abs=5e-7)
    years = np.linspace(0, 12, 120_001)
    rate = np.gradient(demand.bass(years, 0.03, 0.38), years)
    assert years[np.argmax(rate)] == pytest.approx(6.192619, abs=2e-4)
    assert clear.wright(10.0, 0.15) == pytest.approx(0.582820, abs=5e-7)


def test_token_counts_of_record_double_as_fast_as_stated() -> None:
    """One platform: 0.12 trillion a day on 15 May 2024, 12.7 in March and over 30 in September 2025."""
    def doubling(months: float, ratio: float) -> float:
        return months / np.log2(ratio)
    assert doubling(10.5, 12.7 / 0.12) == pytest.approx(1.56, abs=0.02)
    assert doubling(6.0, 30 / 12.7) == pytest.approx(4.85, abs=0.03)
    assert demand.fading_growth(1.0, 2 ** (1 / 1.56) - 1, 1e9) == pytest.approx(2 ** (1 / 1.56))
    assert demand.fading_growth(1e6, 0.2, 12.0) == pytest.approx(1.2 ** (12 / np.log(2)))


def test_rationing_has_its_known_values() -> None:
    orders, supply = np.array([100.0, 50.0, 10.0]), np.array(90.0)
    assert clear.proportional(orders, supply) == pytest.approx([56.25, 28.125, 5.625])
    assert clear.water_fill(orders, supply) == pytest.approx([40, 40, 10])
    assert clear.in_order(orders, supply) == pytest.approx([90, 0, 0])
    assert clear.in_order(orders, supply, np.array([0.1, 0.2, 0.9])) == pytest.approx([30, 50, 10])


def test_a_small_buyer_is_filled_at_its_ratio_until_the_large_ones_are_full() -> None:
    orders, ratio = np.array([100.0, 100.0]), np.array([1.0, 0.5])
    assert clear.proportional(orders, np.array(90.0), ratio) == pytest.approx([60, 30])
    assert clear.proportional(orders, np.array(180.0), ratio) == pytest.approx([100, 80])
    assert clear.proportional(orders, np.array(500.0), ratio) == pytest.approx([100, 100])


@pytest.mark.parametrize("name", sorted(clear.ALLOCATION))
@settings(max_examples=60, deadline=None)
@each(arrays(float, (5, 3), elements=st.floats(0, 1e6)), arrays(float, 3, elements=st.floats(0, 3e6)))
def test_every_allocation_hands_out_all_it_can_and_no_more(name: str, orders: np.ndarray, supply: np.ndarray) -> None:
    priority = np.array([1.0, 1.0, 0.5, 0.5, 0.2])[:, None]
    got = clear.ALLOCATION[name](orders, supply, priority)
    assert (got >= 0).all()
    assert (got <= orders * (1 + 1e-12) + 1e-9).all()
    assert got.sum(axis=0) == pytest.approx(np.minimum(supply, orders.sum(axis=0)), rel=1e-9, abs=1e-6)


def test_premium_and_lead_time_rise_with_scarcity_and_have_limits() -> None:
    share = np.linspace(0, 1, 11)
    premium = clear.grey_premium(share, 0.5, 2.0)
    assert premium[0] == 0 and (np.diff(premium) > 0).all() and premium[-1] < 0.5
    assert clear.lead_time_days(30.0, 0.0, 100.0) == 30
    assert clear.lead_time_days(30.0, 200.0, 100.0) == pytest.approx(30 + 2 * 30.4375)
    assert np.isfinite(clear.lead_time_days(30.0, 200.0, 0.0))


def test_buyers_of_one_rank_are_served_as_if_each_stood_alone() -> None:
    """Two buyers first, four after them: one share for each rank hands out the same cards as one for each buyer."""
    orders = np.exp(3 * np.sin(np.arange(6 * 5 * 40.0))).reshape(6, 5, 40)
    ratio = 0.3 + 0.7 * np.cos(np.arange(40.0)) ** 2
    priority = np.stack([np.ones(40)] * 2 + [ratio] * 4)[:, None]
    for part in (0.0, 0.2, 0.9, 1.0, 2.0):
        supply = part * orders.sum(axis=0)
        alone = clear.proportional(orders, supply, priority)
        ranked = clear.proportional(orders, supply, priority, (slice(0, 2), slice(2, 6)))
        assert ranked == pytest.approx(alone, rel=1e-12, abs=1e-12)
        assert ranked.sum(axis=0) == pytest.approx(np.minimum(supply, orders.sum(axis=0)), rel=1e-12)


@pytest.mark.parametrize("choose_by", sorted(choice.TREES))
def test_the_pull_of_a_card_makes_all_choose_it_as_often_as_they_did(choose_by: str) -> None:
    """Held against the choice itself, not against the sums that the search keeps."""
    weight = np.exp(np.sin(np.arange(6 * 4 * 30.0))).reshape(6, 4, 30)
    size, slope = 1 + np.cos(np.arange(120.0)).reshape(4, 30) ** 2, np.full(30, 2.5)
    lam = np.full(30, 0.6)
    nests, likeness = choice.TREES[choose_by]((0, 0, 1, 1, 2, 3), (lam, lam, lam, 1.0))
    target = np.linspace(0.1, 0.6, 30)
    pull = choice.revealed_pull(weight, 1, size, target, slope, nests, likeness, halvings=40)
    tried = weight.copy()
    tried[1] *= np.exp(slope * pull)
    choice.nest_shares(tried, nests, likeness)
    assert (tried[1] * size).sum(axis=0) / size.sum(axis=0) == pytest.approx(target, abs=1e-9)
    assert not np.allclose(pull, 0, atol=0.05)
