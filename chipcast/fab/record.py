"""What `fab` gives to the stations right of it."""

from __future__ import annotations

from dataclasses import dataclass

from chipcast.base.types import Array

PRODUCTS = ("ascend-910b", "ascend-910c")
"""Products of the line; a 910B without a bin stands for the mixture of its bins."""

LIMITS = ("wafers", "scanner_hours", "dies", "hbm", "packaging", "orders")
"""What can bind the output of a month: foundry wafers in the pipeline, scanner hours that cap their starts, good
dies (made and banked), memory stacks, package slots, or a lack of orders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A production line by month, with every intermediate a reader would ask for."""

    months: tuple[str, ...]
    """Calendar months `YYYY-MM`. (month)"""
    products: tuple[str, ...]
    """Product names, `PRODUCTS`. (product)"""
    wafer_starts: Array
    """Wafers started for AI chips. [wafers/month] (month, draw)"""
    scanner_cap: Array
    """AI wafers that the immersion scanners can expose in a month. [wafers/month] (draw)"""
    wafers_out: Array
    """Wafers that left the fab, line yield taken. [wafers/month] (month, draw)"""
    gross_dies: Array
    """Complete dies per wafer. [dies] (draw)"""
    d0_per_cm2: Array
    """Density of killing defects. [1/cm2] (month, draw)"""
    yield_die_perfect: Array
    """Dies with all cores good over gross dies (`die.perfect`). [1] (month, draw)"""
    yield_die_any: Array
    """Dies that fit the lowest sold bin over gross dies (`die.any`). [1] (month, draw)"""
    yield_die_top: Array
    """Dies that fit the 24-core bin over gross dies (`die.bin(24)`). [1] (month, draw)"""
    assembly_yield: Array
    """Share of package starts that survive assembly (`assembly`). [1] (product, draw)"""
    screened: Array
    """1 where dies are tested before assembly (known-good-die flow), 0 where the dual-die flow is blind. [1] (draw)"""
    good_dies: Array
    """Sellable home-made dies taken; those above the stock limit go to other customers. [dies/month] (month, draw)"""
    die_bank: Array
    """Good foreign-made and domestic dies in stock at the end of the month. [dies] (month, draw)"""
    hbm_bank: Array
    """Memory stacks in stock at the end of the month. [stacks] (month, draw)"""
    hbm_inflow: Array
    """Memory stacks that arrive. [stacks/month] (month, draw)"""
    dies_bought: Array
    """Good foreign-made dies that still arrive; 0 under controls. [dies/month] (month, draw)"""
    dies_used: Array
    """Good dies that went into packages. [dies/month] (month, draw)"""
    hbm_used: Array
    """Memory stacks that went into packages. [stacks/month] (month, draw)"""
    wafers_in_process: Array
    """Wafers inside the fab at the end of the month. [wafers] (month, draw)"""
    die_quality: Array
    """Good share of dies taken untested in the blind flow; 1 where dies are screened. [1] (month, draw)"""
    opening_dies: Array
    """Good dies in stock before the first month. [dies] (draw)"""
    opening_hbm: Array
    """Memory stacks in stock before the first month. [stacks] (draw)"""
    package_starts: Array
    """Packages started. [packages/month] (product, month, draw)"""
    packages: Array
    """Good packages that leave final test. [packages/month] (product, month, draw)"""
    binding: Array
    """Index into `LIMITS` of what bound the starts of the month. (month, draw)"""
    wafer_cost_usd: Array
    """Price of a processed wafer. [USD] (draw)"""
    unit_cost_usd: Array
    """Variable cost per good package with its card. [USD] (product, month, draw)"""
    price_usd: Array
    """Price of a card. [USD] (product, draw)"""
    fixed_cost_usd_per_month: Array
    """Fixed cost of the product line. [USD/month] (draw)"""
    profit_usd: Array
    """Revenue less variable and fixed cost. [USD/month] (month, draw)"""
