# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints: weights and the whole configuration in one safetensors file.

Weights lie there in half precision. The metadata has one entry, METADATA_KEY, whose JSON is
{"format_version": 1, "config": ModelConfig}. Bytes are read once; the hash, the
configuration and the weights all come from those bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.networks.config import model_preset, ModelConfig, UNTRAINED
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights
from depth_anyevent_ros.networks.official_weights import (
    load_official, PICKLE_MAGIC, ZIP_MAGIC)
from depth_anyevent_ros.networks.weights_check import (
    build_network, check_finite, check_shapes, CheckpointError, expected_shapes, Shape)

METADATA_KEY = 'depth_anyevent_ros'
FORMAT_VERSION = 1
MAX_FILE_BYTES = 4 << 30  # three times ViT-L in float32
MAX_HEADER_BYTES = 4 << 20  # a header of ViT-L takes 40 kB
SETTINGS_FILE, MAX_SETTINGS_BYTES = 'config.json', 1 << 20
DTYPES = ('F16', 'BF16', 'F32')

__all__ = ['Checkpoint', 'checkpoint_bytes', 'CheckpointError', 'load_checkpoint',
           'load_checkpoint_bytes', 'save_checkpoint', 'untrained_student']


@dataclass(frozen=True)
class Checkpoint:
    """
    A network with its weights (float32, on the CPU) and where they come from.

    sha256: hexadecimal, of the very bytes that the weights were read from.
    name: of the file, or a description where there is no file.
    """

    config: ModelConfig
    network: DepthNetwork
    sha256: str
    name: str

    @property
    def trained(self) -> bool:
        """False for random weights."""
        return self.config.trained

    @property
    def trained_on(self) -> str:
        """What the weights were trained on, in words."""
        return self.config.trained_on


def load_checkpoint(path: str | os.PathLike, max_depth: float | None = None,
                    sha256: str | None = None) -> Checkpoint:
    """
    Read a checkpoint of ours (safetensors), or published weights (.pth) of Depth Anything V2 or
    of the authors of DepthAnyEvent, with the config.json beside it where the file has none.

    max_depth: metres, for the metric variants of the latter. sha256: what the file's hash
    must be, if known. Raises CheckpointError, in a sentence, whatever is wrong.
    """
    path = Path(os.path.expanduser(path))  # no shell has seen what stands in a parameter file
    if path.is_dir():
        raise CheckpointError(f'The checkpoint {path} is a directory; a .safetensors or .pth '
                              'file was expected: name the file in it.')
    try:
        with open(path, 'rb') as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise CheckpointError(f'The checkpoint {path} does not exist: check the path and the '
                              'working directory.') from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f'The checkpoint {path} cannot be read: {error}.') from error
    return load_checkpoint_bytes(data, path.name, max_depth, sha256,
                                 lambda: _settings_beside(path))


def load_checkpoint_bytes(data: bytes, name: str, max_depth: float | None = None,
                          sha256: str | None = None,
                          beside: Callable[[], Any] = lambda: None) -> Checkpoint:
    """
    Read a checkpoint from the bytes of its file; `name` is for messages. See above.

    beside(): the settings that lie beside a file of torch's.
    """
    if not data:
        raise CheckpointError(f'The checkpoint {name} is empty: copy or download it again.')
    if len(data) > MAX_FILE_BYTES:
        raise CheckpointError(f'The checkpoint {name} is larger than {MAX_FILE_BYTES} bytes, '
                              'which no network here needs: is it another file?')
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise CheckpointError(f'The checkpoint {name} should have sha256 {sha256}, but has '
                              f'{digest}: it was altered or cut short, so fetch it again.')
    if data.startswith((ZIP_MAGIC, PICKLE_MAGIC)) and data[8:9] != b'{':
        config, network = load_official(data, name, max_depth, beside)
    elif data[8:9] == b'{':
        if max_depth is not None:
            raise CheckpointError(f'max_depth was given for {name}, but a safetensors checkpoint '
                                  'says by itself whether it is metric: leave max_depth out.')
        config, network = _load_ours(data, name)
    else:
        raise CheckpointError(
            f'{name} is neither safetensors nor a torch file; it begins with {data[:16]!r}. '
            'A failed download or a Git LFS pointer looks like this: fetch the file itself.')
    return Checkpoint(config, network, digest, name)


def _settings_beside(path: Path) -> Any:
    """Return the config.json beside a file, None where there is none; CheckpointError."""
    beside = path.with_name(SETTINGS_FILE)
    try:
        with open(beside, 'rb') as file:
            data = file.read(MAX_SETTINGS_BYTES + 1)
        if len(data) > MAX_SETTINGS_BYTES:
            raise ValueError(f'it is larger than {MAX_SETTINGS_BYTES} bytes')
        return json.loads(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        # Without it weights of the authors would be taken for those of Depth Anything V2.
        raise CheckpointError(
            f'{beside}, which lies beside {path.name} and may say what its weights mean, cannot '
            f'be read ({error}): copy it again, or take it away if it belongs to something else.'
        ) from error


def save_checkpoint(path: str | os.PathLike, network: DepthNetwork, config: ModelConfig) -> str:
    """
    Write a checkpoint in one step, so that a reader sees all of it or nothing.

    Returns the file's sha256. Raises CheckpointError where the weights cannot be kept in half
    precision or do not fit `config`, OSError where the disk refuses (nothing is left then).
    """
    data = checkpoint_bytes(network, config)
    replace_file(path, data)
    return hashlib.sha256(data).hexdigest()


def untrained_student(preset: str = 'tiny-r', seed: int = 0) -> Checkpoint:
    """
    Return a student with random weights that depend on `seed` only.

    It shows that the pipeline runs; its depth means nothing, and name and provenance say so.
    The weights pass through the file format, so its sha256 is that of the file it would be.
    """
    if model_preset(preset).input.representation == 'rgb':
        raise ValueError(f'{preset} is a teacher that sees RGB; a student sees events: use '
                         'vits-r, tiny or tiny-r.')
    return untrained(preset, seed)


def untrained(preset: str, seed: int = 0) -> Checkpoint:
    """Return student or teacher `preset` as `untrained_student` does a student."""
    config = model_preset(preset)
    config = replace(config, name=f'untrained-{preset}',
                     provenance={'trained_on': UNTRAINED, 'seed': seed})
    network = DepthNetwork(config.network)
    initialize_weights(network, seed)
    return load_checkpoint_bytes(checkpoint_bytes(network, config),
                                 f'untrained {preset} (random weights, seed {seed})')


def checkpoint_bytes(network: DepthNetwork, config: ModelConfig) -> bytes:
    """Return what `save_checkpoint` writes; CheckpointError as it does."""
    if network.config != config.network:
        raise CheckpointError(f'The network is {network.config}, but the configuration to save '
                              f'says {config.network}: save it with its own configuration.')
    half = {key: tensor.detach().to('cpu', torch.float16, copy=True).contiguous()
            for key, tensor in network.state_dict().items()}
    check_finite(f'{config.name} in half precision', half)
    text = json.dumps({'format_version': FORMAT_VERSION, 'config': json.loads(config.to_json())},
                      sort_keys=True)
    return safetensors.torch.save(half, metadata={METADATA_KEY: text})


def _load_ours(data: bytes, name: str) -> tuple[ModelConfig, DepthNetwork]:
    header = _header(data, name)
    config = _configuration(header.pop('__metadata__', None), name)
    check_shapes(name, expected_shapes(config.network), _shapes(header, name))
    try:
        weights = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(f'The checkpoint {name} is damaged or cut short ({error}): copy or '
                              'download it again.') from error
    check_finite(name, weights)
    return config, build_network(config.network, weights)


def _header(data: bytes, name: str) -> dict:
    """Return the JSON header of a safetensors file: its length in 8 bytes, then the text."""
    length = int.from_bytes(data[:8], 'little')
    if not 2 <= length <= min(MAX_HEADER_BYTES, len(data) - 8):
        raise CheckpointError(
            f'The checkpoint {name} is cut short or damaged: it announces a header of {length} '
            f'bytes and has {len(data)} bytes in all. Copy or download it again.')
    try:
        header = json.loads(data[8:8 + length])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'The header of the checkpoint {name} is damaged ({error}): copy '
                              'or download it again.') from error
    return header


def _configuration(metadata, name: str) -> ModelConfig:
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f'{name} is a safetensors file without a configuration of this package in its '
            f'metadata (key {METADATA_KEY}), so it is not known how to use it: give a checkpoint '
            'saved by this package, or a Depth Anything V2 .pth file.')
    try:
        content = json.loads(text)
        version = content.get('format_version') if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise ValueError(f'its format_version is {version!r} and this package reads '
                             f'{FORMAT_VERSION}')
        return ModelConfig.from_json(json.dumps(content.get('config')))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'The configuration in {name} cannot be used: {error}. Use a '
                              'version of this package that matches the file.') from error


def _shapes(header: dict, name: str) -> dict[str, Shape]:
    """Return the shapes that a header announces, before any tensor is made."""
    shapes = {}
    for key, entry in header.items():
        shape = entry.get('shape') if isinstance(entry, dict) else None
        if not isinstance(shape, list) or entry.get('dtype') not in DTYPES:
            raise CheckpointError(f'The tensor {key[:120]} in {name} should have a shape and one '
                                  f'of the types {", ".join(DTYPES)}; the header says '
                                  f'{str(entry)[:120]}. The file is damaged or not a network.')
        shapes[key] = tuple(shape)
    return shapes
