# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Learning from a stream of a teacher's labels without forgetting what was known.

Every step looks at clips of the stream and, beside them, at clips of the anchor set: simulated
sequences with truth, the domain that the student comes from. Whether what was learned may run is
decided on blocks of the stream that were held out, and on the anchor set (promotion.py).
"""
from __future__ import annotations

from collections.abc import Sequence as List
import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.lanes import Clip, Lanes
from depth_anyevent_ros.distillation.loss_config import LossConfig
from depth_anyevent_ros.distillation.losses import depth_loss
from depth_anyevent_ros.distillation.promotion import judge, PromotionConfig, Verdict
from depth_anyevent_ros.distillation.replay_buffer import (
    BufferConfig, LabelledFrame, ReplayBuffer)
from depth_anyevent_ros.distillation.training_config import AugmentationConfig
from depth_anyevent_ros.distillation.training_state import (
    load_network, load_optimizer, network_tensors, optimizer_tensors)
from depth_anyevent_ros.distillation.validation import predict_sequence
from depth_anyevent_ros.evaluation.alignment import align
from depth_anyevent_ros.evaluation.protocols import frame_metrics
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.depth_network import DepthNetwork

LEAST_PIXELS = 16
WARM_UP = 20  # steps; the optimizer's first ones are as large where it knows nothing yet


@dataclass(frozen=True)
class OnlineConfig:
    """
    How the stream is learned.

    lanes, clip: of the stream, side by side and frames that follow each other; few, since many
    small steps learn more of the same frames. anchor_lanes: of the anchor set, 0 for none, whose
    loss counts anchor_weight. anchor_frames: of each anchor sequence, to judge by. round_steps:
    steps with the same blocks. ema_decay: of the average of the weights, which is what is judged
    and handed over. slow_down: factor of the learning rate after a candidate was kept back, down
    to least_learning_rate. encoder: whether it learns too, and not the head alone, which forgets
    less and takes half the time.
    """

    learning_rate: float = 3e-4
    least_learning_rate: float = 1e-5
    slow_down: float = 0.7
    lanes: int = 4
    clip: int = 2
    anchor_lanes: int = 2
    anchor_weight: float = 1.0
    anchor_frames: int = 4
    round_steps: int = 20
    ema_decay: float = 0.98
    encoder: bool = False
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    loss: LossConfig = LossConfig(gradient=0.5, temporal=0.1)
    anchor_loss: LossConfig = LossConfig(gradient=0.5, temporal=0.1, log=1.0, sky_below=0.0125)
    augmentation: AugmentationConfig = AugmentationConfig(
        flip=True, polarity_swap=False, strides=(1,), visit_frames=0)
    buffer: BufferConfig = field(default_factory=BufferConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)


class OnlineLearner:
    """
    A student that goes on learning; for one thread.

    anchor: sequences of the old domain with truth; the first half is learned from, and the rest
    is what is judged by, so that forgetting shows. running: the weights that were handed over
    last, at first the checkpoint's. counts: steps, promotions, kept_back.
    """

    def __init__(self, checkpoint: Checkpoint, anchor: List[Samples],
                 config: OnlineConfig = OnlineConfig()):
        self.config, self.checkpoint = config, checkpoint
        half = len(anchor) // 2
        self._anchor, self._anchor_held_out = list(anchor[:half]), list(anchor[half:])
        self.buffer = ReplayBuffer(config.buffer, config.seed)
        self.running = copy.deepcopy(checkpoint.network).requires_grad_(False).eval()
        self._network = copy.deepcopy(checkpoint.network).requires_grad_(True).train()
        self._network.pretrained.requires_grad_(config.encoder)
        self._average = copy.deepcopy(self.running)
        self.learning_rate = config.learning_rate
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=config.learning_rate,
            weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True)
        inputs = checkpoint.config.input
        self._mean, self._std = (torch.tensor(values)[:, None, None]
                                 for values in (inputs.mean, inputs.std))
        self.steps = self.promotions = self.kept_back = self._since_start = 0
        self._round: _Round | None = None
        self.anchor_first = self.anchor_running = self._anchor_error(self.running)

    def add(self, frame: LabelledFrame) -> None:
        """Take the next labelled frame of the stream."""
        self.buffer.add(frame)

    @property
    def ready(self) -> bool:
        """Whether there is something to learn from."""
        return any(len(block) >= self.config.clip for block in self.buffer.training)

    def step(self) -> dict[str, float]:
        """Do a step of the optimizer; return the losses on the stream and on the anchor set."""
        config = self.config
        if self._round is None or self._round.steps >= config.round_steps:
            self._round = _Round(self.buffer.training, self._anchor, config,
                                 config.seed + 31 * self.steps)
        stream, anchor = self._round.next()
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(stream, 'stream', config.loss)
        loss.backward()
        losses = {'stream': float(loss.detach())}
        if anchor is not None:
            loss = config.anchor_weight * self._loss(anchor, 'anchor', config.anchor_loss)
            loss.backward()
            losses['anchor'] = float(loss.detach())
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), config.clip_norm)
        if bool(norm.isfinite()):
            for group in self._optimizer.param_groups:
                group['lr'] = self.learning_rate * min((self._since_start + 1) / WARM_UP, 1)
            self._optimizer.step()
            self._follow()
        self.steps += 1
        self._since_start += 1
        return {**losses, 'gradient_norm': float(norm)}

    def consider(self) -> Verdict:
        """
        Judge what was learned against what runs; on promotion it becomes what runs.

        The held-out blocks are used up, unless they were too few.
        """
        blocks = self.buffer.held_out
        running, candidate = (
            np.array([self._disagreement(network, block) for block in blocks])
            for network in (self.running, self._average))
        anchor = self._anchor_error(self._average)
        verdict = judge(running, candidate, self.anchor_running, anchor, self.anchor_first,
                        self.config.promotion)
        if len(blocks) >= self.config.promotion.least_blocks:
            self.buffer.use_up_held_out()
            if verdict.promote:
                self.promotions += 1
                self.running.load_state_dict(self._average.state_dict())
                self.anchor_running = anchor
            else:
                self.kept_back += 1
                self.learning_rate = max(self.learning_rate * self.config.slow_down,
                                         self.config.least_learning_rate)
        return verdict

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Return all but the frames, as tensors and JSON values."""
        return {**network_tensors('network', self._network),
                **network_tensors('average', self._average),
                **network_tensors('running', self.running),
                **optimizer_tensors(self._optimizer, self._network)}, {
            'student': self.checkpoint.sha256, 'steps': self.steps,
            'promotions': self.promotions, 'kept_back': self.kept_back,
            'learning_rate': self.learning_rate, 'anchor_first': self.anchor_first,
            'anchor_running': self.anchor_running}

    def restore(self, tensors: dict[str, Tensor], facts: dict) -> None:
        """Go on where `state` was taken; ValueError where it is that of another student."""
        if facts['student'] != self.checkpoint.sha256:
            raise ValueError('the state is that of another student, '
                             f'{facts["student"][:12]} and not {self.checkpoint.sha256[:12]}')
        load_network('network', self._network, tensors)
        load_network('average', self._average, tensors)
        load_network('running', self.running, tensors)
        load_optimizer(self._optimizer, self._network, tensors)
        for name in ('steps', 'promotions', 'kept_back', 'learning_rate', 'anchor_first',
                     'anchor_running'):
            setattr(self, name, facts[name])

    def _loss(self, clip: Clip, name: str, config: LossConfig) -> Tensor:
        images = self._prepare(clip.image)
        resets = torch.zeros(clip.image.shape[:2], dtype=torch.bool)
        resets[0] = torch.from_numpy(clip.starts)
        recurrent = self._network.config.recurrent
        prediction, state = self._network.forward_sequence(
            images, self._round.states.get(name), resets if recurrent else None)
        self._round.states[name] = state.detach() if state is not None else None
        target = torch.from_numpy(np.ascontiguousarray(clip.inverse_depth))
        return depth_loss(prediction, target, config).total

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights."""
        share = 1 - min(self.config.ema_decay, (1 + self.steps) / (10 + self.steps))
        for mean, weight in zip(self._average.parameters(), self._network.parameters()):
            mean.lerp_(weight, share)

    def _disagreement(self, network: DepthNetwork, block: Samples) -> float:
        """
        Return how far a student is from the teacher on a block, from 0 to 1.

        The mean over its frames of the part of the label's spread that the best scale, not
        negative, and shift leave unexplained.
        """
        found = []
        for prediction, label in zip(
                predict_sequence(network, block.image, range(len(block)), self._prepare),
                block.inverse_depth.astype(np.float64)):
            known = np.isfinite(label)
            if known.sum() < LEAST_PIXELS or not label[known].std() > 0:
                continue
            values, target = prediction[known].astype(np.float64), label[known]
            rest = target - align(values, target, non_negative=True).apply(values)
            found.append(rest.std() / target.std())
        return float(np.mean(found)) if found else np.nan

    def _anchor_error(self, network: DepthNetwork) -> float:
        """Return the mean AbsRel against the truth of anchors not learned, NaN without any."""
        found = []
        for samples in self._anchor_held_out:
            # From the beginning on, since the memory has to fill.
            frames = range(0, min(len(samples), 2 * self.config.anchor_frames), 1)
            predictions = predict_sequence(network, samples.image, frames, self._prepare)
            for index in frames[1::2]:
                truth = samples.inverse_depth[index].astype(np.float32)
                if samples.usable[index]:
                    found.append(frame_metrics(predictions[index], truth)['abs_rel'])
        return float(np.mean(found)) if found else np.nan

    def _prepare(self, images: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(images)).float() / 255
        return (x - self._mean) / self._std


class _Round:
    """Lanes through the blocks that there are now, and through the anchor set."""

    def __init__(self, blocks: List[Samples], anchor: List[Samples], config: OnlineConfig,
                 seed: int):
        self._stream = Lanes(blocks, config.lanes, config.clip, config.augmentation, seed)
        self._anchor = Lanes(anchor, config.anchor_lanes, config.clip, config.augmentation,
                             seed) if config.anchor_lanes and anchor else None
        self.states: dict = {}
        self.steps = 0

    def next(self) -> tuple[Clip, Clip | None]:
        """Return the next clips."""
        self.steps += 1
        return self._stream.next(), self._anchor.next() if self._anchor else None
