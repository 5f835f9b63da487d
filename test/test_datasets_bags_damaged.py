# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags as odd as real life makes them: metadata that lies, files cut short, broken bytes."""
from pathlib import Path
import shutil
import sqlite3

from damaged_bags import (
    assert_complete, assert_whole_part, COUNT, DATA, EVENT_PACKET, read_all, TOPIC)
import numpy as np
import pytest
import yaml
import zstandard

from depth_anyevent_ros.datasets.bags import BagError, BagWriter, open_bag


@pytest.fixture(scope='module')
def pristine(tmp_path_factory) -> dict[str, Path]:
    """Make one good bag of each storage plugin, to be copied and damaged."""
    folder = tmp_path_factory.mktemp('pristine')
    for storage in ('sqlite3', 'mcap'):
        with BagWriter(folder / storage, storage) as writer:
            for index, data in enumerate(DATA):
                writer.write_raw(TOPIC, EVENT_PACKET, data, index * 1000)
    return {storage: folder / storage for storage in ('sqlite3', 'mcap')}


@pytest.fixture
def bag(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine['sqlite3'], tmp_path / 'bag'))


def test_rows_of_nothing_in_a_readable_database(bag):
    with sqlite3.connect(next(bag.glob('*.db3'))) as connection:
        connection.execute('PRAGMA writable_schema=ON')
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
    connection.close()
    with sqlite3.connect(next(bag.glob('*.db3'))) as connection:
        connection.execute("UPDATE messages SET timestamp = 'x', data = NULL WHERE id = 7")
    connection.close()
    assert assert_whole_part(bag, COUNT - 1) == COUNT - 1


@pytest.mark.parametrize('kind', ['schema', 'channel'])
def test_a_damaged_description_of_topics(pristine, tmp_path, kind):
    bag = Path(shutil.copytree(pristine['mcap'], tmp_path / 'bag'))
    file = next(bag.glob('*.mcap'))
    data = bytearray(file.read_bytes())
    # In the summary the length of a text is made longer than its record; the chunks have both too.
    word = EVENT_PACKET.encode() if kind == 'schema' else TOPIC.encode()
    at = data.rindex(word)
    data[at - 4:at] = (1 << 30).to_bytes(4, 'little')
    file.write_bytes(data)
    messages, reader = read_all(bag)
    assert reader.truncated and 'is damaged' in ' '.join(reader.warnings)
    assert [message.data for message in messages] == DATA


def edit(path, change):
    """Change the information in metadata.yaml."""
    document = yaml.safe_load((path / 'metadata.yaml').read_text())
    change(document['rosbag2_bagfile_information'])
    (path / 'metadata.yaml').write_text(yaml.safe_dump(document))


@pytest.mark.parametrize('field', [
    'version', 'storage_identifier', 'duration', 'starting_time', 'message_count',
    'topics_with_message_count', 'relative_file_paths'])
def test_missing_fields(bag, field):
    edit(bag, lambda information: information.pop(field))
    assert_complete(bag, f'lacks {field}')


@pytest.mark.parametrize('field', [
    'compression_format', 'compression_mode', 'files', 'custom_data', 'ros_distro'])
def test_fields_that_old_versions_lack(bag, field):
    edit(bag, lambda information: information.pop(field))
    assert_complete(bag)


@pytest.mark.parametrize('version', range(1, 10))
def test_versions(bag, version):
    def change(information):
        information['version'] = version
        if version < 4:
            information['relative_file_paths'] = ['bag/sqlite3.db3']
        if version < 7:
            del information['topics_with_message_count'][0]['topic_metadata'][
                'type_description_hash']
    edit(bag, change)
    assert_complete(bag)


@pytest.mark.parametrize('profiles', [
    '', '- history: 3\n  depth: 0', ': not [ yaml', [], [{'history': 'keep_last'}], None, 7])
def test_quality_of_service_of_any_shape(bag, profiles):
    edit(bag, lambda information: information['topics_with_message_count'][0][
        'topic_metadata'].update(offered_qos_profiles=profiles))
    assert_complete(bag)


def change_topic(**values):
    return lambda information: information['topics_with_message_count'][0][
        'topic_metadata'].update(values)


def change_count(count):
    def change(information):
        information['message_count'] = count
        information['topics_with_message_count'][0]['message_count'] = count
    return change


@pytest.mark.parametrize('change, warnings', [
    (change_count(0), ('counts 0 messages, the files hold 30', 'counts 0 messages on')),
    (change_count(99), ('counts 99 messages, the', 'counts 99 messages on')),
    (change_topic(serialization_format=''), ("format ''",)),
    (change_topic(type='std_msgs/msg/String'), ("the type 'std_msgs/msg/String'",)),
    (change_topic(name='/other'), ('names topic /other', 'does not name /event_camera')),
    (change_topic(name=None), ('without a name',)),
    (lambda information: information.update(version=12), ('version 12',)),
    (lambda information: information.update(version='x'), ("version 'x'",)),
    (lambda information: information.update(storage_identifier=''), ("storage ''",)),
    (lambda information: information.update(storage_identifier='mcap'), ("storage 'mcap'",)),
    (lambda information: information.update(relative_file_paths=['lost.db3']),
     ('lists lost.db3', 'sqlite3.db3 is read in addition')),
    (lambda information: information.update(relative_file_paths='odd'), ()),
    (lambda information: information.update(topics_with_message_count=[3]), ('without a name',)),
    (lambda information: information.update(compression_mode='MESSAGE'), ()),
])
def test_metadata_that_lies(bag, change, warnings):
    edit(bag, change)
    assert_complete(bag, *warnings)


@pytest.mark.parametrize('text, warning', [
    ('', 'lacks the key'), ('- 1\n- 2', 'lacks the key'), ('a: [', 'cannot be read'),
    (b'\xff\xfe\x00', 'cannot be read'), ('rosbag2_bagfile_information: 3', 'lacks the key')])
def test_metadata_that_is_not_metadata(bag, text, warning):
    content = text if isinstance(text, bytes) else text.encode()
    (bag / 'metadata.yaml').write_bytes(content)
    assert_complete(bag, warning)


def test_renamed_and_foreign_files(bag, pristine):
    (bag / 'sqlite3.db3').rename(bag / 'renamed without suffix')
    assert_complete(bag, 'lists sqlite3.db3', 'renamed without suffix is read in addition')
    (bag / 'renamed without suffix').rename(bag / 'sqlite3.db3')
    shutil.copy(pristine['mcap'] / 'mcap.mcap', bag / 'other.mcap')
    (bag / 'notes.txt').write_text('not a part of it')
    (bag / 'sqlite3_1.db3').touch()
    assert_complete(bag, 'other.mcap is not listed', 'sqlite3_1.db3 is empty')


@pytest.mark.parametrize('fraction', [0.03, 0.1, 0.25, 0.4, 0.5, 0.62, 0.77, 0.9, 0.97, 0.999])
def test_sqlite_cut_short(bag, fraction):
    file = bag / 'sqlite3.db3'
    content = file.read_bytes()
    file.write_bytes(content[:int(len(content) * fraction)])
    # Between two whole messages there is only what they share pages with.
    sizes = np.cumsum([len(data) for data in DATA])
    assert_whole_part(bag, np.sum(sizes < len(content) * fraction - 60_000))


def test_sqlite_cut_short_says_how_much_is_missing(bag):
    file = bag / 'sqlite3.db3'
    content = file.read_bytes()
    file.write_bytes(content[:len(content) // 2])
    found = assert_whole_part(bag, 5)
    _, reader = read_all(bag)
    assert any(f'counts 30 messages on {TOPIC}, the files hold {found}' in warning
               for warning in reader.warnings)


def test_sqlite_cut_before_its_tables(bag):
    file = bag / 'sqlite3.db3'
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(BagError, match='cut short before them'):
        open_bag(bag)


def test_sqlite_with_broken_pages(bag):
    file = bag / 'sqlite3.db3'
    content = bytearray(file.read_bytes())
    page = len(content) // 2 // 4096 * 4096
    content[page:page + 3 * 4096] = bytes(3 * 4096)
    file.write_bytes(content)
    messages, reader = read_all(bag)
    # Pages of zeros inside a message cannot be told from a message of zeros; all others hold.
    assert len(messages) >= COUNT - 3
    wrong = [message for message in messages if message.data not in DATA]
    assert len(wrong) <= 1


def test_sqlite_with_a_broken_index(bag):
    connection = sqlite3.connect(bag / 'sqlite3.db3')
    root, = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'timestamp_idx'").fetchone()
    connection.close()
    content = bytearray((bag / 'sqlite3.db3').read_bytes())
    content[(root - 1) * 4096:root * 4096] = b'\x55' * 4096
    (bag / 'sqlite3.db3').write_bytes(content)
    assert assert_whole_part(bag, COUNT) == COUNT


def test_sqlite_rows_of_other_kinds_are_not_taken_for_messages(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for index in range(40):
            writer.write_raw(TOPIC, EVENT_PACKET, DATA[index % COUNT], index - 20)
    file = tmp_path / 'bag' / 'bag.db3'
    connection = sqlite3.connect(file)
    connection.execute('CREATE TABLE more(a INTEGER PRIMARY KEY, b, c, d)')
    connection.executemany('INSERT INTO more VALUES(?, ?, ?, ?)', [
        (1, 1, 2, 'text'), (2, 1.5, 2, b'blob'), (3, None, 2, b'blob'), (4, b'x', 2, b'b')])
    connection.commit()
    connection.close()
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    messages, _ = read_all(tmp_path / 'bag')
    assert [message.timestamp_ns for message in messages] == list(range(-20, 20))


@pytest.mark.parametrize('keep_shared_memory', [True, False])
def test_sqlite_with_a_log(tmp_path, keep_shared_memory):
    source = tmp_path / 'source'
    with BagWriter(source) as writer:
        for index in range(10):
            writer.write_raw(TOPIC, EVENT_PACKET, DATA[index], index * 1000)
    live = sqlite3.connect(source / 'source.db3')
    live.execute('PRAGMA journal_mode=WAL')
    live.execute('PRAGMA wal_autocheckpoint=0')
    live.executemany('INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)',
                     [(index * 1000, DATA[index]) for index in range(10, COUNT)])
    live.commit()
    crashed = shutil.copytree(source, tmp_path / 'crashed')
    live.close()
    if not keep_shared_memory:
        (crashed / 'source.db3-shm').unlink()
    (crashed / 'metadata.yaml').unlink()
    before = sorted(path.name for path in crashed.iterdir())
    assert_complete(crashed, 'no metadata.yaml', 'not closed by its recorder')
    assert sorted(path.name for path in crashed.iterdir()) == before
    assert_complete(crashed / 'source.db3', 'source.db3-wal')


def test_mcap_with_an_empty_storage_identifier(pristine, tmp_path):
    bag = Path(shutil.copytree(pristine['mcap'], tmp_path / 'bag'))
    edit(bag, lambda information: information.update(storage_identifier=''))
    assert_complete(bag, "names the storage ''")


def test_a_message_that_cannot_be_decompressed(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_raw(TOPIC, EVENT_PACKET, DATA[0], 0)
        writer.write_raw(TOPIC, EVENT_PACKET, b'\x28\xb5\x2f\xfd' + b'\xff' * 40, 1)
        writer.write_raw(TOPIC, EVENT_PACKET, DATA[2], 2)
    with open_bag(tmp_path / 'bag') as reader:
        assert [message.timestamp_ns for message in reader.messages()] == [0, 2]
        assert reader.truncated and 'cannot be decompressed' in reader.warnings[0]


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_compressed_file_cut_short(pristine, tmp_path, storage):
    name = {'sqlite3': 'sqlite3.db3', 'mcap': 'mcap.mcap'}[storage]
    packed = zstandard.compress((pristine[storage] / name).read_bytes())
    (tmp_path / f'{name}.zstd').write_bytes(packed[:len(packed) // 2])
    # zstd lets go of blocks of 128 KiB.
    assert_whole_part(tmp_path / f'{name}.zstd', 5)


def test_one_broken_file_of_several(pristine, tmp_path):
    bag = Path(shutil.copytree(pristine['sqlite3'], tmp_path / 'bag'))
    (bag / 'metadata.yaml').unlink()
    (bag / 'broken.db3').write_bytes((bag / 'sqlite3.db3').read_bytes()[:3000])
    messages, reader = read_all(bag)
    assert [message.data for message in messages] == DATA
    assert reader.truncated and any('broken.db3' in warning for warning in reader.warnings)


def test_real_recording_cut_short(shared_data, tmp_path):
    source = shared_data / 'bags' / 'test_data_libcaer_rollover'
    whole, _ = read_all(source)
    content = (source / 'libcaer_rollover_0.db3').read_bytes()
    found = []
    for fraction in (0.05, 0.5, 0.99):
        (tmp_path / 'cut.db3').write_bytes(content[:int(len(content) * fraction)])
        messages, reader = read_all(tmp_path / 'cut.db3')
        assert messages == [message for message in whole if message in messages]
        assert reader.truncated
        found.append(len(messages))
    assert found[0] >= 6 and found[1] >= 95 and found[2] >= 195
