# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""EVT 3.0 words for tests, and a plain decoder written from the format's description."""
import numpy as np

from depth_anyevent_ros.events.types import Events, Packet


def time_words(t_us: int) -> list[int]:
    """Return TIME_HIGH and TIME_LOW of a time in microseconds."""
    return [0x8000 | (t_us >> 12) & 0xFFF, 0x6000 | t_us & 0xFFF]


def event_words(t_us: int, x: int, y: int, p: int) -> list[int]:
    """Return the words of one event with its whole time and row."""
    return [*time_words(t_us), y, 0x2000 | p << 11 | x]


def packet(words, width: int = 64, height: int = 48, **fields) -> Packet:
    """Return words as a packet of a small sensor."""
    return Packet(np.array(words, '<u2').view(np.uint8), 'evt3', width, height, **fields)


def plain_decode(words, width: int, height: int) -> Events:
    """Decode word by word; the clock may wrap, but the words are taken to be right."""
    high = low = y = base = polarity = None
    epoch = 0
    timed = False
    rows = []
    for word in np.asarray(words, dtype=np.int64):
        kind, value = word >> 12, word & 0xFFF
        if kind == 8:
            if high is not None and value < high:
                epoch += 1
            high = value
        elif kind == 6:
            low = value
            timed = high is not None
        elif kind == 0:
            y = word & 0x7FF
        elif kind == 3:
            base, polarity = word & 0x7FF, word >> 11 & 1
        elif kind in (2, 4, 5):
            lanes = {2: 1, 4: 12, 5: 8}[kind]
            for lane in range(lanes):
                x = word & 0x7FF if kind == 2 else base + lane
                p = word >> 11 & 1 if kind == 2 else polarity
                hit = kind == 2 or word >> lane & 1
                if hit and timed and y is not None and x < width and y < height:
                    t_us = (epoch << 24) + (high << 12) + low
                    rows.append((t_us * 1000, x, y, p))
            if kind != 2:
                base += lanes
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Events(table[:, 0], table[:, 1].astype(np.uint16), table[:, 2].astype(np.uint16),
                  table[:, 3].astype(np.uint8))


def random_words(seed: int, count: int = 3000, start_us: int = 12345) -> np.ndarray:
    """Return a random stream with every kind of word, its clock sent as sensors send it."""
    rng = np.random.default_rng(seed)
    t_us = start_us
    words = [*time_words(t_us), 7, 0x3000 | 5]
    while len(words) < count:
        kind = rng.choice(['x', 'y', 'low', 'high', 'base', 'v12', 'v8', 'trigger', 'other'],
                          p=[.3, .14, .2, .06, .1, .1, .05, .01, .04])
        if kind == 'x':
            words.append(0x2000 | int(rng.integers(2)) << 11 | int(rng.integers(70)))
        elif kind == 'y':
            words.append(int(rng.integers(2)) << 11 | int(rng.integers(50)))
        elif kind == 'low':
            t_us += int(rng.integers(0, 900))
            words += time_words(t_us)
        elif kind == 'high':
            words.append(time_words(t_us)[0])
        elif kind == 'base':
            words.append(0x3000 | int(rng.integers(2)) << 11 | int(rng.integers(64)))
        elif kind == 'v12':
            words.append(0x4000 | int(rng.integers(4096)))
        elif kind == 'v8':
            words.append(0x5000 | int(rng.integers(256)))
        elif kind == 'trigger':
            words.append(0xA000 | int(rng.integers(2)))
        else:
            words += [0xE016, 0xF123, 0x7001]
    return np.array(words, np.uint16)
