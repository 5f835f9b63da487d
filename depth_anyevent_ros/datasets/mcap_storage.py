# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One MCAP file of a rosbag2 recording."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import io
from pathlib import Path
import struct
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Schema, Statistics

from depth_anyevent_ros.datasets.bag_types import merge_in_time, RawMessage, TopicInfo
from depth_anyevent_ros.datasets.mcap_records import (
    CHUNK_HEADER, chunk_records, ChunkPlace, DamagedChunkError, file_records, MCAP_MAGIC,
    MESSAGE_HEADER, Record, RECORD_HEADER, summary_start, unpack_chunk)

NEVER_NS = 2**64
DAMAGED = (McapError, ValueError, struct.error)  # what reading a record may raise


class McapFile:
    """
    An MCAP file, with or without chunks, compression and summary, read only.

    A file that is cut short or damaged gives the messages that are whole. topics: by name;
    start_ns, end_ns: times of the first and last message or None; truncated: whether something
    was lost.
    warnings: the list that takes sentences on what is odd.
    """

    kind = 'mcap'

    def __init__(self, path: Path, warnings: list[str]) -> None:
        self.path = path
        self.warnings = warnings
        self.truncated = False
        self.start_ns: int | None = None
        self.topics: dict[str, TopicInfo] = {}
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._chunks: list[ChunkPlace] = []
        # Messages outside of chunks: (time, channel id, start, length).
        self._loose: list[tuple[int, int, int, int]] = []
        self._statistics: Statistics | None = None
        with path.open('rb') as file:
            self._index(file)
            self._set_topics(self._count(file))

    @property
    def end_ns(self) -> int | None:
        """Time of the last message."""
        return max([chunk.end_ns for chunk in self._chunks]
                   + [time_ns for time_ns, *_ in self._loose[-1:]], default=None)

    def close(self) -> None:
        """Do nothing: no file stays open between two uses."""

    def messages(self, topics: set[str] | None = None,
                 start_ns: int | None = None) -> Iterator[RawMessage]:
        """Iterate over the messages in time order, from start_ns (nanoseconds) on."""
        start_ns = -1 if start_ns is None else start_ns
        wanted = {key: (channel.topic, self._type_of(channel))
                  for key, channel in self._channels.items()
                  if topics is None or channel.topic in topics}
        if not wanted:
            return
        with self.path.open('rb') as file:
            sources = [
                (chunk.start_ns,
                 lambda chunk=chunk: self._chunk_messages(file, chunk, wanted, start_ns))
                for chunk in self._chunks if chunk.end_ns >= start_ns]
            if self._loose:
                sources.append((self._loose[0][0],
                                lambda: self._loose_messages(file, wanted, start_ns)))
            yield from merge_in_time(sources)

    def _chunk_messages(self, file: BinaryIO, chunk: ChunkPlace,
                        wanted: dict[int, tuple[str, str]],
                        start_ns: int) -> Iterator[RawMessage]:
        data = self._unpack(file, chunk)
        found = []
        for record in chunk_records(data):
            if record.opcode == Opcode.MESSAGE:
                channel_id, _, time_ns, _ = MESSAGE_HEADER.unpack_from(data, record.start)
                if channel_id in wanted and time_ns >= start_ns:
                    found.append((time_ns, record.start, record.length, channel_id))
        for time_ns, start, length, channel_id in sorted(found):
            payload = data[start + MESSAGE_HEADER.size:start + length]
            yield RawMessage(*wanted[channel_id], time_ns, payload)

    def _loose_messages(self, file: BinaryIO, wanted: dict[int, tuple[str, str]],
                        start_ns: int) -> Iterator[RawMessage]:
        for time_ns, channel_id, start, length in self._loose:
            if channel_id in wanted and time_ns >= start_ns:
                file.seek(start + MESSAGE_HEADER.size)
                payload = file.read(length - MESSAGE_HEADER.size)
                yield RawMessage(*wanted[channel_id], time_ns, payload)

    def _unpack(self, file: BinaryIO, chunk: ChunkPlace) -> bytes:
        try:
            return unpack_chunk(file, chunk)
        except DamagedChunkError as error:
            self._lose(f'the chunk at byte {chunk.start} is left out because {error}')
            return b''

    def _index(self, file: BinaryIO) -> None:
        """Go from record to record and note where the messages are."""
        size = self.path.stat().st_size
        end = len(MCAP_MAGIC)
        last = None
        for last in file_records(file, end, size):
            if last.whole:
                self._note(file, last)
                end = last.start + last.length
            elif last.opcode == Opcode.CHUNK and summary_start(file, size) == 0:
                self._note_chunk(file, last)
        if last is None or last.opcode != Opcode.FOOTER or not last.whole:
            self._index_behind(file, end, size)
        self._chunks.sort()
        self._loose.sort()

    def _index_behind(self, file: BinaryIO, end: int, size: int) -> None:
        """Find with the summary, if there is one, what lies behind the damage at byte end."""
        start = summary_start(file, size)
        if start <= end:
            self._lose(f'it is cut short after byte {end} of {size}')
            return
        self._lose(f'it is damaged after byte {end}')
        for record in file_records(file, start, size):
            self._note(file, record)
            if record.opcode == Opcode.CHUNK_INDEX:
                file.seek(record.start)
                try:
                    index = ChunkIndex.read(ReadDataStream(io.BytesIO(file.read(record.length))))
                except DAMAGED:
                    continue
                if index.chunk_start_offset >= end:
                    self._chunks.append(ChunkPlace(
                        index.message_start_time, index.message_end_time,
                        index.chunk_start_offset + RECORD_HEADER.size,
                        index.chunk_length - RECORD_HEADER.size, True))

    def _note(self, file: BinaryIO, record: Record) -> None:
        if record.opcode == Opcode.CHUNK:
            self._note_chunk(file, record)
        elif record.opcode == Opcode.MESSAGE:
            file.seek(record.start)
            channel_id, _, time_ns, _ = MESSAGE_HEADER.unpack(file.read(MESSAGE_HEADER.size))
            self._loose.append((time_ns, channel_id, record.start, record.length))
        elif record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.STATISTICS):
            file.seek(record.start)
            self._note_description(record.opcode, file.read(record.length))

    def _note_chunk(self, file: BinaryIO, record: Record) -> None:
        file.seek(record.start)
        head = file.read(CHUNK_HEADER.size)
        if len(head) == CHUNK_HEADER.size:
            start_ns, end_ns, _, _ = CHUNK_HEADER.unpack(head)
            self._chunks.append(
                ChunkPlace(start_ns, end_ns, record.start, record.length, record.whole))

    def _note_description(self, opcode: int, content: bytes) -> None:
        stream = ReadDataStream(io.BytesIO(content))
        try:
            if opcode == Opcode.SCHEMA:
                schema = Schema.read(stream)
                self._schemas[schema.id] = schema
            elif opcode == Opcode.CHANNEL:
                channel = Channel.read(stream)
                self._channels[channel.id] = channel
            else:
                self._statistics = Statistics.read(stream)
        except DAMAGED as error:
            self._lose(f'a description of topics or counts in it is damaged '
                       f'({type(error).__name__})')

    def _count(self, file: BinaryIO) -> dict[int, int]:
        """Count the messages of each channel, from the summary where that is complete."""
        statistics = self._statistics
        if (statistics is not None and not self.truncated
                and statistics.chunk_count == len(self._chunks)
                and set(statistics.channel_message_counts) <= set(self._channels)):
            if statistics.message_count:
                self.start_ns = statistics.message_start_time
            return dict(statistics.channel_message_counts)
        counts = Counter(channel_id for _, channel_id, _, _ in self._loose)
        first_ns = min((time_ns for time_ns, _, _, _ in self._loose), default=NEVER_NS)
        for chunk in list(self._chunks):
            data = self._unpack(file, chunk)
            if not data:
                self._chunks.remove(chunk)
            for record in chunk_records(data):
                if record.opcode == Opcode.MESSAGE:
                    channel_id, _, time_ns, _ = MESSAGE_HEADER.unpack_from(data, record.start)
                    counts[channel_id] += 1
                    first_ns = min(first_ns, time_ns)
                elif record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._note_description(
                        record.opcode, data[record.start:record.start + record.length])
        self.start_ns = None if first_ns == NEVER_NS else first_ns
        return counts

    def _set_topics(self, counts: dict[int, int]) -> None:
        for key, channel in self._channels.items():
            known = self.topics.get(channel.topic)
            message_type = self._type_of(channel)
            if known is None and channel.message_encoding != 'cdr':
                self.warnings.append(
                    f'{self.path.name} has topic {channel.topic} in the encoding '
                    f'{channel.message_encoding!r}; only cdr can be decoded.')
            elif known is not None and known.type != message_type:
                self.warnings.append(
                    f'{self.path.name} has topic {channel.topic} with the types {known.type} and '
                    f'{message_type}; each message keeps its own.')
            total = counts.get(key, 0) + (known.count if known else 0)
            self.topics[channel.topic] = TopicInfo(
                channel.topic, known.type if known else message_type, total)
        lost = sum(count for key, count in counts.items() if key not in self._channels)
        if lost:
            self._lose(f'{lost} messages belong to channels that it does not describe')

    def _type_of(self, channel: Channel) -> str:
        schema = self._schemas.get(channel.schema_id)
        return schema.name if schema is not None else ''

    def _lose(self, reason: str) -> None:
        self.truncated = True
        warning = f'{self.path.name} is cut short or damaged: {reason}.'
        if warning not in self.warnings:
            self.warnings.append(warning)
