# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One status on /diagnostics, once a second."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from depth_anyevent_ros.nodes.steady_timer import create_steady_timer
from depth_anyevent_ros.nodes.topics import DIAGNOSTICS

try:
    import diagnostic_updater
except ImportError:
    diagnostic_updater = None  # not in the wheels of ROS 2; the lines below serve as well

PERIOD_S = 1.0
LEVELS = {'ok': DiagnosticStatus.OK, 'warn': DiagnosticStatus.WARN,
          'error': DiagnosticStatus.ERROR}


@dataclass(frozen=True)
class Report:
    """A level (ok, warn, error), a sentence, and values by name."""

    level: str
    message: str
    values: dict[str, object]


class Diagnostics:
    """Publishes what collect() returns; by diagnostic_updater where that is installed."""

    def __init__(self, node: Node, name: str, collect: Callable[[], Report]):
        self._node, self._name, self._collect = node, name, collect
        # With the namespace, or monitors take the nodes of two cameras for one.
        self._node_name = node.get_fully_qualified_name().lstrip('/')
        if diagnostic_updater is not None:
            self._updater = diagnostic_updater.Updater(node, PERIOD_S)
            # Its own timer is in the node's time, which /clock may stop or never begin.
            node.destroy_timer(self._updater.timer)
            self._timer = create_steady_timer(node, self._updater.period, self._updater.update)
            self._updater.node_name = self._node_name
            self._updater.setHardwareID(node.get_fully_qualified_name())
            self._updater.add(name, self._fill)
            return
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS, 10)
        self._timer = create_steady_timer(node, PERIOD_S, self._publish)

    def _report(self) -> Report:
        try:
            return self._collect()
        except Exception as error:  # what is watched must not end by being looked at
            return Report('error', f'the diagnostics failed: {type(error).__name__}: {error}', {})

    def _fill(self, status):
        report = self._report()
        status.summary(LEVELS[report.level], report.message)
        for key, value in report.values.items():
            status.add(key, str(value))
        return status

    def _publish(self) -> None:
        report = self._report()
        status = DiagnosticStatus(
            level=LEVELS[report.level], message=report.message,
            name=f'{self._node_name}: {self._name}',
            hardware_id=self._node.get_fully_qualified_name(),
            values=[KeyValue(key=key, value=str(value))
                    for key, value in report.values.items()])
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
