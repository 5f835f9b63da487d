# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Learning from a stream of a teacher's labels without forgetting what was known.

Every step looks at clips of the stream and, beside them, at clips of the anchor set: simulated
sequences with truth, the domain that the student comes from. The head learns, with its memory,
and the encoder stays as it is: that forgets less, and each frame has to pass it only once.
Whether what was learned may run is decided on blocks of the stream that were held out, and on the
anchor set (promotion.py).
"""
from __future__ import annotations

from collections.abc import Sequence as List
import copy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.block_lanes import BlockLanes, for_head, EncodedBlocks
from depth_anyevent_ros.distillation.loss_config import LossConfig
from depth_anyevent_ros.distillation.losses import depth_loss
from depth_anyevent_ros.distillation.promotion import judge, PromotionConfig, Verdict
from depth_anyevent_ros.distillation.replay_buffer import (
    BufferConfig, LabelledFrame, ReplayBuffer)
from depth_anyevent_ros.distillation.schedule import average_share
from depth_anyevent_ros.distillation.training_state import (
    load_network, load_optimizer, network_tensors, optimizer_tensors)
from depth_anyevent_ros.distillation.training_step import placement_to_train, ready_to_train
from depth_anyevent_ros.evaluation.alignment import align
from depth_anyevent_ros.evaluation.protocols import frame_metrics
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.dpt import ALL
from depth_anyevent_ros.networks.runtime import (
    autocast, cpu_computes_in_bf16, Placement)
from depth_anyevent_ros.networks.state import RecurrentState

LEAST_PIXELS = 16
WARM_UP = 20  # steps; the optimizer's first ones are as large where it knows nothing yet


@dataclass(frozen=True)
class OnlineConfig:
    """
    How the stream is learned.

    lanes, clip: of the stream, side by side and frames that follow each other; few, since many
    small steps learn more of the same frames. newest: every second lane goes through so many of
    the last blocks only, about the last minute at 5 labels a second. anchor_lanes: of the anchor
    set, 0 for none, whose loss counts anchor_weight. anchor_frames: of each anchor sequence, to
    judge by. ema_decay: of the average of the weights, which is what is judged and handed over.
    slow_down: factor of the learning rate after a candidate was kept back, down to
    least_learning_rate; after a promotion it rises by as much, up to learning_rate. device,
    precision: where and how the steps are computed, see `where_to_learn`; what is judged is in
    fp32, or what a GPU takes for it (TF32).
    """

    learning_rate: float = 3e-4
    least_learning_rate: float = 1e-5
    slow_down: float = 0.7
    lanes: int = 4
    clip: int = 2
    newest: int = 24
    anchor_lanes: int = 2
    anchor_weight: float = 1.0
    anchor_frames: int = 4
    ema_decay: float = 0.98
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    device: str = 'cpu'
    precision: str = 'auto'
    seed: int = 0
    loss: LossConfig = LossConfig(gradient=0.5, temporal=0.1)
    anchor_loss: LossConfig = LossConfig(gradient=0.5, temporal=0.1, log=1.0, sky_below=0.0125)
    buffer: BufferConfig = field(default_factory=BufferConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)


def where_to_learn(device: str, precision: str) -> Placement:
    """
    Settle where and how to learn while driving, as `placement_to_train`; ValueError.

    'auto' is bf16 where a GPU or the CPU computes in it, else fp32; a GPU that is missing makes it
    fp32 on the CPU. What lacks on a robot is time, and the same steps in either taught the same
    (docs/learning.md). There is no fp16, which would need its loss scaled.
    """
    if precision == 'fp16':
        raise ValueError('precision has to be auto, fp32 or bf16 to learn, not fp16')
    found = placement_to_train(device, precision)
    if precision == 'auto' and found[:2] == ('cpu', 'fp32') and not found.fallback \
            and cpu_computes_in_bf16():
        return found._replace(precision='bf16')
    return found


class OnlineLearner:
    """
    A student that goes on learning; for one thread.

    anchor: sequences of the old domain with truth; the first half is learned from, and the rest
    is what is judged by, so that forgetting shows. running: the weights that were handed over
    last, at first the checkpoint's. What the encoder made of frames takes up to as many bytes
    again as the buffer, on the device. fallback: a sentence where the device is not the one that
    was asked for. Raises ValueError for a device or a precision that cannot be had.
    """

    def __init__(self, checkpoint: Checkpoint, anchor: List[Samples],
                 config: OnlineConfig = OnlineConfig()):
        self.config, self.checkpoint = config, checkpoint
        half = len(anchor) // 2
        self._anchor, self._anchor_held_out = list(anchor[:half]), list(anchor[half:])
        self.buffer = ReplayBuffer(config.buffer, config.seed)
        self._device, self._precision, self.fallback = where_to_learn(
            config.device, config.precision)
        self._network = ready_to_train(copy.deepcopy(checkpoint.network), self._device)
        self.running = copy.deepcopy(self._network).requires_grad_(False).eval()
        self._network.requires_grad_(True)
        self._network.pretrained.requires_grad_(False)
        self._average, self._candidate = copy.deepcopy(self.running), copy.deepcopy(self.running)
        self.learning_rate = config.learning_rate
        self._optimizer = self._new_optimizer()
        inputs = checkpoint.config.input
        self._mean, self._std = (torch.tensor(values, device=self._device)[:, None, None]
                                 for values in (inputs.mean, inputs.std))
        self._encoded = EncodedBlocks(self._encode, config.buffer.max_bytes)
        self._lanes: dict[str, BlockLanes] = {}
        self._states: dict[str, RecurrentState | None] = {}
        self.steps = self.promotions = self.kept_back = self._since_start = 0
        self._size_changes = self._looked_at = 0
        self._judged = 0  # held-out blocks at the last look of the decision in hand
        self._evicted = 0  # held-out blocks that had no room, before that decision
        self.unjudged = 0  # held-out blocks whose labels know too little to compare students by
        self.anchor_first = self.anchor_running = self._anchor_error(self.running)

    def add(self, frame: LabelledFrame) -> None:
        """Take the next labelled frame of the stream."""
        self.buffer.add(frame)

    @property
    def ready(self) -> bool:
        """Whether there is something to learn from."""
        return any(len(block) >= self.config.clip for block in self.buffer.training)

    @property
    def undecided(self) -> bool:
        """Whether enough blocks were held out since they were last looked at."""
        return self.buffer.counts['held_out_blocks'] - self._looked_at \
            >= self.config.promotion.least_blocks

    def step(self) -> dict[str, float]:
        """Do a step of the optimizer; return the losses on the stream and on the anchor set."""
        config = self.config
        if self.buffer.counts['size_changes'] != self._size_changes:
            # Blocks and states of two sizes cannot be side by side.
            self._size_changes = self.buffer.counts['size_changes']
            self._judged = 0  # none of those is left
            self._start_lanes_anew()
        self._optimizer.zero_grad(set_to_none=True)
        losses = {'stream': self._learn('stream', self.buffer.training, config.lanes,
                                        config.loss, 1.0, config.newest)}
        if config.anchor_lanes and self._anchor:
            losses['anchor'] = self._learn('anchor', self._anchor, config.anchor_lanes,
                                           config.anchor_loss, config.anchor_weight)
        norm = torch.nn.utils.clip_grad_norm_(self._network.depth_head.parameters(),
                                              config.clip_norm)
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

        The candidate goes as far from what runs towards what was learned as the anchor set
        allows. A decision uses the held-out blocks up; where they cannot tell, more are waited
        for.
        """
        share, anchor = self._go_as_far_as_the_anchor_set_allows()
        blocks = [block for block in self.buffer.held_out if _tells(block)]
        running, candidate = (
            np.array([self._disagreement(network, block) for block in blocks])
            for network in (self.running, self._candidate))
        verdict = replace(judge(running, candidate, self.anchor_running, anchor,
                                self.anchor_first, self.config.promotion, self._judged),
                          share=share)
        self._looked_at = self.buffer.counts['held_out_blocks']
        evicted = self.buffer.counts['evicted_held_out']
        if not verdict.decided and len(blocks) <= self._judged and evicted > self._evicted:
            verdict = replace(verdict, decided=True, reason=(
                f'{verdict.reason}, and the memory has no room for more (train.buffer_mb)'))
        if not verdict.decided:
            self._judged = max(self._judged, len(blocks))
            return verdict
        self._judged, self._evicted = 0, evicted
        self.unjudged += len(self.buffer.held_out) - len(blocks)
        self.buffer.use_up_held_out()
        if verdict.promote:
            self.promotions += 1
            self.learning_rate = min(self.learning_rate / self.config.slow_down,
                                     self.config.learning_rate)
            self.running.load_state_dict(self._candidate.state_dict())
            self.anchor_running = anchor
        else:
            self.kept_back += 1
            self.learning_rate = max(self.learning_rate * self.config.slow_down,
                                     self.config.least_learning_rate)
        return verdict

    def forget(self, stretch: int, since_ns: int) -> None:
        """Drop labels as `ReplayBuffer`, and what was learned since the last promotion."""
        self.buffer.forget(stretch, since_ns)
        self._looked_at = self.buffer.counts['held_out_blocks'] - len(self.buffer.held_out)
        self._judged = 0  # what will be looked at is another candidate
        for network in (self._network, self._average):
            network.load_state_dict(self.running.state_dict())
        self._optimizer, self._since_start = self._new_optimizer(), 0
        self._start_lanes_anew()

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Return all but the frames and the encoder, which stays, as tensors and JSON values."""
        networks = self._network_tensors()
        return {**{name: tensor for name, tensor in networks.items() if not _of_encoder(name)},
                **optimizer_tensors(self._optimizer, self._network)}, {
            'student': self.checkpoint.sha256, 'steps': self.steps,
            'promotions': self.promotions, 'kept_back': self.kept_back,
            'learning_rate': self.learning_rate, 'asked_learning_rate': self.config.learning_rate}

    def restore(self, tensors: dict[str, Tensor], facts: dict) -> None:
        """
        Go on where `state` was taken; ValueError where it is that of another student.

        The learning rate is that of the state, unless another one is asked for than then.
        """
        if facts['student'] != self.checkpoint.sha256:
            raise ValueError('the state is that of another student, '
                             f'{facts["student"][:12]} and not {self.checkpoint.sha256[:12]}')
        # States of earlier versions have the encoder too.
        tensors = {**{name: tensor for name, tensor in self._network_tensors().items()
                      if _of_encoder(name)}, **tensors}
        load_network('network', self._network, tensors)
        load_network('average', self._average, tensors)
        load_network('running', self.running, tensors)
        load_optimizer(self._optimizer, self._network, tensors)
        for name in ('steps', 'promotions', 'kept_back'):
            setattr(self, name, facts[name])
        # States that do not say what was asked for are of versions in which it only fell.
        if facts.get('asked_learning_rate') == self.config.learning_rate:
            self.learning_rate = facts['learning_rate']
        # Not what it was then: the anchor set may be another one by now.
        self.anchor_running = self._anchor_error(self.running)

    def _network_tensors(self) -> dict[str, Tensor]:
        return {**network_tensors('network', self._network),
                **network_tensors('average', self._average),
                **network_tensors('running', self.running)}

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self._network.depth_head.parameters(), lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay, betas=(0.9, 0.99), fused=True)

    def _start_lanes_anew(self) -> None:
        self._lanes.pop('stream', None)
        self._states.pop('stream', None)

    def _learn(self, name: str, blocks: List[Samples], lanes: int, config: LossConfig,
               weight: float, newest: int = 0) -> float:
        """Add the gradient of the next clips; return their weighted loss."""
        if name not in self._lanes:
            self._lanes[name] = BlockLanes(self._encoded, lanes, self.config.clip,
                                           self.config.seed + self.steps, newest)
        clip = self._lanes[name].next(blocks)
        resets = None
        if self._network.config.recurrent:
            resets = torch.zeros(clip.inverse_depth.shape[:2], dtype=torch.bool)
            resets[0] = clip.starts
            resets = resets.to(self._device)
        with autocast(self._precision, device=self._device):
            prediction, state = self._network.decode(clip.maps, lanes, self._states.get(name),
                                                     resets)
        self._states[name] = state.detach() if state is not None else None
        loss = weight * depth_loss(prediction, clip.inverse_depth.to(self._device), config).total
        loss.backward()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights."""
        share = average_share(self.config.ema_decay, self.steps)
        for mean, weight in zip(self._average.depth_head.parameters(),
                                self._network.depth_head.parameters()):
            mean.lerp_(weight, share)

    @torch.no_grad()
    def _go_as_far_as_the_anchor_set_allows(self) -> tuple[float, float]:
        """
        Make the candidate; return its share of the way, and its error on the anchor set.

        What is gained grows with the way, and what is forgotten with its square, so that the
        largest share is found by halves: judging one takes seconds on a busy robot. Where the
        anchor set allows no share, the candidate is the smallest.
        """
        limits = self.config.promotion
        most = min(limits.anchor_step * self.anchor_running,
                   limits.anchor_total * self.anchor_first)
        errors: dict[float, float] = {}
        first, last = 0, len(limits.shares) - 1
        while first < last:
            middle = (first + last) // 2
            share = limits.shares[middle]
            errors[share] = self._anchor_error(self._candidate_at(share))
            first, last = (first, middle) if errors[share] <= most else (middle + 1, last)
        share = limits.shares[first]
        candidate = self._candidate_at(share)
        if share not in errors:
            errors[share] = self._anchor_error(candidate)
        return share, errors[share]

    def _candidate_at(self, share: float) -> DepthNetwork:
        """Return the candidate at a share of the way from what runs to what was learned."""
        for candidate, running, average in zip(*(
                network.depth_head.parameters()
                for network in (self._candidate, self.running, self._average))):
            candidate.copy_(running.lerp(average, share))
        return self._candidate

    def _disagreement(self, network: DepthNetwork, block: Samples) -> float:
        """
        Return how far a student is from the teacher on a block, from 0 to 1.

        The mean over its frames of the part of the label's spread that the best scale, not
        negative, and shift leave unexplained.
        """
        found = []
        for prediction, label in zip(self._predict(network, block),
                                     block.inverse_depth.astype(np.float64)):
            known = np.isfinite(label)
            if not _comparable(label[known]):
                continue
            values, target = prediction[known].astype(np.float64), label[known]
            rest = target - align(values, target, non_negative=True).apply(values)
            found.append(rest.std() / target.std())
        return float(np.mean(found)) if found else np.nan

    def _anchor_error(self, network: DepthNetwork) -> float:
        """Return the mean AbsRel against the truth of anchors not learned, NaN without any."""
        found = []
        for samples in self._anchor_held_out:
            # Every second one, from the beginning on, since the memory has to fill.
            judged = slice(1, 2 * self.config.anchor_frames, 2)
            for prediction, label, usable in zip(self._predict(network, samples, judged),
                                                 samples.inverse_depth[judged],
                                                 samples.usable[judged]):
                if usable:
                    found.append(frame_metrics(prediction, label.astype(np.float32))['abs_rel'])
        return float(np.mean(found)) if found else np.nan

    @torch.no_grad()
    def _predict(self, network: DepthNetwork, block: Samples, drawn: slice = ALL) -> np.ndarray:
        """Return inverse depth (D, h, w) of frames of a block; its memory begins empty."""
        maps = [for_head(x[:drawn.stop]) for x in self._encoded.maps(block)]
        return network.decode(maps, 1, drawn=drawn)[0][:, 0].cpu().numpy()

    def _encode(self, images: np.ndarray) -> List[Tensor]:
        x = torch.from_numpy(np.ascontiguousarray(images)).to(self._device).float() / 255
        return self.running.pretrained((x - self._mean) / self._std)


def _of_encoder(name: str) -> bool:
    """Return whether a tensor of a state is of the encoder of a network."""
    return '/pretrained.' in name and not name.startswith('optimizer/')


def _tells(block: Samples) -> bool:
    """Return whether a label of a block says enough to compare students by."""
    return any(_comparable(label[np.isfinite(label)].astype(np.float64))
               for label in block.inverse_depth)


def _comparable(known: np.ndarray) -> bool:
    """Return whether the known cells of a label are enough, and differ."""
    return len(known) >= LEAST_PIXELS and bool(known.std() > 0)
