# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a picture is good enough for a teacher: a wrong label is worse than none.

At night, in tunnels and against the sun events still see, while a camera shows black, white,
noise or smears, from which a teacher makes confident nonsense.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Immerkaer (CVIU 1996): what this filter leaves of a picture is noise, not structure.
NOISE_FILTER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# Median of the absolute value of Gaussian noise of deviation 1 through it.
NOISE_GAIN = 6 * 0.6745
REASONS = ('dark', 'bright', 'flat', 'noisy', 'blurred', 'frozen')


@dataclass(frozen=True)
class QualityLimits:
    """
    Beyond which a picture is refused. Luminance is from 0 to 255.

    dark: the brightest hundredth of the pixels lies below. bright: this share of the pixels is
    white. flat: the deviation of the picture without its noise is below. noisy: noise over that
    deviation is above. blurred: the share of its edges that a blur over 11 pixels leaves
    (Crete et al., HVEI 2007) is above. Sharp and clean simulated pictures have 0.15 to 0.32, and
    those of a dark street, noise over deviation 0.28 and less.
    """

    dark: float = 40.0
    bright: float = 0.4
    flat: float = 4.0
    noisy: float = 0.35
    blurred: float = 0.45


class PictureQuality:
    """Judges pictures one after the other."""

    def __init__(self, limits: QualityLimits = QualityLimits()):
        self._limits = limits
        self._last: bytes | None = None

    def refusal(self, picture: np.ndarray) -> str | None:
        """
        Return why an RGB picture, uint8 (H, W, 3), must not teach, one of REASONS, else None.

        frozen: it is the last one once more, byte by byte, as when a camera hangs.
        """
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        last, self._last = self._last, gray.tobytes()
        limits, noise = self._limits, _noise(gray)
        deviation = float(cv2.GaussianBlur(gray, (0, 0), 2).std())
        if np.mean(gray >= limits.dark) < 0.01:
            return 'dark'
        if np.mean(gray >= 250) > limits.bright:
            return 'bright'
        if deviation < limits.flat:
            return 'flat'
        if noise > limits.noisy * deviation:
            return 'noisy'
        if _blur(gray) > limits.blurred:
            return 'blurred'
        return 'frozen' if self._last == last else None


def _noise(gray: np.ndarray) -> float:
    """Return the deviation of a picture's noise."""
    left = cv2.filter2D(gray.astype(np.float32), -1, NOISE_FILTER)[1:-1, 1:-1]
    return float(np.median(np.abs(left[::2, ::2])) / NOISE_GAIN)


def _blur(gray: np.ndarray) -> float:
    """Return the share of the differences between neighbours that a blur leaves, 0 to 1."""
    found = []
    for axis, kernel in ((0, (1, 11)), (1, (11, 1))):
        sharp, soft = (np.abs(np.diff(image.astype(np.float32), axis=axis))
                       for image in (gray, cv2.blur(gray.astype(np.float32), kernel)))
        found.append(1 - np.maximum(sharp - soft, 0).sum() / max(sharp.sum(), 1e-9))
    return float(max(found))
