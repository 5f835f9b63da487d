# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the replay buffer keeps, what it holds out, and how much memory it takes."""
import numpy as np
import pytest

from depth_anyevent_ros.distillation.replay_buffer import (
    BufferConfig, LabelledFrame, ReplayBuffer)

PERIOD = 50_000_000
SMALL = BufferConfig(block=5, held_out_every=3, gap=2)


def frame(index, stretch=1, size=(4, 6)):
    return LabelledFrame(np.full((3, *size), index % 256, np.uint8),
                         np.full(size, index, np.float16), index * PERIOD, 10, stretch)


def filled(count, config=SMALL, seed=0):
    buffer = ReplayBuffer(config, seed)
    for index in range(count):
        buffer.add(frame(index))
    return buffer


def numbers(blocks):
    return [(block.times_ns // PERIOD).tolist() for block in blocks]


def test_held_out_blocks_keep_their_distance():
    buffer = filled(200)
    trained = np.concatenate(numbers(buffer.training))
    assert len(buffer.held_out) >= 10
    for block in numbers(buffer.held_out):
        assert block == list(range(block[0], block[0] + 5))
        assert np.abs(np.subtract.outer(block, trained)).min() == SMALL.gap + 1
    assert len(trained) + 5 * len(buffer.held_out) + buffer.counts['gap_frames'] >= 195


def test_blocks_hold_what_came():
    for block in filled(40).training:
        index = block.times_ns // PERIOD
        np.testing.assert_array_equal(block.image[:, 0, 0, 0], index)
        np.testing.assert_array_equal(block.inverse_depth[:, 0, 0], index)
        assert block.usable.all() and len(block) == 5


def test_a_block_is_held_out_for_one_decision():
    buffer = filled(100)
    held = numbers(buffer.held_out)
    buffer.use_up_held_out()
    assert buffer.held_out == []
    assert all(block in numbers(buffer.training) for block in held)
    for index in range(100, 200):
        buffer.add(frame(index))
    assert buffer.held_out and not any(block in held for block in numbers(buffer.held_out))
    firsts = [block[0] for block in numbers(buffer.training)]
    assert firsts == sorted(firsts)


def test_interruptions_end_a_block():
    buffer = ReplayBuffer(SMALL)
    for index in [0, 1, 2, 30, 31, 60, 12, 13]:
        buffer.add(frame(index))
    buffer.add(frame(14, stretch=2))
    buffer.add(frame(15))
    for index in range(100, 103):
        buffer.add(frame(index))
    blocks = numbers(buffer.training) + numbers(buffer.held_out)
    assert [0, 1, 2] in blocks and buffer.counts['lone_frames'] >= 1
    for block in blocks:
        assert np.all(np.diff(block) == 1)
    assert [12, 13, 14] not in blocks


def test_memory_is_bounded_and_some_of_the_past_stays():
    config = BufferConfig(max_bytes=200 * frame(0).nbytes, block=5, held_out_every=4, gap=1)
    ages = []
    for seed in range(20):
        buffer = ReplayBuffer(config, seed)
        for index in range(4000):
            buffer.add(frame(index))
            assert buffer.nbytes <= config.max_bytes
            if index % 100 == 0:
                buffer.use_up_held_out()
        firsts = np.array([block[0] for block in numbers(buffer.training)])
        assert firsts.max() > 3980 and buffer.counts['evicted_blocks'] > 500
        ages.append(firsts[:len(firsts) // 2])
    # The older half of what is kept comes evenly from all that has been.
    assert 1500 < np.mean(np.concatenate(ages)) < 2500
    assert np.mean(np.concatenate(ages) < 1000) > 0.15
    assert numbers(filled(2000, config).training) == numbers(filled(2000, config).training)


def test_a_sensor_that_is_started_again_gives_the_newest_blocks():
    buffer = filled(100)
    for index in range(60):
        buffer.add(frame(index, stretch=2))
    buffer.use_up_held_out()
    starts = [block[0] for block in numbers(buffer.training)]
    old = starts.index(0, 1)
    assert starts[:old] == sorted(starts[:old]) and starts[old - 1] > 80
    assert starts[old:] == sorted(starts[old:]) and starts[-1] < 60
    buffer.forget(2, 30 * PERIOD)
    left = [block[0] for block in numbers(buffer.training)]
    assert left[:old] == starts[:old] and 0 < len(left[old:]) and max(left[old:]) < 30
    buffer.forget(1, 50 * PERIOD)  # a doubt that reaches back over the start
    left = [block[0] for block in numbers(buffer.training)]
    assert left == [start for start in starts[:old] if start + 5 <= 50]


def test_another_size_begins_anew():
    buffer = filled(60)
    buffer.add(frame(60, size=(8, 6)))
    assert buffer.counts['size_changes'] == 1 and not buffer.training and not buffer.held_out


@pytest.mark.parametrize('change', [{'block': 1}, {'held_out_every': 1}, {'gap': -1},
                                    {'recent': 1.5}, {'max_bytes': 0}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError, match='not'):
        BufferConfig(**change)


@pytest.mark.parametrize('rate_hz', [0.2, 1.0, 1.9, 5.0])
def test_labels_that_come_seldom_make_blocks_too(rate_hz):
    rng = np.random.default_rng(0)
    times = (np.arange(60) / rate_hz + rng.uniform(-0.005, 0.005, 60) + 1) * 1e9
    buffer = ReplayBuffer(SMALL)
    for time_ns in times.astype(np.int64).tolist():
        buffer.add(LabelledFrame(*(getattr(frame(1), name) for name in ('image', 'inverse_depth')),
                                 time_ns, 10, 1))
    assert buffer.counts['lone_frames'] <= 1  # the first, before anything is usual
    assert 6 <= len(buffer.training) and 2 <= len(buffer.held_out)


def test_a_pause_longer_than_usual_ends_a_block():
    buffer = ReplayBuffer(SMALL)
    for index in [*range(4), *range(14, 20)]:  # 0.5 s is still one block, 0.55 s are not
        buffer.add(frame(index))
    assert numbers(buffer.training)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize('before', [1, 2])
def test_a_pause_after_the_first_labels_is_one(before):
    buffer = ReplayBuffer(SMALL)
    for index in [*range(before), *range(1000, 1010)]:
        buffer.add(frame(index))
    assert numbers(buffer.training)[0] == ([0, 1] if before == 2 else [*range(1000, 1005)])
