# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The C library's allocator, for a process that trains on the CPU."""
from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
LARGEST_INT = 2 ** 31 - 1


def keep_all_blocks() -> bool:
    """
    Make malloc keep all that was freed, whatever its size; return whether that was possible.

    The maps of a step are mapped afresh from the kernel otherwise, and paid for with page
    faults: a fifth of the time of a step. `malloc.keep_large_blocks` keeps blocks up to 32 MiB
    only, for nodes that should stay small. Nothing is changed where the user set the MALLOC_*
    variables, or without glibc.
    """
    if any(name in os.environ for name in ('MALLOC_MMAP_MAX_', 'MALLOC_TRIM_THRESHOLD_')):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT))


def give_back_free_blocks() -> None:
    """
    Let malloc give what is free to the kernel, where it can do that.

    Kept blocks break up over the hours, and what was needed once, as the state in a save, stays:
    now and then this bounds the memory of a process that keeps all blocks.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass
