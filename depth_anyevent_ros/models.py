# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights that ship with the package, and the manifest that tells what they are."""
from __future__ import annotations

import json
from pathlib import Path

from depth_anyevent_ros.model_downloads import Download, downloads
from depth_anyevent_ros.networks.checkpoint import (
    Checkpoint, CheckpointError, load_checkpoint, untrained_student)
from depth_anyevent_ros.shared_files import share_folder

MANIFEST = 'manifest.json'


def bundled_file(role: str) -> tuple[Path, str] | None:
    """
    Return (path, sha256) of the bundled file of this role, None where none is bundled.

    role: `student`, `teacher` or `mean_map`, keys of models/manifest.json that name a file,
    whose entry under `files` has its sha256. Raises CheckpointError for a manifest that does
    not hold together.
    """
    folder = share_folder('models')
    manifest = read_manifest()
    if manifest is None:
        return None
    try:
        name = manifest[role]
        return (folder / name, manifest['files'][name]['sha256']) if name else None
    except (KeyError, TypeError) as error:
        raise _damaged(folder / MANIFEST, error) from error


def read_manifest() -> dict | None:
    """Return models/manifest.json, None where there is none; CheckpointError."""
    folder = share_folder('models')
    if folder is None or not (folder / MANIFEST).is_file():
        return None
    try:
        return json.loads((folder / MANIFEST).read_text(encoding='utf-8'))
    except ValueError as error:
        raise _damaged(folder / MANIFEST, error) from error


def fetched() -> dict[str, Download]:
    """Return the weights of others that can be fetched, by name; CheckpointError."""
    try:
        return downloads(read_manifest() or {})
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(share_folder('models') / MANIFEST, error) from error


def load_student(path: str = '') -> Checkpoint:
    """
    Return the student in a file, by default the bundled one.

    While models/manifest.json names no student an untrained one is returned; its name says so.
    Raises CheckpointError.
    """
    if path:
        return load_checkpoint(path)
    return _load_bundled('student') or untrained_student()


def load_teacher(path: str = '') -> Checkpoint:
    """
    Return the teacher in a file, by default the bundled one; raise CheckpointError.

    path: also the name of a download, such as depth_anything_v2_vits.
    """
    known = fetched()
    if path in known and not Path(path).exists():
        download = known[path]
        if not download.path.is_file():
            raise CheckpointError(f'{path} has not been fetched: run `depth_anyevent models fetch '
                                  f'{path}`.')
        teacher = load_checkpoint(download.path, sha256=download.verified())
    else:
        teacher = load_checkpoint(path) if path else _load_bundled('teacher')
    if teacher is None:
        raise CheckpointError('No teacher is bundled with this version: name a checkpoint.')
    if teacher.config.input.representation != 'rgb':
        raise CheckpointError(f'{teacher.name} sees events, but a teacher sees RGB: name a '
                              'checkpoint whose representation is rgb.')
    return teacher


def _load_bundled(role: str) -> Checkpoint | None:
    found = bundled_file(role)
    return load_checkpoint(found[0], sha256=found[1]) if found else None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f'{path} is damaged ({type(error).__name__}: {error}): install the '
                           'package again.')
