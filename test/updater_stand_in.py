# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stands for diagnostic_updater 3.2 and later, which no wheel has: what a node sees of it."""
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue


class Status(DiagnosticStatus):
    """As DiagnosticStatusWrapper is filled."""

    def summary(self, level, message):
        self.level, self.message = level, message

    def add(self, key, value):
        self.values.append(KeyValue(key=key, value=value))


class Updater:
    """Publishes the statuses of its tasks by a timer of create_timer, in the node's time."""

    def __init__(self, node, period=1.0):
        self.node, self.node_name = node, node.get_name()
        self.publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 1)
        self.period = node.declare_parameter('diagnostic_updater.period', period).value
        self.timer = node.create_timer(self.period, self.update)
        self.tasks, self.hwid = [], ''

    def setHardwareID(self, hwid):  # noqa: N802 (its name)
        self.hwid = hwid

    def add(self, name, fill):
        self.tasks.append((name, fill))
        self.publish([Status(name=name, message='Node starting up')])

    def update(self):
        self.publish([fill(Status(name=name, hardware_id=self.hwid)) for name, fill in self.tasks])

    def publish(self, statuses):
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self.node.get_clock().now().to_msg()
        for status in statuses:
            status.name = f'{self.node_name}: {status.name}'
        self.publisher.publish(array)
