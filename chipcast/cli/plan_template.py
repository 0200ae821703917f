"""The verb `init plan`: a commented scenario to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chipcast.cli.common import say

init_app = typer.Typer(no_args_is_help=True, help="Write a commented template to edit.")


@init_app.command("plan", help="Write a commented scenario file for `chipcast plan`.")
def init_plan(path: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; must not exist.")]) -> None:
    from chipcast.base.errors import InputError

    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE.format(name=path.stem))
    except FileExistsError:
        raise InputError(f"'{path}' exists; choose another name or remove it") from None
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None
    say(f"wrote {path}; edit it, then: chipcast plan {path}")


TEMPLATE = """\
# A buyer for `chipcast plan`. State only what differs from the base; every number may be a range.
name: {name}
base: february-2025          # the world: prices, gates, line, market
# as_of: 2025-02-25          # nothing that became known later is used
# until: 2027-12             # end of the horizon
buyer:
  name: my organisation
  segment: private           # platform | cloud | state_funded | public_centre | private | clinic_school
  country: CN
  model: deepseek-r1
  # users that are active at the same time with their tokens a day, or requests_per_s: with output_tokens:
  demand: {{concurrent_users: 500 to 1500, tokens_per_user_day: 40k, input_share: 70%, growth_per_month: 2% to 8%}}
  promise: {{ttft_s: 2, tpot_ms: 50}}
  budget_usd: 6M             # or budget_cny: 40M
  # power_kw: 200            # limit of the room; or several rooms:
  # sites:
  #   - {{name: main hall, power_kw: 200, rack_units: 80}}
  #   - {{name: cellar, power_kw: 60, pue: 1.8, usd_per_kwh: 0.12}}
  # decide_until: 2025-06    # last quarter decided before anything is known; default: the first
  # shortage_usd_per_million_tokens: 5 to 20   # what a missing million tokens costs you
  # api_usd_per_million_tokens: 2.5            # your own quote for generated tokens
  # min_domestic_share: 50%                    # of cards to own, beside what the rules ask for
  # chips: [h20-96, ascend-910b2]              # only these would be considered
# set:
#   h20.price_usd: 12k to 15k
#   plan.offsite_share_max: 0                  # part of need that may be rented or bought by the token
#   plan.porting_months_domestic: 0            # a stack that your engineers already run costs no months
# chips:                       # a chip of your own, with the price path, waits, gates and contracts of its base
#   my-npu: {{base: ascend-910b3, hbm_gb: 96, price_usd: 12k to 15k}}
# events:
#   - {{on: 2025-04-09, gate: us, chip: h20, to: licence}}
"""
"""What `init plan` writes."""
