# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The records of an MCAP file, whole or cut short.

The package mcap knows the contents of the records, but takes a record that is cut in two for a
whole one; so the walk from record to record is done here. Format: https://mcap.dev/spec.
"""
from __future__ import annotations

from collections.abc import Iterator
import io
import struct
from typing import BinaryIO, NamedTuple
import zlib

import lz4.frame
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Footer
import zstandard

from depth_anyevent_ros.datasets.bag_types import BagError

MCAP_MAGIC = b'\x89MCAP0\r\n'
RECORD_HEADER = struct.Struct('<BQ')
MESSAGE_HEADER = struct.Struct('<HIQQ')
CHUNK_HEADER = struct.Struct('<QQQI')
FOOTER_BYTES = RECORD_HEADER.size + 20


class DamagedChunkError(BagError):
    """A chunk that cannot be unpacked."""


class Record(NamedTuple):
    """A record: where its content starts, how long it says it is, and whether all is there."""

    opcode: int
    start: int
    length: int
    whole: bool


class ChunkPlace(NamedTuple):
    """Where a chunk's content lies, and the first and last time in it in nanoseconds."""

    start_ns: int
    end_ns: int
    start: int
    length: int
    whole: bool


def file_records(file: BinaryIO, offset: int, size: int) -> Iterator[Record]:
    """
    Walk over the records of a file from offset on.

    The walk ends behind the footer, at the end of the file (size in bytes), behind a record
    that is not whole, or where no record begins (opcode 0 or a length beyond reason).
    """
    while offset + RECORD_HEADER.size <= size:
        file.seek(offset)
        opcode, length = RECORD_HEADER.unpack(file.read(RECORD_HEADER.size))
        offset += RECORD_HEADER.size
        if opcode == 0:
            return
        whole = offset + length <= size
        yield Record(opcode, offset, length, whole)
        if not whole or opcode == Opcode.FOOTER:
            return
        offset += length


def chunk_records(data: bytes) -> Iterator[Record]:
    """Walk over the whole records of an unpacked chunk."""
    offset = 0
    while offset + RECORD_HEADER.size <= len(data):
        opcode, length = RECORD_HEADER.unpack_from(data, offset)
        offset += RECORD_HEADER.size
        if offset + length > len(data):
            return
        yield Record(opcode, offset, length, True)
        offset += length


def summary_start(file: BinaryIO, size: int) -> int:
    """Return where the summary begins, or 0 if the file has none or no proper end."""
    tail = FOOTER_BYTES + len(MCAP_MAGIC)
    if size < tail + len(MCAP_MAGIC):
        return 0
    file.seek(size - tail)
    data = file.read(tail)
    opcode, length = RECORD_HEADER.unpack_from(data)
    if (opcode, length) != (Opcode.FOOTER, 20) or not data.endswith(MCAP_MAGIC):
        return 0
    footer = Footer.read(ReadDataStream(io.BytesIO(data[RECORD_HEADER.size:])))
    return footer.summary_start if footer.summary_start < size else 0


def unpack_chunk(file: BinaryIO, place: ChunkPlace) -> bytes:
    """
    Read and decompress a chunk; of one that is cut short, what comes before the cut.

    Raise DamagedChunkError where the compression is unknown or contents and checksum disagree.
    """
    file.seek(place.start)
    content = file.read(place.length)
    _, _, size, checksum = CHUNK_HEADER.unpack_from(content)
    start = CHUNK_HEADER.size + 4
    compression_end = start + int.from_bytes(content[start - 4:start], 'little')
    compression = content[start:compression_end]
    packed = content[compression_end + 8:]
    try:
        data = decompress(packed, compression)
    except (RuntimeError, zstandard.ZstdError) as error:
        raise DamagedChunkError(f'it cannot be decompressed ({error})') from error
    if place.whole and len(data) != size:
        raise DamagedChunkError(f'it holds {len(data)} bytes where {size} were expected')
    if place.whole and checksum and zlib.crc32(data) != checksum:
        raise DamagedChunkError('its contents do not match its checksum')
    return data


def decompress(packed: bytes, compression: bytes) -> bytes:
    """Decompress as far as the bytes reach."""
    if compression == b'':
        return packed
    if compression == b'zstd':
        return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    if compression == b'lz4':
        return lz4.frame.LZ4FrameDecompressor().decompress(packed)
    raise DamagedChunkError(
        f'its compression {compression.decode(errors="replace")!r} is unknown, expected none, '
        'zstd or lz4')
