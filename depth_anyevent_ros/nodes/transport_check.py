# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Whether messages of 1 MB get from one process to another, best effort as camera drivers send.

The sender is a second process with the same environment, so what is measured is what a driver
started from this shell would have.
"""
from __future__ import annotations

from dataclasses import dataclass
import os
import subprocess
import sys
import time

from event_camera_msgs.msg import EventPacket
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy

from depth_anyevent_ros.malloc import keep_large_blocks

SIZE = 1 << 20  # bytes
COUNT = 150
RATE_HZ = 100.0
MATCH_TIMEOUT_S = 15.0
SILENCE_S = 1.0


@dataclass(frozen=True)
class TransportResult:
    """What came of `sent` messages, and how long they took."""

    sent: int
    received: int
    p50_ms: float | None
    p99_ms: float | None
    rmw: str

    @property
    def loss(self) -> float:
        """Share of messages that were lost."""
        return 1 - self.received / self.sent


def best_effort() -> QoSProfile:
    """Return the QoS of the camera drivers."""
    return QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


def check_transport() -> TransportResult:
    """Receive what a second process sends; raises RuntimeError where the two never meet."""
    keep_large_blocks()
    topic = f'depth_anyevent_doctor_{os.getpid()}'
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('depth_anyevent_doctor', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    delays_ms: list[float] = []
    node.create_subscription(
        EventPacket, topic, lambda msg: delays_ms.append((time.time_ns() - msg.time_base) / 1e6),
        best_effort())
    sender = subprocess.Popen([sys.executable, '-m', __spec__.name, topic],
                              stderr=subprocess.PIPE, text=True)
    try:
        last, count = time.monotonic(), 0
        while sender.poll() is None or time.monotonic() - last < SILENCE_S:
            executor.spin_once(timeout_sec=0.05)
            if len(delays_ms) != count or sender.poll() is None:
                last, count = time.monotonic(), len(delays_ms)
        if sender.returncode != 0:
            raise RuntimeError(f'the sending process failed: {sender.stderr.read().strip()}')
    finally:
        sender.kill()
        sender.wait()
        node.destroy_node()
        context.shutdown()
    p50, p99 = np.percentile(delays_ms, (50, 99)) if delays_ms else (None, None)
    return TransportResult(COUNT, len(delays_ms), p50, p99,
                           rclpy.get_rmw_implementation_identifier())


def send(topic: str) -> int:
    """Send the messages once somebody listens; return the exit status."""
    keep_large_blocks()
    rclpy.init()
    node = rclpy.create_node('depth_anyevent_doctor_sender')
    publisher = node.create_publisher(EventPacket, topic, best_effort())
    end = time.monotonic() + MATCH_TIMEOUT_S
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            print(f'no subscriber was discovered within {MATCH_TIMEOUT_S:.0f} s',
                  file=sys.stderr)
            return 1
        time.sleep(0.02)
    time.sleep(0.2)
    msg = EventPacket(events=bytes(SIZE))
    for i in range(COUNT):
        msg.seq, msg.time_base = i, time.time_ns()
        publisher.publish(msg)
        time.sleep(1 / RATE_HZ)
    time.sleep(0.5)
    rclpy.shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(send(sys.argv[1]))
