# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The compiled loop over the pixels of an event camera.

Most pixels fire nothing between two renders. So each row is first taken as a whole, in loops
without a branch that the compiler turns into vector instructions, and only pixels that may fire
are then looked at one by one.
"""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.events.jit import njit

LOG_2 = math.log(2)
# The bits of a float64: its mantissa has 52, and those of sqrt(1/2) split the exponent off such
# that the mantissa is within sqrt(1/2) and sqrt(2).
MANTISSA_BITS = 52
ROOT_HALF_BITS = int(np.float64(math.sqrt(0.5)).view(np.int64))
# A pixel starts afresh within this share of its threshold, at the most.
LARGEST_JITTER = 0.5


@njit
def log_row(values, bits, part, part_bits, out):
    """
    Write the natural logarithm of values, float64 (n,) and positive, into out.

    bits, part, part_bits: values seen as int64, room for n values, and that seen as int64.
    The error is less than 1e-9: a series of log m = 2 artanh((m - 1) / (m + 1)).
    """
    for i in range(len(values)):
        exponent = (bits[i] - ROOT_HALF_BITS) >> MANTISSA_BITS
        part_bits[i] = bits[i] - (exponent << MANTISSA_BITS)
        out[i] = exponent * LOG_2
    for i in range(len(values)):
        # np.divide, as / would look for a zero each time, which no vector instruction can.
        s = np.divide(part[i] - 1.0, part[i] + 1.0)
        q = s * s
        out[i] += 2 * s * (1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9)))))


@njit
def _filter_row(before, after, luminance, radians, lowest, highest, filtered, out):
    """
    Pass a row through a first-order low-pass whose cut-off grows with luminance.

    before, after: log luminance, taken as linear between the two. radians, lowest, highest:
    cut-off at luminance 1 and its bounds, all 2 pi f times the span. filtered: the state. out:
    how far it moves. For a ramp from u0 to u1 the solution of y' = (u - y) / tau moves by
    (u0 - y0) (1 - e) + (u1 - u0) (1 - (1 - e) / a), where a = span / tau and e = exp(-a).
    """
    for i in range(len(out)):
        a = min(max(luminance[i] * radians, lowest), highest)
        # exp(a) - 1 over a as a series: exact for short steps, and large for long ones.
        series = 1 + a * (0.5 + a * (1 / 6 + a * (1 / 24 + a * (1 / 120 + a * (1 / 720)))))
        weight = np.divide(series, 1 + a * series)  # (1 - e) / a
        out[i] = (before[i] - filtered[i]) * a * weight + (after[i] - before[i]) * (1 - weight)


@njit
def _evenly(state):
    """
    Return a number between -1 and 1, and move the state, uint64 (1,), on.

    Marsaglia, Xorshift RNGs (2003). numpy's generators are known to numba from 0.56 on only,
    and Ubuntu 22.04 has 0.55.
    """
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return np.float64(x >> np.uint64(11)) / 2 ** 52 - 1


@njit
def _fire(row, column, level, slope, now, span, on, off, refractory, jitter, random,
          n, t, x, y, p):
    """
    Let one pixel's level move by slope, log luminance a nanosecond, from now to span.

    Write its events to t, x, y, p from n on; return n, the level at the end, and when the pixel
    is ready again.
    """
    while slope != 0:
        threshold = on if slope > 0 else -off
        # max: rounding may leave a pixel a hair beyond its threshold.
        crossing = now + max((threshold - level) / slope, 0.0)
        if crossing > span:
            break
        t[n] = np.int64(crossing)
        x[n] = column
        y[n] = row
        p[n] = 1 if slope > 0 else 0
        n += 1
        level = 0.0
        if jitter > 0:
            level = jitter * min(on, off) * _evenly(random)
        now = crossing + refractory
        if now >= span:
            return n, level, now
    return n, level + slope * (span - now), now


@njit
def advance(first, luminance, start, span, radians, lowest, highest, dark, leak, on, off,
            refractory, jitter, random, log, filtered, difference, ready, t, x, y, p):
    """
    Move the pixels from the row first on by span; times are nanoseconds.

    start: since the camera began. luminance: float32 (height, width), now. radians, lowest,
    highest: see _filter_row; radians 0 for no filter. leak: float32 (height, width), log
    luminance a nanosecond. random: see _evenly. ready: when each pixel is ready again, since
    the camera began. log, filtered, difference, ready, random are moved on. t, x, y, p take the
    events, t from start.
    Return the row that comes next, which is not the last where the events found no room, and the
    number of events.
    """
    height, width = luminance.shape
    room = np.empty((5, width))
    light, part, new, change, level = room[0], room[1], room[2], room[3], room[4]
    light_bits, part_bits = light.view(np.int64), part.view(np.int64)
    fires = np.empty(width, np.int64)
    n = 0
    for row in range(first, height):
        for i in range(width):
            light[i] = luminance[row, i] + dark
        log_row(light, light_bits, part, part_bits, new)
        if radians > 0:
            _filter_row(log[row], new, light, radians, lowest, highest, filtered[row], change)
        else:
            for i in range(width):
                change[i] = new[i] - log[row, i]
        busy = 0
        for i in range(width):
            level[i] = difference[row, i] + change[i] + leak[row, i] * span
            fires[i] = ((level[i] > on[row, i]) | (level[i] < -off[row, i])
                        | (ready[row, i] > start))
            busy += fires[i]
        if busy:
            farthest, smallest = 0.0, math.inf
            for i in range(width):
                farthest = max(farthest, abs(level[i] - difference[row, i]))
                smallest = min(smallest, min(on[row, i], off[row, i]))
            if n + busy * (2 + int(farthest / (smallest * (1 - LARGEST_JITTER)))) > len(t):
                return row, n
        for i in range(width if busy else 0):
            if fires[i]:
                now = max(ready[row, i] - start, 0.0)
                if now >= span:
                    level[i] = difference[row, i]
                    continue
                slope = (level[i] - difference[row, i]) / span
                n, level[i], now = _fire(
                    row, i, difference[row, i], slope, now, span, on[row, i], off[row, i],
                    refractory, jitter, random, n, t, x, y, p)
                ready[row, i] = start + now
        for i in range(width):
            log[row, i] = new[i]
            filtered[row, i] += change[i]
            difference[row, i] = level[i]
    return height, n
