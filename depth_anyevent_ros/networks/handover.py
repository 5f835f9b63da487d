# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights from one process to another: a file, and an announcement that names it."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.networks.checkpoint import (
    Checkpoint, checkpoint_bytes, CheckpointError, load_checkpoint_bytes, MAX_FILE_BYTES)
from depth_anyevent_ros.networks.config import ModelConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork

HANDED_OVER = '[0-9]*-*.safetensors'  # names of the files


def hand_over(folder: Path, network: DepthNetwork, config: ModelConfig, version: int,
              keep: int) -> str:
    """
    Write weights into a folder under a name that no other file has; return the announcement.

    A file is never changed. Of former ones the youngest `keep` stay, with this one: versions
    begin anew with another student. Raises CheckpointError, OSError where the disk refuses;
    nothing is left then.
    """
    data = checkpoint_bytes(network, config)
    digest = hashlib.sha256(data).hexdigest()
    name = f'{version:06d}-{digest[:12]}.safetensors'
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / name, data)
    for old in sorted(folder.glob(HANDED_OVER), key=_age)[:-max(keep, 1)]:
        if old.name != name:
            old.unlink(missing_ok=True)
    return json.dumps({'file': name, 'sha256': digest, 'version': version})


def is_there(announcement: str, folder: str) -> bool:
    """Return whether the file that an announcement of this package names lies in a folder."""
    return Path(folder, json.loads(announcement)['file']).is_file()


def _age(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_mtime_ns, path.name
    except FileNotFoundError:  # by another process
        return 0, path.name


def read_announced(announcement: str, folder: str) -> Checkpoint:
    """
    Return the checkpoint that an announcement names.

    announcement: JSON {file, sha256, version}; file is a base name inside `folder`, since a
    message must not choose what is read. The bytes that are hashed are those that are loaded.
    Raises CheckpointError, and OSError where the file cannot be read.
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
