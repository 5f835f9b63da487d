# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Write a student again, with the same weights, that sees no event without a neighbour.

See depth_anyevent_ros/networks/noise_filter.py. The provenance says that the filter came after
training.
"""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
import sys

from depth_anyevent_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from depth_anyevent_ros.networks.depth_network import DepthNetwork


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/add_noise_filter.py out/student/student.safetensors '
               'filtered.safetensors')
    parser.add_argument('file', type=Path)
    parser.add_argument('output', type=Path)
    parser.add_argument('--within', type=float, default=0.3, metavar='SHARE',
                        help='of the window, by which neighbours may differ (default: '
                        '%(default)s)')
    arguments = parser.parse_args()
    try:
        if arguments.within <= 0:
            raise ValueError(f'--within must be above 0, not {arguments.within}')
        start = load_checkpoint(arguments.file)
        config = replace(
            start.config, network=replace(start.config.network, noise_filter=arguments.within),
            provenance={**start.config.provenance,
                        'noise_filter': f'{arguments.within}, added after training'})
        network = DepthNetwork(config.network)
        network.load_state_dict(start.network.state_dict())
        save_checkpoint(arguments.output, network, config)
    except (ValueError, OSError) as error:
        print(f'add_noise_filter: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
