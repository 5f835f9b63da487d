# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The recurrent state."""

import pytest
import torch

from depth_anyevent_ros.networks.state import RecurrentState


@pytest.fixture
def state():
    torch.manual_seed(0)
    return RecurrentState(tuple(
        (torch.randn(2, 3, size, size, requires_grad=True), torch.randn(2, 3, size, size))
        for size in (2, 4)))


def test_detach_cuts_the_graph(state):
    detached = state.detach()
    assert state.levels[0][0].requires_grad
    assert not detached.levels[0][0].requires_grad
    assert torch.equal(state.levels[1][1], detached.levels[1][1])


def test_reset_lanes_zeroes_those_lanes_only(state):
    state.levels[1][1][0] = float('nan')
    after = state.reset_lanes(torch.tensor([True, False]))
    for before_pair, after_pair in zip(state.levels, after.levels):
        for before, tensor in zip(before_pair, after_pair):
            assert not tensor[0].any()
            assert torch.equal(tensor[1], before[1])
    assert not state.is_finite()
    assert after.is_finite()


def test_reset_lanes_refuses_another_count(state):
    with pytest.raises(ValueError, match='2 booleans'):
        state.reset_lanes(torch.tensor([True]))
    with pytest.raises(ValueError, match='2 booleans'):
        state.reset_lanes(torch.tensor([1, 0]))


def test_to_converts_every_tensor(state):
    converted = state.to(torch.float64)
    assert all(tensor.dtype == torch.float64 for pair in converted.levels for tensor in pair)


def test_check_says_which_level_has_which_shape(state):
    small, large, other = (2, 3, 2, 2), (2, 3, 4, 4), (2, 3, 5, 4)
    state.check({4: (small, small), 3: (large, large)})
    with pytest.raises(ValueError, match=r'1 of the state of level 3 must have shape '
                                         r'\(2, 3, 5, 4\).*2, 3, 4, 4'):
        state.check({4: (small, small), 3: (other, large)})
    with pytest.raises(ValueError, match=r'remembers \[2, 2, 2, 2\].*has \[2, 2\]'):
        state.check(dict.fromkeys((4, 3, 2, 1), (small, small)))
    with pytest.raises(ValueError, match=r'remembers \[3, 2\].*has \[2, 2\]'):
        state.check({4: (small, small, small), 3: (large, large)})
