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

from depth_anyevent_ros.distillation.training_config import AugmentationConfig

# Share of the cells with an event where nothing moves: at 126x168 cells of a simulated DAVIS346
# it was 0.1 to 0.36 in eight pauses.
NOISE = (1e-3, 0.4)


@dataclass
class Visit:
    """
    A lane in a sequence: where it is, how it walks, and what is changed about the frames.

    keep: share of the cells that keep their events. added_noise: share of them that shows one of
    another cell. zoom: the part that is seen is 1 / zoom[0] as high and wide, and lies, from 0, at
    the upper and left border, to 1, at zoom[1] down and zoom[2] to the right. roll_deg: clockwise,
    about the middle. At position stop_at the camera stands still for stop_left frames (0 where it
    never does): the label stays, and of events there is only noise, in this share of the cells.
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
    added_noise: float = 0.0


@dataclass(frozen=True)
class ClipPlan:
    """
    Which T frames L lanes see next, and what is changed about them.

    sequence: int64 (L,), and frames: int64 (T, L), their numbers in it. still: bool (T, L), frames
    in which nothing moves. starts: bool (L,), lanes that begin a visit. flip, swap: bool (L,).
    gain, keep, noise, added_noise, roll_deg: float64 (L,), zoom: float64 (L, 3), all as in Visit.
    seed: of what is drawn for each cell.
    """

    sequence: np.ndarray
    frames: np.ndarray
    still: np.ndarray
    starts: np.ndarray
    flip: np.ndarray
    swap: np.ndarray
    gain: np.ndarray
    keep: np.ndarray
    noise: np.ndarray
    added_noise: np.ndarray
    roll_deg: np.ndarray
    zoom: np.ndarray
    seed: int


def check_clip(lengths: List[int], clip: int, strides: tuple[int, ...]) -> None:
    """Raise ValueError where no sequence is long enough for a clip at one of the strides."""
    longest = max(lengths, default=0)
    if (clip - 1) * min(strides) >= longest:
        raise ValueError(f'No sequence has the {clip} frames of a clip at the strides '
                         f'{strides}; the longest has {longest}: use shorter clips or longer '
                         'sequences.')


class Lanes:
    """Plans clips of sequences of so many frames each; the same seed gives the same plans."""

    def __init__(self, lengths: List[int], lanes: int, clip: int,
                 config: AugmentationConfig, seed: int):
        check_clip(lengths, clip, config.strides)
        self._lengths, self._clip, self._config = tuple(lengths), clip, config
        self._random = np.random.default_rng(seed)
        self._queue: list[int] = []
        self._visits: list[Visit | None] = [None] * lanes
        # Sequences that are long enough for a clip at one of the strides.
        self._strides = [[stride for stride in config.strides
                          if (clip - 1) * stride < length] for length in lengths]

    def next(self) -> ClipPlan:
        """Return the plan of the next clip of every lane."""
        starts = []
        for lane, visit in enumerate(self._visits):
            starts.append(visit is None or not visit.frames_left)
            if starts[-1]:
                self._visits[lane] = self._new_visit()
        frames, still = zip(*map(self._walk, self._visits))

        def of_all(name: str) -> np.ndarray:
            return np.array([getattr(visit, name) for visit in self._visits])
        return ClipPlan(
            of_all('sequence'), np.stack(frames, 1), np.stack(still, 1), np.array(starts),
            *(of_all(item) for item in ('flip', 'swap', 'gain', 'keep', 'noise', 'added_noise',
                                        'roll_deg', 'zoom')),
            int(self._random.integers(2 ** 63)))

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
                self._queue = self._random.permutation(len(self._lengths)).tolist()
            sequence = self._queue.pop()
            if self._strides[sequence]:
                break
        config, frames = self._config, self._lengths[sequence]
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
            most = max(config.standstill_frames // self._clip, 1)
            visit.stop_left = int(self._random.integers(1, most + 1)) * self._clip
            visit.frames_left += visit.stop_left
            visit.noise = float(np.exp(self._random.uniform(*np.log(NOISE))))
        if config.roll_deg and self._random.random() < 0.5:
            visit.roll_deg = float(self._random.uniform(-config.roll_deg, config.roll_deg))
        if config.event_noise and self._random.random() < 0.5:
            visit.added_noise = float(self._random.uniform(0, config.event_noise))
        return visit

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
