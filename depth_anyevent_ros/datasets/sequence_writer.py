# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing a sequence folder, whole or not at all."""
from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_anyevent_ros.datasets.event_file import EventFileWriter
from depth_anyevent_ros.datasets.hdf5_output import Hdf5Output
from depth_anyevent_ros.datasets.part_folder import PartFolder
from depth_anyevent_ros.datasets.sequence_format import (
    camera_from_json, camera_to_json, COMPRESSION, EVENTS_FILE, FORMAT_VERSION, IMAGE_FOLDER,
    image_name, INFO_DEFAULTS, INFO_FILE, LABELS_FILE, MOST_INVERSE_DEPTH, OPTIONAL_LABELS,
    REQUIRED_INFO, SequenceError)
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

PNG_SPEED = [cv2.IMWRITE_PNG_COMPRESSION, 3]


class SequenceWriter:
    """
    A new sequence; use it in a with statement.

    path: the folder, which must not exist. It is written as NAME.part, which takes its name when
    the with statement ends, and is removed when it ends by an exception; one left over by a
    process that was killed is replaced. info: what sequence.json is to say; `source`, `camera`
    (a CameraModel) and `duration_ns` are needed, others of INFO_DEFAULTS may be left out, and
    more may be added.

    Raise SequenceError (a ValueError) for what does not fit, FolderInUse (another) where another
    process is writing it, OSError where the disk is full.
    """

    def __init__(self, path: str | Path, info: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._info = _complete(info, self.path)
        self._camera = camera_from_json(self._info['camera'], self.path)
        self._folder = PartFolder(self.path)
        self._part = self._folder.path
        # Asked by who holds the folder, so that none can come in between.
        if os.path.lexists(self.path):  # a link that leads nowhere cannot be renamed over either
            self._folder.remove()
            raise SequenceError(f'{self.path} exists already and is not overwritten; give '
                                'another path or remove it first.')
        self._times: list[int] = []
        self._image_times: list[int] = []
        self._optional: tuple[str, ...] | None = None
        self._events: EventFileWriter | None = None
        self._labels: Hdf5Output | None = None
        try:
            height, width = self._camera.height, self._camera.width
            self._events = EventFileWriter(self._part / EVENTS_FILE, height, width)
            self._labels = Hdf5Output(self._part / LABELS_FILE)
            self._create('inverse_depth', np.float16, (height, width))
        except BaseException:
            self.abandon()
            raise

    def __enter__(self) -> SequenceWriter:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self.abandon()
            return
        try:
            self.close()
        except BaseException:
            self.abandon()
            raise

    def add_events(self, events: Events) -> None:
        """Append events, whose times (ns) go on from those before."""
        self._events.add(events)

    def add_label(self, time_ns: int, inverse_depth: np.ndarray,
                  image: np.ndarray | None = None, moving: np.ndarray | None = None,
                  flow: np.ndarray | None = None, image_time_ns: int | None = None) -> None:
        """
        Append a label.

        time_ns: end of the event window, later than that of the label before. inverse_depth:
        (H, W), 1/m, 0 infinitely far, NaN unknown. image: uint8 (H', W', 3), BGR. moving: bool
        (H, W). flow: (H, W, 2), pixels a second. image_time_ns: middle of the image's exposure,
        time_ns if left out. What the first label has, all have.
        """
        given = {'moving': moving, 'flow': flow, 'image': image}
        optional = tuple(name for name, value in given.items() if value is not None)
        if self._optional is None:
            self._optional = optional
            for name in set(optional) & set(OPTIONAL_LABELS):
                self._create(name, OPTIONAL_LABELS[name], np.shape(given[name]))
        if optional != self._optional:
            raise SequenceError(f'The label at {time_ns} ns has {optional or "no extras"}, but '
                                f'the first one has {self._optional or "none"}.')
        if self._times and time_ns <= self._times[-1]:
            raise SequenceError(f'The times of labels have to go on from {self._times[-1]} ns, '
                                f'got {time_ns} ns.')
        self._append('inverse_depth', _checked(inverse_depth, self._size, time_ns))
        if moving is not None:
            self._append('moving', _shaped(moving, self._size, 'moving'))
        if flow is not None:
            self._append('flow', _shaped(flow, (*self._size, 2), 'flow'))
        if image is not None:
            self._write_image(image)
        self._times.append(int(time_ns))
        self._image_times.append(int(time_ns if image_time_ns is None else image_time_ns))

    def set_duration(self, duration_ns: int) -> None:
        """Say how long the sequence became, ns, where that was not known before."""
        self._info['duration_ns'] = int(duration_ns)

    def close(self) -> None:
        """Complete the sequence and give it its name."""
        self._events.close()
        self._labels.file['time_ns'] = np.array(self._times, np.int64)
        if 'image' in (self._optional or ()):
            self._labels.file['image_time_ns'] = np.array(self._image_times, np.int64)
        self._labels.close()
        self._info['frames'] = len(self._times)
        self._info['events'] = self._events.count
        (self._part / INFO_FILE).write_text(json.dumps(self._info, indent=2) + '\n')
        self._part.rename(self.path)
        self._folder.release()

    def abandon(self) -> None:
        """Remove what was written."""
        try:
            for file in (self._events, self._labels):
                if file is not None:
                    file.abandon()
        finally:
            self._folder.remove()

    @property
    def _size(self) -> tuple[int, int]:
        return self._camera.height, self._camera.width

    def _create(self, name: str, dtype: type, shape: tuple[int, ...]) -> None:
        # One chunk for each label, so that one is read without the others.
        self._labels.file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape),
                                         chunks=(1, *shape), **COMPRESSION)

    def _append(self, name: str, values: np.ndarray) -> None:
        data = self._labels.file[name]
        data.resize(len(self._times) + 1, axis=0)
        data[len(self._times)] = values
        self._labels.check()

    def _write_image(self, image: np.ndarray) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise SequenceError('An image has to be uint8 (height, width, 3), got '
                                f'{image.dtype} {image.shape}.')
        folder = self._part / IMAGE_FOLDER
        folder.mkdir(exist_ok=True)
        _, data = cv2.imencode('.png', image, PNG_SPEED)
        (folder / image_name(len(self._times))).write_bytes(data.tobytes())


def _complete(info: Mapping[str, Any], path: Path) -> dict[str, Any]:
    missing = [name for name in REQUIRED_INFO if name not in info]
    if missing:
        raise SequenceError(f'The information on {path} lacks {", ".join(missing)}.')
    complete = {'format_version': FORMAT_VERSION, 'name': path.name, **INFO_DEFAULTS, **info}
    if isinstance(complete['camera'], CameraModel):
        complete['camera'] = camera_to_json(complete['camera'])
    try:
        json.dumps(complete)
    except TypeError as error:
        raise SequenceError(f'The information on {path} cannot be written as JSON: '
                            f'{error}.') from error
    return complete


def _checked(inverse_depth: np.ndarray, size: tuple[int, int], time_ns: int) -> np.ndarray:
    values = _shaped(inverse_depth, size, 'inverse_depth')
    # Written so that NaN passes.
    if np.any(values < 0) or np.any(values > MOST_INVERSE_DEPTH):
        raise SequenceError(f'The inverse depth at {time_ns} ns goes from {np.nanmin(values)} to '
                            f'{np.nanmax(values)} 1/m, expected 0 to {MOST_INVERSE_DEPTH:.0f}, or '
                            'NaN for unknown.')
    return values


def _shaped(values: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != shape:
        raise SequenceError(f'{name} has to be of shape {shape}, as the camera is, got '
                            f'{values.shape}.')
    return values
