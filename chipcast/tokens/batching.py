"""The event loop of continuous batching, compiled. Imported only by `simulate`, as it needs Numba at the top.

One loop serves all replicas behind a router. Between two events the running set is constant, so that k decode steps
are one jump: their time is k times the mean of the first and the last, exact where the step time is linear in the
cached tokens; completions wait in a heap keyed by step number, and the blocks in use after k steps follow from how
many requests stand at each place in their last block. No random numbers, no fast mathematics.
"""

from __future__ import annotations

import numpy as np

from chipcast.tokens.batch_state import (
    AGAIN,
    BACK,
    BUSY,
    CACHED,
    CHUNKED,
    DECODE_FIRST,
    FILLING,
    FRESH,
    HEAD,
    HEAP,
    HELD,
    LEFT,
    MOVED,
    NEXT,
    NOW,
    PEAK,
    PREFIX_AFFINITY,
    PROMPT,
    ROUND_ROBIN,
    RUNNING,
    SERVICE,
    STEP,
    TAIL,
    TOTAL,
    TWO_CHOICES,
    WAITING,
    blocks_after,
    first_token,
    give_way,
    heap_pop,
    jit,
    join,
    leave,
    matched,
    step_s,
    touch,
)


@jit
def advance(r, until, g, f, places, keys, items, stack, fresh, joined, grid, cost, limits, mode, scheduler, prompt,  # type: ignore[no-untyped-def]
            answer, given, hit, done, base, end, alive, following, state, preempted, start, first, last, out,
            present, before, after, ends, ids, offsets, room):
    """Run one replica until its clock reaches `until` or it has nothing to do."""
    gap, p0, p1, p2, swap_s, load_s = cost
    slots, blocks, block, chunk, id_tokens = limits
    while f[r, NOW] < until:
        n = g[r, RUNNING]
        used = blocks_after(g, places, r, 1, block)
        if used + g[r, HELD] > blocks and n > 0 and (n > 1 or g[r, PROMPT] >= 0):
            give_way(g, f, places, stack, r, mode, base, end, alive, following, done, answer, preempted, state, out,
                     swap_s, block)
            continue
        budget = chunk - n if scheduler == CHUNKED else chunk
        if scheduler == DECODE_FIRST:
            if n == 0:
                g[r, FILLING] = 1
            elif g[r, FILLING] == 0:
                budget = 0
        spent, worked, count = 0.0, 0, 0
        while True:
            i = g[r, PROMPT]
            if i >= 0:
                take = min(f[r, LEFT], float(budget - worked))
                if take <= 0:
                    break
                behind = prompt[i] + done[i] - f[r, LEFT]
                spent += p1 * take + p2 * take * (behind + 0.5 * take)
                f[r, LEFT] -= take
                worked += int(take)
                if f[r, LEFT] > 0:
                    break
                joined[count] = i
                count += 1
                used += g[r, HELD]
                g[r, PROMPT], g[r, HELD] = -1, 0
                continue
            i = g[r, BACK] if g[r, BACK] >= 0 else g[r, HEAD]
            if i < 0 or n + count >= slots or (scheduler == DECODE_FIRST and g[r, FILLING] == 0):
                break
            tokens = prompt[i] + done[i]
            need = (tokens + 1) // block + 1
            if used + need > blocks and used > 0:
                break
            again = g[r, BACK] >= 0
            found = 0
            if again:
                todo = tokens if state[i] != 2 else 0
            else:
                if offsets[i + 1] > offsets[i]:
                    found = min(id_tokens * matched(present[r], ids, offsets[i], offsets[i + 1]), prompt[i] - 1)
                todo = prompt[i] - given[i] - found
            if todo > 0 and budget - worked <= 0:
                break
            if again:
                g[r, BACK] = following[i]
                out[i] += f[r, NOW]
                if state[i] == 2:
                    spent += tokens * swap_s
                    f[r, MOVED] += tokens
                elif state[i] == 1:
                    f[r, AGAIN] += tokens
            else:
                g[r, HEAD] = following[i]
                if g[r, HEAD] < 0:
                    g[r, TAIL] = -1
                start[i] = f[r, NOW]
                hit[i] = found
                spent += found * load_s
                if offsets[i + 1] > offsets[i]:
                    touch(present, before, after, ends, r, ids, offsets[i], offsets[i + 1], room)
            g[r, WAITING] -= 1
            if todo > 0:
                g[r, PROMPT], g[r, HELD], f[r, LEFT], f[r, TOTAL] = i, need, float(todo), float(todo)
            else:
                join(g, f, places, keys, items, stack, r, i, tokens, answer[i] - done[i], base, end, alive, block)
                used += need
                n += 1
                if first[i] < 0 and g[r, FRESH] < fresh.shape[1]:
                    fresh[r, g[r, FRESH]] = i
                    g[r, FRESH] += 1
        if scheduler == DECODE_FIRST and worked == 0 and n > 0:
            g[r, FILLING] = 0
        k = 1 if n > 0 and scheduler == CHUNKED else 0
        if worked == 0 and n > 0:
            while not (alive[items[r, 0]] and end[items[r, 0]] == keys[r, 0]):
                heap_pop(keys[r], items[r], g[r, HEAP])
                g[r, HEAP] -= 1
            k = keys[r, 0] - g[r, STEP]
            if g[r, FRESH] > 0:
                k = 1
            held = f[r, CACHED]
            tau = step_s(grid, gap, n, held)
            if k > 1 and until < 1e300:
                slope = step_s(grid, gap, n, held + n) - tau
                x = max(until - f[r, NOW] - spent, 0.0)  # moving caches back takes part of the time to the next arrival
                b = tau - 0.5 * slope
                guess = x / b if slope <= 1e-18 else (np.sqrt(b * b + 2 * slope * x) - b) / slope
                most = max(int(np.ceil(guess - 1e-9)), 1)
                while most > 1 and 0.5 * (most - 1) * (tau + step_s(grid, gap, n, held + n * (most - 2))) >= x:
                    most -= 1
                k = min(k, most)
            if blocks_after(g, places, r, k, block) + g[r, HELD] > blocks and n > 1:
                low, high = 1, k
                while high - low > 1:
                    mid = (low + high) >> 1
                    if blocks_after(g, places, r, mid, block) + g[r, HELD] > blocks:
                        high = mid
                    else:
                        low = mid
                k = low
            spent += 0.5 * k * (tau + step_s(grid, gap, n, held + n * (k - 1)))
        elif worked > 0:
            spent += step_s(grid, gap, n, f[r, CACHED]) if k == 1 else p0
        else:
            if until < 1e300:
                f[r, NOW] = max(f[r, NOW], until)
            return
        f[r, NOW] += spent
        f[r, BUSY] += spent
        f[r, SERVICE] += spent * (n + count + (1 if g[r, PROMPT] >= 0 else 0))
        now = f[r, NOW]
        if k > 0:
            g[r, STEP] += k
            f[r, CACHED] += n * k
            f[r, PEAK] = max(f[r, PEAK], blocks_after(g, places, r, 0, block) + g[r, HELD])
            for j in range(g[r, FRESH]):
                if alive[fresh[r, j]] and first[fresh[r, j]] < 0:
                    first[fresh[r, j]] = now
            g[r, FRESH] = 0
            while g[r, HEAP] > 0 and keys[r, 0] <= g[r, STEP]:
                i = items[r, 0]
                holds = alive[i] and end[i] == keys[r, 0]
                heap_pop(keys[r], items[r], g[r, HEAP])
                g[r, HEAP] -= 1
                if holds:
                    leave(g, f, places, r, i, base, alive, block)
                    done[i] = answer[i]
                    last[i] = now
        for j in range(count):
            first_token(g, f, places, keys, items, stack, r, joined[j], prompt, answer, done, base, end, alive, first,
                        last, block)


@jit
def load_of(g, r):  # type: ignore[no-untyped-def]
    """Return the requests that a replica has in hand."""
    return g[r, RUNNING] + g[r, WAITING] + (1 if g[r, PROMPT] >= 0 else 0)


@jit
def look_ahead(r, g, f, keys, items, end, alive, grid, gap):  # type: ignore[no-untyped-def]
    """Set the time before which a replica's load cannot change: its next completion where it only decodes."""
    if g[r, WAITING] > 0 or g[r, PROMPT] >= 0 or g[r, FRESH] > 0:
        f[r, NEXT] = 0.0
        return
    n = g[r, RUNNING]
    if n == 0:
        f[r, NEXT] = np.inf
        return
    while not (alive[items[r, 0]] and end[items[r, 0]] == keys[r, 0]):
        heap_pop(keys[r], items[r], g[r, HEAP])
        g[r, HEAP] -= 1
    k, held = keys[r, 0] - g[r, STEP], f[r, CACHED]
    spent = 0.5 * k * (step_s(grid, gap, n, held) + step_s(grid, gap, n, held + n * (k - 1)))
    f[r, NEXT] = f[r, NOW] + spent * (1 - 1e-9)


@jit
def run(arrival, prompt, answer, given, picks, ids, offsets, replicas, router, scheduler, mode, grid, cost, limits,  # type: ignore[no-untyped-def]
        store_ids, room, spare):
    """Send every request to a replica and run all of them to the end."""
    n = arrival.size
    slots, block = limits[0], limits[2]
    start, first, last, out = np.full(n, -1.0), np.full(n, -1.0), np.zeros(n), np.zeros(n)
    done, base, end = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    hit, preempted, where = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    alive, state, following = np.zeros(n, np.bool_), np.zeros(n, np.int8), np.full(n, -1, np.int64)
    f, g = np.zeros((replicas, 10)), np.zeros((replicas, 13), np.int64)
    places = np.zeros((replicas, block), np.int64)
    keys, items = np.zeros((replicas, 2 * slots + 16), np.int64), np.zeros((replicas, 2 * slots + 16), np.int64)
    stack, fresh = np.zeros((replicas, 2 * slots + 16), np.int64), np.zeros((replicas, 2 * slots + 16), np.int64)
    joined = np.zeros(slots + 1, np.int64)
    present = np.zeros((replicas, store_ids + 1), np.bool_)
    width = store_ids + 1 if room >= 0 else 1
    before, after = np.full((replicas, width), width - 1, np.int32), np.full((replicas, width), width - 1, np.int32)
    ends = np.zeros(replicas, np.int64)
    for r in range(replicas):
        g[r, HEAD], g[r, TAIL], g[r, BACK], g[r, PROMPT] = -1, -1, -1, -1
    turn = 0
    for i in range(n + replicas):
        if i >= n:
            until = np.inf
            r = i - n
        else:
            until = arrival[i]
            if router == ROUND_ROBIN:
                r = turn
                turn = (turn + 1) % replicas
            else:
                two = router == TWO_CHOICES
                r, least = 0, 1 << 60
                for j in range(2 if two else replicas):
                    q = min(int(picks[i, j] * replicas), replicas - 1) if two else j
                    if until >= f[q, NEXT]:
                        advance(q, until, g, f, places, keys, items, stack, fresh, joined, grid, cost, limits, mode,
                            scheduler, prompt, answer, given, hit, done, base, end, alive, following, state, preempted,
                            start, first, last, out, present, before, after, ends, ids, offsets, room)
                        look_ahead(q, g, f, keys, items, end, alive, grid, cost[0])
                    if load_of(g, q) < least:
                        r, least = q, load_of(g, q)
                if router == PREFIX_AFFINITY and offsets[i + 1] > offsets[i]:
                    most = 0
                    for q in range(replicas):
                        if load_of(g, q) <= least + spare:
                            m = matched(present[q], ids, offsets[i], offsets[i + 1])
                            if m > most:
                                r, most = q, m
        advance(r, until, g, f, places, keys, items, stack, fresh, joined, grid, cost, limits, mode, scheduler, prompt,
                answer, given, hit, done, base, end, alive, following, state, preempted, start, first, last, out,
                present, before, after, ends, ids, offsets, room)
        if i < n:
            where[i] = r
            following[i] = -1
            if g[r, TAIL] < 0:
                g[r, HEAD] = i
            else:
                following[g[r, TAIL]] = i
            g[r, TAIL] = i
            g[r, WAITING] += 1
            f[r, NEXT] = 0.0
    rest = 0
    for r in range(replicas):
        rest += blocks_after(g, places, r, 0, block) + g[r, HELD] + g[r, WAITING]
    return start, first, last, out, hit, preempted, where, f, rest
