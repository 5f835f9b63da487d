# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The hot pixels of sensors, kept in a folder from one run to the next."""
from __future__ import annotations

from collections.abc import Callable
import hashlib
import json
import os
from pathlib import Path
import re
import time

import numpy as np

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.events.hot_pixels import MOST_MASKED
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.types import Packet

LONGEST_NAME = 64
SAVE_PERIOD_S = 60.0


def state_folder() -> Path:
    """Return the folder for what is learned on this machine: $XDG_STATE_HOME, ~/.local/state."""
    state = os.environ.get('XDG_STATE_HOME') or Path.home() / '.local' / 'state'
    return Path(state, 'depth_anyevent_ros')


class HotPixelMemory:
    """
    Begins the watch over a sensor with the hot pixels that are known of it, and keeps new ones.

    sensor: name or serial of the sensor, '' for the frame_id of its packets. learn: False leaves
    no pixel out and keeps nothing. tell(sentence): is called with what was loaded, or why not.
    health_of() is for the thread that decodes, save() for another one.
    """

    def __init__(self, folder: Path, sensor: str, learn: bool, tell: Callable[[str], None]):
        self._folder, self._sensor, self._learn, self._tell = folder, sensor, learn, tell
        self._known: tuple[StreamHealth, Path] | None = None
        self._kept: np.ndarray | None = None
        self._saved_s = float('-inf')

    def health_of(self, packet: Packet) -> StreamHealth:
        """Return what watches the sensor that sent this packet."""
        width, height = packet.width, packet.height
        path = self._folder / file_name(self._sensor or packet.frame_id, width, height)
        mask = None
        if self._learn:
            try:
                mask = read_mask(path, width, height)
                self._tell(f'{np.count_nonzero(mask)} hot pixels are known from {path}.')
            except FileNotFoundError:  # none are known yet
                pass
            except (OSError, ValueError, RecursionError) as error:
                self._tell(f'The hot pixels in {path} are not used ({error}); they are learned '
                           'anew.')
        health = StreamHealth(width, height, mask, self._learn)
        self._known, self._kept = (health, path), health.mask
        return health

    def save(self, now: bool = False) -> None:
        """Keep the hot pixels if they have changed, once a minute; now: at once. OSError."""
        known, kept = self._known, self._kept
        if known is None or known[0].mask is kept \
                or (not now and time.monotonic() - self._saved_s < SAVE_PERIOD_S):
            return
        health, path = known
        mask = health.mask
        self._saved_s = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = mask.shape
        replace_file(path, encode_pixels(width, height, pixels_of(mask)))
        self._kept = mask


def file_name(sensor: str, width: int, height: int) -> str:
    """
    Return the name of a sensor's file; whatever the name of the sensor, it is no path.

    Names that differ only in what a file's name cannot hold are told apart by their digest; a
    space is as good as `_`.
    """
    plain = re.sub(r'[^A-Za-z0-9_-]+', '_', sensor)[:LONGEST_NAME].strip('_') or 'sensor'
    if sensor and plain != sensor.replace(' ', '_'):
        digest = hashlib.sha256(sensor.encode('utf-8', 'surrogatepass')).hexdigest()
        plain = f'{plain}_{digest[:8]}'
    return f'{plain}_{width}x{height}.json'


def pixels_of(mask: np.ndarray) -> list[list[int]]:
    """Return x and y of each pixel that is set in bool (height, width)."""
    return np.argwhere(mask)[:, ::-1].tolist()


def encode_pixels(width: int, height: int, pixels: list[list[int]]) -> bytes:
    """Return the hot pixels of a sensor as JSON, which `read_mask` reads."""
    return (json.dumps({'width': width, 'height': height, 'hot_pixels': pixels}) + '\n').encode()


def read_mask(path: Path, width: int, height: int) -> np.ndarray:
    """Return the mask of a file, bool (height, width); ValueError for one that is no such."""
    known = json.loads(path.read_text())
    if not isinstance(known, dict) or (known.get('width'), known.get('height')) != (width, height):
        raise ValueError(f'it is not for a sensor of {width}x{height} pixels')
    pixels = known.get('hot_pixels')
    if not isinstance(pixels, list) or len(pixels) > MOST_MASKED * width * height \
            or not all(isinstance(pixel, list) and len(pixel) == 2
                       and all(type(value) is int for value in pixel)
                       and 0 <= pixel[0] < width and 0 <= pixel[1] < height for pixel in pixels):
        raise ValueError('hot_pixels has to be a list of [x, y] on the sensor, of at most '
                         f'{MOST_MASKED:.0%} of its pixels')
    mask = np.zeros((height, width), bool)
    if pixels:
        x, y = np.array(pixels).T
        mask[y, x] = True
    return mask
