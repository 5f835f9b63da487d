# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets to arrays of events: none is left behind at the end of a stream."""
from event_packets import ALL, packets_of, random_events
import numpy as np
import pytest

from depth_anyevent_ros.events.reel import EventReel


@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('count', [1, 20, 1500])
def test_what_waited_for_the_next_packet_comes_at_the_end(encoding, count):
    events = random_events(1, count)
    reel = EventReel()
    first, = packets_of(events, encoding)
    reel.push(first)  # whose times nothing confirms yet
    held = [reel.take(), reel.take(final=True)]
    assert len(held[0]) < count
    np.testing.assert_array_equal(np.concatenate([part.x for part in held]), events.x)
    assert len(reel.take(final=True)) == 0


def test_what_waited_comes_before_another_stream():
    events, reel = random_events(1, 20), EventReel()
    for encoding in ('mono', 'libcaer'):
        reel.push(packets_of(events, encoding)[0])
    assert len(reel.take()) >= 20
