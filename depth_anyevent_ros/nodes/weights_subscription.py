# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""New weights while the node runs: announced on a topic, read from a folder, swapped in."""
from __future__ import annotations

import queue
import threading

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import String

from depth_anyevent_ros.networks.handover import read_announced
from depth_anyevent_ros.nodes.topics import WEIGHTS
from depth_anyevent_ros.streaming import StreamWorker


class WeightsSubscription:
    """
    Listens to `weights` and replaces the student between two windows.

    A file is read, checked and warmed up on a thread of its own while the running student goes
    on; of announcements that wait only the newest is read. Whatever is wrong with it is logged
    and counted, and changes nothing.
    """

    def __init__(self, node: Node, weights_dir: str, worker: StreamWorker):
        self._node, self._folder, self._worker = node, weights_dir, worker
        self.swapped = self.refused = 0
        self._newest: queue.Queue[str | None] = queue.Queue(1)
        self._thread = threading.Thread(target=self._run, name='weights', daemon=True)
        self._thread.start()
        self._subscription = node.create_subscription(
            String, WEIGHTS, lambda msg: self._put(msg.data),
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def destroy(self) -> None:
        """End the subscription, and the thread after the file in hand."""
        self._node.destroy_subscription(self._subscription)
        self._put(None)
        # Not to be left inside torch when the interpreter ends.
        self._thread.join()

    def _put(self, announcement: str | None) -> None:
        """Let the thread read this next, in place of what waits."""
        try:
            self._newest.get_nowait()
        except queue.Empty:
            pass
        self._newest.put(announcement)

    def _run(self) -> None:
        while (announcement := self._newest.get()) is not None:
            try:
                self._load(announcement)
            except Exception as error:  # the thread has to go on, whatever a file holds
                self.refused += 1
                known = isinstance(error, (ValueError, OSError, RuntimeError))
                self._node.get_logger().error(
                    f'Weights were refused: {"" if known else type(error).__name__ + ": "}{error}')

    def _load(self, announcement: str) -> None:
        estimator = self._worker.estimator
        checkpoint = read_announced(announcement, self._folder)
        runtime = estimator.runtime_for(checkpoint)

        def swap() -> None:
            estimator.replace_model(checkpoint, runtime)
            self.swapped += 1
            self._node.get_logger().info(
                f'Going on with the student {checkpoint.name} ({checkpoint.sha256[:12]}).')
        self._worker.request(swap)
