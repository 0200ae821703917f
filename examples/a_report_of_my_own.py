"""An analyst hears that 35 percent of the dies are sellable. What does that change?"""

from dataclasses import replace
from datetime import date

from chipcast.base.summary import span
from chipcast.chain import prepare
from chipcast.evidence.posterior import posterior_table
from chipcast.scenario import Report, load

heard = Report(series="smic_ai_die_yield", value="35%", definition="die.any", published=date(2025, 2, 20),
               source_class="newspaper")
base = load("february-2025")
for name, scenario in (("without it", base), ("with it", replace(base, reports=(heard,)))):
    evidence = prepare(scenario, draws=1000).evidence
    density = next(r for r in posterior_table(evidence) if r["name"] == "smic_n2.d0_per_cm2")
    print(f"{name:12} defects per cm2 {span(density['posterior'])}; effective sample size {evidence.ess:.0f}")
