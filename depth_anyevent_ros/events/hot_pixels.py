# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels that fire whatever they see, learned from the stream."""
from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from depth_anyevent_ros.events.watch import Look

LEAST_EVENTS = 20  # in a look: about one in every window of 50 ms
FACTOR = 4  # by which a hot pixel is above its neighbours
HOT_TOGETHER = 3  # of its 24 neighbours that may be hot too
ACTIVE_EVENTS, ACTIVE_SHARE = 3, 0.03  # a look is taken if so many pixels had so many events
LOOKS = 8  # that are remembered
HOT, COOL = 6, 1  # looks of these in which a pixel has to be hot to be masked, to be let go
MOST_MASKED = 0.01  # share of the pixels


class HotPixels:
    """
    Learns which pixels are hot; mask: bool (height, width), replaced when it changes.

    A pixel is hot in a look when it fires far more often than its neighbours and often enough
    to matter. Only looks in which much of the picture is busy count, since in a scene at rest a
    small lamp looks like a hot pixel; it is masked when it is hot in 6 of 8 of them, and let go
    when it is in one at most. At most 1 % of the pixels are masked, those that are hot most
    often first.
    """

    def __init__(self, width: int, height: int):
        self.mask = np.zeros((height, width), bool)
        self._found: deque[np.ndarray] = deque(maxlen=LOOKS)

    @property
    def masked(self) -> int:
        """Return how many pixels are masked."""
        return int(np.count_nonzero(self.mask))

    def begin_with(self, mask: np.ndarray) -> None:
        """Take a mask that was learned before, bool (height, width)."""
        self.mask = mask.copy()

    def take(self, look: Look) -> None:
        """Take the next look."""
        if np.mean(look.pixels >= ACTIVE_EVENTS) < ACTIVE_SHARE:
            return
        self._found.append(np.flatnonzero(hot_in(look.pixels)))
        times = np.bincount(np.concatenate(self._found), minlength=self.mask.size)
        hot = times >= HOT
        if len(self._found) == LOOKS:
            hot |= self.mask.ravel() & (times > COOL)
        else:
            hot |= self.mask.ravel()
        most = int(MOST_MASKED * hot.size)
        if np.count_nonzero(hot) > most:
            first = np.argsort(-times[hot], kind='stable')[:most]
            hot, wanted = np.zeros_like(hot), np.flatnonzero(hot)[first]
            hot[wanted] = True
        if not np.array_equal(hot, self.mask.ravel()):
            self.mask = hot.reshape(self.mask.shape)


def hot_in(pixels: np.ndarray) -> np.ndarray:
    """
    Return which pixels are hot in a look, bool (height, width).

    pixels: uint16 (height, width), events of each. The neighbours' level is the fourth highest
    of the 24 around, so that neither a thin edge nor hot pixels side by side hide each other.
    """
    # The median is never above that level, and tells at once about almost all of them.
    likely = pixels >= LEAST_EVENTS + FACTOR * cv2.medianBlur(pixels, 5).astype(np.int32)
    rows, columns = np.nonzero(likely)
    padded = np.pad(pixels, 2)
    around = np.stack([padded[rows + dy, columns + dx] for dy in range(5) for dx in range(5)
                       if (dy, dx) != (2, 2)], axis=-1)
    level = np.sort(around, axis=-1)[:, -1 - HOT_TOGETHER].astype(np.int32)
    hot = np.zeros(pixels.shape, bool)
    keep = pixels[rows, columns] >= LEAST_EVENTS + FACTOR * level
    hot[rows[keep], columns[keep]] = True
    return hot
