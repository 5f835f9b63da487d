# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights that a run starts from, and which of them it trains."""
from __future__ import annotations

from dataclasses import fields, replace

from tqdm import tqdm

from depth_anyevent_ros.distillation.strict_mapping import ConfigError
from depth_anyevent_ros.distillation.training_config import SIDES
from depth_anyevent_ros.networks.checkpoint import Checkpoint, CheckpointError
from depth_anyevent_ros.networks.config import InputConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights


def start_from(network: DepthNetwork, shown: InputConfig, start: Checkpoint, name: str,
               seed: int) -> None:
    """
    Set the weights of a network to those of a checkpoint, of which `name` is what the user called.

    The noise filter and what the network is shown have no weights, so that the run chooses them;
    gates that the checkpoint has not are open. Raises CheckpointError for another network.
    """
    wanted, found = network.config, start.config.network
    if replace(found, noise_filter=wanted.noise_filter, hold=wanted.hold) != wanted:
        raise CheckpointError(f'{name} is a {found}, but the run trains a {wanted}: change '
                              'network, or start from another file.')
    if found.hold and not wanted.hold:
        raise CheckpointError(f'{name} has gates that hold, but the run trains a network without: '
                              'set network.hold=true.')
    seen = [(f'input.{key}', getattr(start.config.input, key), getattr(shown, key))
            for key in (item.name for item in fields(InputConfig)) if key not in SIDES]
    for setting, before, now in (
            ('network.noise_filter', found.noise_filter, wanted.noise_filter), *seen):
        if before != now:
            tqdm.write(f'{setting} of {name} is {before}, of this run {now}: that of the run '
                       'counts.')
    weights = start.network.state_dict()
    if found.hold != wanted.hold:
        tqdm.write(f'{name} has no gates that hold: those of this run begin open.')
        initialize_weights(network, seed)
        weights = {**network.state_dict(), **weights}
    network.load_state_dict(weights)


def train_only(network: DepthNetwork, prefix: str) -> None:
    """Let only the weights whose names begin so be trained; ConfigError if there are none."""
    trained = [name for name, _ in network.named_parameters() if name.startswith(prefix)]
    if not trained:
        raise ConfigError(f'optimizer.only is {prefix!r}, but no weight of the network is called '
                          'so: depth_head.holds. are the gates of one with network.hold=true.')
    for name, weight in network.named_parameters():
        weight.requires_grad_(name.startswith(prefix))
