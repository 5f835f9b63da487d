# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a recurrent student remembers between frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Callable, Mapping

import torch
from torch import Tensor


@dataclass(frozen=True)
class RecurrentState:
    """
    What the cells remember, coarsest level first (4, 3, 2, 1).

    levels: (hidden, cell) of a ConvLSTM, (hidden,) of a ConvGRU, (N, F, h, w) each; before them,
    where levels are held, what is, (N, F + 1, h, w), and how much counts in the cell, (N, 1, 1,
    1). Where a state is optional, None means zeros. Never changed in place: each method returns a
    new state.
    """

    levels: tuple[tuple[Tensor, ...], ...]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it in a row."""
        return tuple(chain.from_iterable(self.levels))

    def detach(self) -> RecurrentState:
        """Cut the state from the graph of the frames before, for truncated back-propagation."""
        return self._each(Tensor.detach)

    def to(self, *args, **kwargs) -> RecurrentState:
        """Move or convert the state, as `torch.Tensor.to`."""
        return self._each(lambda tensor: tensor.to(*args, **kwargs))

    def reset_lanes(self, lanes: Tensor) -> RecurrentState:
        """Return a state with the lanes where `lanes`, (N,) bool, is true set to zero."""
        size = self.levels[0][0].shape[0]
        if lanes.shape != (size,) or lanes.dtype != torch.bool:
            raise ValueError(f'lanes must be {size} booleans, one per lane of the state, '
                             f'not {lanes.dtype} of shape {tuple(lanes.shape)}.')
        restart = lanes[:, None, None, None]
        return self._each(lambda tensor: tensor.masked_fill(restart, 0))

    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite; waits for the device."""
        return all(bool(tensor.isfinite().all()) for tensor in self.tensors)

    def check(self, shapes: Mapping[int, tuple[tuple[int, ...], ...]]) -> None:
        """Raise ValueError unless the state has the shapes, given by level, coarsest first."""
        parts, found = list(map(len, shapes.values())), list(map(len, self.levels))
        if parts != found:
            raise ValueError(f'The network remembers {parts} tensors by level, the state has '
                             f'{found}: give a state of the same network, or None.')
        for (level, expected), tensors in zip(shapes.items(), self.levels):
            for number, (shape, tensor) in enumerate(zip(expected, tensors), 1):
                if tuple(tensor.shape) != tuple(shape):
                    raise ValueError(
                        f'Tensor {number} of the state of level {level} must have shape '
                        f'{tuple(shape)} for this input, not {tuple(tensor.shape)}: after a '
                        'change of input size or batch start with None.')

    def _each(self, change: Callable[[Tensor], Tensor]) -> RecurrentState:
        return RecurrentState(tuple(tuple(map(change, level)) for level in self.levels))
