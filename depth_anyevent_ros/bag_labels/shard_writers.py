# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written of a shard: an MCAP file, or sequence folders; whole or not at all."""
from __future__ import annotations

from collections import deque
import json
import os
from pathlib import Path
import shutil

import numpy as np
import yaml

from depth_anyevent_ros.bag_labels.shard_reader import BEFORE, Slot, WITHIN
from depth_anyevent_ros.datasets.bag_writer import BagWriter
from depth_anyevent_ros.datasets.messages import EVENT_PACKET
from depth_anyevent_ros.datasets.part_folder import PartFolder
from depth_anyevent_ros.datasets.sequence_format import MOST_INVERSE_DEPTH, PART_SUFFIX
from depth_anyevent_ros.datasets.sequence_writer import SequenceWriter
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

LABEL, LABEL_INFO, LABEL_FACTS = ('/proxy_label/image', '/proxy_label/camera_info',
                                  '/proxy_label/info')
KEPT_BEFORE_NS = 250_000_000  # of events, so that the first window is whole
LONGEST_LEAP_NS = 10_000_000_000  # of the times of events within a sequence
HAIR = 1e-3  # of a map's range: what it may lie below 0 by mere inexactness


class McapShard:
    """
    The shard's own event messages and its labels, as one file of a rosbag2 folder.

    path: of the file to be. facts: what each label says of where it comes from.
    """

    def __init__(self, path: Path, events_topic: str, camera: CameraModel, frame_id: str,
                 facts: dict):
        self._path, self._folder = path, PartFolder(path.with_name(path.stem))
        self._part = self._folder.path
        self._events_topic, self._camera, self._frame_id = events_topic, camera, frame_id
        self._facts = json.dumps(facts, sort_keys=True)
        # The file has the name of its folder.
        self._writer = BagWriter(self._part / path.stem, 'mcap')

    def packet(self, slot: Slot) -> None:
        """Take a message of events, as it is."""
        if slot.place == WITHIN:
            self._writer.write_raw(self._events_topic, EVENT_PACKET, slot.raw.data, slot.bag_ns)

    def anew(self) -> None:
        """Do nothing; messages are not cut where sensor time begins anew."""

    def events(self, place: int, events: Events) -> None:
        """Do nothing; the messages say it all."""

    def label(self, slot: Slot, inverse_depth: np.ndarray) -> None:
        """Take the label of a picture; it stands where the picture stood."""
        about = (slot.window.stamp_ns, self._frame_id, slot.bag_ns)
        self._writer.write_image(LABEL, inverse_depth.astype(np.float32), '32FC1', *about)
        self._writer.write_camera_info(LABEL_INFO, self._camera, *about)
        self._writer.write_string(LABEL_FACTS, self._facts, slot.bag_ns)

    def finish(self) -> dict:
        """Give the file its name; return what metadata.yaml has to say of it."""
        self._writer.close()
        folder = self._part / self._path.stem
        metadata = yaml.safe_load((folder / 'metadata.yaml').read_text())
        name, = metadata['rosbag2_bagfile_information']['relative_file_paths']
        os.replace(folder / name, self._path)
        self._folder.remove()
        return {'file': self._path.name, 'metadata': metadata['rosbag2_bagfile_information']}

    def abandon(self) -> None:
        """Remove what was written."""
        try:
            self._writer.abandon()
        finally:
            self._folder.remove()


class SequenceShard:
    """
    The shard as a sequence folder; as several where sensor time begins anew or leaps in it.

    path: of the folder to be; further ones get _2 and so on behind it. info: for sequence.json,
    whose labels.alignment says whether labels are 'relative', or 'as published' in 1/m.
    Times begin with 0 shortly before the shard, and end with its last label.
    """

    def __init__(self, path: Path, camera: CameraModel, info: dict):
        self._path, self._camera, self._info = path, camera, info
        for left in path.parent.glob(f'{path.name}*'):
            name = left.name.removesuffix(PART_SUFFIX)
            if not left.is_dir() or name not in self._names():
                continue
            if name == left.name:
                shutil.rmtree(left)
            else:
                PartFolder(left.with_name(name)).remove()
        self._before: deque[Events] = deque()
        self._writer: SequenceWriter | None = None
        self._base_ns = self._last_ns = 0
        self._latest_ns: int | None = None  # of the last event
        self._labels_here = 0
        self._made: list[str] = []
        self.out_of_order = 0

    def packet(self, slot: Slot) -> None:
        """Do nothing; the folder holds events, not messages."""

    def anew(self) -> None:
        """Say that sensor time begins anew with the next events."""
        self._end_part()
        self._latest_ns = None

    def events(self, place: int, events: Events) -> None:
        """Take events, one at least; place: see `Slot`. Where their time leaps, a part ends."""
        latest_ns = events.t[0] if self._latest_ns is None else self._latest_ns
        leaps = np.flatnonzero(np.diff(events.t, prepend=latest_ns) > LONGEST_LEAP_NS).tolist()
        for begin, end in zip([0, *leaps], [*leaps, len(events)]):
            if begin in leaps:
                self._end_part()
            if begin < end:
                self._take(place, events.part(begin, end))
        self._latest_ns = int(events.t[-1])

    def label(self, slot: Slot, inverse_depth: np.ndarray) -> None:
        """Take the label of a picture."""
        time_ns = slot.window.t_end - self._base_ns
        if self._writer is None or time_ns <= self._last_ns:
            self.out_of_order += 1
            return
        relative = self._info['labels']['alignment'] == 'relative'
        self._writer.add_label(time_ns, _not_negative(inverse_depth, relative))
        self._last_ns = time_ns
        self._labels_here += 1

    def finish(self) -> dict:
        """Give the folders their names; return which were made."""
        self._end_part()
        return {'sequences': self._made}

    def abandon(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        for name in self._made:
            shutil.rmtree(self._path.with_name(name), ignore_errors=True)

    def _names(self) -> list[str]:
        return [self._path.name] + [f'{self._path.name}_{k}' for k in range(2, 100)]

    def _take(self, place: int, events: Events) -> None:
        if place == BEFORE:
            self._before.append(events)
            while self._before[0].t[-1] < events.t[-1] - KEPT_BEFORE_NS:
                self._before.popleft()
            return
        if self._writer is None:
            self._begin_part(events)
        self._add(events)

    def _begin_part(self, events: Events) -> None:
        first = self._before[0] if self._before else events
        self._base_ns = int(first.t[0]) // 1_000_000 * 1_000_000
        name = self._names()[len(self._made)]
        self._writer = SequenceWriter(self._path.with_name(name), {
            **self._info, 'camera': self._camera, 'duration_ns': 0})
        for held in self._before:
            self._add(held)
        self._before.clear()

    def _add(self, events: Events) -> None:
        self._writer.add_events(Events(events.t - self._base_ns, events.x, events.y, events.p))

    def _end_part(self) -> None:
        self._before.clear()
        if self._writer is None:
            return
        if self._labels_here:
            self._writer.set_duration(self._last_ns)
            self._writer.close()
            self._made.append(self._writer.path.name)
        else:
            self._writer.abandon()
        self._writer, self._labels_here, self._last_ns = None, 0, 0


def _not_negative(inverse_depth: np.ndarray, relative: bool) -> np.ndarray:
    """
    Return a map (H, W) as a sequence can hold it: from 0 to MOST_INVERSE_DEPTH, NaN unknown.

    What is a hair below 0 becomes 0. A relative map that goes further below is shifted, since
    its zero means nothing; in one in 1/m nothing is behind the camera, and it is unknown there.
    """
    known = inverse_depth[np.isfinite(inverse_depth)]
    least = known.min() if known.size else 0.0
    hair = HAIR * (known.max() - least) if known.size else 0.0
    if not relative:
        inverse_depth = np.where(inverse_depth < -hair, np.nan, inverse_depth)
    elif least < -hair:
        inverse_depth = inverse_depth - least
    return np.clip(inverse_depth, 0, MOST_INVERSE_DEPTH)
