# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading sequence folders: events, and labels of inverse depth; sequence_format.py says how."""
from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from depth_anyevent_ros.datasets.event_file import EventFile
from depth_anyevent_ros.datasets.sequence_format import (
    camera_from_json, EVENTS_FILE, FORMAT_VERSION, hdf5_errors, IMAGE_FOLDER, image_name,
    INFO_DEFAULTS, INFO_FILE, LABELS_FILE, OPTIONAL_LABELS, PART_SUFFIX, REQUIRED_INFO,
    SequenceError)
from depth_anyevent_ros.datasets.sequence_writer import SequenceWriter
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CalibrationError
from depth_anyevent_ros.geometry.rectification import Rectification, rectification_of
from depth_anyevent_ros.images import load_picture

__all__ = ['find_sequences', 'Sequence', 'SequenceError', 'SequenceWriter']


class Sequence:
    """
    A sequence; its length is the number of labels.

    info: what sequence.json says. camera: CameraModel of the labels and events, which have the
    distortion of its lens, as have pictures; networks see them without (`rectification`, `label`,
    `picture`). times_ns: int64 (N,), the ends of the event windows. event_count: number of all
    events. Files are open only while they are read: any number of sequences may exist, and may be
    used by several processes. Everything raises SequenceError where the files are not as they
    should be.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.info = _read_info(self.path)
        self.camera = camera_from_json(self.info['camera'], self.path / INFO_FILE)
        size = self.camera.height, self.camera.width
        self._events = EventFile(self.path / EVENTS_FILE, *size)
        self.event_count = self._events.count
        self._labels = self.path / LABELS_FILE
        with hdf5_errors(self._labels), h5py.File(self._labels, 'r') as file:
            missing = [name for name in ('time_ns', 'inverse_depth') if name not in file]
            if missing:
                raise SequenceError(f'{self._labels} lacks {" and ".join(missing)}.')
            self.times_ns = file['time_ns'][:].astype(np.int64)
            shapes = {name: file[name].shape for name in
                      ('inverse_depth', 'image_time_ns', *OPTIONAL_LABELS) if name in file}
        self._check(shapes, size)
        self._optional = set(shapes) & set(OPTIONAL_LABELS)
        self._has_images = (self.path / IMAGE_FOLDER).is_dir()

    def __len__(self) -> int:
        return len(self.times_ns)

    @property
    def name(self) -> str:
        """Name of the sequence."""
        return str(self.info['name'])

    @property
    def relative(self) -> bool:
        """Whether the labels are a teacher's: inverse depth up to scale and shift, no unit."""
        labels = self.info.get('labels')
        return isinstance(labels, dict) and labels.get('alignment') == 'relative'

    def events(self, begin_ns: int, end_ns: int) -> Events:
        """Return the events with begin <= t < end (ns)."""
        return self._events.read(int(begin_ns), int(end_ns))

    def inverse_depth(self, index: int) -> np.ndarray:
        """Return a label, float32 (H, W), 1/m, 0 infinitely far, NaN unknown."""
        values = self._read('inverse_depth', index).astype(np.float32)
        if np.any(values < 0) or np.any(np.isinf(values)):
            raise SequenceError(f'{self._labels} has inverse depths below zero or without bound '
                                f'in label {index}; expected 0 and more, or NaN for unknown.')
        return values

    @cached_property
    def rectification(self) -> Rectification | None:
        """How the lens's distortion is removed, None where the camera has none."""
        try:
            return rectification_of(self.camera)
        except CalibrationError as error:
            raise SequenceError(f'{self.path / INFO_FILE} has a camera whose distortion cannot '
                                f'be removed: {error}.') from error

    def label(self, index: int) -> np.ndarray:
        """Return a label as `inverse_depth`, in the picture without the lens's distortion."""
        values = self.inverse_depth(index)
        return self.rectification.inverse_depth(values) if self.rectification else values

    def moving(self, index: int) -> np.ndarray | None:
        """Return which pixels see something that moves by itself, bool (H, W), or None."""
        return self._read('moving', index) if 'moving' in self._optional else None

    def flow(self, index: int) -> np.ndarray | None:
        """Return the motion of the pixels, float32 (H, W, 2), pixels a second, or None."""
        if 'flow' not in self._optional:
            return None
        return self._read('flow', index).astype(np.float32)

    def image(self, index: int) -> np.ndarray | None:
        """Return the picture of a label, uint8 (H', W', 3), BGR; None if there are none."""
        index = self._index(index)
        if not self._has_images:
            return None
        path = self.path / IMAGE_FOLDER / image_name(index)
        image = load_picture(path) if path.is_file() else None
        if image is None:
            raise SequenceError(f'{path} is missing or no picture; make the sequence again.')
        return image

    @property
    def world(self) -> str:
        """Return the name of the world, '' where none is known."""
        return str(self.info['world'] or '')

    def picture(self, index: int) -> np.ndarray | None:
        """Return a picture as `image`, without the lens's distortion, as that of `label`."""
        image = self.image(index)
        if image is None or self.rectification is None:
            return image
        return self.rectification.picture(image)

    def _index(self, index: int) -> int:
        """Return an index from 0; IndexError ends a for loop over a sequence's labels."""
        if not -len(self) <= index < len(self):
            raise IndexError(f'{self.path} has {len(self)} labels, there is none of index '
                             f'{index}')
        return int(index) % len(self)

    def _read(self, name: str, index: int) -> np.ndarray:
        index = self._index(index)
        with hdf5_errors(self._labels), h5py.File(self._labels, 'r') as file:
            return file[name][index]

    def _check(self, shapes: dict[str, tuple[int, ...]], size: tuple[int, int]) -> None:
        count = len(self.times_ns)
        expected = {'inverse_depth': (count, *size), 'moving': (count, *size),
                    'flow': (count, *size, 2), 'image_time_ns': (count,)}
        for name, shape in shapes.items():
            if shape != expected[name]:
                raise SequenceError(f'{self._labels} has {name} of shape {shape}; with {count} '
                                    f'times and the camera of {INFO_FILE} it has to be '
                                    f'{expected[name]}.')
        if np.any(np.diff(self.times_ns) <= 0):
            raise SequenceError(f'{self._labels} has times that do not go on.')
        if self.info.get('frames', count) != count:
            raise SequenceError(f'{self.path} has {count} labels, but its {INFO_FILE} says '
                                f'{self.info["frames"]}.')


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / INFO_FILE
    if not path.is_file():
        raise SequenceError(f'{folder} is no sequence: it has no {INFO_FILE}.')
    try:
        info = json.loads(path.read_text())
    except ValueError as error:
        raise SequenceError(f'{path} is no JSON: {error}.') from error
    if not isinstance(info, dict):
        raise SequenceError(f'{path} has to hold a JSON object, got {type(info).__name__}.')
    if info.get('format_version') != FORMAT_VERSION:
        raise SequenceError(f'{path} is of format_version {info.get("format_version")}; this '
                            f'program reads {FORMAT_VERSION}.')
    missing = [name for name in REQUIRED_INFO if name not in info]
    if missing:
        raise SequenceError(f'{path} lacks {", ".join(missing)}.')
    info = {'name': folder.name, **INFO_DEFAULTS, **info}
    _check_values(info, path)
    return info


def _check_values(info: dict[str, Any], path: Path) -> None:
    """Raise SequenceError for values by which an evaluation could not sort its frames."""
    pauses, level = info['pauses'], info['level']
    if not isinstance(pauses, list) or not all(
            isinstance(pause, list) and len(pause) == 2 and all(map(_is_number, pause))
            for pause in pauses):
        raise SequenceError(f'{path} has pauses {pauses!r:.80}; expected a list of [begin, end] '
                            'in ns, [] where there are none.')
    if level is not None and not (_is_number(level) and level > 0):
        raise SequenceError(f'{path} has a level of light {level!r:.80}; expected a number above '
                            '0, or null where it is not known.')


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def find_sequences(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """
    Return the sequences that paths name, each once however it is named, those of a folder by name.

    A path is a sequence or a folder of sequences (and of folders of them). Raise SequenceError
    where a path names none.
    """
    found: dict[Path, Path] = {}
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        here = _sequences_below(Path(path))
        if not here:
            reason = 'does not exist' if not Path(path).exists() else \
                (f'is neither a sequence (a folder with {INFO_FILE}) nor a folder of some; '
                 '`depth_anyevent label BAG --format sequence` makes one of a bag')
            raise SequenceError(f'{path} {reason}.')
        for sequence in here:
            found.setdefault(sequence.resolve(), sequence)
    return list(found.values())


def _sequences_below(folder: Path) -> list[Path]:
    if (folder / INFO_FILE).is_file():
        return [folder]
    if not folder.is_dir():
        return []
    return [sequence for child in sorted(folder.iterdir())
            if child.is_dir() and child.suffix != PART_SUFFIX
            for sequence in _sequences_below(child)]
