# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A sequence as a network sees it: inputs on the network's grid, and the truth averaged to it.

Events are rendered by the same surface as in the live pipeline, and free of the lens's distortion
as there, so that what is trained on is what runs; but large pixels (`cell_threshold`) remember
where the stream began. Training and evaluation both read inputs by this file; the truth on the
grid is for training alone, as evaluation compares at the sensor's resolution.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from depth_anyevent_ros.datasets.sequences import Sequence, SequenceError
from depth_anyevent_ros.events.pipeline import placed
from depth_anyevent_ros.events.surface import LatestEventSurface
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.events.voxel_grid import voxel_grid
from depth_anyevent_ros.images import resize_picture
from depth_anyevent_ros.networks.config import InputConfig

BLOCK_NS = 1_000_000_000  # events that are read at once
LEAST_KNOWN = 0.5  # share of a cell whose depth has to be known for the cell to have one
LEAST_PIXELS = 0.02  # share of a label that has to be known for the label to be of use
# Labels flatter than this (all sky) say nothing about relative depth: 1/m, or for labels without a
# unit a share of their largest value.
LEAST_SPREAD = LEAST_SPREAD_SHARE = 1e-3


class SampleError(ValueError):
    """A sequence that cannot be used as asked; the message says why."""


@dataclass(frozen=True)
class Samples:
    """
    The labels of a sequence, in order, on a grid of h x w cells.

    image: (N, C, h, w), the input of each label before mean and std. Compact: 255 times the value
    for Tencode and RGB, uint8, but float16 for a Tencode beyond 0 and 1; float16 of the value for
    voxel grids; else float32 of the value. inverse_depth: float16 (N, h, w), 1/m, 0 infinitely
    far, NaN unknown. events: int64 (N,), events in each window. times_ns: int64 (N,), the ends of
    the windows. usable: bool (N,), false for labels without depth to learn from. relative: a
    teacher's labels, up to scale and shift, without a unit.
    """

    name: str
    world: str
    image: np.ndarray
    inverse_depth: np.ndarray
    events: np.ndarray
    times_ns: np.ndarray
    usable: np.ndarray
    relative: bool = False

    def __len__(self) -> int:
        return len(self.times_ns)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid."""
        return self.image.shape[-2:]


def load_samples(sequence: Sequence, config: InputConfig, height: int, width: int,
                 compact: bool = True, truth: bool = True) -> Samples:
    """
    Return the samples of a sequence for a network input of height x width pixels.

    config: says the representation, the length of the windows, and how time is normalised; its
    own size is not looked at. compact: see `Samples`; uint8 rounds the age of an event to 1/255.
    truth: False leaves all depth unknown and no label usable, until a teacher says what it is.
    Raises SampleError where there is nothing to see or to learn (no events, no image, no depth),
    SequenceError where the files are damaged.
    """
    inverse_depth = np.full((len(sequence), height, width), np.nan, np.float32)
    for index in range(len(sequence) if truth else 0):
        inverse_depth[index] = area_average(sequence.label(index), height, width)
    usable = usable_labels(inverse_depth, sequence.relative)
    if not len(sequence) or truth and not usable.any():
        raise SampleError(f'{sequence.path} has no label with depth to learn from: of its '
                          f'{len(sequence)} labels each is unknown or '
                          f'{"all alike" if sequence.relative else "all sky"}.')
    images, counts = zip(*render_inputs(sequence, config, height, width, compact=compact))
    return Samples(sequence.name, sequence.world, np.stack(images),
                   inverse_depth.astype(np.float16), np.array(counts, np.int64),
                   sequence.times_ns.copy(), usable, sequence.relative)


def render_inputs(sequence: Sequence, config: InputConfig, height: int, width: int,
                  labels: Iterable[int] | None = None,
                  compact: bool = True) -> Iterator[tuple[np.ndarray, int]]:
    """
    Yield what a network sees of labels, (C, height, width), and how many events each shows.

    One after the other, as a long sequence may not fit into memory. labels: their indices in
    order, by default all. config, compact: as of `load_samples`, the image as in `Samples`;
    pictures count no events. Raises SampleError where there is nothing to see, SequenceError
    where the files are damaged.
    """
    labels = range(len(sequence)) if labels is None else labels
    if config.representation == 'rgb':
        images = ((_picture(sequence, index, height, width), 0) for index in labels)
    else:
        images = _event_images(sequence, config, height, width, labels)
    for image, count in images:
        yield _compacted(image, config) if compact else image, count


def usable_labels(inverse_depth: np.ndarray, relative: bool) -> np.ndarray:
    """
    Return which labels (N, h, w) have enough known pixels that are not all alike.

    relative: they are a teacher's, known up to scale and shift, else in 1/m.
    """
    usable = np.zeros(len(inverse_depth), bool)
    for index, label in enumerate(inverse_depth):
        known = label[np.isfinite(label)]
        usable[index] = len(known) >= LEAST_PIXELS * label.size and (
            differ(known) if relative else known.std() > LEAST_SPREAD)
    return usable


def differ(known: np.ndarray) -> bool:
    """Return whether the known values of a map without a unit, one at least, are not all alike."""
    low, high = np.percentile(known, (5, 95))
    return bool(high - low > LEAST_SPREAD_SHARE * max(float(np.abs(known).max()), 1e-9))


def area_average(inverse_depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """
    Return inverse depth (H, W) averaged over the cells of a grid, float32 (height, width).

    NaN counts as unknown and takes no part; a cell that is unknown by half or more is NaN.
    """
    known = np.isfinite(inverse_depth)
    if known.all():
        return cv2.resize(inverse_depth, (width, height), interpolation=cv2.INTER_AREA)
    share = cv2.resize(known.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.where(known, inverse_depth, 0).astype(np.float32), (width, height),
                       interpolation=cv2.INTER_AREA)
    enough = share > LEAST_KNOWN
    return np.where(enough, total / np.maximum(share, LEAST_KNOWN), np.nan).astype(np.float32)


def _picture(sequence: Sequence, index: int, height: int, width: int) -> np.ndarray:
    """Return the picture of a label as RGB in [0, 1], float32 (3, height, width)."""
    picture = sequence.picture(index)
    if picture is None:
        raise SampleError(f'{sequence.path} has no pictures, which a network on rgb needs: '
                          'simulate it with them.')
    small = resize_picture(picture, height, width)
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1), np.float32) / 255


def _event_images(sequence: Sequence, config: InputConfig, height: int, width: int,
                  labels: Iterable[int]) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the network inputs, float32 (C, height, width), and how many events each shows."""
    if not sequence.event_count:
        raise SampleError(f'{sequence.path} has no events.')
    put, render = _renderer(sequence, config, height, width)
    window_ns = round(config.window_ms * 1e6)
    reader = _WindowReader(sequence)
    put_ns = int(sequence.times_ns[0]) - window_ns - BLOCK_NS
    for index in labels:
        end_ns = int(sequence.times_ns[index])
        start_ns = end_ns - window_ns
        if config.cell_threshold and put_ns < start_ns:
            # Large pixels remember what came before, of which a block is enough.
            put(reader.window(max(put_ns, start_ns - BLOCK_NS), start_ns))
            put_ns = start_ns
        events = reader.window(start_ns, end_ns)
        put(events.part(int(np.searchsorted(events.t, put_ns)), len(events)))
        put_ns = end_ns
        yield render(events, start_ns, end_ns), len(events)


def _renderer(sequence: Sequence, config: InputConfig, height: int, width: int):
    """
    Return a function that takes events, each once, in their order, and one that renders a window.

    That is (events of the window, start, end) -> float32 (C, height, width), for a window that
    ends with the last events that were taken.
    """
    camera, rectification = sequence.camera, sequence.rectification
    coordinates = placed(rectification.coordinates, config.placement) if rectification else None
    grid = (width, height) if config.placement == 'grid' else (camera.width, camera.height)
    if config.representation == 'voxel':
        cell_of_pixel = LatestEventSurface(camera.width, camera.height, *grid,
                                           coordinates).sink.cell_of_pixel

        def put(events: Events) -> None:
            """Do nothing: voxel grids are made of a window's own events."""

        def render(events: Events, start: int, end: int) -> np.ndarray:
            bounds = _bounds(events, config, start, end)
            voxels = voxel_grid(events, cell_of_pixel, grid[0] * grid[1], *bounds
                                ).reshape(-1, grid[1], grid[0])
            return voxels if config.placement == 'grid' else np.stack([
                cv2.resize(bin_, (width, height), interpolation=cv2.INTER_CUBIC)
                for bin_ in voxels])
    else:
        surface = LatestEventSurface(
            camera.width, camera.height, *grid, coordinates,
            size=None if config.placement == 'grid' else (height, width),
            cell_threshold=config.cell_threshold)

        def put(events: Events) -> None:
            surface.sink.put(events, len(events))

        def render(events: Events, start: int, end: int) -> np.ndarray:
            return surface.tencode(start, end, *_bounds(events, config, start, end),
                                   config.background)
    return put, render


def _bounds(events: Events, config: InputConfig, start: int, end: int) -> tuple[int, int]:
    """Return the times in ns that time is normalised by."""
    if config.time_normalization == 'window' or not len(events):
        return start, end
    return int(events.t[0]), int(events.t[-1])


class _WindowReader:
    """Reads windows that go forward through a file in blocks, since opening it costs time."""

    def __init__(self, sequence: Sequence):
        self._sequence = sequence
        self._block: Events | None = None
        self._begin = self._end = 0

    def window(self, start: int, end: int) -> Events:
        """Return the events of [start, end)."""
        if self._block is None or start < self._begin or end > self._end:
            self._begin, self._end = start, max(end, start + BLOCK_NS)
            self._block = self._sequence.events(self._begin, self._end)
        first, last = np.searchsorted(self._block.t, (start, end))
        return self._block.part(first, last)


def _compacted(image: np.ndarray, config: InputConfig) -> np.ndarray:
    """Return an image of float32 as `Samples` keeps it."""
    if config.representation == 'voxel':
        return image.astype(np.float16)
    if config.representation == 'tencode':
        return compact_tencode(image)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def compact_tencode(image: np.ndarray) -> np.ndarray:
    """
    Return 255 times a Tencode, uint8, or float16 where it goes beyond 0 and 1.

    Bicubic interpolation of one that is resized does, and whatever runs gives that to the network.
    """
    if image.min() < 0 or image.max() > 1:
        return (image * 255).astype(np.float16)
    return np.rint(image * 255).astype(np.uint8)


__all__ = ['area_average', 'compact_tencode', 'differ', 'load_samples', 'render_inputs',
           'SampleError', 'Samples', 'SequenceError', 'usable_labels']
