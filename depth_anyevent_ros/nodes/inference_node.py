# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node that turns event packets into depth images."""
from __future__ import annotations

import os
from pathlib import Path
import sys

from std_srvs.srv import Trigger

from depth_anyevent_ros.depth_estimator import DepthEstimator, WindowSettings
from depth_anyevent_ros.geometry.calibration_choice import CalibrationChoice
from depth_anyevent_ros.geometry.calibration_file import calibration_from_url
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.hot_pixel_memory import HotPixelMemory, state_folder
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.calibration_subscription import CalibrationSubscription
from depth_anyevent_ros.nodes.conversions import BRIDGE_PROBLEM, to_packet
from depth_anyevent_ros.nodes.depth_publisher import DepthPublisher
from depth_anyevent_ros.nodes.diagnostics import Diagnostics
from depth_anyevent_ros.nodes.event_subscription import EventSubscription
from depth_anyevent_ros.nodes.inference_report import InferenceReport
from depth_anyevent_ros.nodes.lifecycle import AutostartNode, run
from depth_anyevent_ros.nodes.parameters import INFERENCE_PARAMETERS
from depth_anyevent_ros.nodes.silence_warning import SilenceWarning
from depth_anyevent_ros.nodes.steady_timer import create_steady_timer
from depth_anyevent_ros.nodes.weights_subscription import WeightsSubscription
from depth_anyevent_ros.packet_queue import PacketQueue
from depth_anyevent_ros.streaming import StreamWorker

SENSOR_SIZE_AT_WARM_UP = (346, 260)  # DAVIS346; the loops are compiled for every size
ADAPT_PERIOD_S = 0.2


class InferenceNode(AutostartNode):
    """
    Events in, inverse depth (and depth, with a metric scale) out.

    Callbacks only move bytes into a queue; a StreamWorker decodes, cuts windows and infers on
    one thread, a DepthPublisher publishes on another. topics.py and parameters.py name its ends.
    """

    def __init__(self, **kwargs):
        super().__init__('inference', INFERENCE_PARAMETERS, **kwargs)
        self._estimator: DepthEstimator | None = None
        self._publisher: DepthPublisher | None = None
        self._worker: StreamWorker | None = None
        self._events: EventSubscription | None = None
        self._silence: SilenceWarning | None = None
        self._weights: WeightsSubscription | None = None
        self._calibration = CalibrationChoice()
        self._camera_info: CalibrationSubscription | None = None
        self._hot_pixels: HotPixelMemory | None = None
        self._warned: set[str] = set()
        self._told_fallback: str | None = None
        self._report = InferenceReport()
        self._reset = self.create_service(Trigger, topics.RESET, self._on_reset)
        self._diagnostics = Diagnostics(self, 'inference', self._collect)
        self._adapt_timer = create_steady_timer(self, ADAPT_PERIOD_S, self._adapt)

    def configure(self) -> None:
        """Load the student and warm it up."""
        names = [parameter.name for parameter in INFERENCE_PARAMETERS]
        metric = metric_scale({name: self.value(name) for name in names})
        settings = WindowSettings(
            self.value('window.mode'), self.value('rate_hz'), self.value('window.duration_ms'),
            self.value('window.count'), self.value('events.max_gap_ms'))
        checkpoint = load_student(self.value('checkpoint'))
        self._hot_pixels = HotPixelMemory(
            Path(self.value('state_dir') or state_folder()).expanduser(),
            self.value('sensor_name'), self.value('hot_pixels'), self.get_logger().info)
        self._estimator = DepthEstimator(checkpoint, settings, self.value('device'),
                                         self.value('precision'), self.value('runtime'),
                                         self._hot_pixels.health_of)
        self._estimator.warm_up(*SENSOR_SIZE_AT_WARM_UP)
        self._read_calibration()
        self._publisher = DepthPublisher(self, self.value('frame_id'), self._warn_once,
                                         self._on_problem)
        self._publisher.metric = metric
        self._tell_student()
        if BRIDGE_PROBLEM:
            self.get_logger().warning(f'{BRIDGE_PROBLEM}; images are converted by own code.')

    def apply_live(self, values: dict[str, object]) -> None:
        """Take a new metric scale."""
        self._publisher.metric = metric_scale(values)

    def activate(self) -> None:
        """Start the threads, then subscribe."""
        self._warned.clear()
        self._publisher.start()
        queue = PacketQueue(self.value('events.queue_mb') << 20)
        self._worker = StreamWorker(self._estimator, queue, self._publisher.wanted,
                                    self._publisher.put, self._on_problem)
        self._report.watch(self._estimator, self._worker, queue, self._publisher,
                           self._calibration)
        self._worker.start()
        self._camera_info = CalibrationSubscription(
            self, self._calibration, lambda: self._estimator.pipeline.size, self._calibrate,
            self._warn_once)
        self._weights = WeightsSubscription(
            self, os.path.expanduser(self.value('weights_dir')), self._worker)
        self._events = EventSubscription(self, lambda msg: queue.put(to_packet(msg)),
                                         self.value('events.reliability'))
        self._silence = SilenceWarning(self, self._events, 'event packet')
        self.get_logger().info(f'Listening to {self._events.topic}.')

    def deactivate(self) -> None:
        """Unsubscribe, then end the threads."""
        for part in (self._events, self._weights, self._camera_info):
            if part is not None:
                part.destroy()
        if self._worker is not None:
            self._worker.stop()
            self._look_after_stream(now=True)
        if self._publisher is not None:
            self._publisher.stop()
        self._events = self._weights = self._camera_info = self._worker = None

    def release(self) -> None:
        """Free the student."""
        if self._publisher is not None:
            self._publisher.destroy()
        if self._estimator is not None:
            self._estimator.runtime.release()
        self._report.forget()
        self._estimator = self._publisher = None

    def _adapt(self) -> None:
        if self._events is not None:
            self._events.adapt()
            self._silence.adapt()
            self._camera_info.adapt()
            self._look_after_stream()

    def _look_after_stream(self, now: bool = False) -> None:
        """Say what the events tell of sensor and light, and that a GPU failed; keep hot pixels."""
        health, fallback = self._estimator.pipeline.health, self._estimator.runtime.fallback
        for warning in health.warnings() if health else ():
            self._warn_once(warning)
        if fallback and fallback != self._told_fallback:  # a GPU that failed while it ran
            self._told_fallback = fallback
            self.get_logger().error(fallback)
        try:
            self._hot_pixels.save(now)
        except OSError as error:
            self._warn_once(f'The hot pixels cannot be kept: {error}.')

    def _read_calibration(self) -> None:
        """Begin with the calibration of the file, if there is one; CalibrationError."""
        try:
            camera = calibration_from_url(self.value('camera_info_url'))
            if camera is not None:
                camera.check()
        except CalibrationError as error:
            raise CalibrationError(f'camera_info_url: {error}') from error
        self._calibration = CalibrationChoice(camera)
        self._estimator.calibrate(camera, self.value('rectify'))
        if self._estimator.calibration_problem:
            raise CalibrationError(f'camera_info_url: {self._estimator.calibration_problem} '
                                   'Correct the file, or set rectify to false')

    def _calibrate(self, camera: CameraModel) -> None:
        """Use a calibration from the next window on."""
        rectify = self.value('rectify')

        def calibrate():
            self._estimator.calibrate(camera, rectify)
            if self._estimator.calibration_problem:
                self._warn_once(self._estimator.calibration_problem)
        self._worker.request(calibrate)

    def _on_reset(self, _request, response):
        if self._worker is None:
            response.success, response.message = False, 'The node is not active.'
        else:
            self._worker.request(self._estimator.reset)
            response.success, response.message = True, 'The next window starts anew.'
        return response

    def _tell_student(self) -> None:
        about = self._estimator.runtime.describe()
        self.get_logger().info(
            f'Student: {about["checkpoint"]}, trained on {about["trained_on"]}; sha256 '
            f'{about["sha256"]}, {about["parameters"] / 1e6:.1f} M parameters, on '
            f'{about["device"]} in {about["precision"]} by {about["runtime"]}.')
        for caution in self._estimator.cautions():
            self.get_logger().warning(caution)
        self._told_fallback = self._estimator.runtime.fallback

    def _on_problem(self, sentence: str) -> None:
        self._report.problem(sentence)
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self.get_logger().warning(sentence)

    def _collect(self):
        return self._report.collect(self._events, self._weights)


def metric_scale(values: dict[str, object]) -> MetricScale | None:
    """Return the scale that the parameters state, None for metric.source none."""
    if values['metric.source'] == 'none':
        return None
    return MetricScale(values['metric.scale'], values['metric.shift'],
                       values['metric.min_range'], values['metric.max_range'])


def main(args=None) -> None:
    """Run the node."""
    sys.exit(run(InferenceNode, args))


if __name__ == '__main__':
    main()
