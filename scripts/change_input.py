# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Write a student again, with the same weights, that is shown its events in another way.

--noise-filter leaves out events without a neighbour (depth_anyevent_ros/networks/noise_filter.py),
--cell-threshold makes each cell of the input one large pixel (InputConfig in
depth_anyevent_ros/networks/config.py). The provenance says that it came after training.
"""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
import sys

from depth_anyevent_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from depth_anyevent_ros.networks.config import ModelConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork


def changed(config: ModelConfig, noise_filter: float | None,
            cell_threshold: float | None) -> ModelConfig:
    """Return a configuration with these settings, None for as it was; ValueError for bad ones."""
    said = dict(config.provenance)
    network, shown = config.network, config.input
    if noise_filter is not None:
        network = replace(network, noise_filter=noise_filter)
        said['noise_filter'] = f'{noise_filter}, set after training'
    if cell_threshold is not None:
        shown = replace(shown, cell_threshold=cell_threshold)
        said['cell_threshold'] = f'{cell_threshold}, set after training'
    return replace(config, network=network, input=shown, provenance=said)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/change_input.py out/student/student.safetensors '
               'filtered.safetensors --noise-filter 0.3')
    parser.add_argument('file', type=Path)
    parser.add_argument('output', type=Path)
    parser.add_argument('--noise-filter', type=float, metavar='SHARE',
                        help='of the window, by which neighbours may differ, 0 for no filter')
    parser.add_argument('--cell-threshold', type=float, metavar='T',
                        help='so many more events of one polarity than of the other, times the '
                        'number of its pixels, make an event of a cell, 0 for each event')
    arguments = parser.parse_args()
    try:
        if arguments.noise_filter is None and arguments.cell_threshold is None:
            raise ValueError('give --noise-filter, --cell-threshold or both')
        start = load_checkpoint(arguments.file)
        config = changed(start.config, arguments.noise_filter, arguments.cell_threshold)
        network = DepthNetwork(config.network)
        network.load_state_dict(start.network.state_dict())
        save_checkpoint(arguments.output, network, config)
    except (ValueError, OSError) as error:
        print(f'change_input: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
