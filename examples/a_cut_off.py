"""What does a licence requirement on the H20 in April 2025 do to who gets how much useful compute?

The two worlds share their luck and the posterior of the date, so the difference is the letter and nothing else.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from chipcast.base.summary import span
from chipcast.news import effects

LETTER = "name: april-letter\nevents: [{on: 2025-04-09, gate: us, chip: h20, to: licence}]\n"

with TemporaryDirectory() as folder:
    scenario = Path(folder) / "letter.yaml"
    scenario.write_text(LETTER, encoding="utf-8")
    for row in effects("february-2025", str(scenario), draws=500, seed=1):
        if row["name"] in ("nvidia_china_cards.2025", "china_vendor_cards.2025", "h20_revenue_usd_bn.2025"):
            print(f"{row['name']:28} {span(row['effect'])}   above zero in {row['p_positive']:.0%} of draws")
