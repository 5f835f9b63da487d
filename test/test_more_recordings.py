# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Real recordings that are neither ours nor beside the checkout, by hand.

  ./scripts/test.sh -n 0 test/test_more_recordings.py --event-camera-py DIR

Sums of times are those that event_camera_py's own tests expect, and theirs of ON and OFF; sums of
places are those of the C++ decoder event_camera_codecs, whose events are ours one by one.
"""
import numpy as np
import pytest

from depth_anyevent_ros.datasets.bags import decode_event_packet, event_topics, open_bag
from depth_anyevent_ros.events.decoders import make_decoder
from depth_anyevent_ros.events.types import Events

# The first has triggers besides, whose times their sum counts too.
EVT3 = {'encoding': 'evt3', 'size': (640, 480), 'packets': 517, 'off': 218291, 'on': 125183,
        'x': 116731888, 'y': 80879209, 'us': 2885601049874 - 33999437880, 'triggers': 4157}
# An MCAP file with an empty storage identifier; times are counted from the first event.
LIBCAER_CMP = {'encoding': 'libcaer_cmp', 'size': (346, 260), 'packets': 100, 'off': 360223,
               'on': 211043, 'x': 118469679, 'y': 78763572, 'us': 335555680277, 'triggers': 0}


@pytest.mark.parametrize('name, expected', [
    ('test_events_1', EVT3), ('test_events_2', LIBCAER_CMP)])
def test_recordings_of_event_camera_py(pytestconfig, name, expected):
    folder = pytestconfig.getoption('--event-camera-py')
    if folder is None:
        pytest.skip('these recordings are not ours to ship: give --event-camera-py DIR')
    with open_bag(folder / 'tests' / name) as reader:
        packets = [decode_event_packet(raw) for raw in reader.messages(event_topics(reader))]
    decoder = make_decoder(packets[0])
    events = Events.concatenate([*map(decoder.decode, packets), decoder.flush()])
    begin_ns = 0 if expected['encoding'] == 'evt3' else packets[0].time_base
    counters = decoder.counters()
    assert counters.pop('triggers') == expected['triggers']
    assert counters.pop('events') == len(events) and counters.pop('on') == expected['on']
    assert not any(counters.values()), counters
    assert {
        'encoding': packets[0].encoding, 'size': (packets[0].width, packets[0].height),
        'packets': len(packets), 'on': int(events.p.sum()), 'off': int((events.p == 0).sum()),
        'x': int(events.x.sum(dtype=np.int64)), 'y': int(events.y.sum(dtype=np.int64)),
        'us': int(((events.t - begin_ns) // 1000).sum())
    } == {key: value for key, value in expected.items() if key != 'triggers'}
