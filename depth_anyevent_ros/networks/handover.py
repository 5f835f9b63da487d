# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights that another process wrote: an announcement, and the file that it names."""
from __future__ import annotations

import json
from pathlib import Path

from depth_anyevent_ros.networks.checkpoint import (
    Checkpoint, CheckpointError, load_checkpoint_bytes, MAX_FILE_BYTES)


def read_announced(announcement: str, folder: str) -> Checkpoint:
    """
    Return the checkpoint that an announcement names.

    announcement: JSON {file, sha256, version}; file is a base name inside `folder`, since a
    message must not choose what is read. The bytes that are hashed are those that are loaded.
    Raises CheckpointError.
    """
    try:
        message = json.loads(announcement)
        name, digest = str(message['file']), str(message['sha256']).lower()
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError('expected JSON with file, sha256 and version, but the message is '
                              f'{announcement[:80]!r}') from error
    if not folder:
        raise CheckpointError('weights_dir is not set; set it to the folder of the files that '
                              'the topic may name')
    if not name or Path(name).name != name or not name.endswith('.safetensors'):
        raise CheckpointError(f'the name of a .safetensors file inside weights_dir was expected, '
                              f'but {name!r} came')
    path = Path(folder, name)
    if path.is_symlink():
        raise CheckpointError(f'{name} is a link; the file itself has to lie in weights_dir')
    # The size is limited where it is read, so a huge file costs no memory.
    with open(path, 'rb') as file:
        return load_checkpoint_bytes(file.read(MAX_FILE_BYTES + 1), name, sha256=digest)
