# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What has been set up already: fingerprints of the inputs of each step, kept in the venv."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

FILE_NAME = 'depth_anyevent_setup.json'
# Compiled files come and go without the sources having changed.
IGNORED_NAMES = {'__pycache__'}
IGNORED_SUFFIXES = {'.pyc', '.nbi', '.nbc'}


def files_below(path: Path) -> list[Path]:
    """List the source files below a folder, or the file itself, sorted; none if it is absent."""
    if path.is_file():
        return [path]
    found = []
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if name not in IGNORED_NAMES]
        found += [Path(folder, name) for name in files
                  if os.path.splitext(name)[1] not in IGNORED_SUFFIXES]
    return sorted(found)


def fingerprint(*paths: Path) -> str:
    """Return a hash of the names, sizes and times of all files below the paths.

    Contents are not read, so that weights of many megabytes cost nothing. A file that was only
    touched counts as changed, which costs one installation too many and never one too few.
    """
    digest = hashlib.sha256()
    for path in paths:
        for file in files_below(path):
            status = file.stat()
            line = f'{file}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_mode}\n'
            digest.update(line.encode())
    return digest.hexdigest()


class Stamp:
    """The record in the virtual environment; each change is on disk before the next begins.

    Its keys are `venv` (where it was made, for scripts in it hold that path), `python` (version),
    `running` (the step that has begun and not ended), `torch` (the version, if installed by us)
    and `steps` (name to fingerprint of the inputs that it was done with).
    """

    def __init__(self, venv: Path):
        self._path = venv / FILE_NAME
        try:
            self.values = json.loads(self._path.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            self.values = {}

    @property
    def exists(self) -> bool:
        """Tell whether the folder carries a readable record."""
        return bool(self.values)

    def done(self, step: str, inputs: str) -> bool:
        """Tell whether a step was done, with these inputs."""
        return self.values.get('steps', {}).get(step) == inputs

    def begin(self, step: str) -> bool:
        """Note that a step runs; return whether it had been interrupted before."""
        interrupted = self.values.get('running') == step
        self.values.setdefault('steps', {}).pop(step, None)
        self.update(running=step)
        return interrupted

    def finish(self, step: str, inputs: str) -> None:
        """Note that a step is done with these inputs."""
        self.values.setdefault('steps', {})[step] = inputs
        self.update(running=None)

    def update(self, **values) -> None:
        """Set keys and replace the file in one go."""
        self.values.update(values)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix('.new')
        temporary.write_text(json.dumps(self.values, indent=1) + '\n', encoding='utf-8')
        os.replace(temporary, self._path)
