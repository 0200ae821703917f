"""The state of replicas in the event loop and what moves it, compiled; imported only by `batching`.

A heap of completions keyed by step number, blocks counted by place in the last block, a store of prefixes that forgets
what was used longest ago, and the rules by which requests join, leave and yield.
"""

from __future__ import annotations

from typing import Any

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
def first_token(g, f, places, keys, items, stack, r, i, prompt, answer, done, base, end, alive, first, last,  # type: ignore[no-untyped-def]
           block):
    """End a prompt: it yields a token, and the request ends or goes on to decode."""
    done[i] += 1
    if first[i] < 0:
        first[i] = f[r, NOW]
    if done[i] >= answer[i]:
        last[i] = f[r, NOW]
    else:
        join(g, f, places, keys, items, stack, r, i, prompt[i] + done[i], answer[i] - done[i], base, end, alive, block)
