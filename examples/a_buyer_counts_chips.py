"""A hospital group wants to run DeepSeek-R1 at home. Which chip may it buy, how many, and for how much?

The three questions of a buyer in one go: the rules on the day, the speed under the promise, the money. The same draws
run through all three, so the answer has an interval.
"""

from datetime import date

import numpy as np

from chipcast.base.summary import span
from chipcast.chain import prepare, serve_buyer
from chipcast.rules.check import ask_for, verdict
from chipcast.scenario import load

USERS, TOKENS_PER_S_AND_USER = 120, 12  # at the peak

ready = prepare(load("hospital-group"), draws=500)
given, service = ready.given, serve_buyer(ready.setting, ready.given)
for i, chip in enumerate(service.chips):
    if service.layouts[i] is None or service.reasons[i] or chip not in given.catalog.chip_ids():
        continue
    status = verdict(given.catalog, ask_for(given.catalog, chip, date(2025, 2, 25), segment="clinic_school")).status
    rate = service.output_tokens_per_s_per_chip[i]
    needed = np.ceil(USERS * TOKENS_PER_S_AND_USER / np.maximum(rate, 1e-9) / 8) * 8  # whole servers of eight
    needed = np.maximum(needed, service.min_chips[i])
    cost = span(service.usd_per_million_output_tokens[i])
    print(f"{chip:14} {status:8} {span(needed)} chips, {cost} USD per million tokens; {service.grade[i]}")
