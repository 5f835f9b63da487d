# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Write the mean of the weights of several checkpoints of one network.

Runs that began with the same weights stay so near to each other that the mean of what they end
with is a network too, which may be better than each (Wortsman et al., Model soups, ICML 2022).
The provenance says what all were trained on, and which files went in, by their sha256.
"""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
import sys

import torch

from depth_anyevent_ros.distillation.provenance import told_once
from depth_anyevent_ros.networks.checkpoint import (
    Checkpoint, CheckpointError, load_checkpoint, save_checkpoint)
from depth_anyevent_ros.networks.config import ModelConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork

# What a run says that does not hold for a mean.
OF_ONE_RUN = ('step', 'steps', 'validation', 'command', 'seed', 'commit', 'data')


def mean(checkpoints: list[Checkpoint]) -> tuple[DepthNetwork, ModelConfig]:
    """Return the network with the mean of all weights; CheckpointError if they do not fit."""
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if (other.config.network, other.config.input) != (first.config.network,
                                                          first.config.input):
            raise CheckpointError(
                f'{other.name} has another network or input than {first.name}: a mean is only '
                'one of weights that do the same.')
    if not all(checkpoint.trained for checkpoint in checkpoints):
        raise CheckpointError('a mean with random weights is no network')
    states = [checkpoint.network.state_dict() for checkpoint in checkpoints]
    network = DepthNetwork(first.config.network)
    network.load_state_dict({
        key: torch.stack([state[key].double() for state in states]).mean(0)
        for key in states[0]})
    said = {key: value for key, value in first.config.provenance.items()
            if key not in OF_ONE_RUN}
    said['trained_on'] = told_once((checkpoint.trained_on for checkpoint in checkpoints),
                                   '; the mean with weights trained on ')
    said['mean_of'] = [_about(checkpoint) for checkpoint in checkpoints]
    return network, replace(first.config, provenance=said)


def _about(checkpoint: Checkpoint) -> dict:
    said = checkpoint.config.provenance
    return {'sha256': checkpoint.sha256, **{key: said[key] for key in ('seed', 'commit', 'step')
                                            if key in said}}


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/mean_weights.py mean.safetensors '
               'out/seed0/student.safetensors out/seed1/student.safetensors')
    parser.add_argument('output', type=Path)
    parser.add_argument('files', type=Path, nargs='+')
    arguments = parser.parse_args()
    try:
        if len(arguments.files) < 2:
            raise ValueError('give two files or more')
        save_checkpoint(arguments.output, *mean([load_checkpoint(f) for f in arguments.files]))
    except (ValueError, OSError) as error:
        print(f'mean_weights: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
