# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint over sequences: what it predicts, in order, and how that scores."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np

from depth_anyevent_ros.datasets.samples import render_inputs
from depth_anyevent_ros.datasets.sequences import Sequence, SequenceError
from depth_anyevent_ros.evaluation.baselines import map_of_world
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.evaluation.scoring import (
    FEW_EVENTS_PER_PIXEL, Frame, score_sequence, SequenceScores)
from depth_anyevent_ros.networks.config import InputConfig
from depth_anyevent_ros.networks.input_size import input_size
from depth_anyevent_ros.networks.runtime import TorchRuntime


@dataclass(frozen=True)
class EvaluationSettings:
    """
    How sequences are evaluated.

    protocol: one of PROTOCOLS. rate_hz: frames per second of each sequence, as a node would
    run; labels between them are left out. limit: most frames of a sequence, 0 for all.
    memory: False empties the state of a recurrent student before every frame.
    """

    protocol: str = 'clean'
    rate_hz: float = 10.0
    limit: int = 0
    memory: bool = True

    def __post_init__(self):
        if self.protocol not in PROTOCOLS:
            raise ValueError(f'protocol must be one of {", ".join(PROTOCOLS)}, '
                             f'not {self.protocol!r}')
        if not 0.1 <= self.rate_hz <= 1000:
            raise ValueError(f'rate must be from 0.1 to 1000 Hz, not {self.rate_hz}')
        if self.limit < 0:
            raise ValueError(f'limit must be 0 (no limit) or above, not {self.limit}')


class UnusableSequence(ValueError):
    """A sequence that is left out; `reason` is one word to count by."""

    def __init__(self, reason: str, sentence: str):
        super().__init__(sentence)
        self.reason = reason


def frame_count(path: Path, settings: EvaluationSettings) -> int:
    """Return how many frames of a sequence will be evaluated, 0 where it cannot be read."""
    try:
        return len(chosen_labels(Sequence(path), settings))
    except SequenceError:
        return 0


def chosen_labels(sequence: Sequence, settings: EvaluationSettings) -> np.ndarray:
    """Return the indices of the labels to evaluate, at most settings.rate_hz a second."""
    times = sequence.times_ns
    period_ns = np.median(np.diff(times)) if len(times) > 1 else 1e9
    # Stamps jitter, so a rate that is the labels' own by a hair is the labels' own.
    stride = max(1, math.ceil(1e9 / settings.rate_hz / period_ns - 0.05))
    chosen = np.arange(0, len(times), stride)
    return chosen[:settings.limit] if settings.limit else chosen


def predict(sequence: Sequence, runtime: TorchRuntime,
            settings: EvaluationSettings) -> Iterator[Frame]:
    """
    Run the model over a sequence in order, from a fresh state, and yield its frames.

    Raises UnusableSequence where there is nothing for the model to see or to be compared with.
    """
    config = runtime.config.input
    chosen = chosen_labels(sequence, settings)
    _check(sequence, config, chosen, PROTOCOLS[settings.protocol])
    size = input_size(config, sequence.camera.width, sequence.camera.height)
    window_ns = round(config.window_ms * 1e6)
    fewest = FEW_EVENTS_PER_PIXEL * sequence.camera.width * sequence.camera.height
    runtime.reset()
    inputs = render_inputs(sequence, config, *size, chosen.tolist())
    scale = 1 if config.representation == 'voxel' else 255  # as `Samples` keeps them
    for label, (image, count) in zip(chosen.tolist(), inputs):
        if not settings.memory:
            runtime.reset()
        prediction = runtime.infer(np.ascontiguousarray(image, np.float32) / np.float32(scale))
        end_ns = int(sequence.times_ns[label])
        if config.representation == 'rgb':  # pictures count no events
            count = len(sequence.events(end_ns - window_ns, end_ns))
        yield Frame(prediction, label, bool(count < fewest),
                    in_pause(sequence.info['pauses'], end_ns, window_ns))


def in_pause(pauses: Iterable, end_ns: int, window_ns: int) -> bool:
    """Return whether the window that ends at end_ns lies in one of the pauses [begin, end]; ns."""
    return any(begin <= end_ns - window_ns and end_ns <= end for begin, end in pauses)


def _check(sequence: Sequence, config: InputConfig, chosen: np.ndarray, protocol) -> None:
    if not len(chosen):
        raise UnusableSequence('no_labels', f'{sequence.path} has no labels')
    if protocol.metric and sequence.relative:
        raise UnusableSequence('no_unit', f'{sequence.path} has labels of a teacher, which have '
                               'no unit: compare with them by the protocol teacher')
    if config.representation == 'rgb':
        if sequence.image(0) is None:
            raise UnusableSequence('no_images', f'{sequence.path} has no images, which this '
                                   'checkpoint sees: simulate it with images')
    elif not sequence.event_count:
        raise UnusableSequence('no_events', f'{sequence.path} has no events')


def evaluate_sequence(path: Path, runtime: TorchRuntime, settings: EvaluationSettings,
                      maps: dict[str, np.ndarray] | None,
                      see: Callable | None = None,
                      progress: Callable[[int], None] = lambda count: None) -> SequenceScores:
    """
    Return the scores of a checkpoint on a sequence.

    maps: mean maps by world, None where there are none. see: called as see(sequence, frame,
    ...) for each scored frame, see `score_sequence`. Raises UnusableSequence.
    """
    try:
        sequence = Sequence(path)
        mean_map = map_of_world(maps, sequence.world) if maps else None
        scores = score_sequence(
            sequence, _counted(predict(sequence, runtime, settings), progress),
            PROTOCOLS[settings.protocol], mean_map,
            see and (lambda *seen: see(sequence, *seen)),
            metric=runtime.config.network.max_depth is not None)
    except SequenceError as error:
        raise UnusableSequence('unreadable', str(error)) from error
    if not len(scores):
        reasons = ', '.join(f'{count} {reason}' for reason, count in scores.skipped.items())
        raise UnusableSequence('no_fit' if scores.skipped['singular_fit'] else 'no_truth',
                               f'{path} has no frame that can be scored ({reasons})')
    return scores


def _counted(frames: Iterable[Frame], progress: Callable[[int], None]) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        progress(1)
