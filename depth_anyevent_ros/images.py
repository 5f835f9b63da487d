# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of colour cameras as ROS messages carry them, to what networks see. No ROS."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

# Channels in the order in which they come, and the type of one: names of sensor_msgs/Image.
ENCODINGS = {
    'mono8': ('Y', np.uint8), '8UC1': ('Y', np.uint8),
    'mono16': ('Y', np.uint16), '16UC1': ('Y', np.uint16),
    'rgb8': ('RGB', np.uint8), 'bgr8': ('BGR', np.uint8), '8UC3': ('BGR', np.uint8),
    'rgba8': ('RGBA', np.uint8), 'bgra8': ('BGRA', np.uint8),
    'rgb16': ('RGB', np.uint16), 'bgr16': ('BGR', np.uint16),
    'rgba16': ('RGBA', np.uint16), 'bgra16': ('BGRA', np.uint16)}
LARGEST_SIDE = 16384


class ImageError(ValueError):
    """A picture that cannot be used; the message says what was expected and what came."""


def load_picture(path: Path) -> np.ndarray | None:
    """
    Return a picture of a file as bgr8 (height, width, 3), None for what is no picture. OSError.

    cv2.imread ends the process over names that are no text.
    """
    data = np.fromfile(path, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None


def decode_image(data, encoding: str, height: int, width: int, step: int,
                 is_bigendian: bool = False) -> np.ndarray:
    """
    Return the picture of a sensor_msgs/Image as RGB, uint8 (height, width, 3), a copy.

    data: its bytes, rows of `step` bytes. Of 16 bits the upper 8 are kept. Raises ImageError.
    """
    if encoding not in ENCODINGS:
        raise ImageError(f'images are encoded as {encoding!r}; expected one of '
                         f'{", ".join(ENCODINGS)}. Set the camera driver to one of these.')
    order, kind = ENCODINGS[encoding]
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise ImageError(f'an image says that it has {width}x{height} pixels; expected 1 to '
                         f'{LARGEST_SIDE} each')
    values = np.frombuffer(data, np.uint8)
    row = width * len(order) * np.dtype(kind).itemsize
    rows = _rows(values, height, row, step)
    if rows is None:
        raise ImageError(f'a {encoding} image of {width}x{height} pixels has rows of {step} bytes '
                         f'and {len(values)} bytes in all; expected {row} and {row * height} or '
                         'more')
    if kind == np.uint16:
        # The upper byte, wherever it stands.
        rows = rows[:, (0 if is_bigendian else 1)::2]
    picture = rows.reshape(height, width, len(order))
    return np.ascontiguousarray(picture[..., [max(order.find(c), 0) for c in 'RGB']])


def decode_map(data, encoding: str, height: int, width: int, step: int,
               is_bigendian: bool = False) -> np.ndarray:
    """
    Return the inverse depth of a sensor_msgs/Image, float32 (height, width), a copy.

    Larger is nearer; what is no finite number becomes NaN. Raises ImageError.
    """
    if encoding != '32FC1':
        raise ImageError(f"a teacher's map is encoded as {encoding!r}; expected 32FC1, inverse "
                         'depth, larger is nearer')
    kind = np.dtype(np.float32).newbyteorder('>' if is_bigendian else '<')
    values = np.frombuffer(data, np.uint8)
    row = 4 * width
    rows = _rows(values, height, row, step) if width and height else None
    if rows is None:
        raise ImageError(f"a teacher's map of {width}x{height} pixels has rows of {step} bytes "
                         f'and {len(values)} bytes in all')
    found = np.ascontiguousarray(rows).view(kind).astype(np.float32)
    return np.where(np.isfinite(found), found, np.float32(np.nan))


def _rows(values: np.ndarray, height: int, row: int, step: int) -> np.ndarray | None:
    """Return rows of `row` bytes, (height, row), each `step` after the last; None if too few."""
    # The last one may lack its padding.
    if step < row or len(values) < step * (height - 1) + row:
        return None
    return np.lib.stride_tricks.as_strided(values, (height, row), (step, 1), writeable=False)


def resize_picture(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture, uint8 (h, w, 3), as (height, width, 3), as a network on RGB takes it."""
    # Averages where the picture is finer; Depth Anything V2's cubic where it is coarser.
    shrinks = width < picture.shape[1]
    return cv2.resize(picture, (width, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def decode_compressed(data, name: str = 'the picture') -> np.ndarray:
    """Return a JPEG or PNG as RGB, uint8 (height, width, 3); raise ImageError."""
    values = np.frombuffer(data, np.uint8)
    picture = cv2.imdecode(values, cv2.IMREAD_COLOR) if len(values) else None
    if picture is None:
        raise ImageError(f'{name} holds {len(values)} bytes that are neither JPEG nor PNG')
    return np.ascontiguousarray(picture[..., ::-1])
