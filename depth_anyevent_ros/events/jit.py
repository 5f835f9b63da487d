# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one way in which this package compiles its loops."""
from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
import warnings

import numba

PACKAGE = Path(__file__).resolve().parents[1]
COMPILED = ('events', 'geometry', 'simulation')  # folders with compiled loops


def njit(function):
    """Compile a loop with numba: without the GIL, and cached on disk where that is possible."""
    folder = cache_folder()
    if folder is None:
        return numba.njit(nogil=True)(function)
    # numba settles the folder of a function's cache here and reads the setting never again.
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        return numba.njit(nogil=True, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before


@functools.cache
def cache_folder() -> Path | None:
    """
    Return the folder of the cache, None where none can be written, which is warned of.

    It lies in NUMBA_CACHE_DIR or in the user's cache folder, so the package may be installed
    read-only. Its name is a hash of the sources: numba looks at one file at a time, and would
    go on with a loop whose helper in another file has changed.
    """
    base = (os.environ.get('NUMBA_CACHE_DIR') or os.environ.get('XDG_CACHE_HOME')
            or os.path.join(os.path.expanduser('~'), '.cache'))
    folder = Path(base, 'depth_anyevent_ros', f'numba-{_hash_of_sources()}')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f'{folder} is read-only')
    except OSError as error:
        warnings.warn(f'Loops are compiled anew at every start, which takes some seconds: '
                      f'{error}. Set NUMBA_CACHE_DIR to a folder that can be written.',
                      RuntimeWarning, stacklevel=2)
        return None
    return folder


def _hash_of_sources() -> str:
    digest = hashlib.sha256()
    for name in COMPILED:
        for path in sorted((PACKAGE / name).glob('*.py')):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
