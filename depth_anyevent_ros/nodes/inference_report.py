# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inference node says about itself on /diagnostics."""
from __future__ import annotations

import time

from depth_anyevent_ros.depth_estimator import DepthEstimator
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.geometry.calibration_choice import CalibrationChoice, OTHER_SIZE
from depth_anyevent_ros.nodes.depth_publisher import DepthPublisher
from depth_anyevent_ros.nodes.diagnostics import Report
from depth_anyevent_ros.nodes.event_subscription import EventSubscription
from depth_anyevent_ros.nodes.weights_subscription import WeightsSubscription
from depth_anyevent_ros.packet_queue import PacketQueue
from depth_anyevent_ros.statistics import RecentRate
from depth_anyevent_ros.streaming import StreamWorker

SILENCE_S = 2.0
PROBLEM_SHOWN_S = 10.0
WINDOWLESS_S = 5.0  # and three windows
MANY_CORRUPT = 5  # time words a second; a single one is nothing to report
MANY_BEYOND = 0.01  # of the events


class InferenceReport:
    """Collects counters of the parts, and turns them into a level, a sentence and values."""

    def __init__(self):
        self._parts: tuple[DepthEstimator, StreamWorker, PacketQueue, DepthPublisher] | None = None
        self._calibration = CalibrationChoice()
        self._problem, self._problem_time = '', float('-inf')
        self._rates = {name: RecentRate() for name in ('events', 'bytes')}
        self._before: dict[str, int] = {}
        self._progress = 0, 0.0  # windows and packets unheard, and since when there are so many
        self._topic = ''
        self.problems = 0

    def watch(self, estimator: DepthEstimator, worker: StreamWorker, queue: PacketQueue,
              publisher: DepthPublisher, calibration: CalibrationChoice) -> None:
        """Report on these from now on."""
        self._parts = estimator, worker, queue, publisher
        self._calibration = calibration
        self._rates = {name: RecentRate() for name in self._rates}
        self._before = {}  # the counters begin anew

    def forget(self) -> None:
        """Report on nothing: the node is not configured."""
        self._parts = None

    def problem(self, sentence: str) -> None:
        """Take a problem with a packet or a window, to be shown for a while."""
        self.problems += 1
        self._problem, self._problem_time = sentence, time.monotonic()

    def collect(self, events: EventSubscription | None,
                weights: WeightsSubscription | None) -> Report:
        """Return the present state."""
        if self._parts is None or events is None:
            return Report('ok', 'not active', {})
        self._topic = events.topic
        estimator, worker, queue, publisher = self._parts
        about = estimator.runtime.describe()
        stream = estimator.pipeline.counters()
        values = {
            'rate (Hz)': round(publisher.times.rate(), 2),
            'latency p50 (ms)': _rounded(publisher.latency_ms.percentile(50)),
            'latency p99 (ms)': _rounded(publisher.latency_ms.percentile(99)),
            'inference p50 (ms)': _rounded(publisher.inference_ms.percentile(50)),
            'events/s': round(self._rates['events'].update(stream.get('events', 0))),
            'bytes/s': round(self._rates['bytes'].update(stream['bytes'])),
            'corrupt_times': 0, **stream, **worker.counts, **publisher.counts,
            'queue drops': queue.dropped,
            'problems': self.problems,
            'weights swapped': weights.swapped, 'weights refused': weights.refused,
            'events reliability': events.reliability,
            'calibration': self._calibration.describe(estimator.pipeline.size),
            'rectified': estimator.pipeline.rectified,
            **_health(estimator.pipeline.health),
            'clock drift (ppm)': round(estimator.pipeline.clock.drift * 1e6, 1),
            'non-finite pixels': estimator.runtime.non_finite,
            'state resets': estimator.runtime.state_resets,
            **about,
        }
        level, message = self._judge(worker, values, estimator, publisher)
        self._before = {name: values[name]
                        for name in ('gaps', 'skipped', 'queue drops', 'corrupt_times',
                                     'non-finite pixels', 'events', 'out_of_range')
                        if name in values}
        return Report(level, message, values)

    def _judge(self, worker: StreamWorker, values: dict, estimator: DepthEstimator,
               publisher: DepthPublisher) -> tuple[str, str]:
        """Return level and sentence: the worst thing there is to say."""
        if not worker.alive:
            return 'error', 'the inference thread has ended; restart the node'
        silent_s = (time.monotonic_ns() - worker.last_packet_ns) / 1e9
        if silent_s > SILENCE_S:
            self._progress = 0, 0.0  # a window is waited for from the next packet on
        if time.monotonic() - self._problem_time < PROBLEM_SHOWN_S:
            return 'error', self._problem
        if worker.last_packet_ns == 0:
            return 'warn', f'no event packet has come on {self._topic}'
        if silent_s > SILENCE_S:
            return 'warn', f'no event packet for {silent_s:.0f} s'
        for name, sentence in (('queue drops', 'event packets are dropped: the queue is full'),
                               ('gaps', 'event packets are lost on the way'),
                               ('skipped', 'windows are skipped: the student is too slow'),
                               ('non-finite pixels',
                                'the student gives pixels that are no number')):
            if values[name] > self._before.get(name, 0):
                return 'warn', sentence
        if values['corrupt_times'] > self._before.get('corrupt_times', 0) + MANY_CORRUPT:
            return 'warn', 'many time words of the event stream are not believed'
        events, beyond = (values.get(name, 0) - self._before.get(name, 0)
                          for name in ('events', 'out_of_range'))
        if beyond and beyond > MANY_BEYOND * (events + beyond):
            return 'warn', ('many events lie beyond the sensor and are dropped: are width and '
                            'height in the packets right?')
        if values['windows'] and not estimator.pipeline.clock.synchronised:
            return 'warn', 'the event packets carry no stamp, so depth is stamped in sensor time'
        if not publisher.wanted():
            if publisher.wanted_metric():
                return 'warn', ('depth/image and depth/points are heard, but stay silent: '
                                'metric.source is none, so that depth has no scale')
            return 'ok', 'nobody listens to the outputs, so nothing is computed'
        if self._stands_still(values, estimator.settings.rate_hz):
            return 'warn', 'event packets come, but no window of events is complete'
        if values['calibration'].endswith(OTHER_SIZE):
            return 'warn', 'the calibration is for another size than the events have: not used'
        health = estimator.pipeline.health
        for caution in [*estimator.cautions(), *(health.warnings() if health else ())]:
            return 'warn', caution
        return 'ok', f'depth from events; student trained on {estimator.checkpoint.trained_on}'

    def _stands_still(self, values: dict, rate_hz: float) -> bool:
        """Return whether somebody has listened for long, and no window was complete."""
        now, done = time.monotonic(), values['windows'] + values['unheard_packets']
        if done != self._progress[0] or not self._progress[1]:
            self._progress = done, now
        return now - self._progress[1] > max(WINDOWLESS_S, 3 / rate_hz)


def _health(health: StreamHealth | None) -> dict[str, int]:
    if health is None:
        return {}
    return {'hot pixels': health.masked,
            'flicker (Hz)': health.flicker_hz,
            'rate ceiling (events/s)': round(health.rate_ceiling)}


def _rounded(value: float | None) -> float | str:
    return '' if value is None else round(value, 2)
