# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and arrays to messages."""
from __future__ import annotations

import array
import sys

from builtin_interfaces.msg import Time
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel


def _find_bridge():
    """
    Return (cv_bridge.CvBridge or None, why it is not used).

    It is not in the wheels of ROS 2, and one that was built for another numpy or OpenCV than is
    installed imports, but fails at an image; so it is tried on those that are sent.
    """
    try:
        from cv_bridge import CvBridge
        bridge = CvBridge()
        for shape, kind, encoding in (((2, 3), np.float32, '32FC1'),
                                      ((2, 3, 3), np.uint8, 'bgr8')):
            picture = np.arange(np.prod(shape), dtype=kind).reshape(shape)
            sent = bridge.cv2_to_imgmsg(picture, encoding)
            if bytes(sent.data) != picture.tobytes() or sent.encoding != encoding:
                return None, f'cv_bridge spoils images of encoding {encoding}'
    except ImportError:
        return None, None
    except Exception as error:  # whatever a module for other libraries raises
        return None, f'cv_bridge does not work here ({type(error).__name__}: {error})'
    return bridge, None


BRIDGE, BRIDGE_PROBLEM = _find_bridge()


def to_packet(msg) -> Packet:
    """Return an EventPacket message as a Packet that shares its bytes."""
    stamp = msg.header.stamp
    return Packet(np.frombuffer(msg.events, np.uint8), msg.encoding, msg.width, msg.height,
                  msg.seq, msg.time_base, msg.is_bigendian,
                  stamp.sec * 10**9 + stamp.nanosec, msg.header.frame_id)


def to_header(stamp_ns: int, frame_id: str) -> Header:
    """Return a header; stamp_ns is ROS time in ns."""
    return Header(stamp=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9),
                  frame_id=frame_id)


def to_image(picture: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an array (H, W) or (H, W, C) as an Image of the encoding that it already has."""
    picture = np.ascontiguousarray(picture)
    if BRIDGE is not None:
        return BRIDGE.cv2_to_imgmsg(picture, encoding, header)
    return Image(header=header, height=picture.shape[0], width=picture.shape[1],
                 encoding=encoding, is_bigendian=sys.byteorder == 'big',
                 step=picture.strides[0], data=_bytes(picture))


def to_points(points: np.ndarray, header: Header) -> PointCloud2:
    """Return points, float32 (H, W, 3) in metres, as an organised cloud; NaN is no point."""
    height, width, _ = points.shape
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
              for i, name in enumerate('xyz')]
    return PointCloud2(header=header, height=height, width=width, fields=fields,
                       is_bigendian=sys.byteorder == 'big', point_step=12,
                       row_step=12 * width, data=_bytes(points), is_dense=False)


def to_camera_info(camera: CameraModel, header: Header) -> CameraInfo:
    """Return a calibration as a CameraInfo message; R and P stand in it also if not given."""
    return CameraInfo(header=header, width=camera.width, height=camera.height,
                      distortion_model=camera.distortion_model, d=camera.d.tolist(),
                      k=camera.k.ravel().tolist(), r=camera.rotation.ravel().tolist(),
                      p=camera.projection.ravel().tolist())


def _bytes(values: np.ndarray) -> array.array:
    """Return the memory of an array as rclpy takes it without looking at every byte."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).data.cast('B'))
    return data
