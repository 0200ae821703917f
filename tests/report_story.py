"""A synthetic story with plausible numbers, for tests of the report before and without the stations."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from chipcast.base import catalog
from chipcast.base.calendar import month_range
from chipcast.base.given import Given
from chipcast.base.summary import interval
from chipcast.cluster.record import PARTS, Fleet
from chipcast.fab.record import Line
from chipcast.market.record import CHIPS, DOMESTIC, Market
from chipcast.plan.record import Order, Plan
from chipcast.report.record import Story
from chipcast.rules.record import Verdicts
from chipcast.scenario import SEGMENTS, load, resolve
from chipcast.tokens.record import Layout, Service

DRAWS = 400


def make(record: type, **fields: Any) -> Any:
    """Build a record; fields that pictures do not read are zeros."""
    missing = {f.name for f in dataclasses.fields(record)} - set(fields)
    needed = {
        f.name
        for f in dataclasses.fields(record)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    return record(**fields, **{name: np.zeros(DRAWS) for name in sorted(missing & needed)})


def _noise(name: str, *shape: int) -> np.ndarray:
    """Normals that depend on the name alone."""
    from chipcast.base.draws import normals

    size = int(np.prod(shape, dtype=int)) if shape else 1
    return normals(7, name, 0, size * DRAWS).reshape(*shape, DRAWS)


def line(shift: float = 0.0) -> Line:
    months = month_range("2025-01", "2027-12")
    n = len(months)
    t = np.arange(n)[:, None]
    d0 = np.exp(np.log(0.38) - 0.02 * t + 0.5 * _noise("d0") + shift)
    area = 6.65
    perfect, any_ok = np.exp(-area * d0 / 2.2), np.exp(-area * d0 / 4.0)
    starts = np.exp(np.log(6300) + 0.03 * t + 0.5 * _noise("starts"))
    gross = np.full(DRAWS, 78.0)
    good = starts * gross * any_ok
    bank = np.maximum(1e6 * np.exp(0.4 * _noise("bank")) * (1 - t / 14), 0)
    dies = good / 2 + np.where(bank > 0, 60_000, 0)
    hbm = np.exp(np.log(140_000) + 0.4 * _noise("hbm")) * np.ones((n, 1))
    packages = np.stack([np.minimum(dies * 0.4, hbm / 8), np.minimum(dies * 0.25, hbm / 16)])
    cost = np.stack(
        [
            np.exp(np.log(9000) + 0.3 * _noise("c1")) / any_ok**0.3,
            np.exp(np.log(14000) + 0.3 * _noise("c2")) / any_ok**0.3,
        ]
    )
    price = np.stack([np.exp(np.log(14000) + 0.1 * _noise("p1")), np.exp(np.log(25000) + 0.1 * _noise("p2"))])
    profit = ((price[:, None] - cost) * packages).sum(0) - 5e7
    return make(
        Line,
        months=months,
        products=("ascend-910b", "ascend-910c"),
        wafer_starts=starts,
        wafers_out=starts * 0.95,
        gross_dies=gross,
        d0_per_cm2=d0,
        yield_die_perfect=perfect,
        yield_die_any=any_ok,
        yield_die_top=(perfect + any_ok) / 2,
        assembly_yield=np.stack([np.full(DRAWS, 0.97), np.full(DRAWS, 0.85)]),
        screened=(_noise("s") > 0).astype(float),
        good_dies=good,
        die_bank=bank,
        hbm_bank=np.maximum(5e6 * (1 - t / 20) * np.ones(DRAWS), 0),
        hbm_inflow=hbm,
        package_starts=packages / 0.9,
        packages=packages,
        binding=(np.abs(_noise("b", n)) * 2).astype(int).clip(0, 4).astype(float),
        wafer_cost_usd=np.exp(np.log(9000) + 0.2 * _noise("w")),
        unit_cost_usd=cost,
        price_usd=price,
        fixed_cost_usd_per_month=np.full(DRAWS, 5e7),
        profit_usd=profit,
        dies_bought=np.zeros((n, DRAWS)),
        dies_used=good,
        hbm_used=hbm,
        wafers_in_process=starts * 4,
        die_quality=np.zeros((n, DRAWS)),
        opening_dies=bank[0],
        opening_hbm=np.full(DRAWS, 5e6),
    )


def verdicts() -> Verdicts:
    months = month_range("2025-02", "2027-12")
    chips = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b3", "ascend-910c")
    shape = (len(months), len(SEGMENTS), len(chips))
    us, cn = np.zeros(shape, np.int8), np.zeros(shape, np.int8)
    us[:, :, 1:3], us[3:, :, 0], cn[8:, 1:3, 0], us[30:] = 5, 3, 2, 6
    return make(
        Verdicts,
        months=months,
        segments=SEGMENTS,
        chips=chips,
        us=us,
        cn=cn,
        decided_by=np.where(us > 0, "US-3A090A-2023", "").astype(np.str_),
        prong=np.full(shape, "a.1"),
        slack_log=np.zeros(shape),
        min_domestic_share=np.zeros(shape[:2]),
        unknown_after="2025-02-25",
    )


def service() -> Service:
    chips = ("h20-96", "h800-sxm", "ascend-910b3", "ascend-910c", "l20")
    speed = np.stack(
        [m * np.exp(0.3 * _noise(f"speed{i}")) for i, m in enumerate((620.0, 1500.0, 300.0, 800.0, np.nan))]
    )
    hour = np.stack([h * np.exp(0.1 * _noise(f"hour{i}")) for i, h in enumerate((0.9, 2.1, 0.8, 1.6, 0.5))])
    frontier = tuple(
        {
            "chip": c,
            "tpot_ms": float(t),
            "output_tokens_per_s_per_chip": interval(speed[i] * (t / 50) ** 0.6),
            "layout": "tp8 dp2",
        }
        for i, c in enumerate(chips[:4])
        for t in (15, 25, 35, 50, 80, 120)
    )
    return make(
        Service,
        chips=chips,
        model="deepseek-r1",
        feasible=np.array([1.0, 1, 0.9, 1, 0]),
        layouts=(
            Layout(chips=16, tp=8, dp=2, batch=128, weights="fp8_block"),
            Layout(chips=16, tp=8, dp=2, ep=16, batch=256, weights="fp8_block"),
            Layout(chips=32, tp=8, dp=4, batch=96, weights="int8_channel"),
            Layout(chips=16, tp=8, dp=4, ep=32, batch=192, weights="int8_channel"),
            None,
        ),
        reasons=("", "", "", "", "the weights do not fit 8 chips of 48 GB"),
        output_tokens_per_s_per_chip=speed,
        total_tokens_per_s_per_chip=speed * 3.3,
        tpot_ms=np.full((5, DRAWS), 48.0),
        ttft_ms=np.full((5, DRAWS), 900.0),
        usd_per_chip_h=hour,
        usd_per_million_output_tokens=hour / speed / 3600 * 1e6,
        bound_by=("compute", "link", "overhead", "overhead", ""),
        grade=("prior only", "prior only", "this vendor", "prior only", ""),
        min_chips=(16, 16, 32, 16, 0),
        frontier=frontier,
    )


def fleet() -> Fleet:
    chips, sizes = ("ascend-910b3", "ascend-910c", "h800-sxm"), (1024, 2048, 4096, 8192, 16384)
    rate = np.stack([r * np.exp(0.6 * _noise(f"rate{i}")) for i, r in enumerate((1.8, 0.9, 0.5))])[:, None, :]
    loss = (
        np.array([0.05, 0.09, 0.0, 0.02, 0.05, 0.02, 0.01, 0.03])[None, None, :, None]
        * rate[:, :, None, :]
        * (np.array(sizes) / 16384)[None, :, None, None] ** 0.7
    )
    loss[:, :, 0] = 0
    loss = loss / (1 + loss.sum(axis=2, keepdims=True))
    loss[:, :, 0] = 1 - loss[:, :, 1:].sum(axis=2)
    assert loss.shape[2] == len(PARTS)
    mtbf = 600 / rate * (1024 / np.array(sizes))[None, :, None]
    return make(
        Fleet,
        chips=chips,
        sizes=sizes,
        goodput=loss[:, :, 0] * 0.98,
        ettr=loss[:, :, 0],
        mtbf_h=mtbf,
        mtbf_rollback_h=mtbf * 1.4,
        ledger=loss,
        checkpoint_every_s=np.full((3, 5, DRAWS), 1800.0),
        faults_per_day=np.ones((3, 5, 2, DRAWS)),
        classes=("chip", "link"),
    )


def market(fear: float = 1.0, push: float = 1.0) -> Market:
    months = month_range("2025-03", "2027-12")
    n, s, c = len(months), len(SEGMENTS), len(CHIPS)
    size = (
        np.array([90, 40, 15, 10, 20, 6.0])[:, None, None, None]
        * 1000
        * np.array([0.5, 0.05, 0.15, 0.15, 0.1, 0.05, *[0.02] * (c - 6)])[:, None, None]
    )
    t = np.arange(n)[:, None]
    luck = np.exp(0.35 * _noise("market"))
    wave = 1 + fear * 1.2 * np.exp(-t / 3) * np.exp(0.3 * _noise("fear"))
    home = np.array([c in DOMESTIC for c in CHIPS], dtype=float)[:, None, None]
    tilt = 1 + home * push * 0.03 * t
    need = np.broadcast_to(size * (1 + 0.02 * t) * luck, (s, c, n, DRAWS))
    orders = (need * np.where(home == 1, tilt, wave)).astype(np.float32)
    deliveries = (orders * np.where(home == 1, 0.7, np.exp(-t / 20))).astype(np.float32)
    stocks = np.maximum(np.cumsum(deliveries - need * 0.9, axis=2), 0).astype(np.float32)
    share = np.clip(0.12 + 0.012 * t * (0.4 + 0.6 * push) + 0.05 * _noise("share"), 0.01, 0.95).astype(np.float32)
    one = np.ones((c, n, DRAWS), np.float32)
    return make(
        Market,
        months=months,
        segments=SEGMENTS,
        chips=CHIPS,
        need=need.astype(np.float32),
        orders=orders,
        deliveries=deliveries,
        stocks=stocks,
        installed=np.cumsum(deliveries, axis=2),
        cover_months=np.full((s, n, DRAWS), 3 * fear, np.float32),
        price_usd=one * 13000,
        fill=one * 0.8,
        lead_time_days=one * 70,
        us_open=one,
        cn_open=one,
        useful_tokens=np.ones((s, n, DRAWS), np.float32),
        unserved_tokens=np.zeros((s, n, DRAWS), np.float32),
        domestic_share_cards=share,
        domestic_share_tokens=share * np.float32(0.8),
        line_orders=np.ones((2, n, DRAWS)),
        books={"units": 0.0},
    )


def plan() -> Plan:
    quarters = ("2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2")
    orders = (
        Order(quarter="2025Q1", chip="h20-96", supplier="distributor", contract="spot", units=192, now=True),
        Order(
            quarter="2025Q2",
            chip="h20-96",
            supplier="distributor",
            contract="spot",
            units=64,
            now=False,
            interval={"p05": 0, "p50": 64, "p95": 160},
        ),
        Order(
            quarter="2025Q3",
            chip="ascend-910c",
            supplier="Huawei",
            contract="framework",
            units=48,
            now=False,
            interval={"p05": 0, "p50": 32, "p95": 128},
        ),
        Order(
            quarter="2025Q4",
            chip="ascend-910c",
            supplier="Huawei",
            contract="framework",
            units=64,
            now=False,
            interval={"p05": 0, "p50": 64, "p95": 192},
        ),
    )
    return make(
        Plan,
        buyer="regional hospital group",
        quarters=quarters,
        decide_until="2025Q1",
        orders=orders,
        expected_cost_usd=5.4e6,
        cvar_usd=8.1e6,
        tail=0.9,
        tail_weight=0.3,
        values={"ws": 4.9e6, "sp": 5.4e6, "eev": 6.1e6, "evpi": 0.5e6, "vss": 0.7e6, "out_of_sample": 5.5e6},
        rivals={
            "all-h20": {"cost": 5.9e6, "difference": {"p05": 0.1e6, "p50": 0.5e6, "p95": 1.1e6}, "verdict": "worse"},
            "api": {"cost": 7.9e6, "difference": {"p05": 1.1e6, "p50": 2.5e6, "p95": 4.0e6}, "verdict": "worse"},
        },
        service_share={"p05": 0.8, "p50": 0.97, "p95": 1.0},
        fails=("demand grows above 9 % a month and the gate shuts before June 2025.",),
        shadow_prices={"one more kilowatt": 120.0},
        solver={"status": "optimal"},
        sentence="Order 192 H20 now and decide on 910C in the third quarter",
        detail=plan_detail(quarters),
    )


def plan_detail(quarters: tuple[str, ...]) -> dict[str, Any]:
    n = len(quarters)
    fan = {
        k: [m * (1 + 0.2 * q) for q in range(n)]
        for k, m in (("p05", 40.0), ("p25", 70.0), ("p50", 100.0), ("p75", 130.0), ("p95", 200.0))
    }
    cut, growth = [float(i % n + 1) for i in range(60)], [0.02 + 0.0015 * i for i in range(60)]
    return {
        "fleet": {"h20-96": fan},
        "need": fan,
        "served": {k: [0.9 * x for x in v] for k, v in fan.items()},
        "ladder": {
            "plan": {"p05": 4e6, "p50": 5.2e6, "p95": 8e6, "mean": 5.5e6},
            "all-h20": {"p05": 4e6, "p50": 5.5e6, "p95": 9e6, "mean": 5.9e6},
        },
        "room": {"share": 0.03, "orders": {
            "units decided now": [120.0, 260.0], "h20-96 by spot decided now": [60.0, 260.0],
            "ascend-910c by spot decided now": [0.0, 0.1]}},
        "by_date": [{"quarters": n, "until": quarters[n - 1] if n else "", "cost": 5e6 + 1e5 * n} for n in range(4)],
        "frontier": [
            {"tail_weight": w, "mean": 5e6 + 1e5 * w, "cvar": 8e6 - 1e6 * w} for w in (0.0, 0.25, 0.5, 0.75, 0.95)
        ],
        "failures": {
            "causes": {"quarter of the cut-off": cut, "growth of need a month": growth},
            "fails": [c < 3 and g > 0.06 for c, g in zip(cut, growth, strict=True)],
        },
    }


SAID = {
    "yield-doubled": "the yield of the 910C doubled to 40 % in a year",
    "line-profitable": "the line is profitable for the first time",
    "no-euv": "a process without EUV suffices",
    "plan-400k": "100,000 910C and 300,000 910B in 2025",
    "h20-million": "a million H20 for 12 billion USD in 2024",
    "nvidia-dominates": "Nvidia still dominates",
    "hoard": "platforms hoard H20",
    "h20-serves-r1": "H20 serves DeepSeek well",
    "small-firms": "clinics and schools can join",
    "stumble-910b": "the 910B stumbles in large training",
    "scramble": "a threat makes buyers scramble",
    "buy-local": "Beijing's push shifts demand",
    "sanctions-speed": "sanctions speed local supply",
}
VERDICT_WORDS = ("supported", "consistent", "not identified", "in doubt", "contradicted")


def claims() -> list[dict[str, Any]]:
    return [
        {
            "id": k,
            "said": v,
            "computed": "0.38 (0.21 to 0.61)",
            "verdict": VERDICT_WORDS[i % 5],
            "marks": ["financial-times-via-digitimes"],
            "why": "The draws that reach it need a defect density that other reports make unlikely.",
        }
        for i, (k, v) in enumerate(SAID.items())
    ]


def given(draws: int = DRAWS) -> Given:
    chips = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b3", "ascend-910c")
    return resolve(load("february-2025"), draws=draws, seed=1, chips=chips)


def story(**parts: Any) -> Story:
    """Return a whole story; name a part to replace it, None to leave it out."""
    one, table = line(), given()
    slots = table["package_line.capacity_per_month"]
    one = dataclasses.replace(one, packages=one.packages * np.sqrt(slots / np.median(slots)))
    whole: dict[str, Any] = dict(
        scenario="february-2025",
        as_of="2025-02-25",
        draws=DRAWS,
        seed=1,
        version="0.1.0",
        claims=claims(),
        line=one,
        line_prior=line(0.2),
        routes=[
            {
                "route": "without EUV",
                "wafer_cost_usd": {"p05": 8000.0, "p50": 9800.0, "p95": 12000.0},
                "cycle_days": {"p05": 95.0, "p50": 120.0, "p95": 150.0},
                "overlay_yield": {"p05": 0.8, "p50": 0.92, "p95": 0.98},
            },
            {
                "route": "with EUV",
                "wafer_cost_usd": {"p05": 7000.0, "p50": 8600.0, "p95": 10000.0},
                "cycle_days": {"p05": 75.0, "p50": 95.0, "p95": 120.0},
                "overlay_yield": {"p05": 0.93, "p50": 0.97, "p95": 0.99},
            },
        ],
        waterfall=[
            {"step": "wafer", "usd": 230.0},
            {"step": "dies scrapped", "usd": 310.0},
            {"step": "memory stacks", "usd": {"p05": 1500.0, "p50": 2100.0, "p95": 2900.0}},
            {"step": "packaging", "usd": 900.0},
            {"step": "assembly scrap", "usd": 620.0},
            {"step": "test", "usd": 150.0},
            {"step": "card", "usd": 1800.0},
        ],
        verdicts=verdicts(),
        measures=[
            {"chip": c, "tpp": t, "performance_density": d, "status": s}
            for c, t, d, s in (
                ("h20-96", 2368, 2.9, "free"),
                ("h800-sxm", 15824, 19.4, "denied"),
                ("h100-sxm", 15824, 19.4, "denied"),
                ("a100-sxm-80", 4992, 6.04, "denied"),
                ("l20", 1912, 3.14, "free"),
                ("l40s", 5864, 9.6, "denied"),
                ("ascend-910b3", 5017, 7.5, "free"),
                ("ascend-910c", 12032, 9.0, "free"),
                ("rtx-4090", 5285, 8.7, "notified_exception"),
            )
        ],
        service=service(),
        fleet=fleet(),
        market=market(),
        market_without_threat=market(fear=0.2),
        market_without_push=market(push=0.1),
        plan=plan(),
        posterior=[
            {
                "name": n,
                "unit": u,
                "prior": {"p05": a, "p50": (a * b) ** 0.5, "p95": b},
                "posterior": {"p05": a * 1.5, "p50": (a * b) ** 0.5 * 0.9, "p95": b / 1.6},
                "contraction": k,
            }
            for n, u, a, b, k in (
                ("smic_n2.d0_per_cm2", "1/cm2", 0.13, 1.1, 0.42),
                ("smic_n2.ai_wafer_starts_per_month", "wafers/month", 2000.0, 20000.0, 0.35),
                ("die_bank.dies", "dies", 3e5, 3e6, 0.22),
                ("hbm_bank.stacks", "stacks", 3e6, 1.3e7, 0.05),
                ("smic_n2.wafer_price_usd", "USD", 6000.0, 14000.0, 0.01),
            )
        ],
        ess=2310.0,
        given=table,
        given_blind=table,
        deployments=[
            {"chip": c, "chips": n, "model": "deepseek-r1", "usd": n * u * np.exp(0.1 * _noise(f"deploy {c}"))}
            for c, n, u in (("h20-96", 8, 20_000.0), ("ascend-910c", 16, 30_000.0), ("h800-sxm", 8, 40_000.0))
        ],
        backtests=catalog.read_table("backtests"),
        sources=catalog.sources(),
    )
    return Story(**{**whole, **parts})
