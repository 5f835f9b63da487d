# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Clips as they were planned, of frames that lie on the device that trains.

On a GPU all frames of a stage lie there: it learns from thousands of frames a second, and a CPU
could neither change nor upload as many.
"""
from __future__ import annotations

from collections.abc import Sequence as List
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.lanes import ClipPlan


@dataclass(frozen=True)
class Clip:
    """
    T frames of L lanes.

    image: as in Samples, (T, L, C, h, w). inverse_depth: float16 (T, L, h, w), all NaN where a
    label is not usable. starts: bool (L,), lanes that begin a visit. gain: float32 (L,).
    """

    image: Tensor
    inverse_depth: Tensor
    starts: Tensor
    gain: Tensor


class ClipMaker:
    """Makes clips of samples of one size; all tensors are on its device."""

    def __init__(self, samples: List[Samples], device: str = 'cpu'):
        self._device = torch.device(device)
        self._generator = torch.Generator(self._device)
        lengths = [len(item) for item in samples]
        self._first = np.cumsum([0, *lengths[:-1]])  # number of each sequence's first frame
        self._usable = np.concatenate([item.usable for item in samples])
        self._sequences = [(torch.from_numpy(item.image), torch.from_numpy(item.inverse_depth))
                           for item in samples]
        self._all: tuple[Tensor, Tensor] | None = None
        if self._device.type != 'cpu':
            self._all = tuple(map(self._joined, zip(*self._sequences)))
            self._sequences = []

    def make(self, plan: ClipPlan) -> Clip:
        """Return the clip of a plan; the same plan gives the same clip on the same device."""
        image, label = self._frames(plan)
        self._generator.manual_seed(plan.seed)
        unusable = ~self._usable[self._numbers(plan)]
        if unusable.any():
            label.masked_fill_(self._moved(unusable)[..., None, None], torch.nan)
        inside = None
        if plan.flip.any() or plan.roll_deg.any() or (plan.zoom[:, 0] != 1).any():
            index, inside = self._cells(plan, *image.shape[-2:])
            image = _taken(image, index[:, None]).masked_fill_(~inside[:, None], 0)
            label = _taken(label, index).masked_fill_(~inside, torch.nan)
        # After the zoom, which no noise of a sensor follows.
        noise = np.maximum(plan.added_noise, np.where(plan.still, plan.noise, 0))
        if noise.any():
            self._add_noise(image, plan.still, noise, inside)
        if (plan.keep < 1).any():
            drawn = torch.rand(image[:, :, :1].shape, generator=self._generator,
                               device=self._device)
            image.masked_fill_(drawn >= self._moved(plan.keep)[:, None, None, None], 0)
        if plan.swap.any():
            lanes = self._moved(np.flatnonzero(plan.swap))
            # Tencode has ON and OFF in its first and last channel, a voxel grid has signs.
            image[:, lanes] = image[:, lanes].flip(2) if image.shape[2] == 3 else -image[:, lanes]
        return Clip(image, label, self._moved(plan.starts), self._moved(plan.gain).float())

    def _add_noise(self, image: Tensor, still: np.ndarray, share: np.ndarray,
                   inside: Tensor | None) -> None:
        """
        Show events of other cells in a share (T, L) of those of images (T, L, C, h, w).

        still: bool (T, L), frames in which nothing else is seen; their share is above 0. inside:
        bool (L, h, w), where there is a picture, None for everywhere.
        """
        step, lane = (self._moved(numbers) for numbers in np.nonzero(share))
        before = image[step, lane]
        noisy, shows = _noise(before, self._moved(share)[step, lane], self._generator)
        if inside is not None:
            shows &= inside[lane][:, None]
        others = before.masked_fill(self._moved(still)[step, lane, None, None, None], 0)
        image[step, lane] = torch.where(shows, noisy, others)

    def _joined(self, parts: List[Tensor]) -> Tensor:
        """Return frames of all sequences in one tensor on the device, which has them once."""
        frames = torch.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=parts[0].dtype,
                             device=self._device)
        for first, part in zip(self._first.tolist(), parts):
            frames[first:first + len(part)] = part
        return frames

    def _moved(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _numbers(self, plan: ClipPlan) -> np.ndarray:
        return self._first[plan.sequence] + plan.frames

    def _frames(self, plan: ClipPlan) -> tuple[Tensor, Tensor]:
        """Return images (T, L, C, h, w) and labels (T, L, h, w), copies."""
        if self._all is not None:
            numbers = self._moved(self._numbers(plan))
            return tuple(frames[numbers] for frames in self._all)
        return tuple(torch.stack([self._sequences[sequence][part][frames]
                                  for sequence, frames in zip(plan.sequence, plan.frames.T)], 1)
                     for part in range(2))

    def _cells(self, plan: ClipPlan, height: int, width: int) -> tuple[Tensor, Tensor]:
        """
        Return for each cell of each lane which one is seen there, and whether there is one.

        Both (L, h, w). Of the nearest cell, since a mean of two times or two depths is neither.
        """
        flip, turn, zoom, down, right = (self._moved(values)[:, None, None] for values in (
            plan.flip, np.radians(plan.roll_deg), *plan.zoom.T))
        row = torch.arange(height, device=self._device, dtype=torch.float64)[:, None]
        column = torch.arange(width, device=self._device, dtype=torch.float64)[None]
        column = torch.where(flip, width - 1 - column, column)
        row, column = (
            (place * (1 - 1 / zoom) * side + (cell + 0.5) / zoom).floor() - (side - 1) / 2
            for place, cell, side in ((down, row, height), (right, column, width)))
        rows = (turn.cos() * row - turn.sin() * column + (height - 1) / 2).round().long()
        columns = (turn.sin() * row + turn.cos() * column + (width - 1) / 2).round().long()
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1), inside


def _taken(cells: Tensor, index: Tensor) -> Tensor:
    """Return cells (T, ..., h, w) at flat indices of h x w, (..., h, w) but for ones."""
    flat = cells.flatten(-2)
    return flat.gather(-1, index.flatten(-2).expand(flat.shape)).view(cells.shape)


def _noise(image: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """
    Return images (K, C, h, w) with an event of anywhere else in each cell, and where it shows.

    That is bool (K, 1, h, w), a share (K,) of the cells, none of an image without events.
    """
    cells = image.flatten(2)
    seen = (cells != 0).any(1)
    count = seen.sum(1, keepdim=True)
    # Cells with events first; a random one of those for each cell.
    order = seen.to(torch.uint8).sort(dim=1, descending=True, stable=True).indices
    chosen, drawn = torch.rand((2, *seen.shape), generator=generator, device=image.device)
    source = order.gather(1, (chosen * count).long().clamp_max_(seen.shape[1] - 1))
    noisy = cells.gather(2, source[:, None].expand(cells.shape))
    shows = (drawn < share[:, None]) & (count > 0)
    return noisy.view(image.shape), shows.view(-1, 1, *image.shape[2:])
