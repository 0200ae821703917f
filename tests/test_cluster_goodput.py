"""What jobs keep: the ledger closes, everything moves the right way, and the reference run comes out again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from chipcast.base.draws import uniforms
from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.cluster.case import Case, keep
from chipcast.cluster.compare import CAUSES, compare, equal_compute
from chipcast.cluster.faults import CLASSES, anchor_counts, anchor_rates, jeffreys, predictive_moments, rates, units
from chipcast.cluster.goodput import SIZES, case_of, fleet
from chipcast.cluster.ladder import Masking, Tier, masking, tiers
from chipcast.cluster.record import PARTS

CHIPS = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910c")
PRODUCTIVE = PARTS.index("productive")


def plain(rate: float = 1e-6, **fields: object) -> Case:
    """Return a case with one class of fault, one draw and no ladder."""
    table = np.zeros((len(CLASSES), 1))
    table[CLASSES.index("software")] = rate
    start = Case(rates=table, masking=masking((), 1), detection_s=0.0, restart_s=600.0, checkpoint_s=60.0)
    return replace(start, **fields)  # type: ignore[arg-type]


# --- rates -----------------------------------------------------------------------------------------------------


def test_counts_of_the_anchor_run_by_class(given: Given) -> None:
    counts = anchor_counts(given)
    assert dict(counts.by_class) == {"hbm": 72, "logic": 190, "network": 49, "host": 46, "software": 56, "silent": 6}
    assert sum(counts.by_class.values()) == 419
    assert counts.exposure_h == 21_233_664


@pytest.mark.parametrize(("count", "mean", "low", "high"), [
    (72, 3.414, 2.78, 4.10), (190, 8.97, 7.93, 10.07), (49, 2.33, 1.81, 2.90), (46, 2.19, 1.69, 2.74),
    (56, 2.66, 2.11, 3.27), (6, 0.306, 0.139, 0.527), (419, 19.756, 18.20, 21.37)])
def test_posteriors_of_the_anchor_run(count: int, mean: float, low: float, high: float) -> None:
    exposure = 21_233_664
    assert (count + 0.5) / exposure * 1e6 == pytest.approx(mean, abs=6e-3)
    assert jeffreys(count, exposure, 0.05) * 1e6 == pytest.approx(low, abs=6e-3)
    assert jeffreys(count, exposure, 0.95) * 1e6 == pytest.approx(high, abs=6e-3)


def test_time_between_stops_of_the_anchor_run() -> None:
    rate = 419 / 21_233_664
    assert rate * 1e6 == pytest.approx(19.733, abs=5e-4)
    assert 1 / (rate * 16_384) == pytest.approx(3.0931, abs=5e-5)
    assert 1 / rate == pytest.approx(50_677, abs=0.5)
    assert rate * 1e9 == pytest.approx(19_733, abs=0.5)  # FIT of one GPU, not 19.7


@pytest.mark.parametrize(("nodes", "hours"), [(2_048, 1.80288), (16_384, 0.225361), (128, 28.84615)])
def test_time_between_stops_from_a_rate_per_1000_node_days(nodes: int, hours: float) -> None:
    """6.5 per 1000 node-days is 0.0065 a node-day; the 7.9 h of 128 nodes is another numerator."""
    per_node_day = 6.5 / 1000
    assert 24 / (nodes * per_node_day) == pytest.approx(hours, rel=1e-5)
    assert per_node_day / 24 / 8 * 1e6 == pytest.approx(33.85, abs=5e-3)
    assert 24 / (128 * per_node_day) / 7.9 > 3.6  # all causes against attributed hardware


def test_a_new_count_is_negative_binomial() -> None:
    rng = np.random.default_rng(5)
    rate = rng.gamma(72.5, 1 / 1000.0, 200_000)
    counted = rng.poisson(rate * 400)
    mean, variance = predictive_moments(72, 1000.0, 400.0)
    assert counted.mean() == pytest.approx(mean, rel=0.005)
    assert counted.var() == pytest.approx(variance, rel=0.02)


def test_parts_of_a_910c_against_the_anchor(given: Given) -> None:
    parts = units(given, "ascend-910c").mean(axis=-1)
    assert parts[CLASSES.index("hbm")] == pytest.approx(128 / 80)
    assert parts[CLASSES.index("logic")] == parts[CLASSES.index("silent")] == 2
    assert parts[CLASSES.index("host")] == parts[CLASSES.index("software")] == 1
    assert np.all(units(given, "h800-sxm") == 1)


def test_the_910b_and_the_910c_share_the_luck_of_their_dies_and_memory(given: Given) -> None:
    b, c = rates(given, "ascend-910b2"), rates(given, "ascend-910c")
    assert np.allclose(c[CLASSES.index("hbm")], 2 * b[CLASSES.index("hbm")], rtol=1e-12)
    assert np.allclose(c[CLASSES.index("logic")], 2 * b[CLASSES.index("logic")], rtol=1e-12)
    network = CLASSES.index("network")
    spread = np.corrcoef(np.log(b[network]), np.log(c[network]))[0, 1]
    assert spread < 0.75  # common posterior and fleet, own multipliers


def test_rates_do_not_depend_on_how_draws_are_cut(given: Given) -> None:
    whole = rates(given, "ascend-910c")
    parts = [rates(given.block(a, b), "ascend-910c") for a, b in ((0, 300), (300, 1000), (1000, 2000))]
    assert np.array_equal(whole, np.concatenate(parts, axis=-1))


# --- the ledger ------------------------------------------------------------------------------------------------


def test_parts_of_the_ledger_as_derived_by_hand() -> None:
    """One class rolls back every 10,000 s, one is mended online every 5,000 s at 8 s."""
    table = np.zeros((len(CLASSES), 1))
    table[CLASSES.index("software")], table[CLASSES.index("network")] = 3600 / 10_000, 3600 / 5_000
    retry = Tier(name="retry", classes=("network",), success=1.0, stall_s=8.0, repeats_step=False)
    case = Case(rates=table, masking=masking((retry,), 1), detection_s=0.0, restart_s=600.0, checkpoint_s=60.0)
    kept = keep(case, (1,), interval_s=1_000.0)
    ledger = dict(zip(PARTS, kept.ledger[0, :, 0], strict=True))
    assert ledger["productive"] == pytest.approx(0.8423883, abs=5e-8)
    assert ledger["checkpoint"] == pytest.approx(0.0505433, abs=5e-8)
    assert ledger["lost_work"] == pytest.approx(0.0490428, abs=5e-8)
    assert ledger["restart"] == pytest.approx(0.0565185, abs=5e-8)
    assert ledger["online_stalls"] == pytest.approx(0.0015072, abs=5e-8)
    assert 1 / ledger["productive"] == pytest.approx(1.1871010, abs=5e-8)
    assert kept.mtbf_h[0, 0] * 3600 == pytest.approx(1 / (1 / 10_000 + 1 / 5_000))
    assert kept.mtbf_rollback_h[0, 0] * 3600 == pytest.approx(10_000)


@pytest.mark.parametrize("ladder", ["vendor", "full", "none"])
@pytest.mark.parametrize("checkpoint", ["optimal", 1800.0])
def test_the_ledger_closes_in_every_draw(given: Given, ladder: str, checkpoint: str | float) -> None:
    f = fleet(given, CHIPS, ladder=ladder, checkpoint=checkpoint)
    assert f.ledger.shape == (5, 5, len(PARTS), given.draws)
    assert np.abs(f.ledger.sum(axis=2) - 1).max() < 1e-9
    assert f.ledger.min() >= 0
    slow = PARTS.index("slow_down")
    assert np.allclose(f.ettr, f.ledger[:, :, PRODUCTIVE] + f.ledger[:, :, slow], rtol=1e-12)
    assert np.all(f.goodput <= f.ettr)


def test_losses_by_cause_and_the_productive_share_are_the_whole(given: Given) -> None:
    c = compare(given, CHIPS, 8192)
    assert c.loss.shape == (5, len(CAUSES), given.draws)
    assert np.abs(c.loss.sum(axis=1) + c.ledger[:, PRODUCTIVE] - 1).max() < 1e-9


def test_bigger_jobs_keep_less_and_stop_more_often(given: Given) -> None:
    f = fleet(given, CHIPS, SIZES)
    assert np.all(np.diff(f.ettr, axis=1) < 0)
    assert np.all(np.diff(f.mtbf_h, axis=1) < 0)
    assert np.all(f.mtbf_rollback_h >= f.mtbf_h * (1 - 1e-12))


def test_more_ladder_and_faster_detection_never_hurt(given: Given) -> None:
    full, none = (fleet(given, CHIPS, (8192,), ladder=m).ettr for m in ("full", "none"))
    # A try that fails costs its seconds: where success is unlikely the ladder may lose a little.
    assert (full >= none).mean() > 0.99
    assert np.all(full >= none - 0.005)
    active, passive = (fleet(given, CHIPS, (8192,), detection=m).ettr for m in ("active", "passive"))
    mixed = fleet(given, CHIPS, (8192,)).ettr
    assert np.all(active > passive)
    assert np.all((mixed == active) | (mixed == passive))


def test_no_stated_interval_beats_the_best_one(given: Given) -> None:
    case = case_of(given, "ascend-910b2", slow=False)
    best = keep(case, (8192,))
    for factor in (0.5, 0.9, 1.1, 2.0):
        other = keep(case, (8192,), interval_s=best.checkpoint_every_s[0] * factor)
        assert np.all(other.ettr <= best.ettr + 1e-12)


def test_two_half_rates_are_one_full_rate_and_no_rate_loses_checkpoints_only() -> None:
    whole = keep(plain(2e-6), (8192,), interval_s=900.0)
    table = np.zeros((len(CLASSES), 1))
    table[CLASSES.index("software")] = table[CLASSES.index("host")] = 1e-6
    halves = keep(plain(rates=table), (8192,), interval_s=900.0)
    assert halves.ettr == pytest.approx(whole.ettr, rel=1e-12)
    quiet = keep(plain(0.0), (8192,), interval_s=900.0)
    assert quiet.ettr[0, 0] == pytest.approx(900 / 960, rel=1e-12)


def test_slow_members_stretch_steps_and_nothing_else() -> None:
    case = plain(0.0, checkpoint_s=0.0, slow_episodes=1e-4, slow_episode_h=1.0, slow_factor=1.34)
    kept = keep(case, (10_000,), interval_s=900.0)
    pace = 1 / (1 + np.expm1(-1.0) * (1 - 1 / 1.34))
    assert kept.ledger[0, PRODUCTIVE, 0] == pytest.approx(1 / pace, rel=1e-12)
    assert kept.ettr[0, 0] == pytest.approx(1, rel=1e-12)


def test_spares_are_paid_for_and_waited_for() -> None:
    table = np.zeros((len(CLASSES), 1))
    table[CLASSES.index("host")] = 20e-6
    case = plain(rates=table, repair_h=75.0, spares_target=0.999)
    kept = keep(case, (8192,))
    assert kept.spares[0, 0] > 0
    assert kept.goodput[0, 0] == pytest.approx(kept.ledger[0, PRODUCTIVE, 0] * 8192 / (8192 + kept.spares[0, 0]))
    waiting = kept.ledger[0, PARTS.index("waiting"), 0]
    assert 0 < waiting <= 0.001
    short = keep(case, (8192,), spare_chips=0.0)
    assert short.ledger[0, PARTS.index("waiting"), 0] > 0.5
    assert short.ettr[0, 0] < kept.ettr[0, 0]


def test_failed_tries_cost_time_and_what_is_not_mended_passes_on() -> None:
    first = Tier(name="a", classes=("network",), success=0.5, stall_s=8.0, repeats_step=False)
    second = Tier(name="b", classes=("network", "hbm"), success=0.2, stall_s=100.0, repeats_step=True)
    m = masking((first, second), 1)
    n, h = CLASSES.index("network"), CLASSES.index("hbm")
    assert m.rollback[n, 0] == pytest.approx(0.5 * 0.8)
    assert m.stall_s[n, 0] == pytest.approx(8 + 0.5 * 100)
    assert m.steps[n, 0] == pytest.approx(0.5 * 0.2)
    assert m.rollback[h, 0] == pytest.approx(0.8)
    assert masking((first, second), 1, failed_tries_cost=False).stall_s[n, 0] == pytest.approx(0.5 * 8 + 0.1 * 100)


def test_only_documented_tiers_are_climbed(given: Given) -> None:
    names = {chip: tuple(t.name for t in tiers(given, chip)) for chip in CHIPS}
    assert names["h800-sxm"] == names["h20-96"] == ()
    assert names["ascend-910b2"] == ("hbm_online",)
    assert names["ascend-910c"] == ("operator_retry", "hbm_online", "link_online")
    assert tiers(given, "ascend-910c", "none") == ()


def test_fleet_does_not_depend_on_how_draws_are_cut(given: Given) -> None:
    whole = fleet(given, CHIPS, (4096,))
    parts = [fleet(given.block(a, b), CHIPS, (4096,)) for a, b in ((0, 1000), (1000, 2000))]
    for field in ("goodput", "ettr", "ledger", "mtbf_rollback_h", "faults_per_day", "loss_by_class"):
        joined = np.concatenate([getattr(p, field) for p in parts], axis=-1)
        assert np.array_equal(getattr(whole, field), joined), field


def test_a_chip_keeps_the_same_whoever_it_is_compared_with(given: Given) -> None:
    alone, among = fleet(given, ("ascend-910c",), (4096,)), fleet(given, CHIPS, (4096,))
    assert np.array_equal(alone.goodput[0], among.goodput[CHIPS.index("ascend-910c")])


def test_equal_compute_is_counted_in_whole_servers(given: Given) -> None:
    sizes = equal_compute(given, ("ascend-910b2", "ascend-910c", "h800-sxm"), 10_000)
    assert sizes == (10_000, 5_000, 3_576)


def test_bad_modes_and_hopeless_intervals_are_refused(given: Given) -> None:
    with pytest.raises(InputError, match="unknown ladder 'vendr'; did you mean 'vendor'"):
        fleet(given, CHIPS, ladder="vendr")
    with pytest.raises(InputError, match="unknown detection 'none'"):
        fleet(given, CHIPS, detection="none")
    with pytest.raises(InputError, match="chips must be 1 or more"):
        fleet(given, CHIPS, (0,))
    with pytest.raises(InputError, match="checkpoint interval must be above 0 s"):
        fleet(given, CHIPS, checkpoint=0.0)
    with pytest.raises(InfeasibleError, match="no progress: an interval of 1000000000 s"):
        fleet(given, CHIPS, checkpoint=1e9)
    with pytest.raises(InputError, match="success of tier a must lie in 0 to 1"):
        masking((Tier(name="a", classes=("hbm",), success=1.1, stall_s=1.0, repeats_step=False),), 1)
    with pytest.raises(InputError, match="unknown fault class 'hmb'; did you mean 'hbm'"):
        masking((Tier(name="a", classes=("hmb",), success=0.1, stall_s=1.0, repeats_step=False),), 1)
    with pytest.raises(InputError, match="fault rates must not be negative"):
        keep(plain(-1e-6), (8,))


# --- the reference run -----------------------------------------------------------------------------------------

DRAWS = 200_000


def _u(name: str) -> Array:
    return uniforms(1, f"reference:{name}", 0, DRAWS)


def _lognormal(name: str, sd: float) -> Array:
    draw: Array = np.exp(sd * ndtri(_u(name)))
    return draw


def _triangle(name: str, a: float, c: float, b: float) -> Array:
    u, split = _u(name), (c - a) / (b - a)
    return np.where(u < split, a + np.sqrt(u * (b - a) * (c - a)), b - np.sqrt((1 - u) * (b - a) * (b - c)))


UNITS = {"h800": (1, 1, 1, 1, 1, 1), "910b": (0.8, 1, 0.8, 1, 1, 1), "910c": (1.6, 2, 3.6, 1, 1, 2)}


class Reference:
    """The stated specification of the reference run, nothing of the product's own priors."""

    def __init__(self) -> None:
        counts = {"hbm": 72, "logic": 190, "network": 49, "host": 46, "software": 56, "silent": 6}
        fleet_factor = _lognormal("fleet", 0.47)
        self.base = np.stack([jeffreys(counts[c], 21_233_664, _u(c)) for c in CLASSES]) * fleet_factor
        hbm, logic, software = _lognormal("m.hbm", 0.978), _lognormal("m.logic", 0.668), _lognormal("m.sw", 0.668)
        one = np.ones(DRAWS)
        self.vendor = {"h800": np.ones((6, DRAWS))}
        for chip in ("910b", "910c"):
            network = _lognormal(f"m.net.{chip}", 0.978)
            self.vendor[chip] = np.stack([hbm, logic, network, one, software, logic])
        self.restart = {"h800": _triangle("r.h800", 300, 600, 1200), "active": _triangle("r.active", 150, 300, 600)}
        self.wait = 300 + 1500 * _u("wait")
        self.checkpoint = _triangle("c", 5, 20, 60)
        self.retry = Tier(name="retry", classes=("network",), success=_triangle("t1", 0.5, 0.95, 0.995), stall_s=6.0,
                          repeats_step=False)
        tier2 = _triangle("t2", 0.3, 0.7, 0.95)
        self.hbm = Tier(name="hbm", classes=("hbm",), success=tier2, stall_s=80.0, repeats_step=False)
        self.link = Tier(name="link", classes=("network",), success=tier2, stall_s=80.0, repeats_step=False)

    def case(self, chip: str, restart: str, rungs: tuple[Tier, ...] = ()) -> Case:
        seconds = {"h800": self.restart["h800"], "active": self.restart["active"],
                   "passive": self.restart["active"] + self.wait}[restart]
        table = self.base * np.array(UNITS[chip])[:, None] * self.vendor[chip]
        return Case(rates=table, masking=masking(rungs, DRAWS, failed_tries_cost=False), detection_s=0.0,
                    restart_s=seconds, checkpoint_s=self.checkpoint)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


LADDERS = {"off": (), "hbm": ("hbm",), "full": ("retry", "hbm", "link")}
TABLE = [  # chip, restart, ladder, mtbf_h, mtbf_rollback_h, ettr, low, high, equal compute, at 10,000 chips
    ("h800", "h800", "off", 14.05, 14.05, 0.9548, 0.921, 0.975, 0.010, 0.359),
    ("h800", "passive", "off", 14.05, 14.05, 0.9425, 0.893, 0.969, 0.072, 0.672),
    ("910b", "passive", "off", 4.49, 4.49, 0.8709, 0.716, 0.941, 0.700, 0.700),
    ("910b", "active", "off", 4.49, 4.49, 0.9240, 0.847, 0.961, 0.256, 0.256),
    ("910b", "active", "hbm", 4.49, 5.10, 0.9291, 0.857, 0.964, 0.207, 0.207),
    ("910c", "passive", "off", 4.43, 4.43, 0.8696, 0.702, 0.943, 0.699, 0.935),
    ("910c", "active", "off", 4.43, 4.43, 0.9233, 0.840, 0.962, 0.274, 0.644),
    ("910c", "active", "full", 4.43, 7.02, 0.9411, 0.876, 0.971, 0.119, 0.407)]
EQUAL = {"h800": 3_584, "910b": 10_000, "910c": 5_000}


@pytest.mark.parametrize("row", TABLE, ids=lambda r: "-".join(r[:3]))
def test_reference_run_by_case(reference: Reference, row: tuple[object, ...]) -> None:
    chip, restart, ladder = str(row[0]), str(row[1]), str(row[2])
    mtbf, rolled, middle, low, high, equal, same = (float(x) for x in row[3:])  # type: ignore[arg-type]
    rungs = tuple(getattr(reference, name) for name in LADDERS[ladder])
    kept = keep(reference.case(chip, restart, rungs), (EQUAL[chip], 10_000))
    assert np.median(kept.mtbf_h[0]) == pytest.approx(mtbf, rel=0.02)
    assert np.median(kept.mtbf_rollback_h[0]) == pytest.approx(rolled, rel=0.02)
    assert np.median(kept.ettr[0]) == pytest.approx(middle, abs=0.003)
    assert np.quantile(kept.ettr[0], 0.05) == pytest.approx(low, abs=0.006)
    assert np.quantile(kept.ettr[0], 0.95) == pytest.approx(high, abs=0.003)
    assert (kept.ettr[0] < 0.90).mean() == pytest.approx(equal, abs=0.01)
    assert (kept.ettr[1] < 0.90).mean() == pytest.approx(same, abs=0.01)


def test_reference_run_joint_probabilities(reference: Reference) -> None:
    def low(chip: str, restart: str, ladder: str = "off") -> Array:
        rungs = tuple(getattr(reference, name) for name in LADDERS[ladder])
        return keep(reference.case(chip, restart, rungs), (EQUAL[chip],)).ettr[0] < 0.90

    b_passive, b_active, b_own = low("910b", "passive"), low("910b", "active"), low("910b", "active", "hbm")
    assert (b_passive & ~low("h800", "h800")).mean() == pytest.approx(0.690, abs=0.01)
    assert (b_passive & ~low("h800", "passive")).mean() == pytest.approx(0.628, abs=0.01)
    assert (b_active & ~low("h800", "active")).mean() == pytest.approx(0.255, abs=0.01)
    full = low("910c", "active", "full")
    assert (b_passive & ~full).mean() == pytest.approx(0.581, abs=0.01)
    assert (b_active & ~full).mean() == pytest.approx(0.137, abs=0.01)
    assert (b_own & ~full).mean() == pytest.approx(0.088, abs=0.01)
    # The reverse: under 0.001 for the H800 as operators run it against a passive 910B.
    assert (low("h800", "h800") & ~b_passive).mean() < 0.001


def test_reference_run_fixes_of_a_passive_910b(reference: Reference) -> None:
    case, n = reference.case("910b", "passive"), (10_000,)

    def p(c: Case, sizes: tuple[int, ...] = n, **fields: object) -> float:
        return float((keep(c, sizes, **fields).ettr < 0.90).mean())  # type: ignore[arg-type]

    hbm = replace(case, masking=masking((reference.hbm,), DRAWS, failed_tries_cost=False))
    retry = replace(case, masking=masking((reference.retry,), DRAWS, failed_tries_cost=False))
    half_hbm, half_net = np.ones((6, 1)), np.ones((6, 1))
    half_hbm[CLASSES.index("hbm")] = half_net[CLASSES.index("network")] = 0.5
    active = reference.case("910b", "active", (reference.hbm,))
    assert p(case) == pytest.approx(0.700, abs=0.01)
    assert p(replace(case, checkpoint_s=5.0)) == pytest.approx(0.494, abs=0.01)
    assert p(case, (5_000,)) == pytest.approx(0.311, abs=0.01)
    assert p(hbm) == pytest.approx(0.636, abs=0.01)
    assert p(retry) == pytest.approx(0.637, abs=0.01)
    assert p(replace(case, rates=case.rates * half_hbm)) == pytest.approx(0.651, abs=0.01)
    assert p(replace(case, rates=case.rates * half_net)) == pytest.approx(0.664, abs=0.01)
    assert p(case, interval_s=3600.0) == pytest.approx(0.867, abs=0.01)
    assert p(replace(active, checkpoint_s=5.0)) == pytest.approx(0.035, abs=0.01)
    assert p(replace(active, checkpoint_s=5.0, restart_s=150.0)) == pytest.approx(0.004, abs=0.01)


def test_reference_run_orderings_hold_in_every_draw(reference: Reference) -> None:
    passive, active = (keep(reference.case("910b", r), (10_000,)).ettr for r in ("passive", "active"))
    assert np.all(active > passive)
    none, full = (keep(reference.case("910c", "active", tuple(getattr(reference, k) for k in LADDERS[m])),
                       (5_000,)).ettr for m in ("off", "full"))
    assert np.all(full > none)
    assert np.allclose(reference.case("910c", "active").rates[0], 2 * reference.case("910b", "active").rates[0])


def test_masking_is_a_record_of_shares(given: Given) -> None:
    m: Masking = case_of(given, "ascend-910c", ladder="full").masking
    assert m.rollback.shape == m.stall_s.shape == m.steps.shape == (len(CLASSES), given.draws)
    assert np.all((m.rollback >= 0) & (m.rollback <= 1))
    assert anchor_rates(given).shape == (len(CLASSES), given.draws)
