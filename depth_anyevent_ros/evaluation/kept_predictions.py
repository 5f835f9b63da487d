# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The predictions of a sequence, for a second look."""
from __future__ import annotations

import tempfile

import numpy as np

MOST_IN_MEMORY = 256 * 1024 ** 2  # bytes


class KeptPredictions:
    """
    Predictions by their numbers, 0 and on; use it in a with statement.

    Those of a long sequence would fill the memory (an hour at 10 Hz and 266x350 is 13 GB), so that
    beyond MOST_IN_MEMORY all lie in a temporary file, in the folder that TMPDIR names. Raises
    OSError where that finds no room.
    """

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(MOST_IN_MEMORY)
        self._places: list[tuple[int, tuple[int, ...], np.dtype]] = []

    def __enter__(self) -> KeptPredictions:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, prediction: np.ndarray) -> int:
        """Keep a prediction of any shape; return its number."""
        begin = self._file.seek(0, 2)
        try:
            self._file.write(np.ascontiguousarray(prediction).tobytes())
            self._file.flush()
        except OSError as error:  # which names no file
            raise OSError(error.errno, f'{error.strerror} (TMPDIR names another folder)',
                          tempfile.gettempdir()) from error
        self._places.append((begin, prediction.shape, prediction.dtype))
        return len(self._places) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        begin, shape, dtype = self._places[number]
        self._file.seek(begin)
        data = self._file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)
