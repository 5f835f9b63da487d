# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Events as one handles them in plain numpy: the frozen baselines of decoding and of Tencode.

Not to be made faster, since ratios of different versions are compared.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from depth_anyevent_ros.events.types import Events, Packet

CMP_BEGIN = np.array([0x0000, 0x1000, 0x2000], '<u2')  # of a packet of libcaer_cmp


def decode_evt3(packets: list[Packet]) -> Events:
    """Decode an undamaged stream that begins with its whole time and row."""
    return _evt3_events(_evt3_words(packets))


def decode_evt3_by_packet(packets: list[Packet]) -> Iterator[Events]:
    """Yield the events of each packet of such a stream as it comes."""
    carried, epochs = np.empty(0, np.int32), 0
    for packet in packets:
        words = np.concatenate([carried, _evt3_words([packet])])
        events = _evt3_events(words)
        yield Events(events.t + epochs * (1000 << 24), events.x, events.y, events.p)
        # What the next packet begins with: the last time, row and base, moved on by its vectors.
        kind = words >> 12
        latest = {one: np.flatnonzero(kind == one)[-1:] for one in (8, 6, 0, 3)}
        epochs += int(np.count_nonzero(np.diff(words[kind == 8]) < 0))
        carried = np.concatenate([words[place] for place in latest.values()])
        if len(latest[3]):
            after = kind[latest[3][0]:]
            carried[-1] += 12 * np.count_nonzero(after == 4) + 8 * np.count_nonzero(after == 5)


def _evt3_words(packets: list[Packet]) -> np.ndarray:
    return np.concatenate([packet.events for packet in packets]).view('<u2').astype(np.int32)


def _evt3_events(words: np.ndarray) -> Events:
    kind, value = words >> 12, words & 0xFFF
    is_high = kind == 8
    high = value[is_high]
    epochs = np.concatenate([[0], np.cumsum(np.diff(high) < 0)])
    high = _held(is_high, high + 4096 * epochs)
    time = (high.astype(np.int64) * 4096 + _held(kind == 6, value[kind == 6])) * 1000
    row = _held(kind == 0, value[kind == 0] & 0x7FF)
    single = np.flatnonzero(kind == 2)
    order = [single]
    columns, polarities = [value[single] & 0x7FF], [value[single] >> 11]
    is_base, is_vector = kind == 3, (kind == 4) | (kind == 5)
    if is_vector.any():
        lanes = np.where(kind == 4, 12, np.where(kind == 5, 8, 0))
        before = np.cumsum(lanes) - lanes
        base = _held(is_base, value[is_base])
        start = (base & 0x7FF) + before - _held(is_base, before[is_base])
        vectors = np.flatnonzero(is_vector)
        valid = np.where(kind[vectors] == 4, value[vectors], value[vectors] & 0xFF)
        which, lane = np.nonzero(valid[:, None] >> np.arange(12) & 1)
        order.append(vectors[which])
        columns.append(start[vectors[which]] + lane)
        polarities.append(base[vectors[which]] >> 11)
    place = np.concatenate(order)
    # Events of a vector share its place, and a stable sort keeps their lanes in order.
    by_place = np.argsort(place, kind='stable')
    place = place[by_place]
    return Events(time[place], np.concatenate(columns)[by_place].astype(np.uint16),
                  row[place].astype(np.uint16),
                  np.concatenate(polarities)[by_place].astype(np.uint8))


def decode_libcaer(packets: list[Packet]) -> Events:
    """Decode an undamaged stream of `libcaer` that does not roll over within a packet."""
    words = np.concatenate([packet.events for packet in packets]).view('<u4').reshape(-1, 2)
    base = np.repeat(np.array([packet.time_base for packet in packets], np.int64),
                     [len(packet.events) // 8 for packet in packets])
    place = words[:, 0]
    return Events(base + words[:, 1].astype(np.int64) * 1000, (place >> 17).astype(np.uint16),
                  (place >> 2 & 0x7FFF).astype(np.uint16), (place >> 1 & 1).astype(np.uint8))


def decode_libcaer_by_packet(packets: list[Packet]) -> Iterator[Events]:
    """Yield the events of each packet of such a stream as it comes."""
    return (decode_libcaer([packet]) for packet in packets)


def decode_mono(packets: list[Packet]) -> Events:
    """Decode an undamaged stream of `mono`."""
    words = np.concatenate([packet.events for packet in packets]).view('<u4').reshape(-1, 2)
    base = np.repeat(np.array([packet.time_base for packet in packets], np.int64),
                     [len(packet.events) // 8 for packet in packets])
    place = words[:, 1]
    return Events(base + words[:, 0], (place & 0xFFFF).astype(np.uint16),
                  (place >> 16 & 0x7FFF).astype(np.uint16), (place >> 31).astype(np.uint8))


def decode_mono_by_packet(packets: list[Packet]) -> Iterator[Events]:
    """Yield the events of each packet of such a stream as it comes."""
    return (decode_mono([packet]) for packet in packets)


def decode_libcaer_cmp(packets: list[Packet]) -> Events:
    """Decode an undamaged stream of `libcaer_cmp`, no half of its times left out or cut."""
    # Each packet begins with a time and a column of 0.
    words = np.concatenate([part for packet in packets for part in (
        CMP_BEGIN, packet.events.view('<u2'))]).astype(np.int32)
    base = np.repeat(np.array([packet.time_base for packet in packets], np.int64),
                     [len(CMP_BEGIN) + len(packet.events) // 2 for packet in packets])
    kind, value = words >> 12, words & 0xFFF
    elapsed = _held(kind == 0, value[kind == 0]).astype(np.int64) * 4096 \
        + _held(kind == 1, value[kind == 1])
    time = base + elapsed * 1000
    column = _held(kind == 2, value[kind == 2] & 0x7FF)
    single = np.flatnonzero(kind == 3)
    order = [single]
    rows, polarities = [value[single] & 0x7FF], [value[single] >> 11]
    is_base, is_vector = kind == 4, kind == 5
    if is_vector.any():
        before = (np.cumsum(is_vector) - is_vector) * 8
        row_and_polarity = _held(is_base, value[is_base])
        start = (row_and_polarity & 0x7FF) + before - _held(is_base, before[is_base])
        vectors = np.flatnonzero(is_vector)
        which, lane = np.nonzero(value[vectors][:, None] >> np.arange(8) & 1)
        order.append(vectors[which])
        rows.append(start[vectors[which]] + lane)
        polarities.append(row_and_polarity[vectors[which]] >> 11)
    place = np.concatenate(order)
    by_place = np.argsort(place, kind='stable')  # as in evt3
    place = place[by_place]
    return Events(time[place], column[place].astype(np.uint16),
                  np.concatenate(rows)[by_place].astype(np.uint16),
                  np.concatenate(polarities)[by_place].astype(np.uint8))


def decode_libcaer_cmp_by_packet(packets: list[Packet]) -> Iterator[Events]:
    """Yield the events of each packet of such a stream as it comes."""
    return (decode_libcaer_cmp([packet]) for packet in packets)


def tencode(events: Events, width: int, height: int, t0: int, t1: int) -> np.ndarray:
    """
    Return the Tencode of events in [t0, t1), float32 (3, height, width).

    Of the events of a pixel the last wins for certain, which numpy promises of `unique` only.
    """
    pixel = events.y.astype(np.int64) * width + events.x
    pixel, latest = np.unique(pixel[::-1], return_index=True)
    return _filled(events, pixel, len(events) - 1 - latest, width, height, t0, t1)


def hasty_tencode(events: Events, width: int, height: int, t0: int, t1: int) -> np.ndarray:
    """Return the same, as long as numpy assigns to equal indices in their order."""
    pixel = events.y.astype(np.int64) * width + events.x
    return _filled(events, pixel, slice(None), width, height, t0, t1)


def _filled(events: Events, pixel: np.ndarray, which, width: int, height: int, t0: int,
            t1: int) -> np.ndarray:
    image = np.zeros((3, height * width), np.float32)
    image[0, pixel] = events.p[which]
    image[1, pixel] = 1 - (events.t[which] - t0) / (t1 - t0)
    image[2, pixel] = 1 - events.p[which]
    return image.reshape(3, height, width)


def _held(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return, for each place, the value of the last chosen place up to it; 0 before the first."""
    return np.concatenate([[0], values])[np.cumsum(chosen)]
