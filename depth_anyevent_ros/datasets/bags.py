# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Recordings of rosbag2 without ROS: bags with metadata as odd as real life makes it.

The files decide what is in a bag; metadata.yaml is a hint. Whatever does not fit is said in
`warnings` of the reader, and a bag that is cut short gives every message that is whole.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
import os
from pathlib import Path
import tempfile

import zstandard

from depth_anyevent_ros.datasets.bag_files import (
    EXPECTED, folder_files, single_file, storage_kind, unpack, ZSTD_MAGIC)
from depth_anyevent_ros.datasets.bag_metadata import (
    BagMetadata, base_names, compare_with_metadata, read_metadata)
from depth_anyevent_ros.datasets.bag_types import (
    BagError, merge_in_time, RawMessage, TopicInfo)
from depth_anyevent_ros.datasets.bag_writer import BagWriter, whole_bag
from depth_anyevent_ros.datasets.mcap_storage import McapFile
from depth_anyevent_ros.datasets.messages import (
    decode, decode_event_packet, encode_event_packet, EVENT_PACKET, EVENT_PACKET_TYPES,
    full_type_name)
from depth_anyevent_ros.datasets.sqlite_storage import SqliteFile

__all__ = [
    'BagError', 'BagReader', 'BagWriter', 'decode', 'decode_event_packet', 'describe_topics',
    'encode_event_packet', 'event_topics', 'first_message', 'open_bag', 'RawMessage',
    'require_event_topics', 'TopicInfo', 'whole_bag']

STORAGES = {'sqlite3': SqliteFile, 'mcap': McapFile}


class BagReader:
    """
    A recording that is open for reading; made by open_bag.

    topics: TopicInfo by name. start_ns, end_ns: time of the first and of the last message in
    nanoseconds, None if there is none. warnings: sentences on all that is odd, which may grow
    while messages are read.
    Every call of messages() reads by itself, also from another thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._unpacked: tempfile.TemporaryDirectory | None = None
        self._files: list[SqliteFile | McapFile] = []
        self._lost_messages = False
        self._metadata = BagMetadata()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove temporary copies; the reader cannot be used any more."""
        for file in self._files:
            file.close()
        if self._unpacked is not None:
            self._unpacked.cleanup()

    @property
    def truncated(self) -> bool:
        """Whether something was lost, as far as it is known by now; see warnings."""
        return self._lost_messages or any(file.truncated for file in self._files)

    @property
    def start_ns(self) -> int | None:
        """Time of the first message in nanoseconds, None if there is none."""
        return min((file.start_ns for file in self._files if file.start_ns is not None),
                   default=None)

    @property
    def end_ns(self) -> int | None:
        """Time of the last message in nanoseconds, None if there is none."""
        return max((file.end_ns for file in self._files if file.end_ns is not None),
                   default=None)

    def messages(self, topics: Iterable[str] | None = None,
                 start_ns: int | None = None) -> Iterator[RawMessage]:
        """
        Iterate over the messages in the order of their time, over all files of the recording.

        topics: names, None for all. start_ns: only messages of this time (nanoseconds) or later.
        """
        wanted = {topics} if isinstance(topics, str) else topics and set(topics)
        sources = [(file.start_ns, lambda file=file: file.messages(wanted, start_ns))
                   for file in self._files if file.start_ns is not None]
        for message in merge_in_time(sources):
            if not message.type and message.topic in self.topics:
                message = message._replace(type=self.topics[message.topic].type)
            if message.data[:4] == ZSTD_MAGIC:
                message = self._decompress(message)
            if message is not None:
                yield message

    def _decompress(self, message: RawMessage) -> RawMessage | None:
        # CDR begins with a zero byte, so a message that begins like zstd is compressed,
        # whatever metadata.yaml says.
        try:
            data = zstandard.ZstdDecompressor().decompressobj().decompress(message.data)
        except zstandard.ZstdError as error:
            self._lost_messages = True
            self.warnings.append(f'A message on {message.topic} at {message.timestamp_ns} ns '
                                 f'is left out: it cannot be decompressed ({error}).')
            return None
        return message._replace(data=data)

    def _open(self) -> None:
        if not self.path.exists():
            raise BagError(f'{self.path} does not exist; {EXPECTED}.')
        if self.path.name == 'metadata.yaml':
            self.path = self.path.parent
        if self.path.is_dir():
            self._metadata = read_metadata(self.path / 'metadata.yaml', self.warnings)
            paths = folder_files(self.path, base_names(self._metadata), self.warnings)
        else:
            paths = [single_file(self.path)]
        errors = [error for error in map(self._open_file, paths) if error is not None]
        if not self._files:
            raise BagError(' '.join(errors))
        for error in errors:
            self._lost_messages = True
            self.warnings.append(error)
        self.topics = self._merge_topics()
        if self.path.is_dir():
            compare_with_metadata(
                self._metadata, self.topics, {file.kind for file in self._files}, self.warnings)

    def _open_file(self, path: Path) -> str | None:
        """Open one file; return why it cannot be read."""
        if storage_kind(path) == 'zstd':
            if self._unpacked is None:
                self._unpacked = tempfile.TemporaryDirectory(prefix='depth_anyevent_bag_')
            path = unpack(path, Path(self._unpacked.name), self.warnings)
        storage = STORAGES.get(storage_kind(path))
        if storage is None:
            return f'{path.name} is neither SQLite nor MCAP once it is decompressed.'
        try:
            self._files.append(storage(path, self.warnings))
        except BagError as error:
            return str(error)
        return None

    def _merge_topics(self) -> dict[str, TopicInfo]:
        merged: dict[str, TopicInfo] = {}
        for topic in (topic for file in self._files for topic in file.topics.values()):
            known = merged.get(topic.name, TopicInfo(topic.name, topic.type, 0))
            if known.type != topic.type:
                self.warnings.append(f'Topic {topic.name} has the type {known.type!r} in one '
                                     f'file and {topic.type!r} in another.')
            merged[topic.name] = replace(known, count=known.count + topic.count)
        for name in [name for name, topic in merged.items() if not topic.type]:
            hint = self._metadata.topics.get(name)
            self.warnings.append(
                f'The files do not say the type of topic {name}, metadata.yaml says '
                f'{hint.type if hint else "nothing"}.')
            if hint:
                merged[name] = replace(merged[name], type=hint.type)
        return merged


def open_bag(path: str | Path) -> BagReader:
    """
    Open a recording: a rosbag2 folder, with good, odd or no metadata.yaml, or one of its files.

    path: may begin with ~, as in a parameter file, which no shell has seen. Raise BagError, with
    what was expected, where there is nothing that can be read.
    """
    return BagReader(Path(os.path.expanduser(path)))


def event_topics(reader: BagReader) -> list[str]:
    """Return the names of the topics whose messages are event packets."""
    return [name for name, topic in reader.topics.items()
            if full_type_name(topic.type) in EVENT_PACKET_TYPES]


def require_event_topics(reader: BagReader) -> list[str]:
    """Return event_topics(reader); raise BagError with the topics found where there is none."""
    topics = event_topics(reader)
    if not topics:
        said = (f'{reader.path} has no topic of event packets ({EVENT_PACKET}); its topics are '
                f'{describe_topics(reader)}.')
        raise BagError(' '.join([said, *reader.warnings]))
    return topics


def first_message(reader: BagReader, topic: str) -> RawMessage | None:
    """Return the first message of a topic, None where there is none."""
    return next(iter(reader.messages([topic])), None)


def describe_topics(reader: BagReader) -> str:
    """Return the topics of a bag with their types, for messages."""
    return ', '.join(f'{t.name} ({t.type})' for t in reader.topics.values()) or 'none'
