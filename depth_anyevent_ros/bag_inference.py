# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The student over a recording, without a ROS graph."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from depth_anyevent_ros.datasets.bags import (
    BagError, BagReader, BagWriter, decode_event_packet, describe_topics, require_event_topics)
from depth_anyevent_ros.depth_estimator import DepthEstimator
from depth_anyevent_ros.evaluation.depth_sheet import DepthSheet
from depth_anyevent_ros.evaluation.pictures import colorize, SteadyRange
from depth_anyevent_ros.events.decoders import DROPPED
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.events.types import Packet, PacketError
from depth_anyevent_ros.geometry.camera import CameraModel

INVERSE_DEPTH, INFO = '/inverse_depth/image', '/inverse_depth/camera_info'
VISUALIZATION = '/visualization/image'
# Of the counters of a pipeline.
DAMAGE = (*DROPPED, 'duplicates', 'restarts', 'interruptions', 'size_changes')


def choose_event_topic(reader: BagReader, wanted: str | None) -> str:
    """Return the event topic to use; raise BagError with the topics found where it is unclear."""
    candidates = require_event_topics(reader)
    if wanted in candidates or (wanted is None and len(candidates) == 1):
        return wanted or candidates[0]
    if wanted is not None:
        raise BagError(f'{reader.path} has no event topic {wanted}; its topics are '
                       f'{describe_topics(reader)}.')
    raise BagError(f'{reader.path} has several event topics, {", ".join(candidates)}: '
                   'choose one with --topic.')


class DepthWriter:
    """
    Writes inverse depth with its camera_info, and pictures if asked for, to a bag.

    camera: of the picture that windows show, at the size of the sensor; None for not known.
    sheet: sees all that is written.
    """

    def __init__(self, writer: BagWriter, visualization: bool, camera: CameraModel | None,
                 sheet: DepthSheet | None = None):
        self._writer, self._visualization, self._camera = writer, visualization, camera
        self._sheet = sheet
        self._colors = SteadyRange()
        self.published = 0

    def write(self, inverse_depth: np.ndarray, window: Window, packet: Packet) -> None:
        """Write the result of a window that this packet completed."""
        height, width = inverse_depth.shape
        stamps = {'stamp_ns': window.stamp_ns, 'frame_id': packet.frame_id,
                  'timestamp_ns': window.stamp_ns}
        camera = self._camera
        if camera is None or (camera.width, camera.height) != (packet.width, packet.height):
            camera = CameraModel.uncalibrated(packet.width, packet.height)
        self._writer.write_image(INVERSE_DEPTH, inverse_depth, '32FC1', **stamps)
        self._writer.write_camera_info(INFO, camera.scaled(width, height), **stamps)
        if self._visualization:
            picture = colorize(inverse_depth, *self._colors.update(inverse_depth))
            self._writer.write_image(VISUALIZATION, picture, 'bgr8', **stamps)
        if self._sheet:
            self._sheet.see(window.stamp_ns, window.image, inverse_depth)
        self.published += 1


def infer_bag(reader: BagReader, topic: str, estimator: DepthEstimator, writer: BagWriter,
              visualization: bool = False, sheet: DepthSheet | None = None,
              progress: Callable[[int], object] = lambda n: None) -> dict:
    """
    Infer every window of a bag; return {windows, published, packets, events, dropped, gaps}.

    The estimator knows the calibration already. sheet: sees what is written. dropped counts
    packets that could not be used, `problem` tells why the first could not; rectified: whether
    the events were; damage: counts of what else was dropped, mended, or began the stream anew.
    """
    output = DepthWriter(writer, visualization, estimator.camera, sheet)
    dropped, problem, packet = 0, '', None
    for raw in reader.messages([topic]):
        progress(1)
        try:
            packet = decode_event_packet(raw)
            for window in estimator.push(packet):
                output.write(estimator.infer(window), window, packet)
        except PacketError as error:
            dropped += 1
            problem = problem or str(error)
    for window in estimator.finish():
        output.write(estimator.infer(window), window, packet)
    counters = estimator.pipeline.counters()
    return {'windows': counters['windows'], 'published': output.published,
            'packets': counters['packets'] + dropped, 'events': counters.get('events', 0),
            'dropped': dropped, 'gaps': counters['gaps'], 'problem': problem,
            'rectified': estimator.pipeline.rectified,
            'damage': {name: counters[name] for name in DAMAGE if counters.get(name)}}
