# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder that one process at a time writes into, for as long as it lives."""
from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

LOCK = 'lock'


def hold_folder(folder: Path) -> TextIO:
    """
    Return an open file that keeps a folder, which is made, to this process until it is closed.

    The end of the process closes it, whatever ends it. Raises BlockingIOError where another
    holds the folder. On a file system without locks nobody is kept out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / LOCK, 'w')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    except OSError:  # a file system without locks
        pass
    return file
