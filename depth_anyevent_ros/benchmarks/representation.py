# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed from packets to Tencode."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from depth_anyevent_ros.benchmarks import numpy_events
from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.decode import MADE_UP
from depth_anyevent_ros.benchmarks.event_streams import made_up, recorded, Stream
from depth_anyevent_ros.events.decoders import make_decoder
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.events.windows import TimeWindows

DURATION_NS = 400_000_000
WINDOW_NS = 50_000_000
NEVER_NS = 1 << 60  # gap that interrupts
SHRINK = 4  # about what networks are given of the sensors' resolution


def cases(repeats: int, seed: int, bags: list[Path]) -> Iterator[Case]:
    """Yield the rate of each stream, then of each recording, beside numpy."""
    for encoding, width, height, rate, vectors in MADE_UP:
        yield from _cases(made_up(encoding, width, height, rate, DURATION_NS, seed, vectors),
                          repeats)
    for bag in bags:
        yield from _cases(recorded(bag), repeats)


def _cases(stream: Stream, repeats: int) -> Iterator[Case]:
    for shrink, tencode, words in (
            (1, numpy_events.tencode, 'numpy'),
            (1, numpy_events.hasty_tencode, 'numpy that trusts in the order of assignments to '
             'equal indices'),
            (SHRINK, numpy_events.tencode, 'numpy')):
        yield compare(
            f'representation: {stream.name}, ' + (
                'every pixel' if shrink == 1 else f'cells of {shrink}x{shrink}'), 'Mev/s',
            Work(lambda shrink=shrink: list(fused(stream, shrink)), stream.events / 1e6),
            f'each packet decoded to arrays, then {words}',
            Work(lambda shrink=shrink, tencode=tencode: list(separate(stream, shrink, tencode)),
                 stream.events / 1e6), repeats)


def fused(stream: Stream, shrink: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (end, Tencode) of each window, as the nodes make them, in a grid of fewer cells."""
    pipeline = EventPipeline(
        lambda width, height: Representation(height // shrink, width // shrink),
        TimeWindows(WINDOW_NS, WINDOW_NS, NEVER_NS))
    for packet in stream.packets:
        for window in pipeline.push(packet):
            yield window.t_end, window.image


def separate(stream: Stream, shrink: int, tencode: Callable) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the same, from arrays of events that are kept until a window is full."""
    decoder = make_decoder(stream.packets[0])
    width, height = decoder.width, decoder.height
    grid_width, grid_height = width // shrink, height // shrink
    held: list[Events] = []
    end = None
    for packet in stream.packets:
        events = decoder.decode(packet)
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
            if shrink > 1:
                inside = Events(inside.t, inside.x.astype(np.int32) * grid_width // width,
                                inside.y.astype(np.int32) * grid_height // height, inside.p)
            yield end, tencode(inside, grid_width, grid_height, end - WINDOW_NS, end)
            held, end = [after], end + WINDOW_NS
