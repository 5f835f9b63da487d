# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Gates by which a student holds what it has seen where nothing moves.

An event camera that stands still sees noise, of which each level of the pyramid makes something
worse than what was there before. So a level becomes a running mean over the frames, in which a
frame counts as much as its gate is open, and the state of a ConvLSTM moves as far as another gate
is. The first frame of a sequence counts in full: there is nothing yet to hold.
"""
from __future__ import annotations

import torch
from torch import nn, Tensor

HIDDEN = 32  # features of a frame as a whole that the gates are decided by
# What a gate lets through when it is shut: of the first frame of a sequence that begins standing
# still, so that there is something to show; after 200 frames 2 % of what is held are gone by it.
LEAST = 1e-4


class HoldGates(nn.Module):
    """Decides by a frame as a whole, and for levels by each place too, what is taken from it."""

    def __init__(self, widths: tuple[int, ...], features: int, levels: tuple[int, ...],
                 recurrent_levels: tuple[int, ...]):
        super().__init__()
        self.levels, self.recurrent_levels = levels, recurrent_levels
        self.frame = nn.Linear(2 * sum(widths), HIDDEN)
        self.decide = nn.Linear(HIDDEN, len(levels) + len(recurrent_levels))
        for level in levels:
            self.add_module(f'place{level}', nn.Conv2d(features, 1, kernel_size=3, padding=1,
                                                       bias=False))

    def forward(self, maps: list[Tensor], pyramid: dict[int, Tensor]
                ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """
        Return the gates of levels, (B, 1, h, w), and of states, (B, 1, 1, 1), by level.

        maps: the encoder's, (B, C, h, w) each. pyramid: (B, F, h, w) by level. Gates are float32,
        from LEAST, which holds, to 1, which takes the frame.
        """
        # Means tell how much there is to see, maxima whether any of it is more than noise. Those
        # of convolutions reach some hundreds, those of tokens some ones.
        seen = torch.cat([part for x in maps for part in (x.mean((2, 3)), x.amax((2, 3)))], 1)
        decided = self.decide(torch.relu(self.frame(seen.asinh())))[..., None, None]
        levels = {level: _gate(decided[:, index, None]
                               + getattr(self, f'place{level}')(pyramid[level]))
                  for index, level in enumerate(self.levels)}
        states = {level: _gate(decided[:, index, None])
                  for index, level in enumerate(self.recurrent_levels, len(self.levels))}
        return levels, states


def _gate(x: Tensor) -> Tensor:
    return LEAST + (1 - LEAST) * x.float().sigmoid()


def hold(frames: Tensor, gates: Tensor, state: Tensor | None, resets: Tensor | None
         ) -> tuple[Tensor, Tensor]:
    """
    Return the running mean of T frames of N lanes, and the state after the last.

    frames: (T, N, F, h, w). gates: (T, N, 1, h, w). state: (N, F + 1, h, w), sums of frames and,
    last, of what they count; None means zeros. resets: as `RecurrentBlock`.
    """
    sums, state = _sums(torch.cat((frames, torch.ones_like(frames[:, :, :1])), 2).float(), gates,
                        state, resets)
    return (sums[:, :, :-1] / sums[:, :, -1:]).to(frames.dtype), state


def shares(gates: Tensor, state: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    """
    Return what T frames of N lanes count in their running mean, and the state after the last.

    gates: (T, N, 1, 1, 1), as is what is returned. state: (N, 1, 1, 1), the sum of what frames
    count so far; None means zeros. resets: as `RecurrentBlock`.
    """
    sums, state = _sums(torch.ones_like(gates), gates, state, resets)
    return gates / sums, state


def _sums(frames: Tensor, gates: Tensor, state: Tensor | None, resets: Tensor | None
          ) -> tuple[Tensor, Tensor]:
    """Return sums (T, N, ...) that move from the state to each frame as far as its gate is."""
    if state is None:
        state = torch.zeros_like(frames[0])
    sums = []
    for step, (frame, gate) in enumerate(zip(frames, gates)):
        if resets is not None:
            state = state.masked_fill(resets[step, :, None, None, None], 0)
        state = state + gate * (frame - state)
        sums.append(state)
    return torch.stack(sums), state
