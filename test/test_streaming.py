# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Queue, estimator and worker, with a real student on a real stream."""
import gc
import threading
import time
import weakref

from evt3_words import event_words, packet
import numpy as np
import pytest

from depth_anyevent_ros.depth_estimator import (DepthEstimator, representation_for,
                                                WindowSettings)
from depth_anyevent_ros.events.packet_encoders import MonoEncoder
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.networks.checkpoint import untrained_student
from depth_anyevent_ros.networks.config import InputConfig
from depth_anyevent_ros.packet_queue import PACKET_BYTES, PacketQueue
from depth_anyevent_ros.streaming import MOST_WAITING, Pace, StreamWorker

WIDTH, HEIGHT = 128, 96
QUEUE = 64 << 20  # bytes


def stream(seconds, begin_us=0, seed=0):
    """Return packets of 10 ms with random events."""
    rng = np.random.default_rng(seed)
    packets = []
    for i in range(round(seconds * 100)):
        times = np.sort(rng.integers(0, 10_000, 200)) + begin_us + i * 10_000
        words = [event_words(int(t), int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)),
                             int(rng.integers(2))) for t in times]
        packets.append(packet(np.concatenate(words), WIDTH, HEIGHT, seq=i,
                              stamp_ns=10**18 + (begin_us + i * 10_000) * 1000))
    return packets


@pytest.fixture(scope='module')
def student():
    return untrained_student()


def estimator_of(student, **settings):
    return DepthEstimator(student, WindowSettings(**settings), device='cpu')


@pytest.mark.parametrize('width, height', [(346, 260), (640, 480), (1280, 720), (304, 240),
                                           (128, 128), (240, 180), (720, 1280)])
def test_network_input_has_the_sensors_shape_and_the_budgets_area(width, height):
    config = InputConfig(height=196, width=252)
    made = representation_for(config, width, height)
    assert made.height % 14 == 0 and made.width % 14 == 0
    assert made.height <= height and made.width <= width
    assert made.height * made.width <= 1.1 * 196 * 252
    assert made.width / made.height == pytest.approx(width / height, rel=0.08)
    if min(width, height) > 200:
        assert made.height * made.width > 0.75 * 196 * 252


def test_a_sensor_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match='smaller than one patch'):
        representation_for(InputConfig(), 13, 480)


@pytest.mark.parametrize('wrong', [
    {'mode': 'space'}, {'mode': 'count'}, {'rate_hz': 0.0}, {'duration_ms': -1.0},
    {'max_gap_ms': 0.0}])
def test_impossible_window_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace('mode', 'window.')):
        WindowSettings(**wrong)


def test_same_stream_gives_the_same_depth_and_state_matters(student):
    def run(reset_at=None):
        estimator = estimator_of(student, rate_hz=20.0)
        return [estimator.infer(window, reset=window.t_end == reset_at)
                for one in stream(0.4) for window in estimator.push(one)]
    first, second, reset = run(), run(), run(reset_at=300_000_000)
    assert len(first) == 6
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    assert np.abs(reset[-1] - first[-1]).max() > 1e-6


def test_queue_drops_the_oldest_beyond_its_bytes():
    packets = stream(0.05)
    size = len(packets[0].events) + PACKET_BYTES
    queue = PacketQueue(3 * size)
    for one in packets:
        queue.put(one)
    items, lost = queue.take_all(0.0)
    assert [one.seq for one, _ in items] == [2, 3, 4]
    assert lost and queue.dropped == 2
    queue.put(packets[0])
    assert queue.take_all(0.0)[1] is False


def test_queue_keeps_a_packet_larger_than_its_bound():
    queue = PacketQueue(10)
    queue.put(stream(0.01)[0])
    assert len(queue.take_all(0.0)[0]) == 1


class Worker:
    """A StreamWorker with what it delivered and reported."""

    def __init__(self, estimator):
        self.results, self.times, self.problems, self.listening = [], [], [], True
        self.queue = PacketQueue(QUEUE)
        self.worker = StreamWorker(estimator, self.queue, lambda: self.listening,
                                   self.deliver, self.problems.append)
        self.worker.start()

    def deliver(self, result):
        self.times.append(time.monotonic_ns())
        self.results.append(result)

    def wait_for(self, condition, timeout=20.0):
        end = time.monotonic() + timeout
        while not condition() and time.monotonic() < end:
            time.sleep(0.005)
        assert condition()


@pytest.fixture
def worker(student):
    estimator = estimator_of(student, rate_hz=10.0)
    estimator.warm_up(WIDTH, HEIGHT)
    made = Worker(estimator)
    yield made
    made.worker.stop()


def test_every_window_of_a_slow_stream_is_inferred(worker):
    for i, one in enumerate(stream(0.65)):
        worker.queue.put(one)
        if one.seq % 10 == 9:
            worker.wait_for(lambda: len(worker.results) >= (i + 1) // 10 - 1)
    worker.wait_for(lambda: len(worker.results) == 6)
    assert [r.window.t_end for r in worker.results] == [k * 10**8 for k in range(1, 7)]
    assert worker.worker.counts['skipped'] == 0
    assert worker.results[0].size == (WIDTH, HEIGHT)


def feed(worker, packets, between_s):
    """Put packets at a steady pace."""
    for one in packets:
        worker.queue.put(one)
        time.sleep(between_s)


def test_a_hiccup_skips_nothing(worker):
    infer = worker.worker.estimator.infer

    def stuck_once(window, reset=False):
        if not worker.results:
            time.sleep(0.4)
        return infer(window, reset)
    worker.worker.estimator.infer = stuck_once
    feed(worker, stream(0.85), 0.01)
    worker.wait_for(lambda: len(worker.results) == 8)
    assert [r.window.t_end for r in worker.results] == [k * 10**8 for k in range(1, 9)]


def pace(arrivals_ms, took_ms, period_ms=100):
    """Return the pace after windows that came at these times, a period of the sensor apart."""
    made = Pace()
    for index, arrival in enumerate(arrivals_ms):
        made.window_arrived(round(arrival * 1e6), index * period_ms * 10**6)
        made.inference_took(took_ms)
    return made


def test_a_first_burst_is_not_taken_for_a_fast_stream():
    assert pace(range(0, 40, 4), took_ms=23).most_waiting() == 32
    assert pace(range(0, 40, 4), took_ms=80).most_waiting() == 12  # a second of inference
    assert pace(range(0, 40, 4), took_ms=95).most_waiting() == 1


def test_a_recording_that_is_played_fast_is_noticed():
    assert pace(range(0, 400, 20), took_ms=23).most_waiting() == 1
    assert pace(range(0, 400, 20), took_ms=15).most_waiting() == 32
    assert pace(range(0, 4000, 200), took_ms=150).most_waiting() == 6


def test_with_a_slow_student_the_newest_window_wins(worker):
    infer = worker.worker.estimator.infer

    def slow(window, reset=False):
        time.sleep(0.25)
        return infer(window, reset)
    worker.worker.estimator.infer = slow
    feed(worker, stream(2.05), 0.01)
    last = 20 * 10**8
    worker.wait_for(lambda: worker.results and worker.results[-1].window.t_end == last)
    counts = worker.worker.counts
    assert counts['skipped'] >= 5
    assert counts['skipped'] + counts['inferred'] == 20
    late_s = [(time_ns - r.arrival_ns) / 1e9 for time_ns, r in zip(worker.times, worker.results)]
    assert max(late_s[-2:]) < 0.8  # two inferences; a queue would have grown to over 2 s


def test_skipping_keeps_the_news_of_an_interruption(worker):
    resets = []
    worker.worker.estimator.infer = lambda window, reset=False: (
        time.sleep(0.3), resets.append((window.t_end, reset)), np.zeros((14, 14)))[-1]
    packets = stream(0.65) + stream(0.65, seed=1)  # the clock falls back in the middle
    feed(worker, packets, 0.008)
    worker.wait_for(lambda: worker.worker.counts['inferred']
                    + worker.worker.counts['skipped'] == 12)
    assert sum(reset for _, reset in resets) == 2


def test_without_a_listener_nothing_is_inferred_and_the_state_starts_anew(worker):
    worker.listening = False
    packets = stream(0.6)
    for one in packets[:30]:
        worker.queue.put(one)
    worker.wait_for(lambda: worker.worker.counts['unheard_packets'] == 30)
    assert not worker.results
    worker.listening = True
    for one in packets[30:42]:  # one window: it must lie behind the pause, [350, 400) ms
        worker.queue.put(one)
    worker.wait_for(lambda: worker.results)
    assert worker.results[0].window.interrupted
    assert worker.results[0].window.t_end == 4 * 10**8
    assert worker.worker.estimator.pipeline.counters()['gaps'] == 0


def test_a_bad_packet_is_reported_and_the_stream_goes_on(worker):
    packets = stream(0.25)
    bad = packet([0], WIDTH, HEIGHT)
    object.__setattr__(bad, 'encoding', 'evt9')
    worker.queue.put(bad)
    for one in packets:
        worker.queue.put(one)
    worker.wait_for(lambda: worker.results)
    assert 'evt9' in worker.problems[0] and 'evt3' in worker.problems[0]


def test_requests_run_between_windows_on_the_workers_thread(worker):
    threads = []
    worker.worker.request(lambda: threads.append(threading.current_thread().name))
    worker.wait_for(lambda: threads)
    assert threads == ['inference']


def test_another_student_is_swapped_in(worker, student):
    from depth_anyevent_ros.networks.runtime import TorchRuntime
    other = untrained_student('tiny', seed=3)
    estimator = worker.worker.estimator
    worker.worker.request(lambda: estimator.replace_model(other, TorchRuntime(other, 'cpu')))
    for one in stream(0.25):
        worker.queue.put(one)
    worker.wait_for(lambda: worker.results)
    assert estimator.checkpoint is other
    assert np.isfinite(worker.results[0].inverse_depth).all()


def test_a_student_that_was_replaced_frees_its_memory(student):
    estimator = estimator_of(student)
    estimator.warm_up(WIDTH, HEIGHT)
    list(estimator.push(stream(0.01)[0]))
    before = weakref.ref(estimator.runtime)
    other = untrained_student('tiny', seed=3)
    after = estimator.runtime_for(other)
    estimator.replace_model(other, after)
    gc.collect()
    assert before() is None
    warmed = []
    after.warm_up = lambda *size: warmed.append(size)
    estimator.adapt_to_sensor()
    assert not warmed  # it came warm
    estimator.settle_on_this_thread()
    assert warmed == [estimator.input_size(other)]


def test_the_thread_outlives_whatever_goes_wrong_and_begins_anew(worker):
    infer, calls = worker.worker.estimator.infer, []

    def lost_once(window, reset=False):
        calls.append(reset)
        if len(calls) == 2:
            raise MemoryError('no memory on the device')
        return infer(window, reset)
    worker.worker.estimator.infer = lost_once
    feed(worker, stream(0.85), 0.01)
    worker.wait_for(lambda: len(worker.results) >= 4)
    assert worker.worker.alive and worker.worker.counts['failed'] == 1
    assert worker.problems == ['MemoryError: no memory on the device']
    assert calls[2] is True  # the state of before is gone


def test_the_thread_outlives_a_reset_that_fails_too(worker):
    runtime = worker.worker.estimator.runtime
    infer, reset, failures = runtime.infer, runtime.reset, []

    def lost_once(image):
        if not failures:
            failures.append('infer')
            raise MemoryError('no memory')
        return infer(image)

    def lost_after_it():
        if failures == ['infer']:
            failures.append('reset')
            raise RuntimeError('CUDA error: device lost')
        reset()
    runtime.infer, runtime.reset = lost_once, lost_after_it
    feed(worker, stream(0.65), 0.01)
    worker.wait_for(lambda: len(worker.results) >= 2)
    assert worker.worker.alive and worker.worker.counts['failed'] == 2
    assert worker.problems == ['MemoryError: no memory', 'RuntimeError: CUDA error: device lost']


def test_of_a_burst_the_newest_is_seen_and_what_is_lost_is_counted(worker):
    rng = np.random.default_rng(0)
    count = 100_000  # in a millisecond: 100 million a second
    events = Events(np.sort(rng.integers(0, 1_000_000, count)),
                    rng.integers(0, WIDTH, count).astype(np.uint16),
                    rng.integers(0, HEIGHT, count).astype(np.uint16),
                    rng.integers(0, 2, count).astype(np.uint8))
    data, _ = MonoEncoder(0).encode(events)
    alive, most, begin, sent = [], 0, time.monotonic(), 810  # 0.8 MB each
    for i in range(sent):
        copy = data.copy()
        alive = [ref for ref in alive if ref() is not None] + [weakref.ref(copy)]
        most = max(most, len(alive) * len(data))
        worker.queue.put(Packet(copy, 'mono', WIDTH, HEIGHT, i, 10**9 + i * 10**6))
        time.sleep(max(0.0, begin + (i + 1) * 1e-3 - time.monotonic()))
    worker.wait_for(lambda: worker.results and worker.results[-1].window.t_end == 18 * 10**8)
    pipeline, counts = worker.worker.estimator.pipeline, worker.worker.counts
    worker.wait_for(lambda: pipeline.counters()['packets'] + worker.queue.dropped == sent)
    assert counts['inferred'] + counts['skipped'] == pipeline.counters()['windows']
    assert pipeline.counters()['lost_packets'] == 0  # dropped here, not on the way
    # Twice the bound of the queue, since all that waits is taken out at once.
    assert most < 2 * QUEUE + 4 * len(data) and not worker.problems


def test_windows_of_a_full_queue_do_not_all_wait(worker):
    # A minute of a sensor that hardly sees anything, which arrived while the thread was busy.
    most, push, waiting = 0, worker.worker.estimator.push, worker.worker._waiting

    def watched(packet):
        nonlocal most
        for window in push(packet):
            most = max(most, len(waiting))
            yield window
    worker.worker.estimator.push = watched
    one_event = MonoEncoder(0).encode(Events(*np.zeros((4, 1), np.int64)))[0]
    packets = [Packet(one_event, 'mono', WIDTH, HEIGHT, i, 10**9 + i * 10**8)
               for i in range(600)]
    busy = threading.Event()
    worker.worker.request(busy.wait)
    for one in packets:
        worker.queue.put(one)
    busy.set()
    worker.wait_for(lambda: worker.results)
    counts = worker.worker.counts
    worker.wait_for(lambda: counts['inferred'] + counts['skipped'] > 500)
    assert 0 < most <= MOST_WAITING and counts['skipped'] > 500 - 2 * MOST_WAITING


def test_empty_packets_are_bounded_too():
    queue = PacketQueue(100_000)
    for i in range(10_000):
        queue.put(packet([], WIDTH, HEIGHT, seq=i))
    assert len(queue.take_all(0)[0]) < 1000 and queue.dropped > 9000


def test_a_corrupt_sensor_size_is_refused_before_anything_is_allocated(worker):
    bad = packet([0], 32768, 32768)
    worker.queue.put(bad)
    worker.wait_for(lambda: worker.problems)
    assert '32768' in worker.problems[0] and '2048' in worker.problems[0]
