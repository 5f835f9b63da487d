# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Settings of the C library's allocator for processes that move large messages.

glibc maps every block above 128 KiB afresh from the kernel and gives it back at once, so that
each message of an image is paid for with page faults: 2.7 ms for 1 MB where a kept block takes
0.09 ms.
"""
from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEEP_BELOW = 32 << 20
TRIM_ABOVE = 512 << 20


def keep_large_blocks() -> bool:
    """
    Make malloc keep freed blocks below 32 MiB; return whether that was possible.

    Nothing is changed where the user set the MALLOC_* variables, or without glibc.
    """
    if 'MALLOC_MMAP_THRESHOLD_' in os.environ or 'MALLOC_TRIM_THRESHOLD_' in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, KEEP_BELOW) and mallopt(M_TRIM_THRESHOLD, TRIM_ABOVE))
