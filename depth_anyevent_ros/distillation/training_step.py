# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A step of the optimizer in tensors that stay where they are, on a GPU as one CUDA graph.

Launched kernel by kernel a step of the tiny student takes 70 ms of Python, however many frames
it has; as a graph an H200 does it in 8 ms for 12 frames of 126x168 and in 15 for 64.
"""
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from depth_anyevent_ros.distillation.losses import depth_loss
from depth_anyevent_ros.distillation.training_config import TrainingConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.runtime import autocast, Placement, placement_here
from depth_anyevent_ros.networks.state import RecurrentState

TERMS = ('loss', 'data', 'gradient', 'temporal', 'log', 'gradient_norm')
EAGER_STEPS = 3  # before a graph is captured: what is made once has to be there


def layout_of(device: torch.device | str) -> torch.memory_format:
    """
    Return the layout of weights and maps in which a device trains.

    On a CPU that is channels last, in which steps take 0.8 to 0.97 of the time (by a script that
    is not kept). Training on a GPU was not tried with it.
    """
    on_cpu = torch.device(device).type == 'cpu'
    return torch.channels_last if on_cpu else torch.contiguous_format


def placement_to_train(device: str, precision: str) -> Placement:
    """
    Settle where and how to train, as `placement_here`; ValueError.

    But auto is fp32 where a GPU has no bf16: students from scratch outgrow fp16 (half_range.py).
    """
    found = placement_here(device, precision)
    if precision == 'auto' and found.precision == 'fp16':
        return found._replace(precision='fp32')
    return found


def ready_to_train(network: DepthNetwork, device: str) -> DepthNetwork:
    """Return the network on a device, in its layout."""
    return network.to(device, memory_format=layout_of(device)).train()


class TrainingStep:
    """
    Steps of one shape; fill images, target and starts, then call it.

    images: float32 (T, L, C, h, w), normalised. target: float32 (T, L, h, w), inverse depth, NaN
    unknown. starts: bool (L,), lanes whose state is zeroed first. state: after the last frame,
    None if not recurrent. A gradient that is not finite changes no weight, and zeroes the state.
    """

    def __init__(self, network: DepthNetwork, average: DepthNetwork,
                 optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler,
                 config: TrainingConfig, precision: str, shape: tuple[int, ...]):
        self._network, self.optimizer, self._scaler = network, optimizer, scaler
        self._weights, self._means = list(network.parameters()), list(average.parameters())
        self._config, self._precision = config, precision
        device = self._weights[0].device
        steps, lanes, _, height, width = shape
        self.images = torch.zeros(shape, device=device)
        self.target = torch.zeros((steps, lanes, height, width), device=device)
        self._resets = torch.zeros((steps, lanes), dtype=torch.bool, device=device)
        self.starts = self._resets[0]
        self.state: RecurrentState | None = None
        if config.network.recurrent:
            self.state = RecurrentState(tuple(
                tuple(torch.zeros(shape, device=device) for shape in shapes)
                for shapes in network.state_shapes(lanes, height, width).values()))
        self._share = torch.zeros((), device=device)
        self._sums, self._count = torch.zeros(len(TERMS), device=device), 0
        self._skipped, self._bad_steps = torch.zeros((2,), dtype=torch.int64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        # The scale of a loss in fp16 is changed by Python, out of a graph's sight.
        self._graphed = device.type == 'cuda' and not scaler.is_enabled()
        self._done = 0

    def __call__(self, rate: float, average_share: float) -> None:
        """Do a step at a learning rate, and move the average by a share towards the weights."""
        for group in self.optimizer.param_groups:
            if isinstance(group['lr'], Tensor):
                group['lr'].fill_(rate * group['share'])
            else:
                group['lr'] = rate * group['share']
        self._share.fill_(average_share)
        if self._graphed:
            with torch.cuda.device(self.images.device):
                self._graph_step()
        else:
            self._step()
        self._done += 1
        self._count += 1

    @property
    def bad_steps(self) -> int:
        """How many of the last steps, one after another, had a gradient that is not finite."""
        return int(self._bad_steps)

    def restore(self, state: RecurrentState | None) -> None:
        """Go on from a recurrent state; None leaves zeros."""
        for tensor, saved in zip(_tensors(self.state), _tensors(state)):
            tensor.copy_(saved)

    def means(self) -> dict[str, float]:
        """
        Return the means of `TERMS` since the last call; waits for the device.

        Steps whose gradient is not finite take no part, and are told as skipped_steps where
        there are any; where there are no others, all means are NaN.
        """
        skipped = int(self._skipped)
        means = (self._sums / (self._count - skipped)).tolist()
        self._sums.zero_()
        self._skipped.zero_()
        self._count = 0
        return {**dict(zip(TERMS, means)), **({'skipped_steps': skipped} if skipped else {})}

    def _step(self) -> None:
        for weight in self._weights:
            weight.grad = None
        with autocast(self._precision, not self._graphed, self.images.device.type):
            prediction, after = self._network.forward_sequence(
                self.images, self.state, self._resets if self.state is not None else None)
        terms = depth_loss(prediction, self.target, self._config.loss)
        self._scaler.scale(terms.total).backward()
        self._scaler.unscale_(self.optimizer)
        norm = clip_grad_norm_(self._weights, self._config.optimizer.clip_norm)
        finite = norm.isfinite()
        if self._scaler.is_enabled():
            self._scaler.step(self.optimizer)
            self._scaler.update()
        else:
            # By which the fused AdamW knows, without a look from Python, to do nothing.
            self.optimizer.found_inf = (~finite).float()
            self.optimizer.step()
        with torch.no_grad():
            share = self._share * finite
            for mean, weight in zip(self._means, self._weights):
                mean.lerp_(weight, share)
            self._bad_steps.copy_(torch.where(finite, 0, self._bad_steps + 1))
            self._skipped += ~finite
            found = torch.stack((terms.total, terms.data, terms.gradient, terms.temporal,
                                 terms.log, norm))
            self._sums += torch.where(finite, found, 0)
            for old, new in zip(_tensors(self.state), _tensors(after)):
                old.copy_(torch.where(finite, new.detach(), 0))

    def _graph_step(self) -> None:
        if self._done < EAGER_STEPS:
            # On a side stream, as torch asks of what is captured next.
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._step()
            torch.cuda.current_stream().wait_stream(side)
            return
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._step()
        self._graph.replay()


def _tensors(state: RecurrentState | None) -> tuple[Tensor, ...]:
    return state.tensors if state is not None else ()
