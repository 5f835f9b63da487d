# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a picture and a window of events to a label in the view of the event camera."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from depth_anyevent_ros.datasets.samples import (
    area_average, compact_tencode, differ, LEAST_PIXELS)
from depth_anyevent_ros.datasets.sequence_format import MOST_INVERSE_DEPTH
from depth_anyevent_ros.distillation.picture_quality import PictureQuality
from depth_anyevent_ros.distillation.replay_buffer import LabelledFrame
from depth_anyevent_ros.distillation.teacher_check import TeacherCheck
from depth_anyevent_ros.distillation.teachers import Teacher
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.geometry.rectification import Rectification

# What the largest value of a label must be: far below, float16 keeps few of them apart.
LEAST_LARGEST = 1e-3
SPARSE = 4  # of so many rows and columns one tells whether a map says anything


class Registration(Protocol):
    """See geometry/registration.py."""

    def register(self, inverse_depth: np.ndarray) -> np.ndarray:
        """Return the map in the event camera's view."""


@dataclass(frozen=True)
class ProxyLabel:
    """
    inverse_depth: float32 (H, W) at the event sensor's size, NaN where there is no label, known
    up to scale and shift. window: whose end it belongs to. frame: the label on the grid of the
    window's image, to learn from. doubt: why it must not teach all the same, '' for no reason.
    """

    inverse_depth: np.ndarray
    window: Window
    frame: LabelledFrame
    doubt: str = ''


class Labeller:
    """
    Lets a teacher look at pictures, and brings what it sees into the event camera's view.

    quality: None where pictures are maps already, which nothing is known of. registration_for(
    picture size (width, height), map size (height, width)): returns the registration; it is
    kept until `forget_registration`, which any thread may call. rectification: of the event
    camera where windows are drawn without its distortion, as labels are then; None where both
    have it. counts: labels, those of them in doubt, and pictures refused by reason.
    """

    def __init__(self, teacher: Teacher, quality: PictureQuality | None,
                 registration_for: Callable[[tuple[int, int], tuple[int, int]], Registration]):
        self._teacher, self._quality = teacher, quality
        self.check = TeacherCheck(teacher)
        self._registration_for = registration_for
        self._known: tuple[tuple, Registration] | None = None
        self._calibration = 0  # how often it has changed
        self.rectification: Rectification | None = None
        self.counts = Counter(labels=0, refused=0, doubted=0, failed=0)

    def label(self, picture: np.ndarray, window: Window) -> ProxyLabel | None:
        """
        Return the label of an RGB picture, uint8 (H, W, 3), None where it must not teach.

        An error of the teacher is counted and raised on.
        """
        reason = self._quality.refusal(picture) if self._quality else None
        if reason:
            return self._refuse(reason)
        try:
            found = self._teacher(picture)
        except Exception:
            self.counts['failed'] += 1
            raise
        size = picture.shape[1], picture.shape[0]
        key = size, found.shape, self._calibration
        if self._known is None or self._known[0] != key:
            self._known = key, self._registration_for(size, found.shape)
        inverse_depth = self._known[1].register(found)
        if self.rectification and self.rectification.fits(*inverse_depth.shape[::-1]):
            inverse_depth = self.rectification.inverse_depth(inverse_depth)
        if not usable(inverse_depth):
            return self._refuse('no depth')
        frame = _frame(inverse_depth, window)
        if frame is None:
            return self._refuse('out of range')
        self.counts['labels'] += 1
        doubt = self.check.doubt(picture, frame)
        self.counts['doubted'] += bool(doubt)
        return ProxyLabel(inverse_depth, window, frame, doubt)

    def forget_registration(self) -> None:
        """Say that the calibration or the event sensor changed."""
        self._calibration += 1

    def _refuse(self, reason: str) -> None:
        self.counts['refused'] += 1
        self.counts[f'refused: {reason}'] += 1


def _frame(inverse_depth: np.ndarray, window: Window) -> LabelledFrame | None:
    """Return what is learned from, None where float16 would not hold the label."""
    label = area_average(inverse_depth, *window.image.shape[-2:])
    if not LEAST_LARGEST <= np.nanmax(np.abs(label), initial=0) <= MOST_INVERSE_DEPTH:
        return None
    return LabelledFrame(compact_tencode(window.image), label.astype(np.float16), window.t_end,
                         window.events, window.stretch)


def usable(inverse_depth: np.ndarray) -> bool:
    """Return whether a relative map says anything: enough known pixels that differ."""
    sparse = inverse_depth[::SPARSE, ::SPARSE]
    known = sparse[np.isfinite(sparse)]
    return len(known) >= LEAST_PIXELS * sparse.size and differ(known)
