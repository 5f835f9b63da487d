# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of a recording: events and the depth that a student made of them."""
from __future__ import annotations

from dataclasses import dataclass
import math
from pathlib import Path

import cv2
import numpy as np

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.evaluation.pictures import caption, colorize, tencode_picture

WIDTH = 336  # of each picture
GAP = 8
COLOURLESS = '.pbm', '.pgm'  # OpenCV writes them, but no colours into them
HINT = 'events (red brighter, blue darker), inverse depth (bright is near)'


def check_ending(path: Path) -> None:
    """Raise ValueError where a file's ending names no kind of picture; without one it is a PNG."""
    known = cv2.haveImageWriter(f'x{path.suffix}') and path.suffix.lower() not in COLOURLESS
    if path.suffix and not known:
        raise ValueError(f'{path} cannot be drawn: its ending must be that of a picture, '
                         'such as .png or .jpg.')


@dataclass(frozen=True)
class Moment:
    """
    A window: its number from 0 on, Tencode (3, h, w), inverse depth (H, W).

    seconds: since the first window, below 0 where the stream began anew.
    """

    window: int
    seconds: float
    image: np.ndarray
    inverse_depth: np.ndarray


class DepthSheet:
    """
    Collects moments of a stream of unknown length, evenly spread over it, and draws them.

    moments: how many are drawn at most. Twice as many are held at most.
    """

    def __init__(self, moments: int = 6):
        self._most, self._every, self._seen = moments, 1, 0
        self._begin_ns = 0
        self._kept: list[Moment] = []

    def see(self, stamp_ns: int, image: np.ndarray, inverse_depth: np.ndarray) -> None:
        """Take what a window of that stamp shows, if it is one to keep."""
        if not self._seen:
            self._begin_ns = stamp_ns
        if self._seen % self._every == 0:
            self._kept.append(Moment(self._seen, (stamp_ns - self._begin_ns) / 1e9,
                                     image.copy(), inverse_depth.copy()))
        self._seen += 1
        if len(self._kept) > 2 * self._most:
            self._kept = self._kept[::2]
            self._every *= 2

    def moments(self) -> list[Moment]:
        """Return what is drawn: of equal parts of the stream, what was kept nearest the middle."""
        count = min(self._most, len(self._kept))
        middles = [(i + 0.5) * self._seen / count - 0.5 for i in range(count)]
        return [self._kept[math.ceil(middle / self._every - 0.5)] for middle in middles]

    def draw(self, heading: str) -> np.ndarray:
        """
        Return the sheet, bgr8, two moments in a row.

        All have the same colours: between the 2nd and 98th percentile of their inverse depths.
        """
        shown = self.moments()
        values = np.concatenate([moment.inverse_depth.ravel() for moment in shown])
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, (2, 98)) if len(finite) else (0, 1)
        cells = _of_one_height([self._cell(moment, low, high) for moment in shown])
        if len(cells) % 2:
            cells.append(np.full_like(cells[0], 255))
        rows = [np.hstack(cells[i:i + 2]) for i in range(0, len(cells), 2)]
        sheet = np.vstack(rows)
        for text in (HINT, heading):
            sheet = caption(sheet, text)
        return sheet

    def write(self, path: str | Path, heading: str) -> int:
        """Write the sheet if there is anything to show; return its moments; OSError."""
        path = Path(path)
        if self._kept:
            path.parent.mkdir(parents=True, exist_ok=True)
            done, data = cv2.imencode(path.suffix or '.png', self.draw(heading))
            if not done:
                raise OSError(f'{path}: the picture could not be encoded')
            replace_file(path, data.tobytes())
        return len(self.moments())

    def _cell(self, moment: Moment, low: float, high: float) -> np.ndarray:
        height, width = moment.inverse_depth.shape
        size = WIDTH, round(WIDTH * height / width)
        pictures = [
            cv2.resize(tencode_picture(moment.image), size, interpolation=cv2.INTER_NEAREST),
            cv2.resize(colorize(moment.inverse_depth, low, high), size)]
        cell = caption(np.hstack(pictures),
                       f'window {moment.window}, {moment.seconds:.2f} s')
        return cv2.copyMakeBorder(cell, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3)


def _of_one_height(cells: list[np.ndarray]) -> list[np.ndarray]:
    """Return cells with white below those of a sensor of another shape."""
    height = max(map(len, cells))
    return [cv2.copyMakeBorder(cell, 0, height - len(cell), 0, 0, cv2.BORDER_CONSTANT,
                               value=(255,) * 3) for cell in cells]
