"""What `cluster` gives to the stations right of it."""

from __future__ import annotations

from dataclasses import dataclass

from chipcast.base.types import Array

PARTS = ("productive", "checkpoint", "lost_work", "detection", "restart", "waiting", "online_stalls", "slow_down")
"""Parts of the ledger of wall time; they sum to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """What large machines keep of what their chips promise."""

    chips: tuple[str, ...]
    """Chip ids. (chip)"""
    sizes: tuple[int, ...]
    """Chips that work on one job. (size)"""
    goodput: Array
    """Useful chip-time over all chip-time paid for, idle spares included. [1] (chip, size, draw)"""
    ettr: Array
    """Share of the job's wall time in which it computes forward, slowly or not. [1] (chip, size, draw)"""
    mtbf_h: Array
    """Running time per stop, all stops, repair time not inside. [h] (chip, size, draw)"""
    mtbf_rollback_h: Array
    """Running time per stop that goes back to a checkpoint. [h] (chip, size, draw)"""
    ledger: Array
    """Shares of wall time by `PARTS`; they sum to 1. [1] (chip, size, part, draw)"""
    checkpoint_every_s: Array
    """Useful work between checkpoints. [s] (chip, size, draw)"""
    faults_per_day: Array
    """Faults by class that stop the job or are masked. [1/day] (chip, size, class, draw)"""
    classes: tuple[str, ...]
    """Component classes of `faults_per_day` and `loss_by_class`. (class)"""
    spares: Array
    """Standing spare chips beside the job. [chips] (chip, size, draw)"""
    loss_by_class: Array
    """Share of wall time lost to faults of each class. [1] (chip, size, class, draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What a job on many chips keeps."""

    ettr: Array
    """Share of wall time in which the job computes forward, slowly or not. [1] (size, draw)"""
    goodput: Array
    """Useful chip-time over chip-time paid for, idle spares included. [1] (size, draw)"""
    mtbf_h: Array
    """Time on the clock of progress per stop, all stops, mended online or not. [h] (size, draw)"""
    mtbf_rollback_h: Array
    """Time on the clock of progress per stop that goes back to a checkpoint. [h] (size, draw)"""
    ledger: Array
    """Shares of wall time by `PARTS`; they sum to 1. [1] (size, part, draw)"""
    checkpoint_every_s: Array
    """Useful work between checkpoints. [s] (size, draw)"""
    far_every: Array
    """Near copies to one far checkpoint; 1 with one level. (size, draw)"""
    spares: Array
    """Spare chips that the job pays for. [chips] (size, draw)"""
    stops_per_day: Array
    """Faults by class, masked or not. [1/day] (size, class, draw)"""
    loss_by_class: Array
    """Share of wall time lost to faults of each class, waits and stalls included. [1] (size, class, draw)"""
