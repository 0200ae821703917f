"""Forty percent of what? The same sentence under each reading of the word yield."""

from chipcast.fab.defects import implied_d0

AREA_MM2 = 665.61  # die of the Ascend 910B, 21.32 x 31.22 mm, from its die shot
for reading, options in (("die.any", {}), ("through", {"assembly": 0.95}), ("blind", {"dies": 2, "assembly": 0.95})):
    density = implied_d0(0.40, reading, die_area_mm2=AREA_MM2, law="negative-binomial", clustering=2.0, **options)
    print(f"{reading:10} {float(density):.4f} killing defects per cm2")
