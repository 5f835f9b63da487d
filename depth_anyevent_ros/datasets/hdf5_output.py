# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files that are written without harm when the disk is full."""
from __future__ import annotations

import io
from pathlib import Path

import h5py


class Hdf5Output:
    """
    A new HDF5 file, `file`, whose failed writes are raised here.

    The HDF5 library loses its footing when a write fails while it closes a file (it has been
    seen to end the process by a segmentation fault). So it never hears of one: the first failure
    is kept, what comes after it is dropped, and check() and close() raise it as the OSError that
    it was.
    """

    def __init__(self, path: Path) -> None:
        self._raw = _Output(path)
        self.file = h5py.File(self._raw, 'w')

    def check(self) -> None:
        """Raise the OSError of the first write that failed; call it after writing."""
        if self._raw.failure is not None:
            raise self._raw.failure

    def close(self) -> None:
        """Write what is pending and close the file; raise the OSError of a failed write."""
        try:
            self.file.close()
            self.check()
        finally:
            self._raw.close()

    def abandon(self) -> None:
        """Close the file, whatever becomes of it."""
        self._raw.drop = True
        self.file.close()
        self._raw.close()


class _Output(io.FileIO):
    """A file that keeps the first failure of a write instead of raising it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 'w+')
        self.failure: OSError | None = None
        self.drop = False

    def write(self, data) -> int:
        view = memoryview(data).cast('B')
        done = 0
        try:
            while done < len(view) and not self.drop:
                done += super().write(view[done:])
        except OSError as error:
            self._fail(error)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return size if self.drop else super().truncate(size)
        except OSError as error:
            self._fail(error)
            return size

    def _fail(self, error: OSError) -> None:
        self.failure, self.drop = error, True
