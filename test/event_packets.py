# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Made-up events and their packets, for encodings whose packets stand on their own."""
import numpy as np

from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.types import Events, Packet

START_NS = 1_700_000_000_000_000_000
WIDTH, HEIGHT = 64, 48
MS = 1_000_000
ALL = tuple(ENCODERS)


def random_events(seed, count=3000, begin_us=0, step_us=40):
    """Make events that come in bursts of one time and column, some of them twice."""
    rng = np.random.default_rng(seed)
    times = begin_us + np.cumsum(rng.integers(0, step_us, count) * (rng.random(count) < 0.3))
    x = np.repeat(rng.integers(0, WIDTH, count // 6 + 1), 6)[:count]
    return Events(START_NS + times * 1000, x.astype(np.uint16),
                  rng.integers(0, HEIGHT, count).astype(np.uint16),
                  rng.integers(0, 2, count).astype(np.uint8))


def packets_of(events, encoding, cuts=(), **fields):
    """Return events as packets that are cut at these indices."""
    encoder = ENCODERS[encoding](START_NS)
    bounds = [0, *cuts, len(events)]
    made = []
    for seq, (begin, end) in enumerate(zip(bounds, bounds[1:])):
        data, base = encoder.encode(events.part(begin, end))
        made.append(Packet(data, encoding, WIDTH, HEIGHT, seq, base, **fields))
    return made
