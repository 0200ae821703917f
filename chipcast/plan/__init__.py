"""What to order now, what later, and in which futures that fails."""

from chipcast.plan.decide import plan
from chipcast.plan.need import Need, need_from
from chipcast.plan.record import Order, Plan

__all__ = ["Need", "Order", "Plan", "need_from", "plan"]
