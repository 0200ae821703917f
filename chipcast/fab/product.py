"""What one package of each product is made of and sells for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import PRODUCTS

BINS = ("b1", "b2", "b3", "b4")
"""Sold bins of the single-die part; a 910B without a bin is their mixture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """Bill of materials, survival and price of one product."""

    name: str
    """Product name, one of `PRODUCTS`."""
    dies: int
    """Dies in a package. [dies]"""
    stacks: Array
    """Memory stacks in a package. [stacks] (draw)"""
    memory_usd: Array
    """Memory in a package. [USD] (draw)"""
    package_usd: Array
    """Packaging and test per start, without memory. [USD] (draw)"""
    die_test_usd: Array
    """Test of one gross die. [USD] (draw)"""
    board_usd: Array
    """Board, power, cooling and module test of one card. [USD] (draw)"""
    assembly_yield: Array
    """Share of package starts with good dies that survive (`assembly`). [1] (draw)"""
    system_yield: Array
    """Share of cards that pass burn-in and system test. [1] (draw)"""
    price_usd: Array
    """Price of a card before tax. [USD] (draw)"""


def product(given: Given, name: str) -> Product:
    """Return the product of that name."""
    return choose({"ascend-910b": _single, "ascend-910c": _dual}, name, "product of the line")(given)


def products(given: Given) -> tuple[Product, ...]:
    """Return all products of the line."""
    return tuple(product(given, name) for name in PRODUCTS)


def _single(given: Given) -> Product:
    g = given
    weights = [g[f"ascend-910b.bin_weight_{b}"] for b in BINS]
    total = np.sum(weights, axis=0)
    # Bins without a row of their own are like the next bin of the same memory.
    like = {"b1": "b2", "b3": "b2", "b4": "b4", "b2": "b2"}
    stacks = sum(w * g.first(f"ascend-910{b}.hbm_stacks_per_package", f"ascend-910{like[b]}.hbm_stacks_per_package")
                 for w, b in zip(weights, BINS, strict=True)) / total
    price = sum(w * g[f"ascend-910{'b2' if b == 'b1' else b}.price_usd"]
                for w, b in zip(weights, BINS, strict=True)) / total
    return _build(g, "ascend-910b", 1, stacks, price, "package_single_die")


def _dual(given: Given) -> Product:
    g = given
    return _build(g, "ascend-910c", 2, g["ascend-910c.hbm_stacks_per_package"], g["ascend-910c.price_usd"],
                  "package_dual_die")


def _build(g: Given, name: str, dies: int, stacks: Array, price: Array, kind: str) -> Product:
    return Product(name=name, dies=dies, stacks=stacks, price_usd=price,
                   memory_usd=stacks * g["hbm.stack_gb"] * g["hbm.price_usd_per_gb"],
                   package_usd=g[f"{kind}.package_and_test_usd"], die_test_usd=g["package_single_die.die_test_usd"],
                   board_usd=g["card.board_cost_usd"], assembly_yield=g[f"{kind}.assembly_yield"],
                   system_yield=g["card.system_test_yield"])
