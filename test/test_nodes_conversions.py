# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and back."""
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.nodes import conversions

pytestmark = pytest.mark.ros


def test_image_keeps_its_pixels_also_where_the_array_has_gaps():
    header = conversions.to_header(5 * 10**9 + 7, 'frame')
    wide = np.arange(60, dtype=np.float32).reshape(6, 10)
    for picture in (wide, wide[::2, ::2], wide.T):
        image = conversions.to_image(picture, '32FC1', header)
        assert (image.height, image.width) == picture.shape
        assert image.step == 4 * picture.shape[1]
        assert bytes(image.data) == picture.tobytes()
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (5, 7)


def test_points_are_an_organised_cloud():
    points = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    cloud = conversions.to_points(points, conversions.to_header(0, 'f'))
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (2, 4, 12, 48)
    assert [(field.name, field.offset) for field in cloud.fields] == [('x', 0), ('y', 4), ('z', 8)]
    assert bytes(cloud.data) == points.tobytes()


def test_camera_info_there_and_back():
    k = np.array([[300., 0, 170], [0, 310, 130], [0, 0, 1]])
    camera = CameraModel(346, 260, k, np.array([.1, -.2, 0, 0]), 'equidistant')
    info = conversions.to_camera_info(camera, conversions.to_header(0, 'f'))
    assert isinstance(info, CameraInfo) and list(info.p[:4]) == [300, 0, 170, 0]
    again = CameraModel.from_info(info)
    np.testing.assert_array_equal(again.k, k)
    np.testing.assert_array_equal(again.d, camera.d)
    assert (again.width, again.height, again.distortion_model) == (346, 260, 'equidistant')


def test_camera_info_of_a_source_that_gives_only_k_has_r_and_p_all_the_same():
    source = CameraInfo(width=346, height=260, distortion_model='plumb_bob', d=[0.0] * 5,
                        k=[200., 0, 172.5, 0, 210, 129.5, 0, 0, 1])
    camera = CameraModel.from_info(source).scaled(173, 130)
    info = conversions.to_camera_info(camera, conversions.to_header(0, 'f'))
    # depth_image_proc divides by P's focal lengths.
    assert list(info.p) == [100, 0, 86, 0, 0, 105, 64.5, 0, 0, 0, 1, 0]
    assert list(info.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize('failure', [KeyError(16), AttributeError('_ARRAY_API not found')])
def test_a_cv_bridge_for_other_libraries_is_not_used_and_named(monkeypatch, failure):
    import sys
    import types

    class CvBridge:
        def cv2_to_imgmsg(self, picture, encoding):
            raise failure
    module = types.ModuleType('cv_bridge')
    module.CvBridge = CvBridge
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    bridge, problem = conversions._find_bridge()
    assert bridge is None and type(failure).__name__ in problem


def test_message_types_of_bags_import_nothing_else(capsys):
    from depth_anyevent_ros.nodes.message_types import message_class
    assert message_class('sensor_msgs/msg/CameraInfo') is CameraInfo
    assert message_class('sensor_msgs/CameraInfo') is CameraInfo
    assert message_class('event_array_msgs/msg/EventArray').__name__ == 'EventPacket'
    for name in ('this/msg/Poem', 'nothing_msgs/msg/Image', 'sensor_msgs/msg/Nothing',
                 '../sensor_msgs/msg/Image', 'os/msg/System', ''):
        with pytest.raises(LookupError):
            message_class(name)
    assert capsys.readouterr().out == ''  # `import this` prints a poem
