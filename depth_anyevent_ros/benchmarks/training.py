# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of training: frames a second through forward, loss and backward."""
from __future__ import annotations

from collections.abc import Iterator

import torch

from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.distillation.loss_config import LossConfig
from depth_anyevent_ros.distillation.losses import depth_loss
from depth_anyevent_ros.networks.config import network_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights

# Small sizes that a CPU trains at, and the length and number of clips of a batch.
SIZES = ((70, 84), (140, 168))
STEPS, LANES = 8, 2
PRESET = 'tiny-r'


def cases(repeats: int, seed: int) -> Iterator[Case]:
    """Yield the rate of a recurrent student's training step at each size."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    network = DepthNetwork(network_preset(PRESET))
    initialize_weights(network, seed)
    network.to(device)
    for size in SIZES:
        yield _step(network, size, device, repeats, seed)


def _step(network: DepthNetwork, size: tuple[int, int], device: str, repeats: int,
          seed: int) -> Case:
    """All frames of a clip through encoder and head at once, against one after the other."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand((STEPS, LANES, 3, *size), generator=generator).to(device)
    target = torch.rand((STEPS, LANES, *size), generator=generator).to(device)

    def learn(prediction):
        network.zero_grad(set_to_none=True)
        depth_loss(prediction, target, LossConfig()).total.backward()
        if device == 'cuda':
            torch.cuda.synchronize()

    def batched():
        learn(network.forward_sequence(images)[0])

    def frame_by_frame():
        state, predictions = None, []
        for image in images:
            prediction, state = network(image, state)
            predictions.append(prediction)
        learn(torch.stack(predictions))

    return compare(
        f'training: {PRESET} {size[0]}x{size[1]}, {LANES} clips of {STEPS} frames, {device}',
        'frames/s', Work(batched, STEPS * LANES), 'the same step frame by frame',
        Work(frame_by_frame, STEPS * LANES), repeats)
