# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stays of folders where a bag or a sequence is not made to its end."""
import pytest
from tiny_sequences import write_sequence

from depth_anyevent_ros.bag_recording import BagRecording
from depth_anyevent_ros.datasets.bags import BagError, whole_bag
from depth_anyevent_ros.datasets.part_folder import FolderInUse, PartFolder

STRING = 'std_msgs/msg/String'


def failed_bag(path):
    with pytest.raises(KeyError), whole_bag(path) as writer:
        writer.write_string('/said', 'a', 1)
        raise KeyError


def refused_bag(path):
    with pytest.raises(BagError, match='unknown'), whole_bag(path, 'zip'):
        pass


def failed_sequence(path):
    with pytest.raises(ValueError):
        write_sequence(path, scale=-1.0)


def abandoned_recording(path):
    recording = BagRecording(path)
    recording.write('/said', STRING, bytes(12), 1)
    recording.abandon()


def empty_recording(path):
    BagRecording(path).finish()


def impossible_name(path):
    with pytest.raises(OSError):
        PartFolder(path.with_name('x' * 300))


@pytest.mark.parametrize('fail', [failed_bag, refused_bag, failed_sequence, abandoned_recording,
                                  empty_recording, impossible_name])
def test_what_fails_leaves_no_folder_above_it(tmp_path, fail):
    (tmp_path / 'there').mkdir()
    fail(tmp_path / 'there' / 'made' / 'too' / 'one')
    assert not list((tmp_path / 'there').iterdir())
    fail(tmp_path / 'there' / 'one')  # was there before, however empty
    assert not list((tmp_path / 'there').iterdir())


def test_folders_above_stay_with_what_came_into_them(tmp_path):
    one, other = tmp_path / 'a' / 'b' / 'one', tmp_path / 'a' / 'other'
    with pytest.raises(KeyError), whole_bag(one):
        with whole_bag(other):
            pass
        raise KeyError
    assert other.is_dir() and [path.name for path in (tmp_path / 'a').iterdir()] == ['other']
    recording = BagRecording(one)
    with pytest.raises(FolderInUse, match='by another process'):
        BagRecording(one)
    recording.write('/said', STRING, bytes(12), 1)
    recording.finish()
    assert [path.name for path in one.parent.iterdir()] == ['one']
