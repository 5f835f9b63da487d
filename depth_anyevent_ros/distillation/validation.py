# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How good the weights are while they are trained, on a few sequences."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.strict_mapping import ConfigError
from depth_anyevent_ros.distillation.training_config import ValidationConfig
from depth_anyevent_ros.evaluation.baselines import map_of_world, MIN_PIXELS, resize_map
from depth_anyevent_ros.evaluation.pictures import caption, colorize, tencode_picture
from depth_anyevent_ros.evaluation.protocols import frame_metrics, PROTOCOLS
from depth_anyevent_ros.networks.depth_network import DepthNetwork

CHUNK = 8  # frames that the network runs at once
PICTURE_HEIGHT, MOST_ROWS = 140, 4
KEPT = {'clean': ('abs_rel', 'rmse_log', 'delta1'), 'teacher': ('rmse',)}


@dataclass(frozen=True)
class ValidationResult:
    """
    metrics: means over frames. predictions: of one frame of each sequence, float32 (h, w).
    """

    metrics: dict[str, float]
    predictions: list[np.ndarray]


class Validator:
    """
    Validation sequences in memory, and the mean map's error on the same frames.

    The protocol is clean; with labels of a teacher, which have no unit, it is teacher. main: the
    metric that counts.
    """

    def __init__(self, samples: tuple[Samples, ...], config: ValidationConfig,
                 maps: dict[str, np.ndarray]):
        check_one_kind(item.relative for item in samples)
        self._protocol = 'teacher' if any(item.relative for item in samples) else 'clean'
        self.main = PROTOCOLS[self._protocol].main
        self._samples = samples
        self._frames = [range(0, len(item), config.stride)[:config.frames] for item in samples]
        self._truths = [[item.inverse_depth[index].astype(np.float32) for index in frames]
                        for item, frames in zip(samples, self._frames)]
        self._counts = [[PROTOCOLS[self._protocol].truth(truth).mask.sum() >= MIN_PIXELS
                         for truth in truths]
                        for truths in self._truths]
        self.frames = sum(sum(counts) for counts in self._counts)
        if not self.frames:
            raise ValueError('None of the validation labels has depth up to 80 m to compare '
                             'with: name other sequences in data.validation.')
        self.mean_map = self._score(lambda index: [
            resize_map(map_of_world(maps, samples[index].world), *samples[index].size)
        ] * len(self._frames[index]))

    @property
    def sequences(self) -> list[list]:
        """Names and numbers of labels of the sequences, in order, as JSON values."""
        return [[item.name, len(item)] for item in self._samples]

    def run(self, network: DepthNetwork, prepare: Callable[[Tensor], Tensor]
            ) -> ValidationResult:
        """
        Return the network's metrics; `ratio` is its main one over the mean map's, also by world.

        prepare: images (T, N, C, h, w) as in Samples to what the network takes.
        """
        shown = []

        def predict(index: int) -> list[np.ndarray]:
            predictions = predict_sequence(network, self._samples[index].image,
                                           self._frames[index], prepare)
            shown.append(predictions[len(predictions) // 2])
            return predictions

        metrics = self._score(predict)
        metrics |= {name.replace(self.main, 'ratio'): metrics[name] / self.mean_map[name]
                    for name in list(metrics) if name.startswith(self.main)}
        return ValidationResult(metrics, shown)

    def picture(self, predictions: list[np.ndarray]) -> np.ndarray:
        """Return input, truth and prediction of a few sequences side by side, bgr8."""
        rows = []
        chosen = np.linspace(0, len(self._samples) - 1, min(MOST_ROWS, len(self._samples)))
        for index in chosen.round().astype(int).tolist():
            samples, middle = self._samples[index], len(self._frames[index]) // 2
            truth = self._truths[index][middle]
            rows.append(caption(np.hstack([
                _enlarged(_input_picture(samples.image[self._frames[index][middle]])),
                _enlarged(_depth_picture(truth)),
                _enlarged(_depth_picture(predictions[index]))]),
                f'{samples.name}: input, truth, prediction (inverse depth)'))
        width = max(row.shape[1] for row in rows)
        return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)))
                          for row in rows])

    def _score(self, predict: Callable[[int], list[np.ndarray]]) -> dict[str, float]:
        found, worlds, kept = [], [], KEPT[self._protocol]
        for index in range(len(self._samples)):
            for prediction, truth, counts in zip(predict(index), self._truths[index],
                                                 self._counts[index]):
                if counts:
                    metrics = frame_metrics(prediction, truth, self._protocol)
                    found.append([metrics[name] for name in kept])
                    worlds.append(self._samples[index].world)
        found, worlds = np.array(found), np.array(worlds)
        result = dict(zip(kept, found.mean(0).tolist()))
        for world in sorted({*worlds} - {''}):
            result[f'{self.main}_{world}'] = float(found[worlds == world, 0].mean())
        return result


def check_one_kind(relative: Iterable[bool]) -> None:
    """Raise ConfigError where labels of some sequences have no unit, and those of others have."""
    if len({*relative}) > 1:
        raise ConfigError('data.validation has labels of a teacher, which have no unit, beside '
                          'others: name sequences of one kind.')


@torch.no_grad()
def predict_sequence(network: DepthNetwork, images: np.ndarray, frames: range,
                     prepare: Callable[[Tensor], Tensor]) -> list[np.ndarray]:
    """Return inverse depth float32 (h, w) of frames of a sequence, from an empty state."""
    state, predictions = None, []
    for begin in range(0, len(frames), CHUNK):
        chosen = torch.from_numpy(images[list(frames[begin:begin + CHUNK])][:, None])
        inverse_depth, state = network.forward_sequence(prepare(chosen), state)
        predictions.extend(inverse_depth[:, 0].float().cpu().numpy())
    return predictions


def _input_picture(image: np.ndarray) -> np.ndarray:
    """Return a sample's image (C, h, w) as bgr8: Tencode, RGB, or the sum of a voxel grid."""
    if len(image) != 3:
        return colorize(image.astype(np.float32).sum(0), -3, 3)
    image = image.astype(np.float32) / 255
    # Tencode is 0 or 1 in its first and last channel, and never 1 in both.
    if np.isin(image[[0, 2]], (0, 1)).all() and not (image[0] * image[2]).any():
        return tencode_picture(image)
    # A Tencode that is resized goes beyond 0 and 1.
    return (np.clip(image[::-1].transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)


def _depth_picture(inverse_depth: np.ndarray) -> np.ndarray:
    known = inverse_depth[np.isfinite(inverse_depth)]
    low, high = np.percentile(known, (2, 98)).tolist() if len(known) else (0.0, 1.0)
    return colorize(inverse_depth, low, high)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    width = round(picture.shape[1] * PICTURE_HEIGHT / picture.shape[0])
    return cv2.resize(picture, (width, PICTURE_HEIGHT), interpolation=cv2.INTER_NEAREST)
