"""The event loop of continuous batching, compiled. Imported only by `simulate`, as it needs Numba at the top.

One loop serves all replicas behind a router. Between two events the running set is constant, so that k decode steps
are one jump: their time is k times the mean of the first and the last, exact where the step time is linear in the
cached tokens; completions wait in a heap keyed by step number, and the blocks in use after k steps follow from how
many requests stand at each place in their last block. No random numbers, no fast mathematics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

NOW, BUSY, SERVICE, CACHED, LEFT, TOTAL, AGAIN, MOVED, PEAK, NEXT = range(10)
"""Numbers of a replica: clock, time it worked, integral of requests in service, tokens cached by decoding requests,
prompt tokens left of the prompt in work, tokens it had to work on, tokens done again, tokens swapped, most blocks,
time before which its load cannot change."""

RUNNING, STEP, BASE, HEAD, TAIL, BACK, PROMPT, HELD, HEAP, STACK, FRESH, WAITING, FILLING = range(13)
"""Counts of a replica: decoding requests, decode steps so far, sum of bases, ends of the queue, first of those that
had to yield, prompt in work, its blocks, sizes of heap, stack and list of those without a first token, requests
waiting, whether a static batch still fills."""

PREFILL_FIRST, CHUNKED, DECODE_FIRST = 0, 1, 2
ROUND_ROBIN, LEAST_LOADED, TWO_CHOICES, PREFIX_AFFINITY = 0, 1, 2, 3
RECOMPUTE, SWAP = 0, 1

jit: Any = njit(cache=True, error_model="numpy")


@jit
def step_s(grid, gap, n, cached):  # type: ignore[no-untyped-def]
    """Return the time of a decode step of n requests that hold so many tokens together."""
    x = cached / n / gap
    j = min(int(x), grid.shape[1] - 2)
    return grid[n, j] + (grid[n, j + 1] - grid[n, j]) * (x - j)


@jit
def blocks_after(g, places, r, k, block):  # type: ignore[no-untyped-def]
    """Return the blocks of decoding requests after k more steps, room for one more token each included."""
    n, s = g[r, RUNNING], g[r, STEP] + k
    rest = 0
    for c in range(block):
        rest += places[r, c] * ((c + s) % block)
    return (g[r, BASE] + n * s - rest) // block + n


@jit
def heap_push(keys, items, size, key, item):  # type: ignore[no-untyped-def]
    """Add an entry ordered by key, then item."""
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if keys[up] < key or (keys[up] == key and items[up] <= item):
            break
        keys[i], items[i] = keys[up], items[up]
        i = up
    keys[i], items[i] = key, item


@jit
def heap_pop(keys, items, size):  # type: ignore[no-untyped-def]
    """Drop the first of `size` entries."""
    last = size - 1
    key, item = keys[last], items[last]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= last:
            break
        if down + 1 < last and (keys[down + 1] < keys[down] or (keys[down + 1] == keys[down]
                                                                  and items[down + 1] < items[down])):
            down += 1
        if key < keys[down] or (key == keys[down] and item <= items[down]):
            break
        keys[i], items[i] = keys[down], items[down]
        i = down
    keys[i], items[i] = key, item


@jit
def compact(keys, items, size, alive, end):  # type: ignore[no-untyped-def]
    """Rebuild a heap from the entries that still hold; return its size."""
    kept = 0
    for i in range(size):
        if alive[items[i]] and end[items[i]] == keys[i]:
            heap_push(keys, items, kept, keys[i], items[i])
            kept += 1
    return kept


@jit
def join(g, f, places, keys, items, stack, r, i, tokens, left, base, end, alive, block):  # type: ignore[no-untyped-def]
    """Let a request with so many cached tokens decode `left` more."""
    base[i], end[i], alive[i] = tokens - g[r, STEP], g[r, STEP] + left, True
    places[r, base[i] % block] += 1
    g[r, BASE] += base[i]
    g[r, RUNNING] += 1
    f[r, CACHED] += tokens
    if g[r, HEAP] == keys.shape[1]:
        g[r, HEAP] = compact(keys[r], items[r], g[r, HEAP], alive, end)
    heap_push(keys[r], items[r], g[r, HEAP], end[i], i)
    g[r, HEAP] += 1
    if g[r, STACK] == stack.shape[1]:
        kept = 0
        for j in range(g[r, STACK]):
            if alive[stack[r, j]]:
                stack[r, kept] = stack[r, j]
                kept += 1
        g[r, STACK] = kept
    stack[r, g[r, STACK]] = i
    g[r, STACK] += 1


@jit
def leave(g, f, places, r, i, base, alive, block):  # type: ignore[no-untyped-def]
    """Take a request out of the decoding set; return the tokens it has cached."""
    tokens = base[i] + g[r, STEP]
    places[r, base[i] % block] -= 1
    g[r, BASE] -= base[i]
    g[r, RUNNING] -= 1
    f[r, CACHED] -= tokens
    alive[i] = False
    return tokens


@jit
def matched(present, ids, start, stop):  # type: ignore[no-untyped-def]
    """Return how many leading blocks of a prompt a store holds."""
    k = start
    while k < stop and present[ids[k]]:
        k += 1
    return k - start


@jit
def touch(present, before, after, ends, r, ids, start, stop, room):  # type: ignore[no-untyped-def]
    """Put the blocks of a prompt into a store that forgets what was used longest ago."""
    none = before.shape[1] - 1
    for k in range(stop - 1, start - 1, -1):
        b = ids[k]
        if room < 0:
            present[r, b] = True
            continue
        if present[r, b]:
            p, q = before[r, b], after[r, b]
            after[r, p], before[r, q] = q, p
        elif ends[r] < room:
            ends[r] += 1
        else:
            old = before[r, none]
            p = before[r, old]
            after[r, p], before[r, none] = none, p
            present[r, old] = False
        present[r, b] = True
        first = after[r, none]
        after[r, none], before[r, b], after[r, b], before[r, first] = b, none, first, b


@jit
def give_way(g, f, places, stack, r, mode, base, end, alive, following, done, answer, preempted, state, out, swap_s,  # type: ignore[no-untyped-def]
             block):
    """Make the youngest request yield: the prompt in work, else the decoding request admitted last."""
    i = g[r, PROMPT]
    if i >= 0:
        f[r, AGAIN] += f[r, TOTAL] - f[r, LEFT]
        g[r, PROMPT], g[r, HELD] = -1, 0
        state[i] = 3
        out[i] -= f[r, NOW]
    else:
        while True:
            g[r, STACK] -= 1
            i = stack[r, g[r, STACK]]
            if alive[i]:
                break
        done[i] = answer[i] - (end[i] - g[r, STEP])
        tokens = leave(g, f, places, r, i, base, alive, block)
        state[i] = 1 + mode
        out[i] -= f[r, NOW]
        if mode == SWAP:
            spent = tokens * swap_s
            f[r, MOVED] += tokens
            f[r, NOW] += spent
            f[r, BUSY] += spent
            f[r, SERVICE] += spent * g[r, RUNNING]
    preempted[i] += 1
    following[i] = g[r, BACK]
    g[r, BACK] = i
    g[r, WAITING] += 1


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
                x = until - f[r, NOW]
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
            _first(g, f, places, keys, items, stack, r, joined[j], prompt, answer, done, base, end, alive, first, last,
                   block)


@jit
def _first(g, f, places, keys, items, stack, r, i, prompt, answer, done, base, end, alive, first, last,  # type: ignore[no-untyped-def]
           block):
    """End a prompt: it yields a token, and the request ends or goes on to decode."""
    done[i] += 1
    if first[i] < 0:
        first[i] = f[r, NOW]
    if done[i] >= answer[i]:
        last[i] = f[r, NOW]
    else:
        join(g, f, places, keys, items, stack, r, i, prompt[i] + done[i], answer[i] - done[i], base, end, alive, block)


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
