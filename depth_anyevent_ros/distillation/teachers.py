# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Teachers: a picture in, inverse depth out."""
from __future__ import annotations

from typing import Protocol

import numpy as np

from depth_anyevent_ros.images import resize_picture
from depth_anyevent_ros.models import load_teacher
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.input_size import input_size
from depth_anyevent_ros.networks.runtime import TorchRuntime


class Teacher(Protocol):
    """Knows depth from a picture. name, sha256: what it is, and of the bytes of its weights."""

    name: str
    sha256: str

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """
        Return inverse depth of an RGB picture, uint8 (H, W, 3).

        float32 (h, w) over the whole picture, of any size; larger is nearer, known up to a scale
        and a shift, NaN where there is none.
        """


class CheckpointTeacher:
    """A network on RGB: the bundled tiny teacher, or Depth Anything V2."""

    def __init__(self, checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto'):
        if checkpoint.config.input.representation != 'rgb':
            raise ValueError(f'{checkpoint.name} sees events, but a teacher sees RGB: name a '
                             'checkpoint whose representation is rgb.')
        self.runtime = TorchRuntime(checkpoint, device, precision)
        self.name, self.sha256 = checkpoint.name, checkpoint.sha256

    @classmethod
    def from_file(cls, path: str = '', device: str = 'auto',
                  precision: str = 'auto') -> CheckpointTeacher:
        """Return the teacher in a file, by default the bundled one; CheckpointError."""
        return cls(load_teacher(path), device, precision)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """See `Teacher`."""
        self.runtime.reset()
        return self.runtime.infer(self._input(picture))

    def label_batch(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Return the maps of pictures of one size, float32 (N, h, w); see `Teacher`."""
        return self.runtime.infer_batch(np.stack([self._input(item) for item in pictures]))

    def warm_up(self, width: int, height: int) -> None:
        """Allocate what pictures of width x height need, so that the first is not slow."""
        self.runtime.warm_up(*self.size_for(width, height))

    def _input(self, picture: np.ndarray) -> np.ndarray:
        height, width = self.size_for(picture.shape[1], picture.shape[0])
        small = resize_picture(picture, height, width)
        return np.ascontiguousarray(small.transpose(2, 0, 1), np.float32) / 255

    def size_for(self, width: int, height: int) -> tuple[int, int]:
        """Return (height, width) of the maps for pictures of width x height."""
        return input_size(self.runtime.config.input, width, height)


class ForeignTeacher:
    """Whoever published the map: it comes as the picture, and is taken as it is."""

    name, sha256 = 'topic', ''

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Return the map with NaN in place of all that is no finite number."""
        return np.where(np.isfinite(picture), picture, np.nan).astype(np.float32)
