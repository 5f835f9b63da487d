# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Clips of blocks as a network's head learns them: what the encoder made of their frames.

Where the encoder stays as it is, each frame has to pass it once and not with every step.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence as List
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.training_step import layout_of

Maps = List[Tensor]  # float16 (T, C, h, w), shallow first


class EncodedBlocks:
    """
    What an encoder makes of blocks, by their names; the ones used last stay.

    encode: images (T, C, h, w) as in Samples to the encoder's maps. max_bytes: of all maps; the
    newest stay however large they are.
    """

    def __init__(self, encode: Callable[[np.ndarray], List[Tensor]], max_bytes: int):
        self._encode, self._max_bytes = encode, max_bytes
        self._maps: OrderedDict[str, Maps] = OrderedDict()
        self.nbytes = 0

    def maps(self, block: Samples) -> Maps:
        """Return the maps of all frames of a block."""
        if block.name in self._maps:
            self._maps.move_to_end(block.name)
            return self._maps[block.name]
        with torch.no_grad():
            maps = self._maps[block.name] = [x.half() for x in self._encode(block.image)]
        self.nbytes += _bytes(maps)
        while self.nbytes > self._max_bytes and len(self._maps) > 1:
            self.nbytes -= _bytes(self._maps.popitem(last=False)[1])
        return maps

    def clear(self) -> None:
        """Forget all."""
        self._maps.clear()
        self.nbytes = 0


@dataclass(frozen=True)
class EncodedClip:
    """
    T frames of L lanes.

    maps: float32 (T * L, C, h, w) each. inverse_depth: float32 (T, L, h, w), all NaN where a
    label is not usable. starts: bool (L,), lanes that begin a block.
    """

    maps: Maps
    inverse_depth: Tensor
    starts: Tensor


class BlockLanes:
    """
    Lanes that go through blocks clip by clip; the same seed and blocks give the same clips.

    newest: every second lane goes through so many of the last blocks only, so that what is seen
    now is learned however much is remembered; 0 for all lanes alike.
    """

    def __init__(self, encoded: EncodedBlocks, lanes: int, clip: int, seed: int,
                 newest: int = 0):
        self._encoded, self._clip, self._newest = encoded, clip, newest
        self._random = np.random.default_rng(seed)
        self._queues: tuple[list[Samples], list[Samples]] = [], []
        self._visits: list[_Visit | None] = [None] * lanes

    def next(self, blocks: List[Samples]) -> EncodedClip:
        """Return the next clip of every lane; one that is through goes on to one of `blocks`."""
        starts = []
        for lane, visit in enumerate(self._visits):
            starts.append(visit is None or visit.position + self._clip > len(visit.block))
            if starts[-1]:
                self._visits[lane] = self._new_visit(blocks, self._newest if lane % 2 else 0)
        taken = [visit.take(self._clip) for visit in self._visits]
        maps = [for_head(torch.stack(level, 1).flatten(0, 1))
                for level in zip(*(self._slice(block, frames) for block, frames in taken))]
        labels = torch.stack([_label(block, frames) for block, frames in taken], 1)
        return EncodedClip(maps, labels, torch.tensor(starts))

    def _slice(self, block: Samples, frames: slice) -> Maps:
        return [x[frames] for x in self._encoded.maps(block)]

    def _new_visit(self, blocks: List[Samples], newest: int) -> _Visit:
        """Return a visit of each block in turn, in an order drawn anew for each turn."""
        queue = self._queues[bool(newest)]
        if not queue:
            long = [block for block in blocks if len(block) >= self._clip][-newest:]
            queue.extend(long[index] for index in self._random.permutation(len(long)))
        block = queue.pop()
        # Not always from the first frame on, or the last of an odd number would not be seen.
        return _Visit(block, int(self._random.integers(min(len(block) - self._clip + 1, 2))))


@dataclass
class _Visit:
    """A lane in a block, and the frame that it takes next."""

    block: Samples
    position: int

    def take(self, clip: int) -> tuple[Samples, slice]:
        self.position += clip
        return self.block, slice(self.position - clip, self.position)


def for_head(maps: Tensor) -> Tensor:
    """Return maps (T, C, h, w) as a network's head takes them, in the layout of its weights."""
    return maps.to(torch.float32, memory_format=layout_of(maps.device))


def _label(block: Samples, frames: slice) -> Tensor:
    label = torch.from_numpy(block.inverse_depth[frames].astype(np.float32))
    label[torch.from_numpy(~block.usable[frames])] = torch.nan
    return label


def _bytes(maps: Maps) -> int:
    return sum(x.nbytes for x in maps)
