# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inference node publishes, and the thread on which it does."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import queue
import threading
import time

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from depth_anyevent_ros.evaluation.pictures import colorize, SteadyRange, window_picture
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale, points
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.conversions import to_camera_info, to_header, to_image, to_points
from depth_anyevent_ros.statistics import RecentTimes, RecentValues
from depth_anyevent_ros.streaming import Result

WAITING = 4  # results; a publisher that is slower than the student drops the oldest
QUEUE_DEPTH = 5
POLL_S = 0.1
TYPES = {topics.INVERSE_DEPTH: Image, topics.INVERSE_DEPTH_INFO: CameraInfo,
         topics.VISUALIZATION: Image, topics.EVENTS_PICTURE: Image, topics.DEPTH: Image,
         topics.DEPTH_INFO: CameraInfo, topics.POINTS: PointCloud2}
METRIC_TOPICS = (topics.DEPTH, topics.DEPTH_INFO, topics.POINTS)


class DepthPublisher:
    """
    Turns results into messages and publishes those that somebody listens to.

    metric: the scale that makes metres, None for relative depth. warn(sentence) logs once,
    report(sentence) says that a result could not be published.
    """

    def __init__(self, node: LifecycleNode, frame_id: str, warn: Callable[[str], None],
                 report: Callable[[str], None]):
        self._frame_id, self._warn, self._report = frame_id, warn, report
        self._node = node
        self.metric: MetricScale | None = None
        self._publishers = {
            name: node.create_lifecycle_publisher(
                kind, name, QoSProfile(depth=QUEUE_DEPTH),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
            for name, kind in TYPES.items()}
        self._colors = SteadyRange()
        self._rays: tuple[CameraModel, tuple[int, int], np.ndarray] | None = None
        self._results: queue.Queue[Result] = queue.Queue(WAITING)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.times = RecentTimes()
        self.latency_ms = RecentValues()
        self.inference_ms = RecentValues()
        self.counts = Counter(published=0, unpublished=0, failed_to_publish=0)

    def wanted(self) -> bool:
        """Return whether anybody listens to a topic that results go to."""
        return any(publisher.get_subscription_count() for name, publisher
                   in self._publishers.items() if self.metric or name not in METRIC_TOPICS)

    def wanted_metric(self) -> bool:
        """Return whether anybody listens to depth in metres, there be a scale or not."""
        return any(publisher.get_subscription_count() for name, publisher
                   in self._publishers.items() if name in METRIC_TOPICS)

    def start(self) -> None:
        """Start the thread; what was left over when it ended is out of date."""
        self._results = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name='publishing', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the result in hand."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None
            self._stopping.clear()

    def destroy(self) -> None:
        """Give the publishers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}

    def put(self, result: Result) -> None:
        """Take a result; called by the thread that infers, and never waits."""
        while True:
            try:
                self._results.put_nowait(result)
                return
            except queue.Full:
                try:
                    self._results.get_nowait()
                    self.counts['unpublished'] += 1
                except queue.Empty:
                    pass

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                result = self._results.get(timeout=POLL_S)
            except queue.Empty:
                continue
            try:
                self._publish(result)
            except Exception as error:  # the thread must outlive a message that cannot be made
                self.counts['failed_to_publish'] += 1
                self._report(f'A result cannot be published: {type(error).__name__}: {error}')
                continue
            self.counts['published'] += 1
            self.times.add()
            self.inference_ms.add(result.inference_ms)
            self.latency_ms.add((time.monotonic_ns() - result.arrival_ns) / 1e6)

    def _publish(self, result: Result) -> None:
        inverse_depth = result.inverse_depth
        height, width = inverse_depth.shape
        if not (self._frame_id or result.frame_id):
            self._warn('The event packets name no frame: set the parameter frame_id to the '
                       'optical frame of the event camera.')
        header = to_header(result.window.stamp_ns, self._frame_id or result.frame_id)
        camera = self._camera_of(result)
        info = to_camera_info(camera.scaled(width, height), header)
        self._send(topics.INVERSE_DEPTH, lambda: to_image(inverse_depth, '32FC1', header))
        self._send(topics.INVERSE_DEPTH_INFO, lambda: info)
        self._send(topics.VISUALIZATION, lambda: to_image(
            colorize(inverse_depth, *self._colors.update(inverse_depth)), 'bgr8', header))
        self._send(topics.EVENTS_PICTURE, lambda: to_image(
            window_picture(result.window.image), 'bgr8', header))
        metric = self.metric
        if metric is None:
            return
        depth = metric.depth(inverse_depth)
        self._send(topics.DEPTH, lambda: to_image(depth, '32FC1', header))
        self._send(topics.DEPTH_INFO, lambda: info)
        self._send(topics.POINTS, lambda: self._cloud(depth, camera, header))

    def _send(self, name: str, make: Callable[[], object]) -> None:
        """Publish make() where anybody listens and make() gives a message."""
        publisher = self._publishers[name]
        if publisher.get_subscription_count():
            message = make()
            if message is not None:
                publisher.publish(message)

    def _camera_of(self, result: Result) -> CameraModel:
        """Return the calibration if it fits the sensor that sends, else one of the size only."""
        camera, size = result.camera, result.size
        if camera is None:
            self._warn('No camera_info was received: the outputs carry an uncalibrated one, and '
                       'depth/points stays empty. Publish the calibration of the event camera, '
                       'or name its file by camera_info_url.')
        elif (camera.width, camera.height) != size:
            self._warn(f'The calibration is for {camera.width}x{camera.height} pixels, but the '
                       f'event packets come from {size[0]}x{size[1]}: it is not used. It has to '
                       'be that of the event camera: width and height those of the whole sensor, '
                       'of which roi and binning say what is shown.')
        else:
            if not camera.calibrated:
                self._warn('The camera_info of the event camera is not calibrated (K is zero): '
                           'depth/points stays empty.')
            return camera
        return CameraModel.uncalibrated(*size)

    def _cloud(self, depth: np.ndarray, camera: CameraModel, header: Header):
        """Return the point cloud of a depth image, None where the camera does not allow it."""
        if self._rays is None or self._rays[0] is not camera or self._rays[1] != depth.shape:
            try:
                rays = camera.scaled(depth.shape[1], depth.shape[0]).rays()
            except CalibrationError as error:
                if camera.calibrated:
                    self._warn(f'No points are published: {error}.')
                return None
            self._rays = camera, depth.shape, rays
        return to_points(points(depth, self._rays[2]), header)
