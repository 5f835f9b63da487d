# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A shard of a bag, read once: packets and pictures in order, each picture with its window.

A shard is a stretch of a bag's time. It is read from a little before, so that the decoder and
the clock know where they are, and to a little behind, until its last picture has its events. It
depends on nothing but the bag, so it comes out the same whether others were done before or not.
"""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from depth_anyevent_ros.datasets.bags import BagReader, decode_event_packet, RawMessage
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.distillation.picture_quality import PictureQuality
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.events.types import Packet, PacketError

WARM_UP_NS = 2_000_000_000
PATIENCE_NS = 2_000_000_000  # of the bag, that a picture waits for its events
MOST_BYTES = 64 << 20  # of packets in one chunk
BEFORE, WITHIN, BEHIND = -1, 0, 1


@dataclass(frozen=True)
class Shard:
    """A stretch of a bag's time, ns, end exclusive; index: which of the bag's it is."""

    index: int
    begin_ns: int
    end_ns: int

    def place(self, bag_ns: int) -> int:
        """Return BEFORE, WITHIN or BEHIND."""
        return BEFORE if bag_ns < self.begin_ns else WITHIN if bag_ns < self.end_ns else BEHIND


@dataclass
class Slot:
    """
    A message in its place: of events (raw and, if it is whole, packet), or a picture.

    place: BEFORE, WITHIN or BEHIND the shard. Of a picture: stamp_ns; window, once it has one;
    picture, RGB or a map, once it may be labelled; `why_not`, why it is not; found: what the
    teacher says of it.
    """

    bag_ns: int
    place: int = WITHIN
    raw: RawMessage | None = None
    packet: Packet | None = None
    stamp_ns: int | None = None
    window: Window | None = None
    picture: np.ndarray | None = None
    why_not: str = ''
    found: np.ndarray | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture."""
        return self.stamp_ns is not None

    @property
    def settled(self) -> bool:
        """Whether nothing more has to be read for it."""
        return not self.is_picture or self.picture is not None or bool(self.why_not)


@dataclass
class Chunk:
    """Slots in order, with as many pictures as the teacher sees at once, or fewer."""

    slots: list[Slot] = field(default_factory=list)
    pictures: int = 0
    bytes: int = 0

    @property
    def settled(self) -> bool:
        """Whether all slots are."""
        return all(slot.settled for slot in self.slots)


class ShardReader:
    """
    Reads a shard.

    events, image: topics. read: from a message to its picture; ValueError. quality: None where
    pictures are maps already. period_ns: between labels at least, 0 for one of each picture.
    watched: topics of calibrations, which should not change. counts: what became of packets;
    `problem`: what was wrong with the first bad one; `unreadable`: with the first such picture.
    """

    def __init__(self, reader: BagReader, shard: Shard, events: str, image: str,
                 pairing: FramePairing[Slot], read: Callable[[RawMessage], np.ndarray],
                 quality: PictureQuality | None, batch: int, period_ns: int = 0,
                 watched: tuple[str, ...] = ()):
        self._reader, self._shard, self._events, self._image = reader, shard, events, image
        self._pairing, self._read, self._quality = pairing, read, quality
        self._batch, self._period_ns, self._watched = batch, period_ns, watched
        self._waiting: deque[Slot] = deque()
        self._last_label_ns: int | None = None
        self._calibrations: dict[str, bytes] = {}
        self.counts = Counter(packets=0, bad_packets=0, calibration_changes=0)
        self.problem = self.unreadable = ''

    def chunks(self) -> Iterator[Chunk]:
        """Yield the shard, in order; a chunk comes when every picture in it is settled."""
        current, begun = Chunk(), deque()
        for raw in self._reader.messages([self._events, self._image, *self._watched],
                                         self._shard.begin_ns - WARM_UP_NS):
            place = self._shard.place(raw.timestamp_ns)
            self._lose_patience(raw.timestamp_ns)
            if place == BEHIND and not self._waiting:
                break
            slot = self._slot(raw, place)
            if slot is None:
                continue
            current.slots.append(slot)
            current.pictures += slot.is_picture
            current.bytes += len(raw.data)
            if current.pictures == self._batch or current.bytes > MOST_BYTES:
                begun.append(current)
                current = Chunk()
            while begun and begun[0].settled:
                yield begun.popleft()
        for slot in self._waiting:
            slot.why_not = 'unpaired'
        yield from begun
        yield current

    def _slot(self, raw: RawMessage, place: int) -> Slot | None:
        """Return the slot of a message, None for one that has none."""
        if raw.topic == self._events:
            return self._packet(raw, place)
        if place != WITHIN:
            return None
        if raw.topic == self._image:
            return self._picture(raw)
        self._watch(raw)
        return None

    def _packet(self, raw: RawMessage, place: int) -> Slot:
        slot = Slot(raw.timestamp_ns, place, raw)
        try:
            slot.packet = decode_event_packet(raw)
        except PacketError as error:
            self._note_bad(place, str(error))
            return slot
        self.counts['packets'] += place == WITHIN
        self._settle(self._pairing.add_packet(slot.packet))
        if self._pairing.problem:
            self._note_bad(place, self._pairing.problem)
            self._pairing.problem = None
        return slot

    def _picture(self, raw: RawMessage) -> Slot:
        slot = Slot(raw.timestamp_ns, WITHIN, raw)
        try:
            slot.stamp_ns = stamp_of(raw)
        except ValueError:
            slot.stamp_ns, slot.why_not = 0, 'unreadable'
            return slot
        last = self._last_label_ns
        # A tenth of the period early counts, since pictures jitter.
        if last is not None and 0 < slot.stamp_ns - last < 0.9 * self._period_ns:
            slot.why_not = 'more than asked for'
            return slot
        self._last_label_ns = slot.stamp_ns
        self._waiting.append(slot)
        self._settle(self._pairing.add_picture(slot.stamp_ns, slot))
        return slot

    def _settle(self, pairs: Iterator) -> None:
        for pair in pairs:
            slot: Slot = pair.picture
            if slot.settled:
                continue  # it was given up
            # What waits before it will get no window any more.
            while (first := self._waiting.popleft()) is not slot:
                first.why_not = 'unpaired'
            slot.window = pair.window
            self._look(slot)

    def _look(self, slot: Slot) -> None:
        """Read the picture, and refuse it where it must not teach."""
        raw, slot.raw = slot.raw, None
        try:
            picture = self._read(raw)
        except ValueError as error:
            slot.why_not = 'unreadable'
            self.unreadable = self.unreadable or str(error)
            return
        slot.why_not = self._quality.refusal(picture) or '' if self._quality else ''
        if not slot.why_not:
            slot.picture = picture

    def _lose_patience(self, bag_ns: int) -> None:
        while self._waiting and self._waiting[0].bag_ns < bag_ns - PATIENCE_NS:
            self._waiting.popleft().why_not = 'unpaired'

    def _note_bad(self, place: int, problem: str) -> None:
        self.counts['bad_packets'] += place == WITHIN
        self.problem = self.problem or problem

    def _watch(self, raw: RawMessage) -> None:
        said = bytes(raw.data[12:])  # behind the encapsulation and the stamp
        known = self._calibrations.setdefault(raw.topic, said)
        if known != said:
            self._calibrations[raw.topic] = said
            self.counts['calibration_changes'] += 1


def stamp_of(raw: RawMessage) -> int:
    """Return the stamp, ns, of a message that begins with a header; ValueError."""
    data = raw.data
    if len(data) < 12 or data[1] not in (0, 1):
        raise ValueError(f'the message on {raw.topic} at {raw.timestamp_ns} ns has no header')
    order = 'little' if data[1] == 1 else 'big'
    return int.from_bytes(data[4:8], order, signed=True) * 10**9 \
        + int.from_bytes(data[8:12], order)
