# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that a reader sees as a whole or not at all."""
from __future__ import annotations

import errno
import os
from pathlib import Path
import tempfile


def replace_file(path: str | os.PathLike, data: bytes) -> None:
    """
    Write a file in one step, and have it and its name on the disk.

    Raises OSError where the disk refuses, or a device or folder is there; all is then as it was.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # root may replace /dev/null itself
            raise OSError(errno.EINVAL, 'is no plain file')
        _replace(path, data)
    except OSError as error:  # it names the temporary file, or none
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.part', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide it from other users' nodes
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_directory(path.parent)


def remove_left_overs(folder: Path, names: str = '*') -> None:
    """
    Remove what `replace_file` left in a folder when it was killed.

    names: pattern of files that nobody else writes.
    """
    for left_over in folder.glob(f'.{names}.*.part'):
        left_over.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    """Make the new name itself survive a power cut, where the system can do that."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
