# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The subscription to event packets, whose reliability follows the publisher."""
from __future__ import annotations

from collections.abc import Callable

from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from depth_anyevent_ros.nodes.topics import EVENTS

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

# Drivers send up to some kHz of packets; a short queue would drop while Python is busy.
DEPTH = 1000
# Of the reliability the parameter events.reliability decides.
OVERRIDES = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)


class EventSubscription:
    """
    A subscription to `events` that hears every kind of publisher and loses as little as it can.

    With reliability `auto` it begins reliable. A best-effort publisher, as the camera drivers
    are, does not match that; adapt(), to be called a few times a second, then subscribes as best
    effort, and goes back when all publishers that are there are reliable. topic: the name after
    remapping. callback: gets an EventPacket, or its bytes if raw. subscription, heard: as a
    Listener has them.
    """

    name = EVENTS

    def __init__(self, node: Node, callback: Callable, reliability: str,
                 raw: bool = False):
        self._node, self._callback, self._raw = node, callback, raw
        self._auto = reliability == 'auto'
        self.topic = node.resolve_topic_name(EVENTS)
        self.subscription = None
        self.heard = False
        self._subscribe(self._wanted() or (
            ReliabilityPolicy.BEST_EFFORT if reliability == 'best_effort'
            else ReliabilityPolicy.RELIABLE))

    @property
    def reliability(self) -> str:
        """Return the reliability in use: reliable or best_effort."""
        return self._reliability.name.lower()

    def adapt(self) -> None:
        """Subscribe anew where the publishers that are there ask for another reliability."""
        wanted = self._wanted()
        if wanted is not None and wanted != self._reliability:
            self._subscribe(wanted)

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self.subscription)

    def _wanted(self) -> ReliabilityPolicy | None:
        """Return the reliability that hears all publishers, None where it is not to be chosen."""
        offered = {info.qos_profile.reliability
                   for info in self._node.get_publishers_info_by_topic(self.topic)}
        if not self._auto or not offered:
            return None
        return (ReliabilityPolicy.BEST_EFFORT if ReliabilityPolicy.BEST_EFFORT in offered
                else ReliabilityPolicy.RELIABLE)

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        if self.subscription is not None:
            self._node.destroy_subscription(self.subscription)
            self._node.get_logger().info(
                f'Subscribing to {self.topic} as {reliability.name.lower()}, as it is published.')
        self._reliability = reliability
        profile = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=DEPTH,
                             reliability=reliability)
        self.subscription = self._node.create_subscription(
            EventPacket, EVENTS, self._hear, profile, raw=self._raw,
            qos_overriding_options=QoSOverridingOptions(OVERRIDES),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._mismatch))

    def _hear(self, msg: EventPacket | bytes) -> None:
        self.heard = True
        self._callback(msg)

    def _mismatch(self, _info) -> None:
        if not self._auto:
            self._node.get_logger().error(
                f'A publisher of {self.topic} offers another reliability than '
                f'events.reliability={self.reliability}, so nothing is received from it. '
                'Set events.reliability to auto or best_effort.')
