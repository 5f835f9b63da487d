# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The folder of a training run.

config.yaml as resolved, log.jsonl, loss.png, mean_map.npz, validation.png, state.safetensors to
resume from, best.safetensors (the best by validation so far), NAME.safetensors at the end, and
lock, by which a run has the folder to itself.
"""
from __future__ import annotations

from collections.abc import Mapping
import io
import json
import math
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
import yaml

from depth_anyevent_ros.atomic_file import remove_left_overs
from depth_anyevent_ros.distillation.strict_mapping import ConfigError
from depth_anyevent_ros.distillation.training_config import (
    read_training_config, TrainingConfig)
from depth_anyevent_ros.distillation.training_state import (
    TrainingError, write_atomically, writing)
from depth_anyevent_ros.folder_lock import hold_folder


class RunFolder:
    """Where a run writes; TrainingError, with the name of the file, where the disk refuses."""

    def __init__(self, path: str | Path, name: str):
        self.path = Path(path)
        self.state = self.path / 'state.safetensors'
        self.best = self.path / 'best.safetensors'
        self.mean_map = self.path / 'mean_map.npz'
        self.final = self.path / f'{name}.safetensors'
        self._log = self.path / 'log.jsonl'
        self._config = self.path / 'config.yaml'

    def hold(self, resume: bool) -> TextIO:
        """
        Return an open file that keeps the folder, which is made, to this run until it is closed.

        Raises TrainingError where another process trains in it, or there is nothing to resume.
        """
        if resume and not self.state.exists():
            raise TrainingError(f'{self.state} does not exist, so there is nothing to resume: '
                                'leave out --resume, or name the output folder of the run.')
        try:
            file = hold_folder(self.path)
        except BlockingIOError as error:
            raise TrainingError(f'Another process trains in {self.path}: wait for its end, or '
                                'name another folder as output=.') from error
        remove_left_overs(self.path)
        return file

    def create(self, config: TrainingConfig, resume: bool) -> None:
        """
        Make the folder.

        TrainingError where a run lies in it that is not to be resumed, or what no run left there.
        """
        if not resume and (self.state.exists() or self.final.exists()):
            raise TrainingError(f'{self.path} holds a training run: go on with it by --resume, '
                                'or name another folder as output=.')
        self.path.mkdir(parents=True, exist_ok=True)
        if not resume:
            self._check_left_by_a_run()
            # Of a run that ended before its first state, maybe on other data.
            for left_over in (self._log, self.mean_map):
                left_over.unlink(missing_ok=True)
        write_atomically(self._config, _text(config).encode())

    def _check_left_by_a_run(self) -> None:
        """Raise TrainingError where a file of a name that a run writes comes from someone else."""
        try:
            if _text(read_training_config(self._config)) == self._config.read_text():
                return
        except (ConfigError, OSError):  # none, or none of a run
            pass
        found = [path.name for path in (self._config, self._log, self.mean_map) if path.exists()]
        if found:
            raise TrainingError(f'{self.path} holds {" and ".join(found)}, which no training run '
                                'left there, and which this one would replace: name another '
                                'folder as output=.')

    def log(self, entry: Mapping) -> None:
        """Append a line to the log, with null for numbers that are not finite."""
        with writing(self._log), open(self._log, 'a') as file:
            file.write(_line(entry))

    def entries(self) -> list[dict]:
        """Return the lines of the log; the last one may be cut short by a kill."""
        if not self._log.exists():
            return []
        found = []
        for line in self._log.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def cut_log(self, step: int) -> None:
        """Drop what was logged after a step, which will be done again."""
        kept = [entry for entry in self.entries() if entry['step'] <= step]
        write_atomically(self._log, ''.join(map(_line, kept)).encode())

    def write_picture(self, picture: np.ndarray) -> None:
        """Write the picture of the last validation, bgr8."""
        _, data = cv2.imencode('.png', picture)
        write_atomically(self.path / 'validation.png', data.tobytes())

    def plot(self) -> None:
        """Draw the loss and the validation error over the steps as loss.png."""
        # Imported here: it is slow to import, and only drawing needs it.
        from matplotlib.figure import Figure
        entries = self.entries()
        figure = Figure(figsize=(7, 4), layout='constrained')
        axes = figure.subplots()
        losses = [(entry['step'], entry['loss']) for entry in entries
                  if entry.get('loss') is not None]
        ratios = [(entry['step'], entry['validation']['ratio']) for entry in entries
                  if 'validation' in entry and entry['validation']['ratio'] is not None]
        if losses:
            axes.plot(*zip(*losses), color='tab:blue', linewidth=0.8)
        axes.set(xlabel='step', ylabel='training loss')
        if ratios:
            other = axes.twinx()
            other.plot(*zip(*ratios), color='tab:red', marker='.')
            other.set_ylabel('validation error / that of the mean map', color='tab:red')
        data = io.BytesIO()
        figure.savefig(data, format='png', dpi=110)
        write_atomically(self.path / 'loss.png', data.getvalue())


def _text(config: TrainingConfig) -> str:
    return yaml.safe_dump(config.to_dict(), sort_keys=False)


def _line(entry: Mapping) -> str:
    return json.dumps(_finite(entry), allow_nan=False) + '\n'


def _finite(value):
    """Return values with None in place of numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
