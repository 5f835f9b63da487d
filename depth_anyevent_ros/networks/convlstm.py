# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Convolutional LSTM (Shi et al., NeurIPS 2015), GRU, and DepthAnyEvent-R's block around them.

Names of attributes follow the published state dict of DepthAnyEvent-R; those of the GRU, with
which no weights are known, the recurrent blocks of E2VID, from where the LSTM's come.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
import torch.nn.functional as F


class ConvLSTM(nn.Module):
    """ConvLSTM cell without peepholes: hidden and cell have the input's `features` channels."""

    def __init__(self, features: int):
        super().__init__()
        self.Gates = nn.Conv2d(2 * features, 4 * features, kernel_size=3, padding=1)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Advance by one frame; x, hidden, cell and both results are (N, F, h, w)."""
        gates = self.Gates(torch.cat((x, hidden), dim=1))
        enter, forget, leave, candidate = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        return leave.sigmoid() * cell.tanh(), cell


class ConvGRU(nn.Module):
    """ConvGRU cell (Ballas et al., ICLR 2016): the hidden state is all that it has."""

    def __init__(self, features: int):
        super().__init__()
        for name in ('reset_gate', 'update_gate', 'out_gate'):
            self.add_module(name, nn.Conv2d(2 * features, features, kernel_size=3, padding=1))

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor]:
        """Advance by one frame; x, hidden and the result are (N, F, h, w)."""
        both = torch.cat((x, hidden), dim=1)
        update, reset = self.update_gate(both).sigmoid(), self.reset_gate(both).sigmoid()
        candidate = self.out_gate(torch.cat((x, hidden * reset), dim=1)).tanh()
        return (torch.lerp(hidden, candidate.to(hidden.dtype), update.to(hidden.dtype)),)


CELL_CLASSES = {'convlstm': ConvLSTM, 'convgru': ConvGRU}
STATE_PARTS = {'convlstm': ('hidden', 'cell'), 'convgru': ('hidden',)}


class InputConvolution(nn.Module):
    """3x3 convolution and ReLU; without padding the map loses a pixel on each side."""

    def __init__(self, features: int, padding: int):
        super().__init__()
        self.conv2d = nn.Conv2d(features, features, kernel_size=3, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (N, F, h, w)."""
        return F.relu(self.conv2d(x))


class RecurrentBlock(nn.Module):
    """Input convolution, then a cell whose hidden state is the block's output."""

    def __init__(self, features: int, padding: int, cell: str = 'convlstm'):
        super().__init__()
        self.conv = InputConvolution(features, padding)
        self.recurrent_block = CELL_CLASSES[cell](features)
        self._parts = len(STATE_PARTS[cell])

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None,
                resets: Tensor | None = None, gates: Tensor | None = None
                ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """
        Run over T frames of N lanes.

        x: (T, N, F, h, w). state: as `STATE_PARTS`, (N, F, h', w') each; None means zeros.
        resets: (T, N) bool, true where a lane starts anew before that frame. gates: (T, N, 1, 1,
        1), how far the state moves, from 0 to 1; None where it always moves all the way.
        Returns the hidden states (T, N, F, h', w') and the state after the last frame.
        """
        x = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        if state is None:
            # At least float32, so that under autocast the cell does not add up in half.
            dtype = torch.promote_types(x.dtype, torch.float32)
            state = (torch.zeros_like(x[0], dtype=dtype),) * self._parts
        outputs = []
        for step, frame in enumerate(x):
            if resets is not None:
                # masked_fill, not a product: zero times NaN would stay NaN.
                restart = resets[step, :, None, None, None]
                state = tuple(part.masked_fill(restart, 0) for part in state)
            moved = self.recurrent_block(frame, *state)
            state = moved if gates is None else tuple(
                old + gates[step] * (new - old) for old, new in zip(state, moved))
            outputs.append(state[0])
        return torch.stack(outputs), state
