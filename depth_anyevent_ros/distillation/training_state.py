# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
All that a run needs to go on as if nothing had happened, in one file.

The tensors lie in a safetensors file, the rest as JSON in its metadata, so that both are
replaced in one step. Nothing is pickled.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn, Tensor

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.networks.state import RecurrentState

METADATA_KEY = 'depth_anyevent_ros_training'
FORMAT_VERSION = 2
# Of the tensors of a level, by their order, as in states that were saved when there were two.
STATE_NAMES = ('hidden', 'cell', 'third', 'fourth')


class TrainingError(ValueError):
    """Training cannot go on; the message says why, and what to do."""


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Raise TrainingError with the name of a file of the run where the disk refuses it."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f'{what} could not be written: {error.strerror or error}. What was saved before is '
            'whole: make room, then go on with --resume, or begin anew if no state was saved '
            'yet.') from error


def write_atomically(path: Path, data: bytes) -> None:
    """
    Replace a file in one step, and have it on the disk.

    Raises TrainingError where the disk refuses; the file is then as it was.
    """
    with writing(f'{path} ({len(data) / 1e6:.1f} MB)'):
        replace_file(path, data)


def save_state(path: Path, tensors: dict[str, Tensor], facts: dict) -> None:
    """Write tensors and JSON values; TrainingError where the disk refuses."""
    text = json.dumps({'format_version': FORMAT_VERSION, **facts})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, safetensors.torch.save(tensors, {METADATA_KEY: text}))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Return what `save_state` wrote; OSError, TrainingError for a file of another kind."""
    try:
        with safetensors.safe_open(path, 'pt') as file:
            facts = json.loads((file.metadata() or {})[METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(f'{path} is no state of a training run, or is damaged ({error}): '
                            'start anew, with init= a checkpoint of the run.') from error
    if facts.pop('format_version', None) != FORMAT_VERSION:
        raise TrainingError(f'{path} comes from another version of this package, which has to '
                            'finish the run.')
    return tensors, facts


def network_tensors(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a network under names that begin with prefix."""
    return {f'{prefix}/{name}': tensor for name, tensor in network.state_dict().items()}


def load_network(prefix: str, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Set the weights of a network to those under prefix."""
    network.load_state_dict(_below(prefix, tensors))


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """Return the moments and step counts of AdamW by the names of the weights."""
    return {f'optimizer/{key}/{name}': value
            for name, weight in network.named_parameters()
            for key, value in optimizer.state.get(weight, {}).items()}


def load_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module,
                   tensors: dict[str, Tensor]) -> None:
    """Set the moments and step counts of AdamW."""
    weights = dict(network.named_parameters())
    for path, value in _below('optimizer', tensors).items():
        key, _, name = path.partition('/')
        weight = weights[name]
        # The step count too: the fused AdamW reads it where the weight is. It goes through weight
        # and moments as they lie in memory, so that they must lie there alike.
        optimizer.state[weight][key] = value.to(weight.device) if value.shape != weight.shape \
            else torch.empty_like(weight, dtype=value.dtype).copy_(value)


def recurrent_tensors(state: RecurrentState | None) -> dict[str, Tensor]:
    """Return the recurrent state, nothing where there is none."""
    levels = state.levels if state is not None else ()
    return {f'recurrent/{level}/{name}': tensor for level, tensors in enumerate(levels)
            for name, tensor in zip(STATE_NAMES, tensors)}


def load_recurrent(tensors: dict[str, Tensor], device: str) -> RecurrentState | None:
    """Return the recurrent state that was saved."""
    found = _below('recurrent', tensors)
    if not found:
        return None
    return RecurrentState(tuple(
        tuple(found[f'{level}/{name}'].to(device) for name in STATE_NAMES
              if f'{level}/{name}' in found)
        for level in range(sum(name.endswith('/hidden') for name in found))))


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) + 1:]: tensor for name, tensor in tensors.items()
            if name.startswith(prefix + '/')}
