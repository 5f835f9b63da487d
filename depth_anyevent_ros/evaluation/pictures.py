# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth and events as pictures for people."""
from __future__ import annotations

from io import BytesIO
import os
from pathlib import Path

import cv2
import numpy as np

from depth_anyevent_ros.atomic_file import replace_file

INVALID_COLOR = (90, 90, 90)  # bgr; a grey that the colour map does not contain


def colorize(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """
    Return values as a bgr8 picture, uint8 (H, W, 3): low is dark, high is bright.

    NaN is grey. low and high are given, so that a sequence keeps its colours.
    """
    span = high - low
    unit = (values - low) / span if span > 0 else np.full_like(values, 0.5)
    valid = np.isfinite(values)
    gray = (np.clip(np.where(valid, unit, 0), 0, 1) * 255).astype(np.uint8)
    picture = cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO)
    picture[~valid] = INVALID_COLOR
    return picture


class SteadyRange:
    """
    A range of values that follows a sequence slowly, so that its colours do not flicker.

    It starts at the 2nd and 98th percentile of the first picture, widens by half of what a
    picture lacks, and shrinks by 2 % of what it leaves unused.
    """

    def __init__(self):
        self._range: tuple[float, float] | None = None

    def update(self, values: np.ndarray) -> tuple[float, float]:
        """Return (low, high) for this picture, float (H, W); NaN does not count."""
        finite = values[np.isfinite(values)]
        if not len(finite):
            return self._range or (0.0, 1.0)
        low, high = (float(v) for v in np.percentile(finite, (2, 98)))
        if self._range is None:
            self._range = (low, high)
        else:
            old_low, old_high = self._range
            self._range = (old_low + (0.5 if low < old_low else 0.02) * (low - old_low),
                           old_high + (0.5 if high > old_high else 0.02) * (high - old_high))
        return self._range


def tencode_picture(image: np.ndarray) -> np.ndarray:
    """
    Return a Tencode, float (3, H, W), as a bgr8 picture on white.

    ON is red, OFF is blue, older is paler; where there is no event all of them are 0, or all 1.
    """
    on, age, off = np.where((image > 0.5).all(0), 0, image)
    seen = (on + off) > 0.5
    pale = np.clip(age, 0, 1) * 0.7
    picture = np.ones((*on.shape, 3), np.float32)
    picture[..., 0] = np.where(on > 0.5, pale, 1)
    picture[..., 1] = np.where(seen, pale, 1)
    picture[..., 2] = np.where(off > 0.5, pale, 1)
    return (picture * 255).astype(np.uint8)


def window_picture(image: np.ndarray) -> np.ndarray:
    """Return the input of a student as bgr8: Tencode, float (3, H, W), or a voxel grid's sum."""
    return tencode_picture(image) if len(image) == 3 else colorize(image.sum(0), -3, 3)


def save_figure(figure, path: str | os.PathLike, dpi: int) -> None:
    """Write a figure of matplotlib in one step; the ending says which kind. OSError."""
    path, data = Path(path), BytesIO()
    figure.savefig(data, format=path.suffix.lstrip('.').lower() or 'png', dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data.getvalue())


def caption(picture: np.ndarray, text: str, height: int = 22) -> np.ndarray:
    """Return the bgr8 picture with a line of text on a white bar above it."""
    bar = np.full((height, picture.shape[1], 3), 255, np.uint8)
    # A name of a file may hold bytes that are no text, on which OpenCV ends the process.
    text = text.encode('utf-8', 'replace').decode()
    cv2.putText(bar, text, (4, height - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1,
                cv2.LINE_AA)
    return np.vstack([bar, picture])


def events_picture(events, width: int, height: int, begin_ns: int, end_ns: int) -> np.ndarray:
    """
    Return the events of a window at the sensor's resolution, rgb8 (height, width, 3), on white.

    The latest event of a pixel shows: ON is red, OFF is blue, older is paler.
    """
    picture = np.full((height, width, 3), 255, np.uint8)
    pale = 0.7 * (end_ns - events.t) / max(end_ns - begin_ns, 1)
    colors = np.repeat((np.clip(pale, 0, 1) * 255).astype(np.uint8)[:, None], 3, axis=1)
    colors[np.arange(len(events.t)), np.where(events.p > 0, 0, 2)] = 255
    # Of several events at one pixel numpy keeps the last, which is the latest.
    picture[events.y, events.x] = colors
    return picture
