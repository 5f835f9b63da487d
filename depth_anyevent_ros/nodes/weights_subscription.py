# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""New weights while the node runs: announced on a topic, read from a folder, swapped in."""
from __future__ import annotations

import threading

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from depth_anyevent_ros.networks.handover import read_announced
from depth_anyevent_ros.networks.runtime import TorchRuntime
from depth_anyevent_ros.nodes.topics import WEIGHTS
from depth_anyevent_ros.streaming import StreamWorker


class WeightsSubscription:
    """
    Listens to `weights` and replaces the student between two windows.

    The file is read, checked and warmed up on a thread of its own while the running student
    goes on. Whatever is wrong with it is logged and counted, and changes nothing.
    """

    def __init__(self, node: Node, weights_dir: str, worker: StreamWorker):
        self._node, self._folder, self._worker = node, weights_dir, worker
        self.swapped = self.refused = 0
        self._loading = threading.Lock()
        profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscription = node.create_subscription(String, WEIGHTS, self._on_message, profile)

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _on_message(self, msg: String) -> None:
        threading.Thread(target=self._load, args=(msg.data,), name='weights',
                         daemon=True).start()

    def _load(self, announcement: str) -> None:
        estimator = self._worker.estimator
        with self._loading:  # in the order of arrival, one at a time
            try:
                checkpoint = read_announced(announcement, self._folder)
                runtime = TorchRuntime(checkpoint, estimator.runtime.device,
                                       estimator.runtime.precision)
                height, width = estimator.input_size(checkpoint)
                runtime.warm_up(height, width)
            except (ValueError, OSError, RuntimeError) as error:
                self.refused += 1
                self._node.get_logger().error(f'Weights were refused: {error}')
                return
            self._worker.request(lambda: estimator.replace_model(checkpoint, runtime))
            self.swapped += 1
            self._node.get_logger().info(
                f'Going on with the student {checkpoint.name} ({checkpoint.sha256[:12]}).')
