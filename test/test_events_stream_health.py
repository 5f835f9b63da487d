# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hot pixels, flicker and rate limits, in streams with and without them."""
import json
import re

from evt3_words import event_words
import numpy as np
import pytest

from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import BagWriter
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.rate_control import ceiling_of
from depth_anyevent_ros.events.sinks import ArraySink
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.events.watch import LOOK_NS, StreamWatch
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.hot_pixel_memory import (
    encode_pixels, file_name, HotPixelMemory, pixels_of, read_mask)

WIDTH, HEIGHT = 120, 90
SECOND = 1_000_000_000
HOT = np.array([[3, 4], [60, 45], [61, 45], [110, 80], [40, 70], [119, 0]])  # x, y


def scene(seconds, seed=0, rate=30_000, period_s=2.3, edges=5):
    """Return events of edges that go to and fro over a noisy picture, ON ahead and OFF behind."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, seconds * SECOND, int(rate * seconds)))
    edge = rng.integers(0, edges, len(t)) * WIDTH / edges
    x = edge + 50 * np.sin(2 * np.pi * t / SECOND / period_s) + rng.normal(0, 1, len(t))
    noise = rng.random(len(t)) < 0.1
    x = np.where(noise, rng.integers(0, WIDTH, len(t)), x) % WIDTH
    return Events(t, x.astype(np.uint16), rng.integers(0, HEIGHT, len(t)).astype(np.uint16),
                  rng.integers(0, 2, len(t)).astype(np.uint8))


def hot(seconds, pixels=HOT, hz=150, seed=1):
    """Return the events of hot pixels."""
    rng = np.random.default_rng(seed)
    count = int(seconds * hz)
    t = rng.integers(0, seconds * SECOND, count * len(pixels))
    x, y = np.repeat(pixels, count, axis=0).T.astype(np.uint16)
    return Events(t, x, y, np.ones(len(t), np.uint8))


def flickering(seconds, hz, rate=60_000, area=((0, 60), (0, 45)), seed=2):
    """Return the events of light that swings: ON while it rises, OFF while it falls."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, seconds * SECOND, int(rate * seconds)))
    phase = np.sin(2 * np.pi * t / SECOND * hz)
    keep = rng.random(len(t)) < np.abs(phase)
    t, phase = t[keep], phase[keep]
    (left, right), (top, bottom) = area
    return Events(t, rng.integers(left, right, len(t)).astype(np.uint16),
                  rng.integers(top, bottom, len(t)).astype(np.uint16),
                  (phase > 0).astype(np.uint8))


def together(*parts):
    joined = Events.concatenate(list(parts))
    order = np.argsort(joined.t, kind='stable')
    return Events(*(getattr(joined, name)[order] for name in 'txyp'))


def watch(events, width=WIDTH, height=HEIGHT, health=None):
    """Let the watch see events piece by piece, each second."""
    health = health or StreamHealth(width, height, every_ns=LOOK_NS)
    for begin in range(0, len(events), 4096):
        piece = ArraySink(*(getattr(events, name)[begin:begin + 4096] for name in 'txyp'))
        health.take(piece, len(piece.t))
    return health


def masked(health):
    return sorted(map(tuple, np.argwhere(health.mask)[:, ::-1].tolist()))


def test_a_scene_without_faults_gives_no_alarm():
    for seed in range(3):
        health = watch(scene(12, seed))
        assert not health.mask.any()
        assert (health.flicker_hz, health.rate_ceiling, health.warnings()) == (0, 0.0, [])


def test_hot_pixels_are_found_beside_each_other_and_in_corners():
    health = watch(together(scene(12), hot(12)))
    assert masked(health) == sorted(map(tuple, HOT.tolist()))


def test_hot_pixels_are_let_go_when_they_cool():
    cooled = together(scene(12), hot(12))
    after = scene(14, seed=5)
    health = watch(together(cooled, Events(after.t + 12 * SECOND, after.x, after.y, after.p)))
    assert not health.mask.any()


def test_in_a_scene_at_rest_nothing_is_learned():
    # Small lamps look like that. There is one look in each piece of some seconds.
    rest = together(scene(40, rate=200), hot(40))
    assert not watch(rest).mask.any()
    busy = together(scene(40, rate=8000), hot(40))
    assert watch(busy).mask.any()


def test_at_most_a_hundredth_is_left_out():
    rng = np.random.default_rng(0)
    cells = rng.choice(WIDTH * HEIGHT, int(0.02 * WIDTH * HEIGHT), replace=False)
    many = np.stack([cells % WIDTH, cells // WIDTH], 1)
    health = watch(together(scene(12), hot(12, many)))
    assert 0 < np.count_nonzero(health.mask) <= 0.01 * WIDTH * HEIGHT


@pytest.mark.parametrize('hz, found', [(100, 100), (120, 120), (100.6, 100), (85, 0), (140, 0)])
def test_flicker_of_the_mains(hz, found):
    health = watch(together(scene(7), flickering(7, hz)))
    assert health.flicker_hz == found
    assert bool(health.warnings()) == bool(found)
    assert not found or f'{found} Hz' in health.warnings()[0]


def test_flicker_that_ends_is_told_no_more():
    lamp = flickering(6, 100)
    health = watch(together(scene(14), lamp))
    assert health.flicker_hz == 0
    assert watch(together(scene(6), lamp)).flicker_hz == 100


def test_what_swings_for_two_looks_is_no_flicker():
    lamp = flickering(6, 100)
    lamp = lamp.part(np.searchsorted(lamp.t, 2 * SECOND), len(lamp))
    two = lamp.part(0, np.searchsorted(lamp.t, 5 * SECOND))  # the third look would end after it
    assert watch(together(scene(5), two)).flicker_hz == 0
    assert watch(together(scene(6), lamp)).flicker_hz == 100


def test_vibration_at_the_same_frequency_is_no_flicker():
    """A camera that shakes gives ON and OFF events at once, at the two sides of things."""
    shaken = scene(8, rate=80_000)
    keep = np.random.default_rng(3).random(len(shaken)) \
        < np.abs(np.sin(2 * np.pi * shaken.t / SECOND * 50))
    shaken = Events(*(getattr(shaken, name)[keep] for name in 'txyp'))
    assert watch(shaken).flicker_hz == 0


def limited(seconds, ceiling, seed=0):
    """Return events at a rate that wanders, with no more than ceiling a second (None: as is)."""
    rng = np.random.default_rng(seed)
    steps = seconds * 200  # of 5 ms
    slow = np.interp(np.arange(steps), np.linspace(0, steps, seconds * 2),
                     rng.normal(0, 0.7, seconds * 2))
    rate = 4e5 * np.exp(slow)
    count = rng.poisson(rate / 200)
    if ceiling:
        count = np.minimum(count, int(ceiling / 200))
    t = np.sort(np.repeat(np.arange(steps) * 5_000_000, count)
                + rng.integers(0, 5_000_000, count.sum()))
    return Events(t, rng.integers(0, WIDTH, len(t)).astype(np.uint16),
                  rng.integers(0, HEIGHT, len(t)).astype(np.uint16),
                  rng.integers(0, 2, len(t)).astype(np.uint8))


@pytest.mark.parametrize('seed', range(3))
def test_a_limit_of_the_rate_is_told_and_a_rate_without_is_not(seed):
    health = watch(limited(12, 4e5, seed))
    assert health.rate_ceiling == pytest.approx(4e5, rel=0.03)
    assert '0.4 million a second' in health.warnings()[0]
    assert watch(limited(12, None, seed)).rate_ceiling == 0


def test_a_steady_rate_is_no_limit():
    assert watch(scene(8, rate=400_000)).rate_ceiling == 0


def test_a_look_begins_after_what_was_not_seen():
    looks = []
    made = StreamWatch(8, 6, lambda look: looks.append(look.areas.sum()), every_ns=2 * LOOK_NS)
    step = LOOK_NS // 100
    for i in range(1000):
        if made.looks():
            made.take(ArraySink(np.array([i * step]), *np.zeros((3, 1), np.uint8)), 1)
        else:
            made.pass_by(i * step, i * step)
    # Of every second one: a whole second is counted, less the event that was passed by last.
    assert len(looks) == 5 and all(count in (99, 100) for count in looks)
    made.pass_by(0, 5)  # the stream began anew
    assert made.looks()


@pytest.mark.parametrize('counted_hz, begins', [
    (None, range(0, 40, 2)), (25, [0, 2, *range(4, 40, 4)]), (200, range(0, 40, 2))])
def test_a_busy_stream_is_looked_at_more_seldom_after_the_first_looks(counted_hz, begins):
    ended = []
    made = StreamWatch(8, 6, lambda look: ended.append(now), 2 * LOOK_NS, counted_hz)
    for now in range(0, 40 * LOOK_NS, LOOK_NS // 100):
        made.take(ArraySink(np.array([now]), *np.zeros((3, 1), np.uint8)), 1)
    assert ended == [(begin + 1) * LOOK_NS for begin in begins]


def packets(events, encoder, period_ns=50_000_000):
    """Return evt3 packets of 50 ms."""
    made = []
    for seq, begin in enumerate(range(0, int(events.t[-1]), period_ns)):
        first, last = np.searchsorted(events.t, (begin, begin + period_ns))
        part = events.part(first, last)
        made.append(Packet(encoder.encode(part, end_ns=begin + period_ns), 'evt3', WIDTH, HEIGHT,
                           seq, stamp_ns=begin + 1, frame_id='front/../camera'))
    return made


def pipeline(health_of):
    return EventPipeline(lambda width, height: Representation(height, width),
                         TimeWindows(50_000_000, 50_000_000, 10**9), health_of)


def test_a_pipeline_leaves_hot_pixels_out_and_keeps_them_out():
    events = together(scene(12), hot(12))
    events = Events(events.t // 1000 * 1000, events.x, events.y, events.p)
    made = pipeline(lambda packet: StreamHealth(packet.width, packet.height, every_ns=LOOK_NS))
    sent = packets(events, Evt3Encoder())
    windows = [window for packet in sent for window in made.push(packet)]
    x, y = HOT.T
    assert windows[5].image[0, y, x].all() or windows[5].image[1, y, x].all()
    assert not windows[-1].image[:, y, x].any() and windows[-1].image.any()
    coordinates = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).astype(np.float32)
    made.rectify(coordinates)
    again = [window for packet in sent[:20] for window in made.push(packet)]
    assert again and not any(window.image[:, y, x].any() for window in again)
    # Another sensor has pixels of its own.
    known = made.health
    list(made.push(Packet(np.r_[event_words(5, 1, 1, 1)].view(np.uint8), 'evt3', 64, 48)))
    assert made.health is not known and made.health.mask.shape == (48, 64)


def test_hot_pixels_are_remembered(tmp_path):
    told = []
    memory = HotPixelMemory(tmp_path / 'new' / 'state', '', True, told.append)
    packet = Packet(np.zeros(0, np.uint8), 'evt3', WIDTH, HEIGHT, frame_id='front/../camera')
    memory.save(now=True)
    health = memory.health_of(packet)
    assert not health.mask.any() and not told
    watch(together(scene(40), hot(40)), health=health)
    assert health.mask.any()
    memory.save()
    [path] = (tmp_path / 'new' / 'state').iterdir()
    assert path.name == file_name('front/../camera', 120, 90)
    other = HotPixelMemory(tmp_path / 'new' / 'state', '', True, told.append).health_of(packet)
    np.testing.assert_array_equal(other.mask, health.mask)
    assert f'{len(HOT)} hot pixels' in told[0]
    path.write_bytes(b'')
    memory.save(now=True)  # nothing has changed since
    assert path.read_bytes() == b''
    without = HotPixelMemory(tmp_path / 'new' / 'state', '', False, told.append)
    assert not watch(together(scene(12), hot(12)), health=without.health_of(packet)).mask.any()


def test_a_folder_that_cannot_be_looked_into_is_as_good_as_none(tmp_path):
    told = []
    memory = HotPixelMemory(tmp_path / ('x' * 300), 'cam', True, told.append)
    health = memory.health_of(Packet(np.zeros(0, np.uint8), 'evt3', WIDTH, HEIGHT))
    assert 'are not used' in told[0] and not health.mask.any()
    watch(together(scene(40), hot(40)), health=health)
    assert health.mask.any()
    for _ in range(2):  # what could not be kept is tried again
        with pytest.raises(OSError):
            memory.save(now=True)


def test_inspect_writes_the_hot_pixels_of_a_bag(tmp_path, capsys):
    events = together(scene(12), hot(12))
    events = Events(events.t // 1000 * 1000, events.x, events.y, events.p)
    sent = packets(events, Evt3Encoder())
    with BagWriter(tmp_path / 'bag') as writer:
        for packet in sent:
            writer.write_event_packet('/events', packet, packet.stamp_ns)
    file = tmp_path / 'new' / 'hot.json'
    assert execute(['inspect', str(tmp_path / 'bag'), '--hot-pixels', str(file)]) == 0
    assert f'{len(HOT)} hot pixels' in capsys.readouterr().out
    mask = read_mask(file, WIDTH, HEIGHT)
    assert sorted(map(tuple, pixels_of(mask))) == sorted(map(tuple, HOT.tolist()))
    with BagWriter(tmp_path / 'two') as writer:
        for topic in ('/left', '/right'):
            writer.write_event_packet(topic, sent[0], sent[0].stamp_ns)
    assert execute(['inspect', str(tmp_path / 'two'), '--hot-pixels', str(file)]) == 1
    assert 'needs one topic with events' in capsys.readouterr().err
    # Where no file can be written that is said before a packet is decoded.
    assert execute(['inspect', str(tmp_path / 'two'), '--hot-pixels', str(file / 'x.json')]) == 1
    said = capsys.readouterr()
    assert 'cannot be written' in said.err and not said.out


def test_inspect_looks_at_every_second_of_a_busy_bag(tmp_path, capsys):
    lamp = flickering(7, 100, rate=2_000_000)  # of which 1.3 million are left
    lamp = lamp.part(*np.searchsorted(lamp.t, (3 * SECOND, int(6.2 * SECOND))))
    with BagWriter(tmp_path / 'bag') as writer:
        for packet in packets(together(scene(3, rate=1000), lamp), Evt3Encoder()):
            writer.write_event_packet('/events', packet, packet.stamp_ns)
    assert execute(['inspect', str(tmp_path / 'bag')]) == 0
    assert 'flickers at 100 Hz' in capsys.readouterr().out


def test_a_second_without_events_has_no_ceiling():
    with np.errstate(all='raise'):
        assert ceiling_of([np.zeros(100, np.int64)] * 3) is None


@pytest.mark.parametrize('known', [
    'no json', '[]', '[' * 100_000, '{"width": 120, "height": 91, "hot_pixels": []}',
    *(json.dumps({'width': 120, 'height': 90, 'hot_pixels': pixels}) for pixels in (
        None, [[1]], [[120, 0]], [[0, -1]], [[1.5, 2]], [['1', 2]], [[True, 1]],
        [[i % 120, i // 120] for i in range(109)]))])
def test_a_damaged_file_is_not_used_and_told(tmp_path, known):
    (tmp_path / file_name('cam', WIDTH, HEIGHT)).write_text(known)
    with pytest.raises((ValueError, RecursionError)):
        read_mask(tmp_path / file_name('cam', WIDTH, HEIGHT), WIDTH, HEIGHT)
    told = []
    memory = HotPixelMemory(tmp_path, 'cam', True, told.append)
    health = memory.health_of(Packet(np.zeros(0, np.uint8), 'evt3', WIDTH, HEIGHT))
    assert not health.mask.any() and 'learned anew' in told[0]


def test_names_are_no_paths_and_masks_come_back(tmp_path):
    assert re.fullmatch(r'etc_passwd_[0-9a-f]{8}_3x2\.json', file_name('../../etc/passwd', 3, 2))
    assert file_name('', 3, 2) == 'sensor_3x2.json'
    assert file_name('00050423', 346, 260) == '00050423_346x260.json'
    assert len(file_name('x' * 999, 3, 2)) < 100
    names = ['left/cam', 'left_cam', 'カメラ左', 'カメラ右', '..', '', '42', ' 42', 'x' * 64 + 'a',
             'x' * 64 + 'b']
    assert len({file_name(name, 3, 2) for name in names}) == len(names)
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.005
    path = tmp_path / 'a.json'
    path.write_bytes(encode_pixels(WIDTH, HEIGHT, pixels_of(mask)))
    np.testing.assert_array_equal(read_mask(path, WIDTH, HEIGHT), mask)
