# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of training: frames a second through the trainer's own step."""
from __future__ import annotations

from collections.abc import Iterator
import copy

import torch
from torch.nn.utils import clip_grad_norm_

from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.distillation.losses import depth_loss
from depth_anyevent_ros.distillation.optimizer import new_optimizer
from depth_anyevent_ros.distillation.training_config import training_config, TrainingConfig
from depth_anyevent_ros.distillation.training_step import (
    EAGER_STEPS, placement_to_train, ready_to_train, TrainingStep)
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights
from depth_anyevent_ros.networks.runtime import (
    autocast, cpu_computes_in_bf16)

SIZES = ((70, 84), (140, 168))
STEPS, LANES = 8, 2
PRESET = 'tiny-r'
RATE, SHARE = 1e-5, 1e-3  # of learning, and of the average; no step takes longer by them


def cases(repeats: int, seed: int) -> Iterator[Case]:
    """Yield the rate of a recurrent student's training step at each size."""
    device, precision, _ = placement_to_train('auto', 'auto')
    torch.set_flush_denormal(True)  # as the trainer does
    try:
        for size in SIZES:
            yield _against_a_plain_step(size, device, precision, repeats, seed)
            if device == 'cpu' and cpu_computes_in_bf16():
                yield _bf16_against_fp32(size, repeats, seed)
            yield _muon_against_adamw(size, device, precision, repeats, seed)
    finally:
        torch.set_flush_denormal(False)


def _against_a_plain_step(size: tuple[int, int], device: str, precision: str, repeats: int,
                          seed: int) -> Case:
    """
    Time the trainer's step against a plain one.

    That is frame by frame through encoder and head, without an average of the weights, a scale of
    the loss in fp16, and a CUDA graph.
    """
    config = _config(size)
    step = _trainer_step(config, device, precision, seed)
    other = _new_network(config, device, seed)
    plain = torch.optim.AdamW(other.parameters(), RATE)

    def batched():
        step(RATE, SHARE)
        _wait(device)

    def frame_by_frame():
        other.zero_grad(set_to_none=True)
        state, predictions = None, []
        with autocast(precision, device=device):
            for image in step.images:
                prediction, state = other(image, state)
                predictions.append(prediction)
        depth_loss(torch.stack(predictions), step.target, config.loss).total.backward()
        clip_grad_norm_(other.parameters(), config.optimizer.clip_norm)
        plain.step()
        _wait(device)

    return compare(_named(size, precision, device), 'frames/s', Work(batched, STEPS * LANES),
                   'a plain step, frame by frame', Work(frame_by_frame, STEPS * LANES), repeats)


def _bf16_against_fp32(size: tuple[int, int], repeats: int, seed: int) -> Case:
    """Time the trainer's step in bf16 against the same in fp32, both on the CPU."""
    half, full = (_trainer_step(_config(size), 'cpu', precision, seed)
                  for precision in ('bf16', 'fp32'))
    return compare(_named(size, 'bf16', 'cpu'), 'frames/s',
                   Work(lambda: half(RATE, SHARE), STEPS * LANES),
                   'the same in fp32', Work(lambda: full(RATE, SHARE), STEPS * LANES), repeats)


def _muon_against_adamw(size: tuple[int, int], device: str, precision: str, repeats: int,
                        seed: int) -> Case:
    """Time a step by Muon, which learns more in it, against one by AdamW."""
    muon, adamw = (_trainer_step(_config(size, kind), device, precision, seed)
                   for kind in ('muon', 'adamw'))

    def timed(step: TrainingStep) -> Work:
        return Work(lambda: (step(RATE, SHARE), _wait(device)), STEPS * LANES)

    return compare(_named(size, precision, device) + ', Muon', 'frames/s', timed(muon),
                   'the same by AdamW', timed(adamw), repeats)


def _named(size: tuple[int, int], precision: str, device: str) -> str:
    return (f'training: {PRESET} {size[0]}x{size[1]}, {LANES} clips of {STEPS} frames, '
            f'{precision} on {device}')


def _config(size: tuple[int, int], kind: str = 'adamw') -> TrainingConfig:
    return training_config({
        'name': 'benchmark', 'network': {'preset': PRESET}, 'data': {'train': ['.']},
        'optimizer': {'kind': kind},
        'stages': [{'height': size[0], 'width': size[1], 'steps': 1}]})


def _trainer_step(config: TrainingConfig, device: str, precision: str, seed: int) -> TrainingStep:
    """Return a step of the trainer on random frames, after its first ones."""
    stage, network = config.stages[0], _new_network(config, device, seed)
    shape = (STEPS, LANES, 3, stage.height, stage.width)
    step = TrainingStep(network, copy.deepcopy(network).requires_grad_(False),
                        new_optimizer(network, config, device, precision),
                        torch.amp.GradScaler('cuda', enabled=precision == 'fp16'),
                        config, precision, shape)
    for place, seeds in ((step.images, seed), (step.target, seed + 1)):
        place.copy_(torch.rand(place.shape, generator=torch.Generator().manual_seed(seeds)))
    step.starts.fill_(True)
    for _ in range(EAGER_STEPS):  # before what a GPU repeats is captured
        step(RATE, SHARE)
    return step


def _new_network(config: TrainingConfig, device: str, seed: int) -> DepthNetwork:
    network = DepthNetwork(config.network)
    initialize_weights(network, seed)
    return ready_to_train(network, device)


def _wait(device: str) -> None:
    if device != 'cpu':
        torch.cuda.synchronize(device)
