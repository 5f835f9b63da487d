# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The layout of a sequence folder: events of one camera, and exact or estimated labels to them.

NAME/sequence.json   what it is: INFO_DEFAULTS and REQUIRED_INFO, beside name, format_version,
                     frames and command
NAME/events.h5       the events, laid out as in DSEC (event_file.py)
NAME/labels.h5       time_ns int64 (N,), the END of the event window of each label, and
                     inverse_depth float16 (N, H, W), 1/m, 0 infinitely far, NaN unknown;
                     optional: moving bool (N, H, W), flow float16 (N, H, W, 2) pixels a second,
                     image_time_ns int64 (N,)
NAME/image/000000.png  optional, the colour picture (bgr8) that belongs to label 0, and so on
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel

FORMAT_VERSION = 1
INFO_FILE, EVENTS_FILE, LABELS_FILE = 'sequence.json', 'events.h5', 'labels.h5'
IMAGE_FOLDER = 'image'
# A sequence that is being written; nobody reads it.
PART_SUFFIX = '.part'
# 1/m, that the float16 of labels holds; it ends at 65504.
MOST_INVERSE_DEPTH = 6e4
REQUIRED_INFO = ('source', 'camera', 'duration_ns')
INFO_DEFAULTS: dict[str, Any] = {
    'world': '', 'split': '', 'seed': None, 'sensor': '', 'level': None, 'rate_hz': None,
    'pauses': [], 'simulation': {}, 'command': ''}
# deflate at its fastest is as fast to read as lzf, a sixth smaller, and known to every HDF5
# library (measured on simulated events: 3.6 and 4.3 bytes an event, 20 million a second).
COMPRESSION = {'compression': 'gzip', 'compression_opts': 1, 'shuffle': True}
OPTIONAL_LABELS = {'moving': np.bool_, 'flow': np.float16}


class SequenceError(ValueError):
    """A sequence that cannot be used; the message says what was expected and what came."""


@contextmanager
def hdf5_errors(path: Path) -> Iterator[None]:
    """Turn what h5py raises over a damaged file into a SequenceError."""
    try:
        yield
    except FileNotFoundError as error:
        raise SequenceError(f'{path} is missing; the sequence is not whole.') from error
    except PermissionError as error:
        raise SequenceError(f'{path} may not be read: {error}.') from error
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise SequenceError(f'{path} cannot be read: {error}. The file is damaged or was cut '
                            'short; make the sequence again.') from error


def image_name(index: int) -> str:
    """Return the name of the picture of a label."""
    return f'{index:06d}.png'


def camera_to_json(camera: CameraModel) -> dict[str, Any]:
    """Return a camera as it stands in sequence.json."""
    told = {name: np.asarray(getattr(camera, name), np.float64).tolist()
            for name in ('k', 'd', 'r', 'p') if getattr(camera, name) is not None}
    return {'width': camera.width, 'height': camera.height, **told,
            'distortion_model': camera.distortion_model}


def camera_from_json(values: dict[str, Any], path: Path) -> CameraModel:
    """Return the camera of a sequence.json; raise SequenceError where it is none."""
    try:
        width, height = int(values['width']), int(values['height'])
        k = np.array(values['k'], np.float64)
        d = np.array(values.get('d', []), np.float64)
        model = str(values.get('distortion_model', 'plumb_bob'))
        r, p = (np.array(values[name], np.float64).reshape(shape) if name in values else None
                for name, shape in (('r', (3, 3)), ('p', (3, 4))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SequenceError(f'{path} does not describe its camera: expected width, height, k, d '
                            f'and distortion_model, got {values!r}.') from error
    if width < 1 or height < 1 or k.shape != (3, 3) or d.ndim != 1:
        raise SequenceError(f'{path} describes a camera of {width} x {height} pixels with k of '
                            f'shape {k.shape} and d of shape {d.shape}; expected a positive '
                            'size, (3, 3) and (n,).')
    return CameraModel(width, height, k, d, model, r, p)
