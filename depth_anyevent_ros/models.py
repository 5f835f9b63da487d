# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights that ship with the package."""
from __future__ import annotations

import json
import os
from pathlib import Path
import sys

from depth_anyevent_ros.networks.checkpoint import Checkpoint, load_checkpoint, untrained_student

PACKAGE = 'depth_anyevent_ros'


def share_folder(name: str) -> Path | None:
    """
    Return the folder `name` (models, config, launch) of the package, None where there is none.

    Looked for in the source tree, then in the prefixes of ament, then in Python's own prefix.
    """
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    candidates = [Path(__file__).resolve().parents[1] / name,
                  *(Path(prefix, 'share', PACKAGE, name) for prefix in prefixes if prefix)]
    return next((folder for folder in candidates if folder.is_dir()), None)


def load_student(path: str = '') -> Checkpoint:
    """
    Return the student in a file, by default the bundled one.

    While models/manifest.json names no student an untrained one is returned; its name says so.
    Raises CheckpointError.
    """
    if path:
        return load_checkpoint(path)
    folder = share_folder('models')
    manifest = folder / 'manifest.json' if folder else None
    if manifest and manifest.is_file():
        student = json.loads(manifest.read_text())['student']
        if student:
            return load_checkpoint(folder / student)
    return untrained_student()
