# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a file can be written, asked before the work that it is to hold."""
from __future__ import annotations

import os
from pathlib import Path


def check_writable(file: Path) -> None:
    """
    Raise ValueError where a file cannot be written, OSError where that cannot be asked.

    Nothing is made: a command may fail, or refuse a folder that exists.
    """
    target = file.resolve()  # of a link, which may lead nowhere
    place = target if target.exists() else next(filter(os.path.lexists, target.parents))
    kind_fits = not target.is_dir() if place is target else place.is_dir()
    if not kind_fits or not os.access(place, os.W_OK):
        raise ValueError(f'{file} cannot be written: name a file in a folder that takes one.')
