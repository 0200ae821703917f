"""Theorems of the rules: the shape of the list, the frontier, the sign of slack, Kleene's logic, the language."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from chipcast.base.errors import InputError, RuleError
from chipcast.rules.design import class_2023, frontier
from chipcast.rules.distance import SLACKS, reason, slack
from chipcast.rules.expr import And, Compare, Flag, Node, Not, Or, parse, truth, without_upper
from chipcast.rules.place import place, places
from chipcast.rules.rule import layer, layers
from chipcast.rules.upstream import foundry_presumption, hbm_control

A, B = layer("US-3A090A-2023").test, layer("US-3A090B-2023").test
assert A is not None
assert B is not None
CONTROL = Or((A, B))


def point(tpp: float, pd: float, *, dc: int = 1) -> dict[str, tuple[float, float]]:
    return {"tpp": (tpp, tpp), "pd": (pd, pd), "dc": (dc, dc)}


@pytest.mark.parametrize(("tpp", "pd", "name"), [
    (4799.99, 1.59, "free"), (2400, 1.6, ".b"), (2399.99, 3.1999, "free"), (1600, 3.2, ".b"), (1600, 5.92, ".a"),
    (1599.99, 50, "free"), (4800, 0, ".a"), (4799.99, 5.92, ".a"), (4799.99, 5.9199, ".b"), (2400, 1.5999, "free"),
])
def test_boundaries_of_the_list_of_2023(tpp: float, pd: float, name: str) -> None:
    assert class_2023(point(tpp, pd)) == name


@pytest.mark.parametrize(("tpp", "name"), [(4799.99, "free"), (4800, "Note 2")])
def test_a_part_that_is_not_for_data_centres_is_caught_by_tpp_alone(tpp: float, name: str) -> None:
    assert class_2023(point(tpp, 50, dc=0)) == name


def test_prongs_of_tier_b_by_name() -> None:
    assert reason(B, point(2400, 1.6)).prong == "b.1"
    assert reason(B, point(1600, 3.2)).prong == "b.2"


def test_the_caught_set_is_an_up_set() -> None:
    """More TPP at equal density, or more density at equal TPP, never frees a part: 100,000 pairs."""
    rng = np.random.Generator(np.random.Philox(7))
    tpp, pd = np.exp(rng.uniform(6, 10, 100_000)), np.exp(rng.uniform(-1, 3, 100_000))
    more_tpp, more_pd = tpp * np.exp(rng.exponential(0.3, tpp.size)), pd * np.exp(rng.exponential(0.3, pd.size))
    dc = (np.ones_like(tpp), np.ones_like(tpp))
    caught = truth(CONTROL, {"tpp": (tpp, tpp), "pd": (pd, pd), "dc": dc})[0]
    up = truth(CONTROL, {"tpp": (more_tpp, more_tpp), "pd": (pd, pd), "dc": dc})[0]
    dense = truth(CONTROL, {"tpp": (tpp, tpp), "pd": (more_pd, more_pd), "dc": dc})[0]
    assert 0.2 < caught.mean() < 0.9
    assert not (caught & ~up).any()
    assert not (caught & ~dense).any()
    alone = truth(B, {"tpp": (tpp, tpp), "pd": (pd, pd), "dc": dc})[0]
    alone_up = truth(B, {"tpp": (more_tpp, more_tpp), "pd": (pd, pd), "dc": dc})[0]
    assert (alone & ~alone_up).any(), "negative control: one tier by itself is no up-set"


def test_upper_ends_of_tier_b_only_say_which_tier() -> None:
    rng = np.random.Generator(np.random.Philox(8))
    tpp, pd = np.exp(rng.uniform(6, 10, 100_000)), np.exp(rng.uniform(-1, 3, 100_000))
    values = {"tpp": (tpp, tpp), "pd": (pd, pd), "dc": (np.ones_like(tpp), np.ones_like(tpp))}
    wide = without_upper(B)
    assert wide is not None
    assert (truth(CONTROL, values)[0] == truth(Or((A, wide)), values)[0]).all()
    closed = (tpp >= 4800) | ((tpp >= 2400) & (pd >= 1.6)) | ((tpp >= 1600) & (pd >= 3.2))
    assert (truth(CONTROL, values)[0] == closed).all(), "the same set written by hand"


@pytest.mark.parametrize(("area", "best"), [(100, 1600), (500, 1600), (600, 1920), (750, 2400), (1500, 2400),
                                            (1716, 2745.6), (2574, 4118.4), (3000, 4800), (9000, 4800)])
def test_the_frontier_at_the_areas_of_the_table(area: float, best: float) -> None:
    assert frontier(area) == pytest.approx(best)


def test_just_below_the_frontier_is_free_and_on_it_is_caught() -> None:
    rng = np.random.Generator(np.random.Philox(9))
    for area in (500, 600, 750, 1500, 1716, 2574, 3000, *rng.uniform(100, 5000, 1000)):
        best = float(frontier(area))
        assert class_2023(point(best * (1 + 1e-12), best * (1 + 1e-12) / area)) != "free"
        assert class_2023(point(best - 1e-6, (best - 1e-6) / area)) == "free"
        for share in (0.1, 0.5, 0.999):
            assert class_2023(point(best * share, best * share / area)) == "free", "the free set is an interval"


@forall(st.floats(200, 40000), st.floats(0.2, 40))
@settings(max_examples=300, deadline=None)
def test_slack_has_the_sign_of_freedom_and_is_the_distance_to_the_line(tpp: float, pd: float) -> None:
    wide = without_upper(CONTROL)
    assert wide is not None
    values = point(tpp, pd)
    s = float(slack(wide, values)[0])
    caught = bool(truth(wide, values)[0])
    assert (s > 0) is not caught or s == 0
    moved = math.exp(s)
    assert float(slack(wide, point(tpp * moved, pd * moved))[0]) == pytest.approx(0, abs=1e-9)
    assert bool(truth(wide, point(tpp * moved * 1.000001, pd * moved * 1.000001))[0])
    assert not bool(truth(wide, point(tpp * moved * 0.999999, pd * moved * 0.999999))[0])


@forall(st.floats(500, 9000), st.floats(1, 3), st.floats(0.5, 9), st.floats(1, 3))
@settings(max_examples=300, deadline=None)
def test_an_interval_is_sure_only_of_what_every_point_in_it_says(tpp: float, a: float, pd: float, b: float) -> None:
    """Kleene: sure and impossible must hold at every point; the ends of slack hold every point's slack."""
    sure, may = truth(CONTROL, {"tpp": (tpp, tpp * a), "pd": (pd, pd * b), "dc": (1, 1)})
    low, high = slack(CONTROL, {"tpp": (tpp, tpp * a), "pd": (pd, pd * b), "dc": (1, 1)})
    for u in (0.0, 0.3, 0.7, 1.0):
        for w in (0.0, 0.5, 1.0):
            at = point(tpp * a**u, pd * b**w)
            here, s = bool(truth(CONTROL, at)[0]), float(slack(CONTROL, at)[0])
            assert here or not sure
            assert may or not here
            assert low - 1e-9 <= s <= high + 1e-9


def test_kleene_tables() -> None:
    unknown, yes, no = {}, (1, 1), (0, 0)
    both, either = And((Flag("dc"), Flag("hbm"))), Or((Flag("dc"), Flag("hbm")))
    assert truth(both, {"dc": no}) == (False, False)
    assert truth(both, {"dc": yes}) == (False, True)
    assert truth(either, {"dc": yes}) == (True, True)
    assert truth(either, {"dc": no}) == (False, True)
    assert truth(Not(Flag("dc")), unknown) == (False, True)


def test_both_prongs_are_needed_in_2022() -> None:
    test = layer("US-3A090-2022").test
    assert test is not None
    values = {"tpp": (50000, 50000), "io_bidir_gb_s": (599.9, 599.9)}
    assert truth(test, values) == (False, False)
    assert truth(test, {**values, "io_bidir_gb_s": (600, 600)}) == (True, True)


@pytest.mark.parametrize(("text", "message"), [
    ("tpp >", "needs a quantity or a number before 'the end'"), ("tpp >= 1 pd >= 2", "needs 'and', 'or' or the end"),
    ("(tpp >= 1", "closing bracket"), ("tpp + pd >= 1", r"adds tpp \[1\] to pd"), ("dc >= 1", "needs 'and', 'or'"),
    ("3 >= 4", "must compare a quantity with a number"), ("tpp >= 0", "must be above 0"), ("", "is empty"),
    ("__import__('os')", "cannot read"), ("tpp ** 2 >= 1", "cannot read"), ("tpp", "needs a comparison"),
    ("4 >= dc", "compares the flag 'dc'"), ("dram_bw >= 1", "did you mean 'dram_bw_gb_s'"),
    ("tpp + 3 >= 4", "add quantities only"),
])
def test_a_test_that_cannot_be_read_says_where(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        parse(text)


NODES = st.recursive(
    st.one_of(st.builds(Compare, st.sampled_from([("tpp",), ("pd",), ("io_bidir_gb_s", "dram_bw_gb_s")]),
                        st.sampled_from([">=", ">", "<=", "<"]), st.integers(1, 9000).map(float)),
              st.builds(Flag, st.sampled_from(["dc", "hbm"]))),
    lambda inner: st.one_of(st.builds(Not, inner), st.builds(And, st.tuples(inner, inner)),
                            st.builds(Or, st.tuples(inner, inner))), max_leaves=6)


def written(node: Node) -> str:
    match node:
        case Compare(names, op, limit):
            return f"{' + '.join(names)} {op} {limit:g}"
        case Flag(name):
            return name
        case Not(part):
            return f"not ({written(part)})"
        case And(parts):
            return "(" + " and ".join(f"({written(p)})" for p in parts) + ")"
        case Or(parts):
            return "(" + " or ".join(f"({written(p)})" for p in parts) + ")"
    raise AssertionError


@forall(NODES)
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back(node: Node) -> None:
    assert parse(written(node)) == node


@forall(NODES, st.floats(1, 9000), st.floats(0.1, 40), st.floats(1, 3000), st.floats(1, 9000), st.booleans())
@settings(max_examples=200, deadline=None)
def test_scalars_and_arrays_agree_and_slack_has_the_sign_of_truth(
        node: Node, tpp: float, pd: float, io: float, dram: float, dc: bool) -> None:
    one = {"tpp": (tpp, tpp), "pd": (pd, pd), "io_bidir_gb_s": (io, io), "dram_bw_gb_s": (dram, dram),
           "dc": (int(dc), int(dc)), "hbm": (0, 0)}
    many = {k: (np.full(3, a), np.full(3, b)) for k, (a, b) in one.items()}
    assert np.all(truth(node, many)[0] == truth(node, one)[0])
    low, high = slack(node, one)
    assert np.all(slack(node, many)[1] == high)
    assert low == high == reason(node, one).slack
    if low != 0:
        assert bool(truth(node, one)[0]) is bool(low < 0)


def test_every_row_s_place_is_known() -> None:
    codes = {g for p in places() for g in p.groups} | {"any", "HQ", "Shanghai", "as", "3A090"}
    for x in layers():
        assert set(x.scope) | set(x.outside) <= codes, x.rule_id


@pytest.mark.parametrize(("text", "code"), [("cn", "CN"), ("China", "CN"), ("hong kong", "HK"), ("Macao", "MO"),
                                            ("uae", "AE"), ("the Netherlands", "NL"), ("Viet Nam", "VN")])
def test_a_place_by_code_or_name(text: str, code: str) -> None:
    assert place(text).code == code


@pytest.mark.parametrize(("text", "message"), [("Chna", "is no country; did you mean 'china'"),
                                               ("Atlantis", "is no country"), ("XX", "is no country")])
def test_a_place_that_is_no_country_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        place(text)


def test_a_bare_stack_is_caught_strictly_above_the_line() -> None:
    assert hbm_control(2.0001 * 100, 100, copackaged=False)
    assert not hbm_control(200, 100, copackaged=False), "exactly 2.0 is not controlled"
    assert not hbm_control(900, 100, copackaged=True), "beside its logic die it follows that die"
    with pytest.raises(InputError, match="area_mm2 must be above 0"):
        hbm_control(900, 0, copackaged=False)


@pytest.mark.parametrize(("count", "year", "has_hbm", "outside", "presumed"), [
    (29.9, 2025, True, True, False), (30, 2025, True, True, True), (34, 2026, False, True, True),
    (34, 2027, False, True, False), (34, 2028, False, True, False), (39, 2028, False, True, True),
    (39, 2029, False, True, False), (39, 2029, True, True, True), (29.9, 2025, True, False, True),
])
def test_escapes_from_the_foundry_presumption(count: float, year: int, has_hbm: bool, outside: bool,
                                              presumed: bool) -> None:
    assert foundry_presumption(count, year=year, has_hbm=has_hbm, packaged_by_fab_outside=outside)[0] is presumed


def test_a_two_die_part_of_53_billion_transistors_never_escapes_by_count() -> None:
    for year in range(2025, 2032):
        for has_hbm in (True, False):
            assert foundry_presumption(53, year=year, has_hbm=has_hbm, packaged_by_fab_outside=True,
                                       approved_osat=True)[0]
    assert foundry_presumption(53, year=2025, has_hbm=True, designer_approved=True) == (False, "A")
    assert foundry_presumption(53, year=2025, has_hbm=True, node_nm=28, nonplanar=False)[0] is False


@pytest.mark.parametrize("name", SLACKS)
def test_every_slack_has_the_sign_of_truth_and_meets_on_one_line(name: str) -> None:
    rng = np.random.default_rng(3)
    tpp, pd = np.exp(rng.uniform(6, 10, 20_000)), np.exp(rng.uniform(-1, 3, 20_000))
    values = {"tpp": (tpp, tpp), "pd": (pd, pd), "dc": (1, 1)}
    for rule in ("US-3A090A-2023", "US-3A090B-2023"):
        test = without_upper(layer(rule).test)
        holds, distance = truth(test, values)[0], SLACKS[name](test, values)[0]
        assert (distance[holds] <= 0).all()
        assert (distance[~holds] > 0).all()
        assert (np.abs(distance) >= np.abs(SLACKS["log_box"](test, values)[0]) - 1e-12).all(), "one factor is shortest"
    one = parse("tpp >= 4800")
    assert SLACKS[name](one, values)[0] == pytest.approx(np.log(4800 / tpp))


def test_the_euclidean_distance_of_a_corner_is_that_of_its_two_sides() -> None:
    both = parse("tpp >= 2400 and pd >= 1.6")
    at = {"tpp": (1200.0, 1200.0), "pd": (0.4, 0.4)}
    a, b = math.log(2), math.log(4)
    assert SLACKS["log_box"](both, at)[0] == pytest.approx(b)
    assert SLACKS["euclid_log"](both, at)[0] == pytest.approx(math.hypot(a, b))
    either = parse("tpp >= 600 or pd >= 0.1")
    assert SLACKS["euclid_log"](either, at)[0] == pytest.approx(-math.hypot(a, b)), "both must be left"
