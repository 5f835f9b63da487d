# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, as it arrives."""
from __future__ import annotations

INTERRUPTED = 130  # the exit status, as shells say it


def is_interruption(error: BaseException) -> bool:
    """Return whether an error is Ctrl-C; a compiled loop lets it out as a SystemError."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, SystemError) and isinstance(error.__cause__, KeyboardInterrupt))
