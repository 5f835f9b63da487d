# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recording messages, as the bytes that they are, into a bag that is whole or not there."""
from __future__ import annotations

from collections import Counter
import os
from pathlib import Path

from depth_anyevent_ros.datasets.bag_types import BagError, RawMessage
from depth_anyevent_ros.datasets.bag_writer import BagWriter
from depth_anyevent_ros.datasets.bags import decode_event_packet
from depth_anyevent_ros.datasets.messages import EVENT_PACKET
from depth_anyevent_ros.datasets.part_folder import PartFolder


class BagRecording:
    """
    A rosbag2 folder in MCAP that is written beside its place, and moved there by `finish`.

    path: the folder, which must not exist (BagError). messages: how many of each topic. lost:
    packets of events that are missing by their seq. Raises OSError where nothing can be written,
    FolderInUse where another process makes the same bag.
    """

    def __init__(self, path: Path):
        if path.exists():
            raise BagError(f'{path} exists already and is not overwritten: give another output or '
                           'remove it first')
        self.path, self._folder = path, PartFolder(path)
        try:
            # Files have the name of their folder.
            self._writer = BagWriter(self._folder.path / path.name, 'mcap')
        except BaseException:
            self._folder.remove()
            raise
        self.messages: Counter[str] = Counter()
        self.lost = 0
        self._next_seq: dict[str, int] = {}

    def write(self, topic: str, message_type: str, data: bytes, timestamp_ns: int) -> None:
        """Write a message of CDR bytes that came at timestamp_ns, nanoseconds."""
        self._writer.write_raw(topic, message_type, data, timestamp_ns)
        self.messages[topic] += 1
        if message_type == EVENT_PACKET:
            seq = decode_event_packet(RawMessage(topic, message_type, timestamp_ns, data)).seq
            # A player that begins anew counts anew; that is no loss.
            self.lost += max(seq - self._next_seq.get(topic, seq), 0)
            self._next_seq[topic] = seq + 1

    def finish(self) -> None:
        """Write the metadata and give the bag its name; nothing stays where nothing came."""
        self._writer.close()
        if self.messages:
            os.replace(self._writer.path, self.path)
        self._folder.remove()

    def abandon(self) -> None:
        """Remove what was written."""
        self._writer.abandon()
        self._folder.remove()
