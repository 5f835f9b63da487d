# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The optimizers of a run: AdamW, or Muon for matrices and AdamW for all else.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) makes of the momentum of a
matrix the nearest one whose singular values are all alike, so that what few frames ask for is
learned as fast as what all do.
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from depth_anyevent_ros.distillation.training_config import TrainingConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork

MOMENTUM = 0.95
# Root mean square of an update over the rate. That of AdamW is 0.2 to 0.4 (Liu et al., Muon is
# Scalable for LLM Training, 2025), so that one rate does for both; docs/experiments.md has others.
UPDATE_RMS = 0.4
# Of the odd polynomial that brings singular values near 1 in five steps, as in Muon.
A, B, C = 3.4445, -4.7750, 2.0315
NARROWEST = 8  # what has fewer inputs or outputs is left to AdamW
TOKENS = ('pos_embed', 'cls_token', 'mask_token')


class MuonAdamW(torch.optim.AdamW):
    """
    AdamW in which groups with `muon` set are updated by Muon.

    A convolution is a matrix of as many rows as it has outputs. torch.optim.Muon takes no
    convolutions and cannot be captured in a CUDA graph. As in the fused AdamW, a step with
    `found_inf` changes nothing. arithmetic: in which matrices are made orthogonal.
    """

    arithmetic = torch.float32

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Do a step with the gradients that are there; those of matrices are used up."""
        found_inf = getattr(self, 'found_inf', None)
        for group in self.param_groups:
            if group['muon']:
                for weight in group['params']:
                    if weight.grad is not None:
                        self._update(weight, group, found_inf)
                        weight.grad = None  # AdamW passes it by
        super().step(closure)

    def _update(self, weight: Tensor, group: dict, found_inf: Tensor | None) -> None:
        state = self.state[weight]
        if 'momentum' not in state:
            state['momentum'] = torch.zeros_like(weight)
        momentum, gradient = state['momentum'], weight.grad
        after = MOMENTUM * momentum + gradient
        update = orthogonal((gradient + MOMENTUM * after).flatten(1), self.arithmetic)
        scale = UPDATE_RMS * math.sqrt(max(weight.shape[0], weight[0].numel()))
        moved = weight * (1 - group['lr'] * group['weight_decay']) \
            - update.reshape(weight.shape) * scale * group['lr']
        if found_inf is not None:
            after = torch.where(found_inf > 0, momentum, after)
            moved = torch.where(found_inf > 0, weight, moved)
        momentum.copy_(after)
        weight.copy_(moved)


def orthogonal(matrix: Tensor, arithmetic: torch.dtype = torch.float32) -> Tensor:
    """Return a matrix (R, C) with the same singular vectors, whose singular values are about 1."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    x = (wide / (torch.linalg.vector_norm(wide) + 1e-7)).to(arithmetic)
    for _ in range(5):
        square = x @ x.mT
        x = torch.addmm(x, torch.addmm(square, square, square, beta=B, alpha=C), x, beta=A)
    return (x if wide is matrix else x.mT).to(matrix.dtype)


def new_optimizer(network: DepthNetwork, config: TrainingConfig, device: str,
                  precision: str) -> torch.optim.AdamW:
    """
    Return the optimizer of a run; biases, norms, tokens and positions do not decay.

    Muon takes matrices and convolutions but for narrow ones, such as those that see events or
    pictures, or give depth. It computes in bfloat16 where the run does: its polynomial is rough
    anyway.
    """
    settings, on_gpu, muon = config.optimizer, device != 'cpu', config.optimizer.kind == 'muon'
    groups: dict[tuple[bool, bool, bool], list] = {}
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            decays = weight.dim() >= 2 and not name.endswith(TOKENS)
            groups.setdefault((decays, name.startswith('pretrained.'),
                               muon and decays and _is_matrix(weight)), []).append(weight)
    optimizer = (MuonAdamW if muon else torch.optim.AdamW)(
        [{'params': weights, 'weight_decay': settings.weight_decay if decays else 0.0,
          'share': settings.encoder_share if encoder else 1.0, 'muon': matrices,
          # In memory, where a captured step finds the rate of the day.
          'lr': torch.zeros((), device=device) if on_gpu else 0.0}
         for (decays, encoder, matrices), weights in groups.items()],
        betas=(settings.beta1, settings.beta2), fused=True, capturable=on_gpu)
    if muon and precision == 'bf16':
        optimizer.arithmetic = torch.bfloat16
    return optimizer


def _is_matrix(weight: Tensor) -> bool:
    return weight.dim() in (2, 4) and min(weight.shape[:2]) >= NARROWEST
