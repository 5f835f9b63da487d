# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the distillation node takes from TF, and gives back, over real DDS."""
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import pytest
from ros_graph import node_maker, wait_for

from depth_anyevent_ros.nodes import extrinsics
from depth_anyevent_ros.nodes.distillation_node import DistillationNode

try:
    import tf2_ros
except ImportError:
    import tf2_stand_in as tf2_ros  # not in the wheels

pytestmark = pytest.mark.ros


def test_tf_is_listened_to_while_configured_and_not_twice(client, untrained_file,
                                                          untrained_teacher, monkeypatch):
    monkeypatch.setattr(extrinsics, 'tf2_ros', tf2_ros)
    with node_maker(client, DistillationNode, 'distillation', checkpoint=str(untrained_file),
                    teacher__checkpoint=str(untrained_teacher), mode='label', autostart=False,
                    extrinsics__source='tf') as make:
        node = make()

        def go(transition):
            request = ChangeState.Request(transition=Transition(id=transition))
            assert client.call(ChangeState, f'/{client.name}/change_state', request,
                               timeout=40.0).success

        def listens(count):
            wait_for(lambda: all(sum(
                info.node_name == client.name for info in
                client.node.get_subscriptions_info_by_topic(topic)) == count
                for topic in ('/tf', '/tf_static')), what=f'{count} subscriptions to TF')
        go(Transition.TRANSITION_CONFIGURE)
        listens(1)
        assert node._tf.lookup('camera', 'event_camera') is None  # nobody says where they stand
        go(Transition.TRANSITION_CLEANUP)
        listens(0)
        go(Transition.TRANSITION_CONFIGURE)
        listens(1)
        go(Transition.TRANSITION_INACTIVE_SHUTDOWN)
        listens(0)
