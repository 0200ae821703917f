"""What an Ascend bin can multiply: matrix units alone, and with the vector units that the vendor adds."""

from __future__ import annotations

from dataclasses import dataclass

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.types import Numeric

CUBE_EDGE = 16
"""A cube core multiplies two 16 x 16 matrices per cycle, in every row of `architectures.csv`."""

FLOP_PER_CUBE_CYCLE = 2 * CUBE_EDGE**3
"""Multiply and add of every element: 8,192 operations in FP16."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """One sold configuration of a die."""

    sku: str
    """Name in the vendor's platform files."""
    family: str
    """Product family."""
    arch: str
    """Architecture number of the platform files."""
    cube_cores: int
    """Matrix cores that are switched on. [cores]"""
    vector_cores: int
    """Vector cores that are switched on. [cores]"""
    freq_ghz: float
    """Clock. [GHz]"""
    mem_gib: float | None
    """Memory of the package, or none where the file does not say. [GiB]"""
    cube_tflops: float
    """FP16, matrix units only. [TFLOPS]"""
    vector_tflops: float
    """FP16 of the vector units, which a matrix product cannot use. [TFLOPS]"""
    filed_cube_tflops: float
    """FP16 of the matrix units as the data row has it. [TFLOPS]"""
    filed_vendor_tflops: float
    """FP16 of both kinds of unit as the data row has it, the figure that the vendor advertises. [TFLOPS]"""
    known_by: str
    """First day the row could have been used."""
    source: str
    """Key of `sources.csv`."""

    @property
    def vendor_tflops(self) -> float:
        """FP16 as the vendor counts, matrix and vector units together. [TFLOPS]"""
        return self.cube_tflops + self.vector_tflops


def cube_tflops(cores: Numeric, freq_ghz: Numeric) -> Numeric:
    """Return the FP16 rate of matrix cores. [TFLOPS]

    Notes
    -----
    cores x 8,192 x GHz / 1000.

    Sources: bins.csv (platform files); checked against every row by a test.

    >>> round(cube_tflops(24, 1.8), 1)
    353.9
    """
    return cores * FLOP_PER_CUBE_CYCLE * freq_ghz / 1000


def vector_tflops(cores: Numeric, freq_ghz: Numeric, flop_per_cycle: Numeric) -> Numeric:
    """Return the FP16 rate of vector cores. [TFLOPS]

    Parameters
    ----------
    cores, freq_ghz : numeric
        Vector cores that are switched on and their clock. [cores], [GHz]
    flop_per_cycle : numeric
        Operations per core and cycle, a row of `architectures.csv`. [1]

    >>> round(vector_tflops(48, 1.8, 256), 1)
    22.1
    """
    return cores * flop_per_cycle * freq_ghz / 1000


def bins(catalog: Catalogue) -> tuple[Bin, ...]:
    """Return all bins known by the catalogue's date."""
    out = []
    vector_flop = {r["npu_arch"]: float(r["vector_flop_per_cycle"]) for r in read_table("architectures")}
    for row in catalog.rows("bins"):
        cores, vectors, ghz = int(row["cube_cores"]), int(row["vector_cores"]), float(row["freq_mhz"]) / 1000
        out.append(Bin(
            sku=row["sku"], family=row["family"], arch=row["npu_arch"], cube_cores=cores, vector_cores=vectors,
            freq_ghz=ghz, mem_gib=float(row["memory_gib"]) if row["memory_gib"] else None,
            cube_tflops=float(cube_tflops(cores, ghz)),
            vector_tflops=float(vector_tflops(vectors, ghz, vector_flop[row["npu_arch"]])),
            filed_cube_tflops=float(row["fp16_cube_tflops"]),
            filed_vendor_tflops=float(row["fp16_cube_plus_vector_tflops"]),
            known_by=row["known_by"], source=row["source"]))
    return tuple(out)


def vendor_extra(catalog: Catalogue, item: str) -> float:
    """Return the share by which the vendor's FP16 figure stands above the matrix units, 0 where none does. [1]

    A package of two dies has the same share as its die.
    """
    sku = SKU_OF.get(item)
    for b in bins(catalog):
        if b.sku == sku:
            return b.vector_tflops / b.cube_tflops
    return 0.0


SKU_OF = {
    "ascend-910a": "Ascend910A", "ascend-910b1": "Ascend910B1", "ascend-910b2": "Ascend910B2",
    "ascend-910b3": "Ascend910B3", "ascend-910b4": "Ascend910B4", "ascend-910c": "Ascend910B2",
    "ascend-950pr": "Ascend950PR_957b", "ascend-950pr-full": "Ascend950PR_9599", "ascend-950dt": "Ascend950DT_9582",
}
"""Bin of a chip id: the 910C is two dies of the 910B2 bin, as its vendor figure of 2 x 376 says."""
