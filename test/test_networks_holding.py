# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Gates that hold levels and memory: what they let through, and where they begin."""
from dataclasses import replace

from network_frames import frames, SIZE
import numpy as np
import pytest
import torch

from depth_anyevent_ros.distillation.start import start_from, train_only
from depth_anyevent_ros.distillation.strict_mapping import ConfigError
from depth_anyevent_ros.networks.checkpoint import CheckpointError, untrained_student
from depth_anyevent_ros.networks.config import network_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.holding import hold, LEAST
from depth_anyevent_ros.networks.initialization import initialize_weights


def made(**changes):
    network = DepthNetwork(replace(network_preset('tiny-r'), **{'hold': True, **changes}))
    initialize_weights(network, 0)
    return network.eval()


def set_gates(network, before_sigmoid):
    network.depth_head.holds.decide.bias.data.fill_(before_sigmoid)


@pytest.fixture
def images():
    return torch.from_numpy(np.stack(frames(4)))[:, None]


def test_what_is_held_is_the_mean_by_gates_since_the_sequence_began():
    generator = np.random.default_rng(0)
    frame = generator.normal(size=(5, 2, 3, 4, 6)).astype(np.float32)
    gate = generator.uniform(LEAST, 1, (5, 2, 1, 4, 6)).astype(np.float32)
    resets = np.zeros((5, 2), bool)
    resets[0] = resets[3, 1] = True
    found, state = hold(*map(torch.from_numpy, (frame, gate)),
                        torch.full((2, 4, 4, 6), torch.nan), torch.from_numpy(resets))
    for lane in range(2):
        begin = 0
        for step in range(5):
            begin = step if resets[step, lane] else begin
            # A frame counts what its gate takes and later ones leave.
            weights = [gate[k, lane] * np.prod(1 - gate[k + 1:step + 1, lane], axis=0)
                       for k in range(begin, step + 1)]
            expected = sum(weight * frame[k, lane] for k, weight in enumerate(weights, begin)) \
                / sum(weights)
            np.testing.assert_allclose(found[step, lane], expected, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(state).all()


def test_shut_gates_hold_the_depth_whatever_comes(images):
    network = made()
    with torch.inference_mode():
        held, state = network(images[0])
        set_gates(network, -100.0)
        for image in images[1:]:
            depth, state = network(image, state)
            assert (depth - held).abs().max() < 0.01 * held.std()
        set_gates(network, 100.0)
        depth, _ = network(images[1], state)
    assert (depth - held).abs().max() > 0.2 * held.std()


def test_a_sequence_that_begins_with_shut_gates_shows_its_first_frame(images):
    network, plain = made(), made(hold=False)
    plain.load_state_dict(network.state_dict(), strict=False)
    set_gates(network, -100.0)
    with torch.inference_mode():
        torch.testing.assert_close(network(images[0])[0], plain(images[0])[0])


def test_open_gates_are_none(images):
    network, plain = made(), made(hold=False)
    plain.load_state_dict(network.state_dict(), strict=False)
    set_gates(network, 100.0)
    with torch.inference_mode():
        torch.testing.assert_close(network.forward_sequence(images)[0],
                                   plain.forward_sequence(images)[0])


@pytest.mark.parametrize('changes', [{}, {'noise_filter': 0.3}])
def test_a_run_from_a_student_without_gates_begins_as_it_is(images, capsys, changes):
    student = untrained_student('tiny-r')
    network = DepthNetwork(replace(student.config.network, hold=True, **changes))
    start_from(network, student.config.input, student, student.name, seed=1)
    set_gates(network, 100.0)
    expected = DepthNetwork(replace(student.config.network, **changes))
    expected.load_state_dict(student.network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(network.eval().forward_sequence(images)[0],
                                   expected.eval().forward_sequence(images)[0])
    assert 'those of this run begin open' in capsys.readouterr().out
    gated = replace(student, network=network,
                    config=replace(student.config, network=network.config))
    with pytest.raises(CheckpointError, match='set network.hold=true'):
        start_from(expected, student.config.input, gated, 'gated', seed=1)


def test_gates_alone_are_trained(images):
    network = made()
    train_only(network, 'depth_head.holds.')
    depth, _ = network.forward_sequence(images)
    (depth - depth.flip(-1).detach()).square().mean().backward()
    touched = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert touched == {name for name, _ in network.named_parameters() if '.holds.' in name}
    with pytest.raises(ConfigError, match='no weight of the network is called so'):
        train_only(made(hold=False), 'depth_head.holds.')


def test_what_is_held_has_the_size_of_the_input(images):
    network = made()
    with torch.inference_mode():
        _, state = network(images[0])
        with pytest.raises(ValueError, match='Tensor 1 of the state'):
            network(torch.zeros(1, 3, SIZE[0] + 14, SIZE[1]), state)
