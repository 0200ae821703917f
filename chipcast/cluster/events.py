"""The event loop of fault histories, compiled. Imported only by `simulate`, as it needs Numba at the top.

Every random number is a hash of (key, run, stream, count), so that a history is a function of its run alone and a
changed ladder leaves every fault where it was. Times in seconds. No fast mathematics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

PRODUCTIVE, CHECKPOINT, LOST, DETECTION, RESTART, WAITING, ONLINE, SLOW = 0, 1, 2, 3, 4, 5, 6, 7
"""Parts of the ledger, in the order of `record.PARTS`; also the state that a log shows."""

ACTIVE, SPARE, REPAIR, ABSENT = 0, 1, 2, 3
"""Where a node is; absent ones are spares that a run does not have."""

G1, G2, G3 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Constants of the SplitMix64 finaliser (Steele, Lea, Flood, OOPSLA 2014)."""

LEAST_SHARE = 0.02
"""Share of its rate that a shrunk job is taken to keep at least, so that its end is finite."""

jit: Any = njit(cache=True, error_model="numpy")


@jit
def mix(x):  # type: ignore[no-untyped-def]
    """Return the 64 bits of x, scrambled."""
    x = (x ^ (x >> uint64(30))) * G2
    x = (x ^ (x >> uint64(27))) * G3
    return x ^ (x >> uint64(31))


@jit
def unit(key, run, stream, count):  # type: ignore[no-untyped-def]
    """Return a uniform inside (0, 1) that belongs to this place."""
    h = mix(uint64(key) + uint64(run + 1) * G1)
    h = mix(h ^ (uint64(stream + 1) * G2))
    h = mix(h + uint64(count + 1) * G1)
    return (float(h >> uint64(12)) + 0.5) * 2.0**-52


@jit
def push(times, items, size, time, item):  # type: ignore[no-untyped-def]
    """Add an entry to a heap ordered by time, then item; return its new size."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if times[parent] < time or (times[parent] == time and items[parent] <= item):
            break
        times[i], items[i] = times[parent], items[parent]
        i = parent
    times[i], items[i] = time, item
    return size + 1


@jit
def pop(times, items, size):  # type: ignore[no-untyped-def]
    """Drop the first entry of a heap; return its new size."""
    size -= 1
    time, item = times[size], items[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and (times[child + 1] < times[child]
                                 or (times[child + 1] == times[child] and items[child + 1] < items[child])):
            child += 1
        if time < times[child] or (time == times[child] and item <= items[child]):
            break
        times[i], items[i] = times[child], items[child]
        i = child
    times[i], items[i] = time, item
    return size


@jit
def later(start, amount, factors, width):  # type: ignore[no-untyped-def]
    """Return when so much exposure has passed since `start`, at a rate factor for each epoch of `width`."""
    if len(factors) == 0:
        return start + amount
    t = start
    while True:
        e = min(int(t / width), len(factors) - 1)
        edge = (e + 1) * width
        room = (edge - t) * factors[e]
        if amount <= room or e == len(factors) - 1:
            return t + amount / max(factors[e], 1e-12)
        amount -= room
        t = edge


@jit
def gap_of(u, shape, scale):  # type: ignore[no-untyped-def]
    """Return a Weibull gap; shape 1 is exponential."""
    x = -np.log(u)
    return scale * x if shape == 1.0 else scale * x ** (1.0 / shape)


@jit
def repair_of(u, law, mean, shape, lengths):  # type: ignore[no-untyped-def]
    """Return a repair time: law 0 exponential, 1 fixed, 2 Weibull of this shape, 3 empirical (lengths of mean 1)."""
    if law == 0:
        return -np.log(u) * mean
    if law == 1:
        return mean
    if law == 2:
        return shape[1] * mean * (-np.log(u)) ** (1.0 / shape[0])
    return lengths[min(int(u * len(lengths)), len(lengths) - 1)] * mean


@jit
def best_work(rate, cost):  # type: ignore[no-untyped-def]
    """Return the best work between checkpoints: Newton on 1 - x = exp(-x - c), as in `renewal.best_interval`."""
    c = rate * cost
    x = min(np.sqrt(2.0 * c), 1.0)
    for _ in range(6):
        fall = np.expm1(-(x + c))
        if fall == 0.0:
            break
        x += (x + fall) / fall
    return x / rate


@jit
def play(  # type: ignore[no-untyped-def]
         key, first_run, runs, nodes, others, spares, most_spares, node_scale_s, lifetime_shape, class_below, no_mend,
         stall_s, takes_node, detection_s, restart_s, swap_s, checkpoint_s, work_s, near_cost_s, segments, survives,
         near_restart_s, write_s, cold_spares, cold_swap_s, shrinks, replica_nodes, rejoin_s, shock_below, shock_nodes,
         lemon_share, lemon_factor, evict_after, quarantine_s, learn, planned_rate, near_share, slow_gap_s, slow_s,
         pace, repair_law, repair_mean_s, repair_shape, repair_lengths, silent_class, silent_latency_s, branching,
         kernel_s, kernel_below, batch_sizes, batch_share, epoch_factors, epoch_s, horizon_s, target_work_s,
         on_progress, grid_s, ledger, counts, down, log_time, log_state):
    """Play runs `first_run` to `first_run + runs` and write ledgers, counts, nodes down and logs."""
    total_nodes = nodes + others + most_spares
    mine = np.empty(total_nodes, dtype=np.bool_)  # of the job that is watched; other jobs only share its spares
    heap_room = total_nodes * 2 + 4096
    fault_time, fault_node = np.empty(heap_room), np.empty(heap_room, dtype=np.int64)
    mend_time, mend_node = np.empty(total_nodes + 1), np.empty(total_nodes + 1, dtype=np.int64)
    status = np.empty(total_nodes, dtype=np.int64)
    used = np.empty((total_nodes, 3), dtype=np.int64)  # faults, relapses and repairs drawn so far, by node
    bad = np.ones(total_nodes)  # fault rate of a node over the mean one's
    classes = class_below.shape[0]
    for r in range(runs):
        run = first_run + r
        scale, kept = node_scale_s[r], ledger[r]
        tau, cost, found, again, swap = work_s[r], checkpoint_s[r], detection_s[r], restart_s[r], swap_s[r]
        slow_pace = pace[r]
        near, last, near_again = near_cost_s[r], segments[r] - 1, near_restart_s[r]
        pattern_stalls = last * near + cost
        plain = 1.0 / (1.0 - lemon_share[r] + lemon_share[r] * lemon_factor[r])
        factors = epoch_factors[r]
        size = 0
        spare_nodes = spares[r]
        for n in range(total_nodes):
            at_work = nodes + others
            mine[n] = n < nodes
            status[n] = ACTIVE if n < at_work else (SPARE if n < at_work + spare_nodes else ABSENT)
            used[n, 0], used[n, 1], used[n, 2] = 1, 0, 0
            if status[n] == ABSENT:
                continue
            if lemon_share[r] > 0.0:
                bad[n] = plain
                if unit(key, run, 8 * n + 2, -1) < lemon_share[r]:
                    bad[n] = plain * lemon_factor[r]
            at = later(0.0, gap_of(unit(key, run, 8 * n, 0), lifetime_shape, scale / bad[n]), factors, epoch_s)
            if at < horizon_s:
                size = push(fault_time, fault_node, size, at, n)
        mending = 0
        active, standing, others_short, mended_so_far = nodes, spare_nodes, 0, 0
        t, clock = 0.0, 0.0
        state, until, failed = PRODUCTIVE, np.inf, False
        done, w, ws, wm, c = 0.0, 0.0, 0.0, 0.0, 0.0  # committed; work, slow, missing and checkpoint time of the cycle
        far, far_before, far_at, seg = 0.0, 0.0, -1e18, 0  # last far checkpoints, when the last was taken; segment
        c_near, slow_near, missing_near = 0.0, 0.0, 0.0  # stalls and slow time since the last far checkpoint
        deep, joining, mend_again = False, False, again  # whether a near copy does not do; a node joins; restart now
        corrupt_at, corrupt_done, corrupt_node = np.inf, 0.0, 0
        slow_number, slow_until = 1, -1.0
        slow_next = np.inf
        if slow_gap_s[r] < np.inf:
            slow_next = -np.log(unit(key, run, -2, 0)) * slow_gap_s[r]
        sampled, logged = 0, 0
        if log_time.shape[1] > 0:
            log_time[r, 0], log_state[r, 0] = 0.0, PRODUCTIVE
            logged = 1
        faults, stops, rollbacks, strikes = 0, 0, 0, 0
        while True:
            running = state == PRODUCTIVE
            slow_rate = slow_pace if t < slow_until else 1.0
            rate = slow_rate
            if shrinks and active < nodes:
                rate = slow_rate / max(1.0 - replica_nodes[r] * (nodes - active) / nodes, LEAST_SHARE)
            next_at, what = horizon_s, 0
            if running and target_work_s < np.inf:
                cycles = max((target_work_s - done) / tau - 1.0, 0.0)
                left = (tau - w) * rate + (cost - c) + cycles * (tau * rate + cost)
                if last > 0:
                    cycles = np.ceil(cycles - 1e-9)
                    deeper = np.floor((seg + cycles + 1.0) / (last + 1))
                    left = ((tau - w) + cycles * tau) * rate + deeper * cost + (cycles + 1 - deeper) * near - c
                if t + left < next_at:
                    next_at, what = t + left, 1
            if size > 0:
                at = fault_time[0]
                if on_progress:
                    at = t + max(at - clock, 0.0) if running else np.inf
                if at < next_at:
                    next_at, what = at, 2
            if corrupt_at < np.inf:
                at = corrupt_at
                if on_progress:
                    at = t + max(at - clock, 0.0) if running else np.inf
                if at < next_at:
                    next_at, what = at, 3
            if mending > 0 and mend_time[0] < next_at:
                next_at, what = mend_time[0], 4
            if not running and until < next_at:
                next_at, what = until, 5
            if slow_next < next_at:
                next_at, what = slow_next, 6
            if t < slow_until and slow_until < next_at:
                next_at, what = slow_until, 7
            next_at = max(next_at, t)
            while sampled < down.shape[1] and sampled * grid_s < next_at:
                down[r, sampled] = nodes + spare_nodes + others_short - active - standing
                sampled += 1
            dt = next_at - t
            if running:
                clock += dt
                while dt > 0.0:
                    need = (tau - w) * rate
                    price = cost if seg >= last else near
                    if dt < need:
                        gain = dt / rate
                        w += gain
                        ws += gain * slow_rate - gain
                        wm += dt - gain * slow_rate
                        dt = 0.0
                        break
                    dt -= need
                    gain = tau - w
                    ws += gain * slow_rate - gain
                    wm += need - gain * slow_rate
                    w = tau
                    if dt < price - c:
                        c += dt
                        dt = 0.0
                        break
                    dt -= price - c
                    done += tau
                    kept[PRODUCTIVE] += tau
                    kept[CHECKPOINT] += price
                    kept[SLOW] += ws
                    kept[WAITING] += wm
                    if seg >= last:
                        far_before, far, far_at, seg = far, done, next_at - dt, 0
                        c_near, slow_near, missing_near = 0.0, 0.0, 0.0
                    else:
                        seg += 1
                        c_near, slow_near, missing_near = c_near + price, slow_near + ws, missing_near + wm
                    w, ws, wm, c = 0.0, 0.0, 0.0, 0.0
                    if seg == 0:
                        work = tau * (last + 1)
                        span = work * rate + pattern_stalls
                        whole = np.floor(dt / span)
                        if whole > 0:
                            done += whole * work
                            kept[PRODUCTIVE] += whole * work
                            kept[CHECKPOINT] += whole * pattern_stalls
                            kept[SLOW] += whole * work * (slow_rate - 1.0)
                            kept[WAITING] += whole * work * (rate - slow_rate)
                            dt -= whole * span
                            far_before, far, far_at = done - work, done, next_at - dt
                    if what == 1 and done >= target_work_s - 1e-6 * tau:
                        dt = 0.0
            else:
                kept[state] += dt
                if not on_progress:
                    clock += dt
            t = next_at
            if not on_progress:
                clock = t
            if what == 0 or what == 1:
                break
            back = False
            if what == 2:
                place = fault_node[0]
                size = pop(fault_time, fault_node, size)
                relapse = place >= total_nodes
                n = place - total_nodes if relapse else place
                number = used[n, 0]
                used[n, 0] += 1
                if not relapse:
                    if evict_after > 0 and number >= evict_after and bad[n] > plain:
                        bad[n] = plain  # put out and replaced by a screened node
                    gap = gap_of(unit(key, run, 8 * n, number), lifetime_shape, scale / bad[n])
                    at = later(clock, gap, factors, epoch_s)
                    if at < horizon_s and size < heap_room:
                        size = push(fault_time, fault_node, size, at, n)
                if status[n] != ACTIVE and not (relapse and status[n] == SPARE):
                    continue
                spare_fails = status[n] == SPARE  # a relapse shows on a standing node too, and stops no job
                victims = 1
                if not relapse and len(batch_sizes) > 0 and unit(key, run, 8 * n + 5, number) < batch_share:
                    pick = unit(key, run, 8 * n + 6, number)
                    victims = batch_sizes[min(int(pick * len(batch_sizes)), len(batch_sizes) - 1)]
                u = unit(key, run, 8 * n + 1, number)
                k = 0
                while k < classes - 1 and u > class_below[k, r]:
                    k += 1
                mended = unit(key, run, 8 * n + 2, number) >= no_mend[k, r]
                if status[n] == ACTIVE and not mine[n]:  # another job's node: it may take a spare, and stops nothing
                    if takes_node[k] and not mended:
                        x = unit(key, run, 8 * n + 4, used[n, 2])
                        used[n, 2] += 1
                        status[n] = REPAIR
                        away = repair_of(x, repair_law, repair_mean_s[r], repair_shape, repair_lengths)
                        mending = push(mend_time, mend_node, mending, t + away + quarantine_s, n)
                        others_short += 1
                        for m in range(total_nodes):
                            if status[m] == SPARE:
                                status[m], mine[m] = ACTIVE, False
                                standing -= 1
                                others_short -= 1
                                break
                    continue
                domain = 0
                if shock_nodes.shape[0] > 0 and not relapse and not mended:
                    x = unit(key, run, 8 * n + 5, -1 - number)
                    for kind in range(shock_nodes.shape[0]):
                        if x < shock_below[kind, k, r]:
                            domain = shock_nodes[kind]
                            victims = min(domain, total_nodes)
                            break
                no_copy = not mended and unit(key, run, 8 * n + 3, -1 - number) >= survives[k, r]
                common = 0.0
                if domain > 0:  # a domain comes back as one
                    common = unit(key, run, 8 * n + 4, used[n, 2])
                    used[n, 2] += 1
                hidden = k == silent_class and not mended and silent_latency_s[r] > 0.0
                for v in range(victims):
                    hit = n
                    if v > 0 and domain > 0:
                        hit = (n + v) % total_nodes
                        if status[hit] != ACTIVE:
                            continue
                    elif v > 0:  # others struck by the same cause
                        for attempt in range(8):
                            hit = int(unit(key, run, 8 * n + 7, (number * 4096 + v) * 8 + attempt) * total_nodes)
                            if status[hit] == ACTIVE:
                                break
                        if status[hit] != ACTIVE:
                            continue
                    if domain == 0 or v == 0:
                        faults += 1
                    away = 0.0
                    if takes_node[k] and not mended and not hidden:
                        x = common
                        if domain == 0:
                            x = unit(key, run, 8 * hit + 4, used[hit, 2])
                            used[hit, 2] += 1
                        away = repair_of(x, repair_law, repair_mean_s[r], repair_shape, repair_lengths)
                        status[hit] = REPAIR
                        if spare_fails:
                            standing -= 1
                        else:
                            active -= 1
                        mending = push(mend_time, mend_node, mending, t + away + quarantine_s, hit)
                    if branching > 0.0:
                        x, below = unit(key, run, 8 * hit + 3, used[hit, 1] * 64), np.exp(-branching)
                        kids, mass = 0, below
                        while x > below and kids < 16:
                            kids += 1
                            mass *= branching / kids
                            below += mass
                        for kid in range(kids):
                            x = unit(key, run, 8 * hit + 3, used[hit, 1] * 64 + 2 * kid + 1)
                            kernel = 0
                            while kernel < len(kernel_s) - 1 and x > kernel_below[kernel]:
                                kernel += 1
                            x = unit(key, run, 8 * hit + 3, used[hit, 1] * 64 + 2 * kid + 2)
                            at = clock + away - np.log(x) * kernel_s[kernel]  # a node relapses when it is back
                            if at < horizon_s and size < heap_room:
                                size = push(fault_time, fault_node, size, at, total_nodes + hit)
                        used[hit, 1] += 1
                if spare_fails:
                    continue
                if hidden:
                    if corrupt_at == np.inf:
                        corrupt_done, corrupt_node = far, n
                        corrupt_at = clock - np.log(unit(key, run, 8 * n + 6, -1 - number)) * silent_latency_s[r]
                    continue
                stops += 1
                deep = deep or no_copy
                if (running or state == ONLINE) and stall_s[k, r] > 0.0:
                    # Rungs are tried first, with the class's mean stall; only then does a rollback begin.
                    until = (t if running else until) + stall_s[k, r]
                    state = ONLINE
                    failed = failed or not mended
                else:
                    back = not mended
            elif what == 3:
                corrupt_at = np.inf
                stops += 1
                lost = max(done - corrupt_done, 0.0)
                done -= lost
                kept[PRODUCTIVE] -= lost
                kept[LOST] += lost
                if far > done:
                    far, far_before = done, done
                seg, deep = 0, True
                if status[corrupt_node] == ACTIVE and takes_node[silent_class]:
                    x = unit(key, run, 8 * corrupt_node + 4, used[corrupt_node, 2])
                    used[corrupt_node, 2] += 1
                    status[corrupt_node] = REPAIR
                    active -= 1
                    away = repair_of(x, repair_law, repair_mean_s[r], repair_shape, repair_lengths)
                    mending = push(mend_time, mend_node, mending, t + away, corrupt_node)
                back = True
            elif what == 4:
                hit = mend_node[0]
                mending = pop(mend_time, mend_node, mending)
                short = nodes - active
                mended_so_far += 1
                ours = short > 0
                if ours and others_short > 0:  # who waits longest is not known: by lot
                    ours = unit(key, run, -4, mended_so_far) * (short + others_short) < short
                if not ours and others_short > 0:
                    status[hit], mine[hit] = ACTIVE, False
                    others_short -= 1
                elif ours:
                    status[hit], mine[hit] = ACTIVE, True
                    active += 1
                    if state == WAITING and until == np.inf and active >= nodes:
                        state, until = RESTART, t + mend_again
                    elif shrinks and state == PRODUCTIVE and rejoin_s[r] > 0.0:
                        state, until, joining = WAITING, t + rejoin_s[r], True
                else:
                    status[hit] = SPARE
                    standing += 1
            elif what == 5:
                if state == ONLINE:
                    state, until = PRODUCTIVE, np.inf
                    back = failed
                    failed = False
                elif state == DETECTION:
                    short = nodes - active
                    moved = 0
                    ready = swap if short <= max(standing - cold_spares[r], 0) else cold_swap_s[r]
                    if short > 0:
                        for n in range(total_nodes):
                            if moved == short:
                                break
                            if status[n] == SPARE:
                                status[n], mine[n] = ACTIVE, True
                                moved += 1
                        active += moved
                        standing -= moved
                    if active < nodes and not shrinks:
                        state, until = WAITING, np.inf
                    elif moved > 0 and ready > 0.0:
                        state, until = WAITING, t + ready
                    else:
                        state, until = RESTART, t + mend_again
                elif state == WAITING and joining:
                    state, until, joining = PRODUCTIVE, np.inf, False
                elif state == WAITING:
                    state, until = RESTART, t + mend_again
                else:
                    state, until = PRODUCTIVE, np.inf
            elif what == 6:
                length = -np.log(unit(key, run, -3, slow_number)) * slow_s[r]
                slow_until = max(slow_until, t + length)
                slow_next = t - np.log(unit(key, run, -2, slow_number)) * slow_gap_s[r]
                slow_number += 1
            if back and deep:
                unwritten = far_at > -1e17 and t - far_at < write_s[r]
                home = far_before if unwritten else far
                if unwritten:
                    far, far_at = far_before, -1e18
                kept[PRODUCTIVE] -= done - home
                kept[CHECKPOINT] -= c_near
                kept[SLOW] -= slow_near
                kept[WAITING] -= missing_near
                kept[LOST] += done - home + c_near + slow_near + missing_near
                done, seg, c_near, slow_near, missing_near = home, 0, 0.0, 0.0, 0.0
            if back and state == DETECTION:
                strikes += 1  # the job stands already: this fault is found together with the first
                if deep:
                    mend_again = again
            elif back:
                rollbacks += 1
                failed = False
                recovering = state not in (PRODUCTIVE, ONLINE) and not joining
                if recovering:
                    strikes += 1
                joining = False
                if deep or not recovering:
                    mend_again = again if deep else near_again
                kept[LOST] += w + ws + wm + c
                w, ws, wm, c = 0.0, 0.0, 0.0, 0.0
                state, until = DETECTION, t + found
                if learn > 0.0:
                    believed = (learn + rollbacks) / (learn / planned_rate[r] + clock)
                    tau = best_work(believed, cost)
                    if near > 0.0 and near_share[r] > 0.0:
                        tau = min(tau, best_work(believed * near_share[r], near))
            if back:
                deep = False
            if logged > 0 and logged < log_time.shape[1] and log_state[r, logged - 1] != state:
                log_time[r, logged], log_state[r, logged] = t, state
                logged += 1
        kept[PRODUCTIVE] += w
        kept[SLOW] += ws
        kept[WAITING] += wm
        kept[CHECKPOINT] += c
        counts[r, 0], counts[r, 1], counts[r, 2], counts[r, 3] = faults, stops, rollbacks, strikes
        counts[r, 4], counts[r, 5], counts[r, 6] = t, clock, logged
