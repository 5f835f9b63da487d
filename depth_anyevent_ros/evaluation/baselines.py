# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a model has to beat: predictions that look at no event of the window.

constant: every pixel the same. mean_map: the mean of the training labels, by world. hold_last:
the model's own last prediction. Each gets the same freedom of alignment as the model.
"""
from __future__ import annotations

from collections.abc import Iterable
import io
import os
import zipfile
import zlib

import cv2
import numpy as np

from depth_anyevent_ros.atomic_file import replace_file

MAX_DEPTH_M = 80.0  # truth beyond it is left out, as METHOD.md's protocols do
MAP_HEIGHT, MAP_WIDTH = 52, 70
MIN_PIXELS = 16  # frames with fewer valid pixels say nothing about a scale and a shift
ALL_WORLDS, UNKNOWN_WORLD = 'all', 'unknown'


def valid_truth(inverse_depth: np.ndarray) -> np.ndarray:
    """
    Return which pixels have a truth that counts: known, finite and at most 80 m away.

    inverse_depth: 1/m, (H, W); 0 is the sky, NaN is unknown. Half precision rounds 1/80 down.
    """
    with np.errstate(invalid='ignore'):
        return np.isfinite(inverse_depth) & (inverse_depth >= np.float16(1 / MAX_DEPTH_M))


def label_sums(sequence, stride: int = 4) -> dict[str, np.ndarray]:
    """
    Return what a sequence adds to `mean_maps`, float64 (2, 52, 70) by world; {} for nothing.

    sequence: a datasets.sequences.Sequence. stride: one label in so many is read, as neighbours
    are nearly the same.
    """
    return _sums((sequence.label(index) for index in range(0, len(sequence), stride)),
                 sequence.world, sequence.relative)


def teacher_sums(samples, stride: int = 4) -> dict[str, np.ndarray]:
    """Return the same of datasets.samples.Samples whose labels are a teacher's."""
    return _sums(samples.inverse_depth[::stride], samples.world, True)


def _sums(labels: Iterable[np.ndarray], world: str, relative: bool) -> dict[str, np.ndarray]:
    sums: dict[str, np.ndarray] = {}
    world = world or UNKNOWN_WORLD
    for label in labels:
        label = np.asarray(label, np.float32)
        cells = _standardised_cells(label, np.isfinite(label) if relative else valid_truth(label))
        if cells is not None:
            sums[world] = sums.get(world, 0) + cells
    return sums


def mean_maps(found: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """
    Return float32 (52, 70) maps by world, and of all worlds under 'all'.

    A map is the mean over labels of inverse depth standardised by frame (mean 0, deviation 1
    over valid pixels): the strongest constant map under a scale and a shift by frame. Cells
    where no label is valid are 0, the mean. found: what `label_sums` found in each sequence.
    Raises ValueError where no label can be used.
    """
    sums: dict[str, np.ndarray] = {}
    for one in found:
        for world, cells in one.items():
            for name in (world, ALL_WORLDS):
                sums[name] = sums.get(name, 0) + cells
    if not sums:
        raise ValueError('no label has enough valid pixels for a mean map: the sequences are '
                         'empty, all sky, or all unknown')
    return {name: np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
            .astype(np.float32) for name, (total, weight) in sums.items()}


def map_of_world(maps: dict[str, np.ndarray], world: str) -> np.ndarray:
    """Return the map of a world, '' where none is known, or else that of all."""
    return maps.get(world or UNKNOWN_WORLD, maps[ALL_WORLDS])


def _standardised_cells(inverse_depth: np.ndarray, valid: np.ndarray) -> np.ndarray | None:
    """Return the sum and the weight of each cell, float64 (2, 52, 70); None without enough."""
    values = inverse_depth[valid].astype(np.float64)
    if len(values) < MIN_PIXELS or not values.std() > 0:
        return None
    standard = np.zeros(inverse_depth.shape, np.float32)
    standard[valid] = (values - values.mean()) / values.std()
    size = MAP_WIDTH, MAP_HEIGHT
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                     for image in (standard, valid.astype(np.float32))]).astype(np.float64)


def save_mean_maps(path: str | os.PathLike, maps: dict[str, np.ndarray]) -> None:
    """Write maps as an .npz file, in one step."""
    data = io.BytesIO()
    np.savez_compressed(data, **maps)
    replace_file(path, data.getvalue())


def load_mean_maps(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read an .npz file of maps; ValueError, in a sentence, for another content."""
    try:
        with np.load(path, allow_pickle=False) as file:
            maps = {name: file[name].astype(np.float32) for name in file.files}
    except FileNotFoundError as error:
        raise ValueError(f'The mean map {path} does not exist: name the mean_map.npz of a '
                         'training run.') from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f'The mean map {path} cannot be read ({error}): expected an .npz file '
                         'as training writes it.') from error
    good = all(m.ndim == 2 and np.isfinite(m).all() for m in maps.values())
    if ALL_WORLDS not in maps or not good:
        raise ValueError(f'The mean map {path} must hold finite maps of two dimensions by world '
                         f"and one called '{ALL_WORLDS}'; it holds {sorted(maps)}.")
    return maps


def resize_map(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a map or prediction, float (h, w), to (height, width) float32, bilinearly."""
    values = np.asarray(values, np.float32)
    if values.shape == (height, width):
        return values
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)


class HeldPrediction:
    """
    The number of the model's prediction of the last window that had something to say.

    For a window with many events it is the prediction of the window before. In a pause, or
    where there are few events, it is the last prediction before that began, held throughout.
    """

    def __init__(self):
        self._held: int | None = None
        self._previous: int | None = None

    def next(self, number: int, quiet: bool) -> int | None:
        """
        Return the number of the prediction held for this window, None where there is none yet.

        number: that of the model's for this window, to be held later. quiet: this window lies in
        a pause or has few events.
        """
        if not quiet:
            held, self._held, self._previous = self._previous, number, number
            return held
        self._previous = number
        return self._held
