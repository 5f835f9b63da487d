# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether files can be written, asked before the work that they are to hold."""
from __future__ import annotations

import os
from pathlib import Path

# Options of commands that name what is written.
OUTPUTS = ('output', 'picture', 'light_plot', 'hot_pixels', 'json')
# What is read, by options and without.
INPUTS = ('bag', 'bags', 'checkpoint', 'compare', 'config', 'data', 'mean_map', 'camera_info',
          'image_info', 'teacher')

# Of bags, sequences and weights; a result may lie beside them, and be written again.
DATA_NAMES = ('metadata.yaml', 'sequence.json')
DATA_ENDINGS = ('.db3', '.mcap', '.h5', '.safetensors', '.pth')


def check_apart(arguments) -> None:
    """Raise ValueError where two options of a command write one file, or write what is read."""
    options: dict[Path, str] = {}
    for name in OUTPUTS:
        file = getattr(arguments, name, None)
        if not file or file == '-':
            continue
        option = '--' + name.replace('_', '-')
        other = options.setdefault(Path(file).resolve(), option)
        if other != option:
            raise ValueError(f'{other} and {option} both name {file}: give each a name of its own')
    for read in _inputs(arguments):
        for file, option in options.items():
            if file.is_file() and (file == read or (read in file.parents and _is_data(file))):
                raise ValueError(f'{option} names {file}, which is read: give it another name')


def _is_data(file: Path) -> bool:
    """Return whether a file in a folder that is read is one of those that are."""
    return file.name in DATA_NAMES or file.suffix in DATA_ENDINGS or file.parent.name == 'images'


def _inputs(arguments) -> list[Path]:
    """Return the files and folders that a command reads, links resolved."""
    found = []
    for name in INPUTS:
        value = getattr(arguments, name, None) or []
        for item in [value] if isinstance(value, (str, os.PathLike)) else value:
            path = Path(os.path.expanduser(item))
            if path.exists():
                found.append(path.resolve())
    return found


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
