# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames for the tests of what runs networks, and how two runtimes are compared."""
from dataclasses import replace

import numpy as np
import torch

from depth_anyevent_ros.networks.checkpoint import untrained_student
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights

SIZE = (70, 98)


def frames(count, size=SIZE, seed=0):
    """Return frames in which three pixels of ten have events."""
    generator = np.random.default_rng(seed)
    return [(generator.random((3, *size), np.float32)
             * (generator.random(size) < 0.3)).astype(np.float32) for _ in range(count)]


def assert_same(runtime, other, images):
    """Compare depth frame by frame, to a thousandth of its range."""
    for image in images:
        expected = other.infer(image)
        np.testing.assert_allclose(runtime.infer(image), expected,
                                   atol=1e-3 * np.ptp(expected))


def student_with(**changes):
    """Return an untrained student whose network is another in something."""
    student = untrained_student('tiny-r')
    network = DepthNetwork(replace(student.config.network, **changes))
    initialize_weights(network)
    if network.config.hold:
        torch.manual_seed(0)  # gates that are not alike in all frames
        torch.nn.init.normal_(network.depth_head.holds.decide.weight)
    return replace(student, config=replace(student.config, network=network.config),
                   network=network.eval())
