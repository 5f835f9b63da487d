# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Messages out of a rosbag2 SQLite file that SQLite itself no longer reads to the end.

A file that is cut short misses pages anywhere in its trees, and SQLite fills a page that is cut
in two with zeros, so that a message may come back with a wrong end. Here every whole page that
holds rows is looked at by itself, and a message counts only if all its bytes are there.
Format: https://www.sqlite.org/fileformat.html, sections 1.3 (header), 1.6 (b-tree pages) and
2.1 (records).
"""
from __future__ import annotations

from collections.abc import Iterator
import mmap
from pathlib import Path
import struct

import numpy as np

LEAF_TABLE_PAGE = 0x0D
# Bytes of a value by its serial type, for the types 0 to 9.
SERIAL_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


class SalvagedMessages:
    """The whole messages of a damaged file, found once and read when they are asked for."""

    def __init__(self, pages: Pages, index: np.ndarray) -> None:
        self._pages = pages
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @property
    def start_ns(self) -> int | None:
        """Time of the first message in nanoseconds, or None."""
        return int(self._index['timestamp'][0]) if len(self) else None

    @property
    def end_ns(self) -> int | None:
        """Time of the last message in nanoseconds, or None."""
        return int(self._index['timestamp'][-1]) if len(self) else None

    def counts(self) -> dict[int, int]:
        """Count the messages of each topic id."""
        ids, counts = np.unique(self._index['topic_id'], return_counts=True)
        return dict(zip(ids.tolist(), counts.tolist()))

    def messages(self, topic_ids: set[int], start_ns: int | None,
                 last: tuple[int, int] | None) -> Iterator[tuple[int, int, bytes]]:
        """Yield (timestamp, topic id, data) by time, behind the (timestamp, key) of last."""
        for timestamp, key, topic_id, page, offset in self._index.tolist():
            if topic_id not in topic_ids or (start_ns is not None and timestamp < start_ns):
                continue
            if last is not None and (timestamp, key) <= last:
                continue
            payload, _ = self._pages.payload(page, offset)
            _, _, blob_start = parse_row(payload)
            yield timestamp, topic_id, payload[blob_start:]


class Pages:
    """The whole pages of a SQLite file; page numbers count from one."""

    def __init__(self, path: Path) -> None:
        with path.open('rb') as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        page_size = int.from_bytes(self._bytes[16:18], 'big')
        self.size = 65536 if page_size == 1 else page_size
        self.usable = self.size - self._bytes[20]
        self.count = len(self._bytes) // self.size

    def leaves(self) -> Iterator[int]:
        """Yield the numbers of the pages that hold rows of a table."""
        # The first byte of an overflow page belongs to a page number and stays below 0x0D in
        # any file under 800 GB. Page 1 holds the list of tables only.
        for page in range(2, self.count + 1):
            if self._bytes[(page - 1) * self.size] == LEAF_TABLE_PAGE:
                yield page

    def cells(self, page: int) -> list[int]:
        """Return the offsets in the file of the cells of a leaf page."""
        start = (page - 1) * self.size
        count, = struct.unpack_from('>H', self._bytes, start + 3)
        count = min(count, (self.size - 8) // 2)
        return [start + offset
                for offset in struct.unpack_from(f'>{count}H', self._bytes, start + 8)
                if 8 + 2 * count <= offset < self.usable]

    def payload(self, page: int, offset: int) -> tuple[bytes | None, int]:
        """Return a row's payload and key; None in place of a payload that is not whole."""
        # Padded, since a damaged row may begin right at the end of the file.
        head = self._bytes[offset:offset + 18] + bytes(18)
        length, position = varint(head, 0)
        key, position = varint(head, position)
        position += offset
        # Section 1.6: how much of a payload stays on the leaf page.
        local = length
        if length > self.usable - 35:
            least = (self.usable - 12) * 32 // 255 - 23
            local = least + (length - least) % (self.usable - 4)
            local = least if local > self.usable - 35 else local
        left = length - local
        if position + local + (4 if left else 0) > page * self.size:
            return None, key
        parts = [self._bytes[position:position + local]]
        overflow = position + local
        while left > 0:
            number, = struct.unpack_from('>I', self._bytes, overflow)
            if not 2 <= number <= self.count:
                return None, key
            overflow = (number - 1) * self.size
            parts.append(self._bytes[overflow + 4:overflow + 4 + min(left, self.usable - 4)])
            left -= self.usable - 4
        return b''.join(parts), key


def salvage_messages(path: Path) -> SalvagedMessages:
    """Find every message of a rosbag2 SQLite file that is whole."""
    pages = Pages(path)
    rows: dict[int, tuple[int, int, int, int, int]] = {}
    for page in pages.leaves():
        for offset in pages.cells(page):
            payload, key = pages.payload(page, offset)
            row = None if payload is None else parse_row(payload)
            if row is not None:
                topic_id, timestamp, _ = row
                rows[key] = (timestamp, key, topic_id, page, offset)
    index = np.array(sorted(rows.values()), dtype=[
        (name, np.int64) for name in ('timestamp', 'key', 'topic_id', 'page', 'offset')])
    return SalvagedMessages(pages, index)


def parse_row(payload: bytes) -> tuple[int, int, int] | None:
    """
    Read a payload as a row of messages(id, topic_id, timestamp, data).

    Return topic_id, timestamp and the blob's start in the payload. Return None for the rows of
    other tables, whose columns are of other types, and for a payload that is shorter or longer
    than its columns need.
    """
    header_end, position = payload[0] if payload else 0, 1
    if header_end > min(len(payload), 0x7F):
        return None
    # Padded, since a damaged type may claim bytes behind the header.
    header = payload[:header_end] + bytes(9)
    types = []
    while position < header_end:
        serial_type, position = varint(header, position)
        types.append(serial_type)
    # The id is the key of the row and NULL in its record; the blob's type is even and >= 12.
    if len(types) != 4 or types[0] != 0 or max(types[1:3]) > 9 or 7 in types[1:3]:
        return None
    if types[3] < 12 or types[3] % 2:
        return None
    topic_id, position = integer(payload, position, types[1])
    timestamp, position = integer(payload, position, types[2])
    if position + (types[3] - 12) // 2 != len(payload):
        return None
    return topic_id, timestamp, position


def integer(data: bytes, position: int, serial_type: int) -> tuple[int, int]:
    """Read an integer of serial type 1 to 6, 8 (zero) or 9 (one), and the position behind it."""
    if serial_type >= 8:
        return serial_type - 8, position
    end = position + SERIAL_BYTES[serial_type]
    return int.from_bytes(data[position:end], 'big', signed=True), end


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Read SQLite's variable-length integer of one to nine bytes, and the position behind it."""
    value = 0
    for count in range(8):
        byte = data[position + count]
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, position + count + 1
    return (value << 8) | data[position + 8], position + 9
