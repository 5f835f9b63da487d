# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ConvLSTM block against its equations, written out in numpy."""

import numpy as np
import pytest
import torch

from depth_anyevent_ros.networks.convlstm import RecurrentBlock

FEATURES = 3


def convolution(x, weight, bias, padding):
    """Return the 3x3 correlation of x (C, h, w) with weight (O, C, 3, 3)."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    rows, columns = x.shape[1] - 2, x.shape[2] - 2
    result = np.zeros((len(weight), rows, columns))
    for row in range(rows):
        for column in range(columns):
            patch = x[:, row:row + 3, column:column + 3]
            result[:, row, column] = (weight * patch).sum(axis=(1, 2, 3)) + bias
    return result


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(block, frames, padding, state=None):
    """Return the hidden states, and the last state, of frames (T, F, h, w)."""
    weights = {key: value.numpy().astype(np.float64) for key, value in block.state_dict().items()}
    hidden, cell = state if state is not None else (0, 0)
    outputs = []
    for frame in frames:
        x = np.maximum(convolution(frame, weights['conv.conv2d.weight'],
                                   weights['conv.conv2d.bias'], padding), 0)
        hidden = np.broadcast_to(hidden, x.shape)
        gates = convolution(np.concatenate((x, hidden)), weights['recurrent_block.Gates.weight'],
                            weights['recurrent_block.Gates.bias'], 1)
        enter, forget, leave, candidate = gates.reshape(4, FEATURES, *x.shape[1:])
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs), hidden, cell


@pytest.fixture
def block(request):
    torch.manual_seed(3)
    block = RecurrentBlock(FEATURES, request.param)
    with torch.no_grad():
        for weight in block.parameters():
            weight.normal_(0, 0.4)
    return block


@pytest.mark.parametrize('block, padding', [(0, 0), (1, 1)], indirect=['block'])
def test_equations(block, padding):
    frames = torch.randn(3, 1, FEATURES, 6, 7)
    with torch.no_grad():
        outputs, (hidden, cell) = block(frames)
    expected, expected_hidden, expected_cell = by_hand(block, frames[:, 0].numpy(), padding)
    np.testing.assert_allclose(outputs[:, 0].numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(hidden[0].numpy(), expected_hidden, atol=2e-6)
    np.testing.assert_allclose(cell[0].numpy(), expected_cell, atol=2e-6)
    assert outputs.shape == (3, 1, FEATURES, 4 + 2 * padding, 5 + 2 * padding)
    assert torch.equal(outputs[-1], hidden)


@pytest.mark.parametrize('block', [1], indirect=True)
def test_a_state_is_continued(block):
    frame = torch.randn(1, 1, FEATURES, 5, 5)
    hidden, cell = torch.randn(2, 1, FEATURES, 5, 5)
    with torch.no_grad():
        outputs, _ = block(frame, (hidden, cell))
    expected, _, _ = by_hand(block, frame[:, 0].numpy(), 1, (hidden[0].numpy(), cell[0].numpy()))
    np.testing.assert_allclose(outputs[:, 0].numpy(), expected, atol=2e-6)


@pytest.mark.parametrize('block', [1], indirect=True)
def test_a_reset_lane_starts_anew_even_from_nan(block):
    frames = torch.randn(4, 2, FEATURES, 5, 5)
    state = tuple(torch.randn(2, 2, FEATURES, 5, 5))
    state[1][0] = float('nan')
    resets = torch.zeros(4, 2, dtype=torch.bool)
    resets[0, 0] = resets[2, 1] = True
    with torch.no_grad():
        outputs, _ = block(frames, state, resets)
        first, _ = block(frames[:, :1])
        second_start, _ = block(frames[:2, 1:], tuple(part[1:] for part in state))
        second_end, _ = block(frames[2:, 1:])
    np.testing.assert_allclose(outputs[:, :1], first, atol=1e-6)
    np.testing.assert_allclose(outputs[:, 1:], torch.cat((second_start, second_end)), atol=1e-6)


@pytest.mark.parametrize('block', [1], indirect=True)
def test_gradients_reach_the_first_frame(block):
    frames = torch.randn(4, 1, FEATURES, 5, 5, requires_grad=True)
    outputs, _ = block(frames)
    outputs[-1].sum().backward()
    assert float(frames.grad[0].abs().max()) > 0


@pytest.mark.parametrize('block', [1], indirect=True)
def test_under_autocast_the_state_stays_in_float32(block):
    frames = torch.randn(2, 1, FEATURES, 5, 5)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        _, (hidden, cell) = block(frames)
    assert cell.dtype == hidden.dtype == torch.float32
