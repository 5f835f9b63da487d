# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Labelled frames of the stream in bounded memory: blocks to train on, and blocks held out.

A block is a run of frames that follow each other. Between a block that is held out and its
neighbours some frames are left out, more than back-propagation reaches, so that what is judged
was not learned. A block is held out for one decision; then it is trained on.
"""
from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from statistics import median_low
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.datasets.samples import Samples


USUAL = 9  # distances between frames, of which the median is taken
PAUSE = 2.5  # times the usual distance


@dataclass(frozen=True)
class LabelledFrame:
    """
    image: uint8 or float16 (C, h, w), as in Samples. inverse_depth: float16 (h, w), NaN unknown.
    time_ns: the end of its window. events, stretch: of the window; frames of two stretches do not
    follow each other, and time falls back only from one stretch to the next.
    """

    image: np.ndarray
    inverse_depth: np.ndarray
    time_ns: int
    events: int
    stretch: int

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.image.nbytes + self.inverse_depth.nbytes


@dataclass(frozen=True)
class BufferConfig:
    """
    max_bytes: of all frames. block: frames of a block. held_out_every: of so many blocks one is
    held out. gap: frames left out on both sides of it. longest_pause_ns: between frames of a
    block, where they do not come so seldom that twice and a half their usual distance is longer.
    recent: share of the memory that is kept for the newest blocks; of the older ones any
    may have to make room, so that some of every place is remembered.
    """

    max_bytes: int = 512 << 20
    block: int = 6
    held_out_every: int = 3
    gap: int = 3
    longest_pause_ns: int = 500_000_000
    recent: float = 0.5

    def __post_init__(self):
        if self.block < 2 or self.held_out_every < 2 or self.gap < 0:
            raise ValueError('a block needs 2 frames or more, held_out_every 2 blocks or more, '
                             f'and gap 0 frames or more, not {self.block}, '
                             f'{self.held_out_every} and {self.gap}')
        if not 0 <= self.recent <= 1 or self.max_bytes <= 0:
            raise ValueError('recent is a share from 0 to 1 and max_bytes above 0, not '
                             f'{self.recent} and {self.max_bytes}')


class _Block(NamedTuple):
    """number: in the order in which blocks began. stretch: of its frames."""

    number: int
    stretch: int
    samples: Samples


class ReplayBuffer:
    """Takes frames one by one; the same seed and frames give the same blocks."""

    def __init__(self, config: BufferConfig = BufferConfig(), seed: int = 0):
        self._config, self._random = config, np.random.default_rng(seed)
        self._open: list[LabelledFrame] = []
        self._distances_ns: deque[int] = deque(maxlen=USUAL)
        self._skip = 0  # frames of the gap that are still to come
        self._number = 0  # blocks begun
        self._aged = 0  # blocks that were no longer among the newest
        self._last_ns = 0
        self._last_stretch: int | None = None  # of the last frame
        self._training: list[_Block] = []  # oldest first
        self._held_out: list[_Block] = []
        self.counts = Counter(frames=0, gap_frames=0, lone_frames=0, held_out_blocks=0,
                              evicted_blocks=0, evicted_held_out=0, forgotten_blocks=0,
                              size_changes=0)

    @property
    def training(self) -> list[Samples]:
        """Blocks to train on, oldest first."""
        return [block.samples for block in self._training]

    @property
    def held_out(self) -> list[Samples]:
        """Blocks that no decision has used yet, oldest first."""
        return [block.samples for block in self._held_out]

    @property
    def nbytes(self) -> int:
        """Bytes of all frames that are kept."""
        return sum(map(_bytes, self._training + self._held_out)) \
            + sum(frame.nbytes for frame in self._open)

    @property
    def max_bytes(self) -> int:
        """Bytes that are kept at most."""
        return self._config.max_bytes

    def add(self, frame: LabelledFrame) -> None:
        """Take the next frame of the stream."""
        self.counts['frames'] += 1
        kept = self._open or self._training or self._held_out
        if kept and frame.image.shape[-2:] != self._size:
            # Frames of two sizes cannot be in one batch.
            self.counts['size_changes'] += 1
            self._open, self._training, self._held_out = [], [], []
        self._size = frame.image.shape[-2:]
        last = self._open[-1] if self._open else None
        distance, self._last_ns = frame.time_ns - self._last_ns, frame.time_ns
        follows, self._last_stretch = frame.stretch == self._last_stretch, frame.stretch
        if follows and distance > 0:
            self._distances_ns.append(distance)
        if last and not (follows and 0 < frame.time_ns - last.time_ns
                         <= self._longest_pause_ns()):
            self._close()
        if self._skip:
            self._skip -= 1
            self.counts['gap_frames'] += 1
            return
        self._open.append(frame)
        if len(self._open) >= self._config.block:
            self._close()
        self._make_room()

    def forget(self, stretch: int, since_ns: int) -> None:
        """Drop the frames from a time in a stretch on, and those of later stretches."""
        blocks = len(self._training) + len(self._held_out)
        self._training, self._held_out = (
            [block for block in blocks
             if (block.stretch, block.samples.times_ns[-1]) < (stretch, since_ns)]
            for blocks in (self._training, self._held_out))
        self._open = []
        self.counts['forgotten_blocks'] += blocks - len(self._training) - len(self._held_out)

    def use_up_held_out(self) -> None:
        """Say that a decision was made with the held-out blocks: they may be trained on."""
        self._training.extend(self._held_out)
        self._training.sort(key=lambda block: block.number)
        self._held_out = []
        self._make_room()

    def _longest_pause_ns(self) -> float:
        # One distance alone may be a pause itself.
        usual = median_low(self._distances_ns) if len(self._distances_ns) > 1 else 0
        return max(self._config.longest_pause_ns, PAUSE * usual)

    def _close(self) -> None:
        """End the open block."""
        frames, self._open = self._open, []
        if len(frames) < 2:
            self.counts['lone_frames'] += len(frames)
            return
        self._number += 1
        turn = self._number % self._config.held_out_every
        (self._training if turn else self._held_out).append(_Block(
            self._number, frames[0].stretch, _samples(frames, f'block {self._number}')))
        self.counts['held_out_blocks'] += not turn
        # Before a block that will be held out, and after one that is.
        if turn in (0, self._config.held_out_every - 1):
            self._skip = self._config.gap

    def _make_room(self) -> None:
        while self.nbytes > self._config.max_bytes and len(self._training) > 1:
            old = max(int(len(self._training) * (1 - self._config.recent)), 1)
            # Reservoir sampling (Vitter, 1985): of all blocks that grew old each is as likely
            # to be still there.
            self._aged = max(self._aged + 1, old)
            stays = self._random.random() < (old - 1) / self._aged
            del self._training[int(self._random.integers(old - 1)) if stays else old - 1]
            self.counts['evicted_blocks'] += 1
        while self.nbytes > self._config.max_bytes and len(self._held_out) > 1:
            del self._held_out[0]
            self.counts['evicted_blocks'] += 1
            self.counts['evicted_held_out'] += 1


def _samples(frames: list[LabelledFrame], name: str) -> Samples:
    inverse_depth = np.stack([frame.inverse_depth for frame in frames])
    return Samples(name, '', np.stack([frame.image for frame in frames]), inverse_depth,
                   np.array([frame.events for frame in frames], np.int64),
                   np.array([frame.time_ns for frame in frames], np.int64),
                   np.isfinite(inverse_depth).any((1, 2)))


def _bytes(block: _Block) -> int:
    return block.samples.image.nbytes + block.samples.inverse_depth.nbytes
