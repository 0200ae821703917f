"""Streams and laws: a draw is a function of (seed, name, month, index) and nothing else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st
from scipy import special, stats

from chipcast.base import draws
from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError
from chipcast.base.given import Given, Row
from chipcast.base.laws import FAMILIES, Law, beta_shapes, law_of_row, parse_law, point, triangle
from chipcast.base.spread import spread
from chipcast.scenario import bounds_of, load, resolve


@hypothesis_given(st.integers(0, 400), st.integers(1, 400), st.integers(0, 30_000))
def test_blocks_put_together_are_the_whole(start: int, size: int, month: int) -> None:
    whole = draws.uniforms(7, "x", 0, start + size, month=month)
    assert np.array_equal(draws.uniforms(7, "x", start, start + size, month=month), whole[start:])


def test_the_stream_is_philox_at_the_stated_counter() -> None:
    bits = np.random.Philox(key=draws.stream_key(3, "a"), counter=[4, 24301, 0, 0])
    raw = bits.random_raw(4)  # NumPy raises the counter first, so this is block 5
    expected = ((raw >> np.uint64(12)).astype(float) + 0.5) * 2.0**-52
    assert np.array_equal(draws.uniforms(3, "a", 20, 24, month=24301), expected)


def test_streams_are_uniform_independent_and_differ_by_name_seed_and_month() -> None:
    a, b = draws.uniforms(1, "a", 0, 20_000), draws.uniforms(1, "b", 0, 20_000)
    assert stats.kstest(a, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(20_000)
    for other in (draws.uniforms(2, "a", 0, 20_000), draws.uniforms(1, "a", 0, 20_000, month=1)):
        assert abs(np.corrcoef(a, other)[0, 1]) < 4 / np.sqrt(20_000)
    with pytest.raises(AssertionError):  # negative control: the test must see a stream used twice
        assert abs(np.corrcoef(a, a)[0, 1]) < 4 / np.sqrt(20_000)


ROWS = [r for r in read_table("priors") if r["low"] != r["high"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['item']}.{r['name']}@{r['vintage']}")
def test_low_and_high_of_every_row_are_percentiles_5_and_95(row: dict[str, str]) -> None:
    law = law_of_row(row["family"], float(row["low"]), float(row["mode"]), float(row["high"]), "row")
    low, high = law.at(np.array([0.05, 0.95])) if row["family"] != "discrete" else (law.low, law.high)
    assert low == pytest.approx(law.low, rel=2e-3)
    assert high == pytest.approx(law.high, rel=2e-3)
    grid = law.at(np.linspace(0.001, 0.999, 999))
    assert np.all(np.diff(grid) >= 0)
    floor, ceiling = bounds_of(row["name"], row["unit"])
    ends = law.at(np.array([1e-9, 1 - 1e-9]))
    assert floor <= ends[0], "no draw may lie outside the hard bounds of the quantity"
    assert ends[1] <= ceiling, "no draw may lie outside the hard bounds of the quantity"


def test_the_beta_table_meets_the_exact_quantile() -> None:
    u = draws.uniforms(1, "u", 0, 50_000)
    for low, high in ((0.85, 0.98), (0.1, 0.9), (0.01, 0.05), (0.4, 0.6)):
        a, b = beta_shapes(low, high)
        law = law_of_row("beta", low, (low + high) / 2, high, "x")
        assert np.max(np.abs(law.at(u) - special.betaincinv(a, b, u))) < 1e-7


def test_the_triangle_holds_five_percent_in_each_tail() -> None:
    a, c, b = triangle(2.6, 3, 5)
    law = stats.triang((c - a) / (b - a), loc=a, scale=b - a)
    assert law.ppf([0.05, 0.95]) == pytest.approx([2.6, 5])


def test_the_error_of_a_mean_falls_like_the_root_of_the_draws() -> None:
    law = law_of_row("lognormal", 1, 2, 4, "x")
    truth = float(np.exp(np.log(2) + (np.log(4) / (2 * 1.6448536269514722)) ** 2 / 2))
    sizes = np.array([250, 1000, 4000, 16000])
    errors = []
    for n in sizes:
        means = [law.at(draws.uniforms(seed, "x", 0, int(n))).mean() for seed in range(200)]
        errors.append(np.sqrt(np.mean((np.array(means) - truth) ** 2)))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize(("text", "unit", "family", "low", "high"), [
    ("9k to 12k", "wafers/month", "lognormal", 9e3, 12e3), ("60% to 95%", "1", "logitnormal", 0.6, 0.95),
    ("-3 to 5", "1", "normal", -3, 5), ("300 to 900 users", "users", "lognormal", 300, 900),
    (12, "mm", "point", 12, 12),
    ("30 %", "1", "point", 0.3, 0.3), ({"low": 1, "mode": 2, "high": 4}, "mm", "triangular", 1, 4),
])
def test_literals_become_laws(text: object, unit: str, family: str, low: float, high: float) -> None:
    law = parse_law(text, unit, "x")
    assert (law.family, law.low, law.high) == (family, pytest.approx(low), pytest.approx(high))


def test_a_mix_weighs_its_hypotheses() -> None:
    law = parse_law({"mix": {"a": {"weight": 1, "value": 1}, "b": {"weight": 3, "value": "10 to 20"}}}, "mm", "x")
    values = law.at(draws.uniforms(1, "m", 0, 40_000))
    assert np.mean(values == 1) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("text", "match"), [
    ("12 to 9", "x must have its low end first"), ({"low": 3, "mode": 2, "high": 4}, "x must have low <= mode <= high"),
    ({"low": 3}, "write a number, 'LOW to HIGH'"), ({"mix": {}}, "x.mix must name its hypotheses"),
    ({"mix": {"a": {"weight": 0, "value": 1}}}, "have a weight above 0"),
])
def test_a_wrong_literal_is_refused(text: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_law(text, "mm", "x")


def test_bounds_are_kept() -> None:
    with pytest.raises(InputError, match="x must lie within 0 to inf, got '-3 to 4'"):
        parse_law("-3 to 4", "mm", "x", bounds=(0, float("inf")))
    law = parse_law({"low": 0.05, "mode": 0.1, "high": 0.99}, "1", "x", bounds=(0, 1))
    assert 0 <= law.at(np.array([1e-12]))[0] < law.at(np.array([1 - 1e-12]))[0] <= 1


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_is_monotone_and_keeps_its_shape(family: str) -> None:
    law = Law(family=family, low=0.2, mode=0.4, high=0.7, parts=((1.0, point(0.3)), (1.0, point(0.6))))
    u = np.linspace(0.01, 0.99, 12).reshape(3, 4)
    values = law.at(u)
    assert values.shape == u.shape
    assert np.all(np.diff(values.ravel()) >= 0)


def test_adding_a_parameter_moves_no_other_draw(given: Given) -> None:
    new = Row(name="new.thing", law=parse_law("1 to 2", "1", "x"), unit="1", kind="assumed", source="assumed")
    more = given.with_rows([new])
    for name in ("smic_n2.d0_per_cm2", "h20-96.price_usd", "ascend-910c.price_usd"):
        assert np.array_equal(more[name], given[name])


def test_a_block_is_the_same_draws(given: Given) -> None:
    part = given.block(400, 900)
    for name in ("smic_n2.d0_per_cm2", "ascend-910c.price_usd"):
        assert np.array_equal(part[name], given[name][400:900])
    assert np.array_equal(part.shock("gate", ["2025-03"]), given.shock("gate", ["2025-03"])[:, 400:900])


def test_a_longer_horizon_moves_no_shock(given: Given) -> None:
    long = given.shock("x", ["2025-02", "2025-03", "2025-04", "2025-05"])
    assert np.array_equal(given.shock("x", ["2025-03", "2025-04"]), long[1:3])


def test_given_survives_the_way_to_another_process(given: Given) -> None:
    again = pickle.loads(pickle.dumps(given))
    assert np.array_equal(again["smic_n2.d0_per_cm2"], given["smic_n2.d0_per_cm2"])


def test_what_shares_a_factor_moves_together(given: Given) -> None:
    b, c, other = given["ascend-910b2.price_usd"], given["ascend-910c.price_usd"], given["h20-96.price_usd"]
    assert np.corrcoef(np.log(b), np.log(c))[0, 1] == pytest.approx(0.56, abs=0.05)
    assert abs(np.corrcoef(np.log(b), np.log(other))[0, 1]) < 0.08


def test_a_posterior_replaces_only_its_own_names(given: Given) -> None:
    z = np.full(given.draws, 1.6448536269514722)
    after = given.with_posterior({"smic_n2.d0_per_cm2": z})
    assert after["smic_n2.d0_per_cm2"] == pytest.approx(given.row("smic_n2.d0_per_cm2").law.high)
    assert np.array_equal(after["smic_n2.line_yield"], given["smic_n2.line_yield"])
    assert after.block(10, 20)["smic_n2.d0_per_cm2"] == pytest.approx(given.row("smic_n2.d0_per_cm2").law.high)


def _square(x: int) -> int:
    return x * x


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_seam_keeps_the_order_for_any_number_of_workers(workers: int) -> None:
    assert spread(_square, range(5), workers=workers) == [0, 1, 4, 9, 16]


def test_the_seam_refuses_no_workers() -> None:
    with pytest.raises(InputError, match="workers must be 1 or more, got 0"):
        spread(_square, [1], workers=0)


def test_an_unknown_quantity_names_the_nearest(given: Given) -> None:
    with pytest.raises(InputError, match=r"did you mean 'smic_n2\.d0_per_cm2'"):
        given["smic_n2.d0"]


def test_resolve_is_a_function_of_scenario_and_seed() -> None:
    a, b, c = (resolve(load("february-2025"), draws=200, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a["smic_n2.d0_per_cm2"], b["smic_n2.d0_per_cm2"])
    assert not np.array_equal(a["smic_n2.d0_per_cm2"], c["smic_n2.d0_per_cm2"])
