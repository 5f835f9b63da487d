# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated rig through DDS: the same stream as simulate writes, in time, and its words."""
from pathlib import Path
import re
import threading
import time

from event_camera_msgs.msg import EventPacket
import numpy as np
import pytest
from ros_graph import start_process, stop_process, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from depth_anyevent_ros.benchmarks.event_streams import decoded
from depth_anyevent_ros.nodes.conversions import to_packet
from depth_anyevent_ros.nodes.parameters import SIMULATOR_PARAMETERS
from depth_anyevent_ros.nodes.simulation_player import SimulationPlayer
from depth_anyevent_ros.simulation.factors import SPLITS
from depth_anyevent_ros.simulation.output import (
    CAMERA_INFO, Counts, driver_messages, EVENTS, IMAGE, IMAGE_INFO, Message, observed, TRUTH,
    TRUTH_INFO)
from depth_anyevent_ros.simulation.production import ENCODINGS
from depth_anyevent_ros.simulation.recording import DriverConfig
from depth_anyevent_ros.simulation.sensors import SENSORS
from depth_anyevent_ros.simulation.worlds import make_world, WORLDS

pytestmark = pytest.mark.ros
TOPICS = {EVENTS: EventPacket, CAMERA_INFO: CameraInfo, IMAGE: Image, IMAGE_INFO: CameraInfo,
          TRUTH: Image, TRUTH_INFO: CameraInfo}
QUICK = ('-p', 'duration:=0.2', '-p', 'max_motion_px:=8.0', '-p', 'seed:=3')


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_what_is_published_is_what_was_simulated(client, tmp_path):
    client.listen(Clock, '/clock', depth=1000)
    # Events last: the node waits for a subscriber of theirs alone.
    for name, kind in reversed(TOPICS.items()):
        client.listen(kind, name, depth=1000)
    simulator = start_process('simulator_node', tmp_path, *QUICK, '-p', 'publish_clock:=true',
                              '-p', 'wait_for_subscribers:=1', '-p', 'exit_when_done:=true')
    wait_for(lambda: client.heard[EVENTS], 120.0, 'an event packet')
    # However long the node has waited, for us or for its loops to be compiled.
    assert 0 <= time.time_ns() - stamp(client.heard[EVENTS][0]) < 10**9
    assert simulator.wait(120) == 0, simulator.log()
    wait_for(lambda: len(client.heard[EVENTS]) == 50 and all(
        len(client.heard[name]) == 4 for name in (IMAGE, IMAGE_INFO, TRUTH, TRUTH_INFO)))
    world = make_world('car', 3, 200_000_000, max_motion_px=8.0)
    expected = {name: [] for name in TOPICS}
    for message in driver_messages(observed(world.simulation, 20.0, True), DriverConfig(seed=3),
                                   Counts()):
        expected[message.topic].append(message)
    heard = client.heard
    packets = [to_packet(message) for message in heard[EVENTS]]
    assert [p.events.tobytes() for p in packets] == [
        m.value.events.tobytes() for m in expected[EVENTS]]
    assert [p.seq for p in packets] == list(range(50))
    # Stamps differ by the time of the start alone.
    start_ns = packets[0].stamp_ns - expected[EVENTS][0].stamp_ns
    for name in TOPICS:
        assert [stamp(m) - start_ns for m in heard[name]] == [
            m.stamp_ns for m in expected[name]], name
        assert {m.header.frame_id for m in heard[name]} == {'event_camera_optical_frame'}
    for name in (IMAGE, TRUTH):
        for image, message in zip(heard[name], expected[name]):
            assert image.encoding == message.encoding
            assert bytes(image.data) == message.value.tobytes()
    camera = world.simulation.camera
    assert all(np.array_equal(info.k, camera.k.ravel()) for info in heard[CAMERA_INFO])
    ticks = [m.clock.sec * 10**9 + m.clock.nanosec for m in heard['/clock']]
    assert len(ticks) >= 5 and ticks == sorted(ticks)
    assert abs(ticks[-1] - packets[-1].stamp_ns) < 50_000_000
    assert 'Traceback' not in simulator.log()


def test_packets_of_another_driver_hold_the_same_events(client, tmp_path):
    client.listen(EventPacket, EVENTS, depth=1000)
    simulator = start_process('simulator_node', tmp_path, *QUICK, '-p', 'encoding:=libcaer',
                              '-p', 'images:=false', '-p', 'wait_for_subscribers:=1',
                              '-p', 'exit_when_done:=true')
    assert simulator.wait(120) == 0, simulator.log()
    wait_for(lambda: len(client.heard[EVENTS]) == 50)
    packets = [to_packet(message) for message in client.heard[EVENTS]]
    assert {packet.encoding for packet in packets} == {'libcaer'}
    world = make_world('car', 3, 200_000_000, max_motion_px=8.0)
    expected = decoded([m.value for m in driver_messages(
        observed(world.simulation, 20.0, False), DriverConfig(seed=3), Counts())
        if m.topic == EVENTS])
    found = decoded(packets)
    assert len(found) > 1000
    for name in 'xyp':
        assert np.array_equal(getattr(found, name), getattr(expected, name))
    # libcaer_driver counts sensor time in ROS time.
    assert np.ptp(found.t - expected.t) == 0
    assert 0 < packets[0].stamp_ns - found.t[0] < 10_000_000


def test_loop_goes_on_and_diagnostics_say_how_fast(client, tmp_path):
    client.listen(EventPacket, EVENTS, depth=2000)
    simulator = start_process('simulator_node', tmp_path, *QUICK, '-p', 'loop:=true',
                              '-p', 'images:=false', '-p', 'frame_id:=rig/events')
    wait_for(lambda: len(client.heard[EVENTS]) > 120, 60)
    wait_for(lambda: client.diagnostics('simulator: simulator')[2].get('share of real time'), 30)
    level, words, values = client.diagnostics('simulator: simulator')
    share = float(values['share of real time'])
    assert 0 < share < 1.1 and int(values['events']) > 1000
    assert (level == 1) == (share < 0.95) and ('slower' in words) == (share < 0.95)
    assert stop_process(simulator) == 0
    packets = [to_packet(message) for message in client.heard[EVENTS]]
    assert {packet.frame_id for packet in packets} == {'rig/events'}
    seqs = [packet.seq for packet in packets]
    begins = [i for i in range(1, len(seqs)) if seqs[i] == 0]
    assert begins and all(seqs[i - 1] == 49 for i in begins)
    stamps = [packet.stamp_ns for packet in packets]
    assert stamps == sorted(stamps)
    i = begins[0]
    if i + 50 <= len(packets) and seqs[0] == 0:  # another world
        assert packets[0].events.tobytes() != packets[i].events.tobytes()
    assert 'Traceback' not in simulator.log()


@pytest.mark.parametrize('arguments, status, words', [
    (('-p', 'world:=moon'), 2, 'world must be one of'), (('-p', 'duration:=2'), 2, '10.0, not 10'),
    (('-p', 'level:=-1.0'), 2, 'range')])
def test_a_bad_parameter_is_a_sentence(tmp_path, arguments, status, words):
    simulator = start_process('simulator_node', tmp_path, *arguments)
    assert simulator.wait(60) == status
    assert words in simulator.log() and 'Traceback' not in simulator.log()


class Log:
    """Collects what a player says."""

    def __init__(self):
        self.info, self.warning, self.error = [], [], []
        for name in ('info', 'warning', 'error'):
            setattr(self, f'{name}s', getattr(self, name))
            setattr(self, name, getattr(self, f'{name}s').append)


def play(messages, **options):
    """Play messages to the end; return ([(time, message)], player, log)."""
    heard, log = [], Log()
    player = SimulationPlayer(
        messages, lambda message: heard.append((time.monotonic(), message.received_ns)),
        lambda _: None, lambda: True, log)
    player.start()
    wait_for(lambda: player.finished)
    player.stop()
    return heard, player, log


def even(count, period_s, delay_s=0.0):
    """Yield messages at even times of the simulation, each after some work."""
    for index in range(count):
        time.sleep(delay_s)
        yield Message(round(index * period_s * 1e9), EVENTS, None, 0, '')


def test_a_fast_simulation_is_held_back_to_real_time():
    heard, player, log = play(even(60, 0.03))
    took = heard[-1][0] - heard[0][0]
    assert 1.75 < took < 2.3
    assert player.share_of_real_time == pytest.approx(1, abs=0.06)
    assert not log.warnings and any('holds real time' in text for text in log.infos)


def test_a_simulation_that_hangs_holds_real_time_no_more():
    go_on = threading.Event()

    def hanging():
        yield from even(60, 0.03)
        go_on.wait()

    player = SimulationPlayer(hanging(), lambda _: None, lambda _: None, lambda: True, Log())
    player.start()
    try:
        wait_for(lambda: player.messages == 60)
        assert player.share_of_real_time == pytest.approx(1, abs=0.06)
        wait_for(lambda: player.share_of_real_time < 0.7)
    finally:
        go_on.set()
        player.stop()


def test_waiting_for_what_was_sent_last_is_no_hanging():
    arrived = threading.Event()
    player = SimulationPlayer(even(60, 0.03), lambda _: None, lambda _: None, lambda: True, Log(),
                              lambda stopped: arrived.wait(5))
    player.start()
    wait_for(lambda: player.messages == 60)
    time.sleep(1.0)
    share = player.share_of_real_time
    arrived.set()
    player.stop()
    assert share == pytest.approx(1, abs=0.06)


def test_a_slow_simulation_is_said_and_never_bursts():
    def slow_then_fast():
        yield from even(22, 0.05, 0.15)
        for message in even(10, 0.05):
            yield message._replace(received_ns=message.received_ns + 1_100_000_000)

    heard, player, log = play(slow_then_fast())
    assert len(heard) == 32 and player.messages == 32
    # A third of real time, after ten messages that were simulated before the first went out.
    assert 0.3 < float(re.search(r'at (0\.\d+) of real time', log.warnings[0])[1]) < 0.85
    # What comes fast afterwards keeps its distances instead of catching up.
    assert heard[-1][0] - heard[22][0] > 0.43


def test_the_clock_never_goes_back():
    ticks = []

    def publish(message):
        time.sleep(0.012)  # longer than the clock waits between two ticks

    # A picture is older than the packets after it by a few ms at times.
    times_ms = (0, 30, 18, 60, 49, 90)
    player = SimulationPlayer(
        (Message(time_ms * 10**6, EVENTS, None, 0, '') for time_ms in times_ms), publish,
        ticks.append, lambda: True, Log())
    player.start()
    wait_for(lambda: player.finished)
    player.stop()
    assert player.messages == 6 and len(ticks) > 4 and ticks == sorted(ticks)


def test_a_simulation_that_fails_is_told():
    def broken():
        yield from even(2, 0.01)
        raise ValueError('the ground has gone')

    _, player, log = play(broken())
    assert player.failed and 'the ground has gone' in log.errors[0]


def test_stopping_ends_both_threads_at_once():
    before = threading.active_count()
    player = SimulationPlayer(even(10**6, 0.001), lambda _: None, lambda _: None, lambda: False,
                              Log())
    player.start()
    wait_for(lambda: player.ahead >= 300)  # it runs ahead, and waits there
    begin = time.monotonic()
    player.stop()
    assert time.monotonic() - begin < 1 and threading.active_count() == before


def test_stopping_does_not_wait_for_what_takes_long():
    before, go_on = threading.active_count(), threading.Event()

    def compiling():
        go_on.wait(30)
        yield from even(1, 0.01)

    player = SimulationPlayer(compiling(), lambda _: None, lambda _: None, lambda: True, Log())
    player.start()
    begin = time.monotonic()
    player.stop()
    assert time.monotonic() - begin < 10
    go_on.set()
    wait_for(lambda: threading.active_count() == before)


def test_parameters_name_all_worlds_and_are_documented():
    choices = {parameter.name: parameter.choices for parameter in SIMULATOR_PARAMETERS}
    assert choices['world'] == WORLDS and choices['split'] == SPLITS
    assert choices['sensor'] == tuple(SENSORS) and choices['encoding'] == ENCODINGS
    text = (Path(__file__).resolve().parents[1] / 'docs' / 'nodes.md').read_text()
    section = text[text.index('## simulator_node'):]
    for parameter in SIMULATOR_PARAMETERS:
        assert f'`{parameter.name}`' in section and parameter.description in section
    for topic in (*TOPICS, '/clock', '/diagnostics'):
        assert f'`{topic}`' in section, topic
