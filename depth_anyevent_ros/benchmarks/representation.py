# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Speed from packets to Tencode.

As in the nodes each picture is let go before the next is made, and malloc keeps its memory: pages
that the kernel has to find anew for every picture would be most of the time of both sides.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from depth_anyevent_ros.benchmarks import numpy_events
from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.decode import (
    BY_PACKET, decode_by_packet, MADE_UP, numpy_baseline, use_up)
from depth_anyevent_ros.benchmarks.event_streams import made_up, recorded, Stream
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.malloc import keep_large_blocks

DURATION_NS = 400_000_000
WINDOW_NS = 50_000_000
NEVER_NS = 1 << 60  # gap that interrupts
SHRINK = 4  # about what networks are given of the sensors' resolution
LARGE_PIXELS = 0.5  # the bundled student's cell_threshold, which the baseline goes without
RESIZED = (266, 350)  # (height, width) that the authors' students are given


def cases(repeats: int, seed: int, bags: list[Path]) -> Iterator[Case]:
    """Yield the rate of each stream, then of each recording, beside numpy."""
    keep_large_blocks()
    for encoding, width, height, rate, vectors in MADE_UP:
        yield from _cases(made_up(encoding, width, height, rate, DURATION_NS, seed, vectors),
                          repeats)
    for bag in bags:
        yield from _cases(recorded(bag), repeats)


def _cases(stream: Stream, repeats: int) -> Iterator[Case]:
    size = stream.packets[0].height, stream.packets[0].width
    cells = size[0] // SHRINK, size[1] // SHRINK
    by_numpy = 'each packet decoded by numpy, then numpy', numpy_baseline(stream, BY_PACKET)
    # The most that another program gains by the decoders of this package.
    hasty = ('each packet decoded as here to arrays, then numpy that trusts in the order of '
             'assignments to equal indices', decode_by_packet)
    every_pixel = 'every pixel', Representation(*size), size
    in_cells = f'cells of {SHRINK}x{SHRINK}', Representation(*cells), cells
    as_pixels = (f'cells of {SHRINK}x{SHRINK} as large pixels',
                 Representation(*cells, cell_threshold=LARGE_PIXELS), cells)
    resized = f'resized to {RESIZED[1]}x{RESIZED[0]}', Representation(*RESIZED, 'resize'), size
    for (what, picture, grid), (words, decode), tencode in (
            (every_pixel, by_numpy, numpy_events.tencode),
            (every_pixel, hasty, numpy_events.hasty_tencode),
            (in_cells, by_numpy, numpy_events.tencode),
            (in_cells, hasty, numpy_events.hasty_tencode),
            (as_pixels, by_numpy, numpy_events.tencode),
            (resized, by_numpy, resized_tencode),
            (resized, hasty, hasty_resized_tencode)):
        yield compare(
            f'representation: {stream.name}, {what}', 'Mev/s',
            Work(lambda picture=picture: use_up(fused(stream, picture)), stream.events / 1e6),
            words + (', then OpenCV' if picture is resized[1] else ''),
            Work(lambda decode=decode, grid=grid, tencode=tencode: use_up(
                separate(stream, decode, *grid, tencode)), stream.events / 1e6), repeats)


def fused(stream: Stream, picture: Representation) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (end, Tencode) of each window, as the nodes make them."""
    pipeline = EventPipeline(lambda width, height: picture,
                             TimeWindows(WINDOW_NS, WINDOW_NS, NEVER_NS))
    for packet in stream.packets:
        for window in pipeline.push(packet):
            yield window.t_end, window.image


def resized_tencode(*arguments, tencode: Callable = numpy_events.tencode) -> np.ndarray:
    """Return the Tencode of numpy, resized by OpenCV, float32 (3, *RESIZED)."""
    image = tencode(*arguments)
    resized = cv2.resize(np.ascontiguousarray(image.transpose(1, 2, 0)), RESIZED[::-1],
                         interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(resized.transpose(2, 0, 1))


hasty_resized_tencode = partial(resized_tencode, tencode=numpy_events.hasty_tencode)


def separate(stream: Stream, decode: Callable, grid_height: int, grid_width: int,
             tencode: Callable) -> Iterator[tuple[int, np.ndarray]]:
    """
    Yield the same, from arrays of events that are kept until a window is full.

    decode: packets -> the events of each. tencode: (events, width, height, begin, end) -> picture.
    """
    width, height = stream.packets[0].width, stream.packets[0].height
    held: list[Events] = []
    end = None
    for events in decode(stream.packets):
        if not len(events):
            continue
        if end is None:
            end = -(-(int(events.t[0]) + WINDOW_NS) // WINDOW_NS) * WINDOW_NS
        held.append(events)
        while events.t[-1] >= end:
            whole = Events.concatenate(held)
            first, split = np.searchsorted(whole.t, (end - WINDOW_NS, end))
            inside, after = (Events(*(getattr(whole, name)[part] for name in 'txyp'))
                             for part in (slice(first, split), slice(split, None)))
            if grid_width != width:
                inside = Events(inside.t, inside.x.astype(np.int32) * grid_width // width,
                                inside.y.astype(np.int32) * grid_height // height, inside.p)
            yield end, tencode(inside, grid_width, grid_height, end - WINDOW_NS, end)
            held, end = [after], end + WINDOW_NS
