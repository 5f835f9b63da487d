# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command benchmark, and that its baselines do the same work."""
from contextlib import closing
from dataclasses import replace
import json
from pathlib import Path
import sqlite3
import time

from event_packets import ALL, packets_of, random_events, START_NS
import numpy as np
import pytest
import torch

from depth_anyevent_ros.benchmarks import (
    decode, event_streams, inference, label, numpy_events, representation, simulator, training)
from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.numpy_caster import cast_depth
from depth_anyevent_ros.cli.benchmark import BENCHMARKS
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import BagWriter
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.events.decoders import DECODERS
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.pipeline import Representation
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.networks import runtime
from depth_anyevent_ros.networks.cuda_runtime import CudaRuntime
from depth_anyevent_ros.simulation.boxes import boxes_simulation, DAVIS346
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.scene import Ellipsoid


RECORDING = Path(__file__).parent / 'data' / 'boxes_evt3'


class Sliding:
    """A body that moves to the left and turns."""

    def pose(self, time_s):
        return np.array([4.0, time_s, 1.0]), 0.3 * time_s


def test_a_ratio_above_one_is_faster():
    case = compare('name', 'things/s', Work(lambda: time.sleep(0.002), 10), 'slow',
                   Work(lambda: time.sleep(0.02), 10), repeats=3)
    assert case.min <= case.median <= case.max < 5000
    assert case.ratio == pytest.approx(10, rel=0.5) and case.baseline == 'slow'


def test_the_numpy_caster_sees_what_the_ray_caster_sees():
    simulation = boxes_simulation(0, 1)
    box = replace(simulation.scene.boxes[0], center=(0, 0, 0), body=1)
    scene = replace(simulation.scene, boxes=(*simulation.scene.boxes, box), bodies=(Sliding(),),
                    ellipsoids=(Ellipsoid((3, -1, 1), (0.3, 0.5, 0.2), yaw=0.4),
                                Ellipsoid((0, -1, 0), (0.3, 0.5, 0.2), yaw=-0.4, body=1)))
    camera = simulator.shrunk(DAVIS346, 4)
    pose = simulation.trajectory.pose(1.0)
    expected = RayCaster(scene, camera).render(pose, 1.0).depth
    found = cast_depth(scene, camera, pose, 1.0)
    assert np.array_equal(np.isinf(found), np.isinf(expected))
    good = np.isclose(found, expected, rtol=1e-4) | (np.isinf(found) & np.isinf(expected))
    assert good.mean() > 0.999


def test_a_shrunk_camera_has_the_same_view():
    small = simulator.shrunk(DAVIS346, 4)
    assert (small.width, small.height) == (86, 65)
    # The left edge of the first pixel looks in the same direction.
    for camera in (DAVIS346, small):
        assert (-0.5 - camera.k[0, 2]) / camera.k[0, 0] == pytest.approx(
            (-0.5 - DAVIS346.k[0, 2]) / DAVIS346.k[0, 0])


@pytest.fixture(scope='module', params=[('evt3', False), ('evt3', True), ('libcaer', False),
                                        ('libcaer_cmp', False), ('mono', False)])
def stream(request):
    encoding, vectors = request.param
    return event_streams.made_up(encoding, 346, 260, 1e6, 130 * 10**6, 3, vectors)


def same_events(found, expected):
    for name in 'txyp':
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_the_numpy_decoders_give_the_same_events(stream):
    expected = event_streams.decoded(stream.packets)
    assert len(expected) == stream.events > 100_000
    same_events(decode.numpy_baseline(stream, decode.ALL_AT_ONCE)(stream.packets), expected)
    parts = list(decode.numpy_baseline(stream, decode.BY_PACKET)(stream.packets))
    assert len(parts) == len(stream.packets)
    same_events(Events.concatenate(parts), expected)


def in_columns(seed):
    """Return events of which many are of one time and column, in several blocks of rows."""
    events, rng = random_events(seed), np.random.default_rng(seed)
    column = np.arange(40, dtype=np.uint16)
    part = [Events(np.full(40, t), np.full(40, x), column, np.full(40, p, np.uint8))
            for t, x, p in zip(events.t[::30], events.x[::30], rng.integers(0, 2, 100))]
    return Events.concatenate([events, *(replace(one, t=one.t + events.t[-1] - START_NS)
                                         for one in part)])


@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('seed', range(3))
def test_the_numpy_decoders_give_random_events_as_the_package_does(encoding, seed):
    events = in_columns(seed)
    cuts = np.unique(np.random.default_rng(seed).integers(1, len(events), 30)).tolist()
    packets = packets_of(events, encoding, cuts)
    for found in (decode.ALL_AT_ONCE[encoding](packets),
                  Events.concatenate(list(decode.BY_PACKET[encoding](packets)))):
        same_events(found, events)
    same_events(event_streams.decoded(packets), events)


def test_numpy_moves_the_base_of_libcaer_cmp_on_with_its_vectors():
    words = np.array([0x2005, 0x4808, 0x5081, 0x5003, 0x1010, 0x3004, 0x50FF, 0x2006, 0x4010,
                      0x5011, 0x0001, 0x5001], '<u2')
    packets = [Packet(words.view(np.uint8), 'libcaer_cmp', 64, 48, seq, START_NS + seq * 10**7)
               for seq in range(2)]
    found = decode.ALL_AT_ONCE['libcaer_cmp'](packets)
    assert len(found) == 2 * 16 and found.y[:4].tolist() == [8, 15, 16, 17]
    same_events(found, event_streams.decoded(packets))


def test_every_encoding_has_a_baseline_and_a_made_up_case():
    assert set(decode.ALL_AT_ONCE) == set(decode.BY_PACKET) == set(DECODERS)
    assert {encoding for encoding, *_ in decode.MADE_UP} == set(DECODERS)


@pytest.mark.parametrize('vectors', [False, True])
def test_numpy_by_packet_carries_on_what_a_packet_has_not(vectors):
    begin = event_streams.START_NS - 20 * 10**6  # the time of evt3 begins anew within
    generator = np.random.default_rng(5)
    encoder = Evt3Encoder(vectors)
    words = np.concatenate([encoder.encode(event_streams._runs(
        generator, 1800, 346, 260, time), end_ns=time + 10**6)
        for time in range(begin, begin + 40 * 10**6, 10**6)])
    cut = np.sort(generator.choice(len(words) // 2 - 9, 300, replace=False)) * 2 + 18
    packets = [Packet(part, 'evt3', 346, 260, seq, 0)
               for seq, part in enumerate(np.split(words, cut))]
    parts = Events.concatenate(list(numpy_events.decode_evt3_by_packet(packets)))
    whole = numpy_events.decode_evt3([Packet(words, 'evt3', 346, 260, 0, 0)])
    same_events(parts, whole)
    assert len(whole) == 40 * 1800 and np.ptp(whole.t) > 39 * 10**6


@pytest.mark.parametrize('decoders, picture, grid, tencode', [
    (decode.BY_PACKET, Representation(260, 346), (260, 346), numpy_events.tencode),
    (None, Representation(260, 346), (260, 346), numpy_events.hasty_tencode),
    (decode.BY_PACKET, Representation(65, 86), (65, 86), numpy_events.tencode),
    (None, Representation(65, 86), (65, 86), numpy_events.hasty_tencode),
    (decode.BY_PACKET, Representation(266, 350, 'resize'), (260, 346),
     representation.resized_tencode),
    (None, Representation(266, 350, 'resize'), (260, 346),
     representation.hasty_resized_tencode)])
def test_numpy_makes_the_same_windows(stream, decoders, picture, grid, tencode):
    by = decode.numpy_baseline(stream, decoders) if decoders else representation.decode_by_packet
    expected = list(representation.fused(stream, picture))
    found = list(representation.separate(stream, by, *grid, tencode))
    assert [end for end, _ in found] == [end for end, _ in expected] and len(found) >= 1
    for (_, mine), (_, other) in zip(found, expected):
        np.testing.assert_allclose(mine, other, atol=1e-6)


@pytest.mark.parametrize('name, per_stream', [('decode', 2), ('representation', 7)])
def test_benchmarks_of_events(name, per_stream, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(decode, 'DURATION_NS', 10**7)
    monkeypatch.setattr(representation, 'DURATION_NS', 13 * 10**7)
    for module in (decode, representation):
        monkeypatch.setattr(module, 'MADE_UP', (('evt3', 346, 260, 1e6, True),))
    assert execute(['benchmark', name, '--repeats', '1', '--bag', str(RECORDING),
                    '--json', str(tmp_path / 'b.json')]) == 0
    cases = json.loads((tmp_path / 'b.json').read_text())['cases']
    assert len(cases) == 2 * per_stream
    assert all(case['unit'] == 'Mev/s' and case['ratio'] > 0 for case in cases)
    assert 'boxes_evt3' in cases[-1]['name']


@pytest.mark.parametrize('bf16', [False, True])
def test_benchmark_training(tmp_path, monkeypatch, capsys, bf16):
    monkeypatch.setattr(training, 'cpu_computes_in_bf16', lambda: bf16)
    monkeypatch.setattr(training, 'SIZES', ((70, 84),))
    monkeypatch.setattr(training, 'STEPS', 2)
    assert execute(['benchmark', 'training', '--repeats', '2', '--json',
                    str(tmp_path / 'b.json')]) == 0
    cases = json.loads((tmp_path / 'b.json').read_text())['cases']
    for case in cases:
        assert set(case) == {'name', 'median', 'min', 'max', 'unit', 'baseline', 'ratio'}
        assert 0 < case['min'] <= case['median'] <= case['max'] and case['ratio'] > 0
    expected = ['a plain step, frame by frame']
    if bf16 and not torch.cuda.is_available():
        expected.append('the same in fp32')
    expected.append('the same by AdamW')
    assert [case['baseline'] for case in cases] == expected
    assert 'times' in capsys.readouterr().out


def test_benchmark_simulator(monkeypatch):
    monkeypatch.setattr(simulator, 'FRAMES', 1)
    monkeypatch.setattr(simulator, 'SHRINK', 16)
    monkeypatch.setattr(simulator, 'STRETCH_NS', 2_000_000)
    monkeypatch.setattr(simulator, 'WORLDS', simulator.WORLDS[:1])
    rendering, events = simulator.cases(repeats=1, seed=0)
    assert rendering.unit == 'frames/s' and rendering.ratio > 1
    assert events.baseline == 'real time' and events.ratio == events.median > 0


def test_benchmark_of_a_teacher_in_bf16(monkeypatch):
    monkeypatch.setattr(runtime, 'cpu_computes_in_bf16', lambda: True)  # emulated elsewhere
    monkeypatch.setattr(inference, 'TEACHER_PRESET', 'tiny')
    monkeypatch.setattr(inference, 'GPU_SIZE', (70, 84))
    case = inference._teacher(repeats=1, seed=0)
    assert 'in bf16 on cpu' in case.name and 'in fp32 on the CPU' in case.baseline
    assert case.ratio > 0


def test_benchmark_label(monkeypatch, untrained_teacher):
    monkeypatch.setattr(label, 'SECONDS', 2.0)
    monkeypatch.setattr(label, 'FEW_SECONDS', 1.0)
    # The size of Depth Anything V2 takes a second for a picture.
    monkeypatch.setattr(label, '_random_teacher',
                        lambda seed: CheckpointTeacher.from_file(str(untrained_teacher)))
    tiny, other = label.cases(repeats=1, seed=0)
    made, few = (int(case.name.split()[1]) for case in (tiny, other))
    assert 10 <= made <= 20 and 1 <= few <= 2 and 'tiny-teacher' in tiny.name
    for case in (tiny, other):
        assert case.unit == 'labels/s' and 'bare teacher' in case.baseline
        assert case.min == case.median == case.max > 0
        # All of the labelling holds the teacher's part, but a busy machine may slow that alone.
        assert 0 < case.ratio < 3


def test_a_graph_that_gives_no_number_is_told(monkeypatch):
    class Overflowing(CudaRuntime):
        frames = 0

        def infer(self, image):
            self.frames += 1
            result = super().infer(image)
            return result * np.nan if self.frames == 4 else result  # two of them to warm up
    for name, value in (('CudaRuntime', Overflowing), ('GPU_PRESET', 'tiny-r'),
                        ('GPU_SIZE', (70, 98)), ('GPU_FRAMES', 3)):
        monkeypatch.setattr(inference, name, value)
    assert 'off by nan%' in inference._graph(repeats=1, seed=0).name


def test_an_interruption_keeps_what_was_measured(monkeypatch, tmp_path, capsys):
    def cases(*_):
        yield Case('one', 2.0, 1.0, 3.0, 'things/s', 'another', 2.0)
        raise SystemError('as a compiled loop lets it out') from KeyboardInterrupt()
    monkeypatch.setattr(simulator, 'cases', cases)
    assert execute(['benchmark', 'simulator', '--repeats', '1', '--json',
                    str(tmp_path / 'b.json')]) == 130
    found = json.loads((tmp_path / 'b.json').read_text())
    assert len(found['cases']) == 1 and found['interrupted']
    assert 'the 1 cases so far are kept' in capsys.readouterr().err


def test_an_error_keeps_what_was_measured(monkeypatch, tmp_path, capsys):
    def cases(*_):
        yield Case('one', 2.0, 1.0, 3.0, 'things/s', 'another', 2.0)
        raise ValueError('there is no baseline')
    monkeypatch.setattr(simulator, 'cases', cases)
    assert execute(['benchmark', 'simulator', '--json', str(tmp_path / 'b.json')]) == 1
    assert len(json.loads((tmp_path / 'b.json').read_text())['cases']) == 1
    assert 'there is no baseline: the 1 cases' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, words', [
    (['magic'], ', '.join(BENCHMARKS)), (['--repeats', '0'], 'repeats'),
    (['decode', '--repeats', '99999'], 'repeats must be'),
    (['decode', '--seed', '-1'], 'seed must be'),
    (['decode', '--repeats', '1', '--seed', str(2 ** 31)], 'seed must be'),
    (['decode', '--bag', '/nowhere'], '/nowhere does not exist')])
def test_what_cannot_be_done_is_a_sentence(capsys, arguments, words):
    assert execute(['benchmark', *arguments]) == 1
    said = capsys.readouterr()
    assert words in said.err and not said.out  # nothing was timed before


@pytest.mark.parametrize('encoding, words', [('evt9', "encoded as 'evt9'"),
                                             ('evt3', 'no message of /events')])
def test_a_bag_that_cannot_be_timed_is_told_before_anything_is(tmp_path, capsys, encoding, words):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_event_packet('/events', Packet(np.zeros(8, np.uint8), encoding, 8, 8), 1)
    if encoding == 'evt3':
        [file] = (tmp_path / 'bag').glob('*.db3')
        with closing(sqlite3.connect(file)) as database, database:
            database.execute('DELETE FROM messages')
    assert execute(['benchmark', 'decode', '--bag', str(tmp_path / 'bag')]) == 1
    said = capsys.readouterr()
    assert words in said.err and not said.out
