# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The world of boxes, and the recording that was made of it."""
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from depth_anyevent_ros.datasets.bags import decode, decode_event_packet, event_topics, open_bag
from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.simulation.boxes import boxes_scene, boxes_simulation, DAVIS346
from depth_anyevent_ros.simulation.recording import events, truth

MS = 1_000_000
ROS_START_NS = 1_700_000_000_000 * MS
SENSOR_START_NS = 16_000 * MS


@pytest.fixture(scope='module')
def script():
    path = Path(__file__).resolve().parents[1] / 'scripts' / 'make_recording.py'
    spec = importlib.util.spec_from_file_location('make_recording', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decoded(path) -> Events:
    decoder = Evt3Decoder(346, 260)
    with open_bag(path) as reader:
        topic, = event_topics(reader)
        return Events.concatenate([
            decoder.decode(decode_event_packet(raw)) for raw in reader.messages([topic])])


def test_the_scene_comes_by_seed():
    one, other = boxes_scene(1), boxes_scene(1)
    assert one.boxes == other.boxes and one.boxes != boxes_scene(2).boxes
    assert all(np.array_equal(a, b) for a, b in zip(one.textures, other.textures))


def test_the_recording_is_whole(own_recording):
    with open_bag(own_recording) as reader:
        assert reader.warnings == [] and not reader.truncated
        packets = [decode_event_packet(raw) for raw in reader.messages(['/event_camera/events'])]
        infos = [decode(raw) for raw in reader.messages(['/event_camera/camera_info'])]
    assert [packet.seq for packet in packets] == list(range(750))
    assert {(packet.encoding, packet.width, packet.height, packet.frame_id)
            for packet in packets} == {('evt3', 346, 260, 'event_camera_optical_frame')}
    late = np.array([packet.stamp_ns for packet in packets]) - ROS_START_NS \
        - np.arange(750) * 4 * MS
    assert late.min() >= 200_000 and late.max() < 3 * MS
    assert len(infos) == 30 and infos[0].width == 346
    np.testing.assert_array_equal(infos[0].k.reshape(3, 3), DAVIS346.k)
    found = decoded(own_recording)
    assert len(found) == 390_947
    assert np.all(np.diff(found.t) >= 0)
    assert SENSOR_START_NS <= found.t[0] and found.t[-1] < SENSOR_START_NS + 3000 * MS
    size = sum(path.stat().st_size for path in own_recording.iterdir())
    assert size < 3.3e6


def test_the_recording_is_what_the_simulator_makes(own_recording):
    simulation = boxes_simulation(7, 3000 * MS)
    found = decoded(own_recording)
    made = []
    for time_ns, part in events(simulation):
        made.append(part)
        if time_ns > 40 * MS:
            break
    made = Events.concatenate(made)
    made_part = made.t < 40 * MS
    found_part = found.t < SENSOR_START_NS + 40 * MS
    # Another processor may round a logarithm differently, and an event then differs.
    assert np.sum(made_part) == pytest.approx(np.sum(found_part), rel=0.01)
    assert made.t[made_part].sum() == pytest.approx(
        (found.t[found_part] - SENSOR_START_NS).sum(), rel=0.01)
    saved = np.load(own_recording / 'truth.npz')
    times = (saved['stamp_ns'] - ROS_START_NS).tolist()
    assert times == list(range(200 * MS, 3001 * MS, 200 * MS))
    for index in (0, 14):
        frame, = truth(simulation, [times[index]])
        np.testing.assert_allclose(saved['depth'][index], frame.depth[::2, ::2], rtol=1e-3)
        difference = saved['luminance'][index] - frame.luminance[::2, ::2] * 255
        assert np.abs(difference).max() < 0.6


def test_events_lie_on_edges(own_recording):
    found, saved = decoded(own_recording), np.load(own_recording / 'truth.npz')
    end = saved['stamp_ns'][9] - ROS_START_NS + SENSOR_START_NS
    recent = (found.t >= end - 20 * MS) & (found.t < end)
    counts = np.zeros((260, 346))
    np.add.at(counts, (found.y[recent], found.x[recent]), 1)
    counts = counts.reshape(130, 2, 173, 2).sum((1, 3))
    log = np.log(np.maximum(saved['luminance'][9], 1.0))
    contrast = np.hypot(*np.gradient(log))
    strong = contrast > np.percentile(contrast, 80)
    assert counts[strong].sum() > 0.7 * counts.sum()


def test_the_script(script, tmp_path, monkeypatch, capsys):
    arguments = ['make_recording.py', '--output', str(tmp_path / 'bag'), '--duration', '0.05',
                 '--seed', '3', '--truth-hz', '40', '--format', 'mcap']
    monkeypatch.setattr('sys.argv', arguments)
    assert script.main() == 0
    with open_bag(tmp_path / 'bag') as reader:
        assert reader.topics['/event_camera/events'].count == 13
        assert reader.topics['/event_camera/camera_info'].count == 1
        assert reader.warnings == []
    assert np.load(tmp_path / 'bag' / 'truth.npz')['depth'].shape == (2, 130, 173)
    assert script.main() == 1
    assert 'exists already' in capsys.readouterr().err
