# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files of every shape, cut short, and with broken bytes."""
from damaged_bags import assert_complete, assert_whole_part, COUNT, DATA, EVENT_PACKET, TOPIC
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer as McapWriter
import numpy as np
import pytest

from depth_anyevent_ros.datasets.bags import BagWriter


def write_mcap(path, data=None, schema=True, channels_first=True, **options):
    """Write an MCAP file with the package mcap, which writes every variant of the format."""
    with path.open('wb') as stream:
        writer = McapWriter(stream, chunk_size=50_000, **options)
        writer.start('ros2', 'test')
        schema_id = writer.register_schema(
            EVENT_PACKET, 'ros2idl', b'module broken { struct }') if schema else 0
        channel = writer.register_channel(TOPIC, 'cdr', schema_id)
        for index, message in enumerate(DATA if data is None else data):
            writer.add_message(channel, index * 1000, message, index * 1000)
        writer.finish()
    return path


MCAP_OPTIONS = [
    {}, {'compression': CompressionType.LZ4}, {'compression': CompressionType.NONE},
    {'use_chunking': False}, {'use_statistics': False},
    {'repeat_channels': False, 'repeat_schemas': False},
    {'repeat_channels': False, 'repeat_schemas': False, 'use_statistics': False,
     'use_summary_offsets': False}]


@pytest.mark.parametrize('options', MCAP_OPTIONS)
def test_mcap_of_every_shape(tmp_path, options):
    assert_complete(write_mcap(tmp_path / 'bag.mcap', **options))


@pytest.mark.parametrize('options', MCAP_OPTIONS)
@pytest.mark.parametrize('fraction', [0.02, 0.2, 0.5, 0.8, 0.99])
def test_mcap_cut_short(tmp_path, options, fraction):
    path = write_mcap(tmp_path / 'bag.mcap', **options)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * fraction)])
    # A cut compressed chunk gives what its decompressor lets go of, by blocks.
    block = 25_000 if options.get('use_chunking') is False else 150_000
    sizes = np.cumsum([len(data) for data in DATA])
    assert_whole_part(path, np.sum(sizes < len(content) * fraction - block))


def test_mcap_cut_in_an_uncompressed_chunk_gives_every_whole_message(tmp_path):
    path = write_mcap(tmp_path / 'bag.mcap', compression=CompressionType.NONE)
    content = path.read_bytes()
    cut = content.index(DATA[17]) + len(DATA[17])
    path.write_bytes(content[:cut])
    assert assert_whole_part(path, 18) == 18
    path.write_bytes(content[:cut - 1])
    assert assert_whole_part(path, 17) == 17


def test_mcap_without_schema_takes_the_type_from_metadata(tmp_path):
    with BagWriter(tmp_path / 'bag', 'mcap') as writer:
        for index, data in enumerate(DATA):
            writer.write_raw(TOPIC, EVENT_PACKET, data, index * 1000)
    write_mcap(tmp_path / 'bag' / 'bag.mcap', schema=False)
    assert_complete(tmp_path / 'bag', 'do not say the type')


@pytest.mark.parametrize('compression', [CompressionType.NONE, CompressionType.ZSTD])
def test_mcap_with_a_broken_chunk(tmp_path, compression):
    path = write_mcap(tmp_path / 'bag.mcap', compression=compression)
    content = bytearray(path.read_bytes())
    start = len(content) // 2
    content[start:start + 8] = b'\x00' * 8
    path.write_bytes(content)
    assert_whole_part(path, COUNT - 10)


def test_mcap_with_a_broken_record_length_goes_on_behind_it(tmp_path):
    path = write_mcap(tmp_path / 'bag.mcap', compression=CompressionType.NONE)
    content = bytearray(path.read_bytes())
    with path.open('rb') as stream:
        chunk = make_reader(stream).get_summary().chunk_indexes[1].chunk_start_offset
    content[chunk:chunk + 9] = bytes(9)
    path.write_bytes(content)
    # The summary says where the chunks are, so that nothing is lost but the way from one to the
    # next.
    assert assert_whole_part(path, COUNT) == COUNT
