# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
By how much pictures and events of a recording miss each other, in time and in pixels.

Between two pictures every pixel's logarithm of brightness changes by what its events sum up to.
So the difference of two pictures, brought into the event camera's view, looks like the sum of
the polarities of the events between them, if the calibration and the clocks are right. Here the
events are taken later and earlier, and moved; where pictures and events look most alike is how
wrong the two are. Many pairs of pictures are judged together, as in a single one a motion to the
right looks like a time that is late.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from depth_anyevent_ros.events.types import Events

STEP_NS = 5_000_000
STEPS = 12  # either way: 60 ms
SHIFT = 10  # cells either way
MOST_CELLS = 180  # along the width
SHORTEST_NS, LONGEST_NS = 15_000_000, 300_000_000  # between two pictures
LEAST_EVENTS = 0.02  # per cell, between two pictures
DARK = 5.0  # of 255, added before the logarithm
DETAIL_SHARE = 0.25  # of the width; coarser differences are those of exposure, not of motion
ENOUGH_GROUPS = 6
RESAMPLES = 200
OUTLIERS_EVERY = 5  # values, of which the bound of outliers is told
LEAST_LIKENESS = 0.1  # correlation; below it nothing is said
MOST_MS, MOST_PX = 10.0, 2.5  # of offset, which is what better calibrations have


@dataclass(frozen=True)
class Offsets:
    """
    time_ms: the events that fit best are those so much later than the pictures' stamps say.
    right_px, down_px: so far from where the calibration puts the picture they lie. likeness:
    the correlation there. *_spread: the deviation over resampled pairs. Nothing is known (`None`
    figures) with too few pairs or too little likeness. problem: a sentence, '' for nothing.
    """

    pairs: int
    likeness: float | None = None
    time_ms: float | None = None
    right_px: float | None = None
    down_px: float | None = None
    time_spread_ms: float | None = None
    right_spread_px: float | None = None
    down_spread_px: float | None = None
    problem: str = ''


def likeness(first: np.ndarray, second: np.ndarray, begin_ns: int, end_ns: int, events: Events,
             size: tuple[int, int]) -> np.ndarray | None:
    """
    Return how alike two pictures' difference and the events between them are, for all offsets.

    first, second: gray pictures in the event camera's view, float32 (H, W), 0 to 255, NaN
    unknown. begin_ns, end_ns: their sensor times. events: from STEPS * STEP_NS before the first
    to as long after the second. size: (width, height) of the sensor.
    Returns correlations, float32 (2 STEPS + 1, 2 SHIFT + 1, 2 SHIFT + 1) by time, down, right;
    None where there is too little to compare.
    """
    if not SHORTEST_NS <= end_ns - begin_ns <= LONGEST_NS:
        return None
    factor = cells_of(size[0])
    width, height = size[0] // factor, size[1] // factor
    pictures = [cv2.resize(picture[:height * factor, :width * factor], (width, height),
                           interpolation=cv2.INTER_AREA) for picture in (first, second)]
    known = np.isfinite(pictures[0]) & np.isfinite(pictures[1])
    if known.mean() < 0.25 or min(width, height) <= 4 * SHIFT:
        return None
    before, after = (np.log(np.where(known, picture, 0) + DARK) for picture in pictures)
    coarse = round(DETAIL_SHARE * width) | 1
    change = _standardised(_detail(after - before, known, coarse), known)
    sums = _sums(events, begin_ns, end_ns, factor, width, height)
    if sums is None or change is None:
        return None
    found = np.zeros((len(sums), 2 * SHIFT + 1, 2 * SHIFT + 1), np.float32)
    everywhere = np.ones_like(known)
    for k, total in enumerate(sums):
        total = _standardised(_detail(total, everywhere, coarse), everywhere)
        if total is None:
            continue
        moved = cv2.copyMakeBorder(total, SHIFT, SHIFT, SHIFT, SHIFT,
                                   cv2.BORDER_CONSTANT, value=0)
        found[k] = cv2.matchTemplate(moved, change, cv2.TM_CCORR) / known.sum()
    return found


def cells_of(width: int) -> int:
    """Return how many pixels along each side are one cell."""
    return max(1, -(-width // MOST_CELLS))


def best_offsets(groups: list[np.ndarray], pairs: int, width: int) -> Offsets:
    """
    Return the offsets that fit best.

    groups: sums of `likeness` over some pairs each. pairs: how many in all. width: of the
    sensor, pixels.
    """
    if len(groups) < ENOUGH_GROUPS:
        return Offsets(pairs, problem='')
    stacked = np.stack(groups)
    peak, found = _peak(stacked.sum(0))
    value = float(peak / pairs)
    if value < LEAST_LIKENESS:
        return Offsets(pairs, likeness=value, problem=(
            f'the pictures do not look like the events (correlation {value:.2f}): either little '
            'moves and shows, or calibration or clocks are wrong by more than 60 ms or '
            f'{SHIFT * cells_of(width)} pixels'))
    generator = np.random.default_rng(0)
    others = np.array([_peak(stacked[generator.integers(0, len(groups), len(groups))].sum(0))[1]
                       for _ in range(RESAMPLES)])
    units = np.array([STEP_NS / 1e6, cells_of(width), cells_of(width)])
    time_ms, down, right = (found * units).tolist()
    time_spread, down_spread, right_spread = (others.std(0) * units).tolist()
    return Offsets(pairs, value, time_ms, right, down, time_spread, right_spread, down_spread,
                   _problem(time_ms, time_spread, right, right_spread, down, down_spread))


def _problem(time_ms: float, time_spread: float, right: float, right_spread: float, down: float,
             down_spread: float) -> str:
    if time_spread > MOST_MS or max(right_spread, down_spread) > MOST_PX:
        return (f'where pictures and events fit best is uncertain, by {time_spread:.0f} ms and '
                f'{max(right_spread, down_spread):.1f} pixels: either little moves and shows, or '
                'calibration, poses or clocks are wrong')
    said = []
    if abs(time_ms) > MOST_MS and abs(time_ms) > 2 * time_spread:
        said.append(f'pictures are stamped {abs(time_ms):.0f} ms too '
                    f'{"late" if time_ms < 0 else "early"}')
    moved = [f'{abs(value):.1f} pixels too far {word[value < 0]}'
             for value, spread, word in ((right, right_spread, ('left', 'right')),
                                         (down, down_spread, ('up', 'down')))
             if abs(value) > MOST_PX and abs(value) > 2 * spread]
    if moved:
        said.append(f'labels lie {" and ".join(moved)}')
    return ' and '.join(said)


def _sums(events: Events, begin_ns: int, end_ns: int, factor: int, width: int,
          height: int) -> np.ndarray | None:
    """Return sums of polarities between the pictures' times, moved by each step, (K, h, w)."""
    x, y = events.x // factor, events.y // factor
    inside = (x < width) & (y < height)
    t, x, y = events.t[inside], x[inside].astype(np.int64), y[inside].astype(np.int64)
    sign = 2.0 * events.p[inside] - 1
    cell = y * width + x
    cells = width * height

    def total(which: np.ndarray) -> np.ndarray:
        return np.bincount(cell[which], sign[which], cells)

    def growing(around_ns: int) -> np.ndarray:
        """Return the sums from STEPS before a time to each step, (2 STEPS + 1, cells)."""
        step = (t - (around_ns - STEPS * STEP_NS)) // STEP_NS
        which = (step >= 0) & (step < 2 * STEPS)
        binned = np.bincount(step[which] * cells + cell[which], sign[which], 2 * STEPS * cells)
        # Whole numbers, which float32 holds exactly.
        return np.concatenate([np.zeros((1, cells), np.float32), np.cumsum(
            binned.reshape(2 * STEPS, cells), 0, np.float32)])

    reach = STEPS * STEP_NS
    between = (t >= begin_ns) & (t < end_ns)
    if between.sum() < LEAST_EVENTS * cells:
        return None
    first = total((t >= begin_ns - reach) & (t < end_ns - reach))
    sums = first - growing(begin_ns) + growing(end_ns)
    return sums.reshape(-1, height, width)


def _detail(values: np.ndarray, known: np.ndarray, coarse: int) -> np.ndarray:
    """Return values without what is coarse, 0 where unknown."""
    values = np.where(known, values, 0).astype(np.float32)
    weight = cv2.blur(known.astype(np.float32), (coarse, coarse))
    smooth = cv2.blur(values, (coarse, coarse)) / np.maximum(weight, 1e-6)
    return np.where(known, values - smooth, 0)


def _standardised(values: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    """Return values of mean 0 and deviation 1 where known, without outliers (hot pixels)."""
    sizes = np.abs(values[known][::OUTLIERS_EVERY])
    last = int(0.99 * (len(sizes) - 1))
    bound = np.partition(sizes, last)[last]
    if not bound > 0:
        return None
    values = np.clip(values, -bound, bound)
    mean, deviation = cv2.meanStdDev(values, mask=known.astype(np.uint8))
    return np.where(known, (values - float(mean[0, 0])) / max(float(deviation[0, 0]), 1e-9),
                    0).astype(np.float32)


def _peak(volume: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the largest value and where it is, from the middle, between the cells."""
    top = np.unravel_index(np.argmax(volume), volume.shape)
    place = np.array(top, float)
    for axis, index in enumerate(top):
        if 0 < index < volume.shape[axis] - 1:
            left, middle, right = (volume[tuple(np.add(top, np.eye(3, dtype=int)[axis] * step))]
                                   for step in (-1, 0, 1))
            bend = left - 2 * middle + right
            place[axis] += 0.5 * (left - right) / bend if bend < 0 else 0
    return float(volume[top]), place - (np.array(volume.shape) - 1) / 2
