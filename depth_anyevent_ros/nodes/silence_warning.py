# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A warning in the log where nothing is heard on a topic, with what the graph tells of why."""
from __future__ import annotations

import time
from typing import Protocol

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from depth_anyevent_ros.nodes.topics import CLOCK, DISTILLATION_OUTPUTS, INFERENCE_OUTPUTS

FIRST_AFTER_S = 10.0
AGAIN_AFTER_S = 300.0
COMPRESSED = '/compressed'
OWN = tuple(f'/{name}' for name in (*INFERENCE_OUTPUTS, *DISTILLATION_OUTPUTS))


class Listener(Protocol):
    """
    What listens to a topic.

    name: of the topic, before remapping. subscription: the present one. heard: whether any
    message has come.
    """

    name: str
    subscription: Subscription
    heard: bool


class SilenceWarning:
    """
    Warns where nothing has ever come; adapt() is to be called a few times a second.

    what: what does not come, in words. Who has begun and falls silent is for the diagnostics.
    """

    def __init__(self, node: Node, listener: Listener, what: str):
        self._node, self._listener, self._what = node, listener, what
        self._next_look = time.monotonic() + FIRST_AFTER_S

    def adapt(self) -> None:
        """Warn when it is time to."""
        now = time.monotonic()
        if self._listener.heard or now < self._next_look:
            return
        why = _why_silent(self._node, self._listener)
        self._next_look = now + (AGAIN_AFTER_S if why else FIRST_AFTER_S)
        if why:
            self._node.get_logger().warning(
                f'No {self._what} has come on {self._listener.subscription.topic_name}: {why}.')


def _why_silent(node: Node, listener: Listener) -> str:
    """Return what the graph tells of why nothing comes, '' where a replay is waited for."""
    subscription = listener.subscription
    topic, kind = subscription.topic_name, _type_name(subscription.msg_type)
    found = node.get_publishers_info_by_topic(topic)
    publishers = [info for info in found if info.topic_type == kind]
    if not publishers:
        why = f'{_names(found)} publishes {_list(info.topic_type for info in found)} there, ' \
            f'and not {kind}' if found else 'nobody publishes it'
        others = [name for name, types in node.get_topic_names_and_types()
                  if kind in types and name != topic and not name.endswith(OWN)
                  and node.count_publishers(name)]
        return f'{why}. {kind} is published on {_list(others)}: ' \
            f'{_remapping(listener.name, min(others))} listens there' if others else \
            f'{why}, and {kind} is not published under any other name'
    mismatches = [reason for info in publishers for level, reason in [
        qos_check_compatible(info.qos_profile, subscription.qos_profile)]
        if level == QoSCompatibility.ERROR]
    if len(mismatches) == len(publishers):
        return f'{_names(publishers)} publishes it with QoS that does not fit ' \
            f'({mismatches[0].rstrip("; ")})'
    if node.count_publishers(CLOCK):  # a replay, which may wait, or be paused
        return ''
    return f'{_names(publishers)} publishes it, but has sent nothing'


def _remapping(name: str, topic: str) -> str:
    """Return what remaps a name to a topic; launch files name pictures without COMPRESSED."""
    remapping = f'{name}:={topic}'
    if not (name.endswith(COMPRESSED) and topic.endswith(COMPRESSED)):
        return remapping
    return f'{remapping} (in a launch file ' \
        f'{name.removesuffix(COMPRESSED)}:={topic.removesuffix(COMPRESSED)})'


def _type_name(kind: type) -> str:
    """Return the name of a message's class as the graph has it."""
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def _names(found: list[TopicEndpointInfo]) -> str:
    return _list(f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in found)


def _list(names) -> str:
    return ' and '.join(sorted(set(names)))
