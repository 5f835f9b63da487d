# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Made-up events and their packets, for encodings whose packets stand on their own."""
from dataclasses import replace

import numpy as np

from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import (
    ENCODERS, LONGEST_LIBCAER_US, LONGEST_MONO_NS, LONGEST_PACKET_US)
from depth_anyevent_ros.events.types import Events, Packet

START_NS = 1_700_000_000_000_000_000
WIDTH, HEIGHT = 64, 48
MS = 1_000_000
ALL = tuple(ENCODERS)
LONGEST_NS = {'libcaer': LONGEST_LIBCAER_US * 1000, 'libcaer_cmp': LONGEST_PACKET_US * 1000,
              'mono': LONGEST_MONO_NS, 'evt3': 1 << 60}  # that a packet spans


def random_events(seed, count=3000, begin_us=0, step_us=40):
    """Make events that come in bursts of one time and column, some of them twice."""
    rng = np.random.default_rng(seed)
    times = begin_us + np.cumsum(rng.integers(0, step_us, count) * (rng.random(count) < 0.3))
    x = np.repeat(rng.integers(0, WIDTH, count // 6 + 1), 6)[:count]
    return Events(START_NS + times * 1000, x.astype(np.uint16),
                  rng.integers(0, HEIGHT, count).astype(np.uint16),
                  rng.integers(0, 2, count).astype(np.uint8))


def sparse_events(seed, count=40):
    """Make few events, up to three at once, with pauses of 0.1 to 100 s."""
    rng = np.random.default_rng(seed)
    pauses = (10 ** rng.uniform(-1, 2, count) * 1e6).astype(np.int64)  # us
    pauses[0] %= 60_000_000  # over a longer one a stream's first time is not believed
    times = np.repeat(np.r_[0, np.cumsum(pauses)], rng.integers(1, 4, count + 1))
    return Events(START_NS + times * 1000, rng.integers(0, WIDTH, len(times)).astype(np.uint16),
                  rng.integers(0, HEIGHT, len(times)).astype(np.uint16),
                  rng.integers(0, 2, len(times)).astype(np.uint8))


def short_enough(events, encoding, cuts):
    """Return these cuts, and further ones so that no packet is too long for the encoding."""
    found, begin = [], 0
    for end in range(1, len(events)):
        if end in cuts or events.t[end] - events.t[begin] >= LONGEST_NS[encoding]:
            found.append(end)
            begin = end
    return found


def packets_of(events, encoding, cuts=(), **fields):
    """Return events as packets that are cut at these indices; evt3 counts from START_NS."""
    evt3 = encoding == 'evt3'
    encoder = Evt3Encoder() if evt3 else ENCODERS[encoding](START_NS)
    bounds = [0, *cuts, len(events)]
    made = []
    for seq, (begin, end) in enumerate(zip(bounds, bounds[1:])):
        part = events.part(begin, end)
        data, base = (encoder.encode(replace(part, t=part.t - START_NS)), 0) if evt3 \
            else encoder.encode(part)
        made.append(Packet(data, encoding, WIDTH, HEIGHT, seq, base, **fields))
    return made
