# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one way in which this package compiles its loops."""
from __future__ import annotations

import warnings

import numba


def njit(function):
    """
    Compile a loop with numba: without the GIL, and cached on disk where that is possible.

    numba keeps the cache beside the source, or in the user's cache folder when the package is
    installed read-only, or in NUMBA_CACHE_DIR. With none of them writable the loop is compiled
    at every start, and a warning says so.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError as error:
        warnings.warn(
            f'{function.__module__}.{function.__name__} is compiled at every start ({error}). '
            'Set NUMBA_CACHE_DIR to a folder that can be written.', RuntimeWarning, stacklevel=2)
        return numba.njit(nogil=True)(function)
