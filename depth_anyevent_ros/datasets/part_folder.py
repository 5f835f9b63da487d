# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder that is being written, under a name of its own, by one process."""
from __future__ import annotations

from contextlib import suppress
import fcntl
import os
from pathlib import Path
import shutil

from depth_anyevent_ros.datasets.sequence_format import PART_SUFFIX


class FolderInUse(ValueError):
    """Another process is writing the same folder."""


class PartFolder:
    """
    NAME.part beside the folder NAME to be, empty, and held until it is released or removed.

    One left over by a process that was killed is emptied. Raises FolderInUse where another
    process holds it: two would write into the same files, and what came of it took its name.
    Raises ValueError for a path without a name, such as `.`.
    """

    def __init__(self, target: Path):
        if not target.name:
            raise ValueError(f'{target} is no name for a new folder: give another path')
        self.path = target.with_name(target.name + PART_SUFFIX)
        self._made = [folder for folder in self.path.parents if not os.path.lexists(folder)]
        try:
            self._handle = self._held(target)
        except BaseException:
            self._remove_parents()
            raise
        try:
            for left_over in self.path.iterdir():
                if left_over.is_dir() and not left_over.is_symlink():
                    shutil.rmtree(left_over)
                else:
                    left_over.unlink()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go of it, under whatever name."""
        os.close(self._handle)

    def remove(self) -> None:
        """Remove it with all in it, and what it made above it that is empty; let go of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._remove_parents()
        self.release()

    def _remove_parents(self) -> None:
        with suppress(OSError):  # something lies in it, such as the folder to be
            for folder in self._made:
                folder.rmdir()

    def _held(self, target: Path) -> int:
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(handle), os.stat(self.path)):
                    return handle
            except FileNotFoundError:
                pass
            except BlockingIOError as error:
                os.close(handle)
                raise FolderInUse(f'{target} is being written by another process: wait for it, '
                                  'or give another path.') from error
            except BaseException:
                os.close(handle)
                raise
            # Its former holder had just removed it or given it its name.
            os.close(handle)
