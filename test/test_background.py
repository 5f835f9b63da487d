# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stages that overlap: order, bounds, and what they raise."""
import threading
import time

import pytest

from depth_anyevent_ros.background import abreast, Ahead, Behind


def failing(count):
    yield from range(count)
    raise OSError('the disk is gone')


def test_ahead_keeps_the_order_and_its_distance():
    made = []

    def items():
        for item in range(20):
            made.append(item)
            yield item
    with Ahead(items(), depth=2) as ahead:
        taken = iter(ahead)
        assert next(taken) == 0
        time.sleep(0.3)
        assert len(made) <= 1 + 2 + 1  # taken, waiting, and one in hand
        assert list(taken) == list(range(1, 20))


def test_what_the_source_raises_is_raised_behind_what_it_gave():
    got = []
    with pytest.raises(OSError, match='disk'), Ahead(failing(3)) as ahead:
        got.extend(ahead)
    with pytest.raises(OSError, match='disk'), Ahead(failing(3)) as ahead:
        for item in ahead:
            got.append(item)
    assert got[-3:] == [0, 1, 2]


def test_a_source_that_is_left_early_ends():
    with Ahead(iter(range(10**9)), depth=1) as ahead:
        assert next(iter(ahead)) == 0
    assert not any(thread.name == 'ahead' for thread in threading.enumerate())


def test_behind_consumes_all_in_order_before_it_ends():
    got = []
    with Behind(lambda item: (time.sleep(0.01), got.append(item))) as behind:
        for item in range(20):
            behind.put(item)
    assert got == list(range(20))


def test_what_the_consumer_raises_ends_the_producer():
    def consume(item):
        raise OSError('the disk is full')
    with pytest.raises(OSError, match='full'), Behind(consume) as behind:
        for item in range(1000):
            behind.put(item)


def test_abreast_keeps_the_order_though_lanes_differ():
    begun, seen = [], set()

    def work(item):
        seen.add(threading.get_ident())
        time.sleep(0.03 if item % 3 == 0 else 0.001)
        return item * item
    found = list(abreast(work, range(30), 3, lambda: begun.append(1)))
    assert found == [item * item for item in range(30)]
    assert len(begun) == len(seen) > 1


def test_abreast_takes_no_more_than_it_has_lanes_for():
    taken = []

    def items():
        for item in range(20):
            taken.append(item)
            yield item
    lanes = abreast(lambda item: item, items(), 2)
    assert next(lanes) == 0
    assert len(taken) == 3


def test_what_a_lane_raises_is_raised_in_its_place():
    def work(item):
        if item == 3:
            raise ValueError('three')
        return item
    got = []
    with pytest.raises(ValueError, match='three'):
        got.extend(abreast(work, range(9), 2))
    for item in abreast(work, range(3), 2):
        got.append(item)
    assert got[-3:] == [0, 1, 2]
