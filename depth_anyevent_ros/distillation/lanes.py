# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Lanes: sequences side by side, each read clip by clip, for truncated back-propagation.

A lane visits a sequence, takes clips of T frames that follow each other, and then goes on to
another. Only the frames' numbers are kept here, and a random generator, so that the whole can
be written down and continued.
"""
from __future__ import annotations

from collections.abc import Sequence as List
from dataclasses import asdict, dataclass

import numpy as np

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.training_config import AugmentationConfig

STOP_FRAMES = 40  # that the camera stands still at most
NOISE = (1e-3, 0.1)  # share of the cells with an event where nothing moves


@dataclass
class Visit:
    """
    A lane in a sequence: where it is, how it walks, and what is changed about the frames.

    keep: share of the cells that keep their events. zoom: see `_enlarged`. roll_deg: see
    `_turned`. At position stop_at
    the camera stands still for stop_left frames (0 where it never does): the label stays, and of
    events there is only noise, in this share of the cells.
    """

    sequence: int
    position: int
    stride: int
    frames_left: int
    flip: bool
    swap: bool
    gain: float
    keep: float
    zoom: tuple[float, float, float]
    stop_at: int = 0
    stop_left: int = 0
    noise: float = 0.0
    roll_deg: float = 0.0


@dataclass(frozen=True)
class Clip:
    """
    T frames of L lanes.

    image: as in Samples, (T, L, C, h, w). inverse_depth: float16 (T, L, h, w), all NaN where a
    label is not usable. starts: bool (L,), lanes that begin a visit. gain: float32 (L,).
    """

    image: np.ndarray
    inverse_depth: np.ndarray
    starts: np.ndarray
    gain: np.ndarray


class Lanes:
    """Draws clips from samples of one size; the same seed gives the same clips."""

    def __init__(self, samples: List[Samples], lanes: int, clip: int,
                 config: AugmentationConfig, seed: int):
        self._samples, self._clip, self._config = samples, clip, config
        self._random = np.random.default_rng(seed)
        self._queue: list[int] = []
        self._visits: list[Visit | None] = [None] * lanes
        # Sequences that are long enough for a clip at one of the strides.
        self._strides = [[stride for stride in config.strides
                          if (clip - 1) * stride < len(item)] for item in samples]
        if not any(self._strides):
            longest = max((len(item) for item in samples), default=0)
            raise ValueError(f'No sequence has the {clip} frames of a clip at the strides '
                             f'{config.strides}; the longest has {longest}: use shorter clips '
                             'or longer sequences.')

    def next(self) -> Clip:
        """Return the next clip of every lane."""
        images, labels, starts, gains = [], [], [], []
        for lane, visit in enumerate(self._visits):
            starts.append(visit is None or not visit.frames_left)
            if starts[-1]:
                visit = self._visits[lane] = self._new_visit()
            image, label = self._take(visit)
            images.append(image)
            labels.append(label)
            gains.append(visit.gain)
        return Clip(np.stack(images, 1), np.stack(labels, 1), np.array(starts),
                    np.array(gains, np.float32))

    def state(self) -> dict:
        """Return all that determines the clips to come, as JSON values."""
        return {'random': self._random.bit_generator.state, 'queue': list(self._queue),
                'visits': [visit and asdict(visit) for visit in self._visits]}

    def restore(self, state: dict) -> None:
        """Go on where `state` was taken."""
        self._random.bit_generator.state = state['random']
        self._queue = list(state['queue'])
        self._visits = [visit and Visit(**visit) for visit in state['visits']]

    def _new_visit(self) -> Visit:
        while True:
            if not self._queue:
                self._queue = self._random.permutation(len(self._samples)).tolist()
            sequence = self._queue.pop()
            if self._strides[sequence]:
                break
        config, frames = self._config, len(self._samples[sequence])
        stride = int(self._random.choice(self._strides[sequence]))
        visit_frames = config.visit_frames or frames
        # Of any length, so that not all lanes change scenes in the same step. The start is such
        # that all of it lies in the sequence.
        most = max(min(visit_frames, -(-frames // stride)) // self._clip, 1)
        clips = int(self._random.integers(1, most + 1))
        latest = frames - 1 - (clips * self._clip - 1) * stride
        position = int(self._random.integers(max(latest, 0) + 1))
        flip, swap = (self._random.random(2) < 0.5).tolist()
        gain = float(self._random.uniform(1 - config.gain, 1 + config.gain))
        keep = float(self._random.uniform(1 - config.event_dropout, 1))
        zoom = (float(self._random.uniform(1, config.zoom)), *self._random.random(2).tolist())
        visit = Visit(sequence, position, stride, clips * self._clip, flip and config.flip,
                      swap and config.polarity_swap, gain, keep, zoom)
        if self._clip > 1 and self._random.random() < config.standstill:
            visit.stop_at = position + int(self._random.integers(1, visit.frames_left)) * stride
            clips = int(self._random.integers(1, max(STOP_FRAMES // self._clip, 1) + 1))
            visit.stop_left = clips * self._clip
            visit.frames_left += visit.stop_left
            visit.noise = float(np.exp(self._random.uniform(*np.log(NOISE))))
        if config.roll_deg and self._random.random() < 0.5:
            visit.roll_deg = float(self._random.uniform(-config.roll_deg, config.roll_deg))
        return visit

    def _take(self, visit: Visit) -> tuple[np.ndarray, np.ndarray]:
        """Return image (T, C, h, w) and label (T, h, w), and move the visit on."""
        samples = self._samples[visit.sequence]
        frames, still = self._walk(visit)
        image, label = samples.image[frames], samples.inverse_depth[frames]
        for index in np.flatnonzero(still):
            image[index] = _noise(self._random, image[index], visit.noise)
        unusable = ~samples.usable[frames]
        if unusable.any():
            label = np.where(unusable[:, None, None], np.float16(np.nan), label)
        if visit.roll_deg:
            image = _turned(image, visit.roll_deg, 0)
            label = _turned(label, visit.roll_deg, np.nan)
        if self._config.zoom > 1:
            image, label = _enlarged(image, *visit.zoom), _enlarged(label, *visit.zoom)
        if self._config.event_dropout:
            kept = self._random.random(image[:, :1].shape, np.float32) < visit.keep
            image = np.where(kept, image, image.dtype.type(0))
        if visit.flip:
            image, label = image[..., ::-1], label[..., ::-1]
        if visit.swap:
            # Tencode has ON and OFF in its first and last channel, a voxel grid has signs.
            image = image[:, ::-1] if image.shape[1] == 3 else -image
        return image, label

    def _walk(self, visit: Visit) -> tuple[np.ndarray, np.ndarray]:
        """Move the visit on by a clip; return its labels' numbers (T,), and where it stands."""
        frames, still = np.zeros(self._clip, np.int64), np.zeros(self._clip, bool)
        for index in range(self._clip):
            still[index] = visit.stop_left > 0 and visit.position == visit.stop_at
            if still[index]:
                frames[index] = visit.position - visit.stride
                visit.stop_left -= 1
            else:
                frames[index] = visit.position
                visit.position += visit.stride
        visit.frames_left -= self._clip
        return frames, still


def _noise(random: np.random.Generator, image: np.ndarray, share: float) -> np.ndarray:
    """Return an image (C, h, w) with the events of one, anywhere, in a share of the cells."""
    cells = image.reshape(len(image), -1)
    with_events = cells[:, (cells != 0).any(0)]
    noisy = np.zeros_like(cells)
    if with_events.shape[1]:
        at = np.flatnonzero(random.random(cells.shape[1]) < share)
        noisy[:, at] = with_events[:, random.integers(with_events.shape[1], size=len(at))]
    return noisy.reshape(image.shape)


def _turned(array: np.ndarray, degrees: float, outside: float) -> np.ndarray:
    """
    Return (..., h, w) turned clockwise about its middle, of the nearest cell.

    outside: what stands where nothing is known.
    """
    height, width = array.shape[-2:]
    angle = np.radians(degrees)
    down, right = np.mgrid[:height, :width].astype(np.float32)
    down, right = down - (height - 1) / 2, right - (width - 1) / 2
    rows = np.rint(np.cos(angle) * down - np.sin(angle) * right + (height - 1) / 2).astype(int)
    columns = np.rint(np.sin(angle) * down + np.cos(angle) * right + (width - 1) / 2).astype(int)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    turned = array[..., rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.where(inside, turned, array.dtype.type(outside))


def _enlarged(array: np.ndarray, zoom: float, down: float, right: float) -> np.ndarray:
    """
    Return the part of (..., h, w) that is 1 / zoom as high and wide, at the same size.

    down, right: where it lies, from 0, at the upper and left border, to 1. Of the nearest cell:
    a mean of two times or two depths would be neither.
    """
    rows, columns = (
        ((share * (1 - 1 / zoom) * side) + (np.arange(side) + 0.5) / zoom).astype(np.int64)
        for share, side in zip((down, right), array.shape[-2:]))
    return array[..., rows[:, None], columns]
