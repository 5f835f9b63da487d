# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations as files: what the ROS tool camera_calibration writes."""
from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import yaml

from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel


def read_calibration(path: str | Path) -> CameraModel:
    """
    Return the camera of a calibration file in YAML.

    It has image_width, image_height, distortion_model, and camera_matrix and
    distortion_coefficients with their data; rectification_matrix and projection_matrix may be
    left out. Raises CalibrationError.
    """
    try:
        document = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
        width, height = int(document['image_width']), int(document['image_height'])
        k = _matrix(document, 'camera_matrix').reshape(3, 3)
        d = _matrix(document, 'distortion_coefficients').ravel()
        r, p = (_matrix(document, name).reshape(shape) if name in document else None
                for name, shape in (('rectification_matrix', (3, 3)),
                                    ('projection_matrix', (3, 4))))
        model = str(document.get('distortion_model', 'plumb_bob'))
    except OSError as error:
        raise CalibrationError(f'{path} cannot be read: {error}') from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError,
            RecursionError) as error:
        raise CalibrationError(
            f'{path} is no calibration of a camera ({error}); expected YAML with image_width, '
            'image_height, camera_matrix, distortion_model and distortion_coefficients, as '
            'camera_calibration writes it') from error
    if width < 1 or height < 1:
        raise CalibrationError(f'{path} is for {width}x{height} pixels; expected 1 or more')
    return CameraModel(width, height, k, d, model, r, p)


def calibration_from_url(url: str) -> CameraModel | None:
    """
    Return the camera of a camera_info_url, None for an empty one.

    It is a path, file:///path, or package://PACKAGE/path in the share folder of a ROS package.
    Raises CalibrationError.
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CalibrationError(f'{url} cannot be read as a calibration: {error}') from error
    if '$' in url or parts.scheme not in ('', 'file', 'package') \
            or (parts.scheme == 'file' and parts.netloc not in ('', 'localhost')):
        raise CalibrationError(f'{url} cannot be read as a calibration: expected a path, '
                               'file:///path, or package://PACKAGE/path')
    if parts.scheme == 'package':
        return read_calibration(_share_folder(parts.netloc, url) / unquote(parts.path).lstrip('/'))
    return read_calibration(Path(unquote(parts.path) if parts.scheme else url).expanduser())


def _share_folder(package: str, url: str) -> Path:
    for prefix in filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)):
        folder = Path(prefix, 'share', package)
        if package and folder.is_dir():
            return folder
    raise CalibrationError(f'{url} cannot be read: no package {package!r} is in '
                           'AMENT_PREFIX_PATH; source the workspace that has it')


def _matrix(document: dict, name: str) -> np.ndarray:
    return np.array(document[name]['data'], np.float64)
