# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A teacher's labels in place of the truth: known up to scale and shift."""
from dataclasses import replace

import numpy as np
import pytest
from tiny_sequences import write_sequence
import torch

from depth_anyevent_ros.datasets.samples import load_samples
from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.distillation.proxy_labels import TeacherLabels
from depth_anyevent_ros.networks.checkpoint import save_checkpoint
from depth_anyevent_ros.networks.config import InputConfig, model_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights

pytestmark = pytest.mark.usefixtures('torch_settings')


def linear_teacher(path, scale):
    """Write a checkpoint on RGB whose labels are multiplied with `scale`."""
    config = model_preset('tiny')
    config = replace(config, input=InputConfig('rgb', height=70, width=84),
                     network=replace(config.network, activation='none'))
    network = DepthNetwork(config.network)
    initialize_weights(network, 0)
    last = network.depth_head.scratch.output_conv2[2]
    with torch.no_grad():
        last.weight *= scale
        last.bias *= scale
    save_checkpoint(path, network, config)
    return str(path)


def test_labels_of_a_teacher_with_small_numbers_stay_usable(tmp_path):
    sequence = Sequence(write_sequence(tmp_path / 's'))
    samples = load_samples(sequence, InputConfig(height=70, width=84), 70, 84)
    plain, faint = (
        TeacherLabels(linear_teacher(tmp_path / f'{scale}.safetensors', scale))(sequence, samples)
        for scale in (1, 1e-4))
    assert plain.usable.all() and faint.usable.all()
    spread, small = (s.inverse_depth.astype(float).std() for s in (plain, faint))
    assert spread > 1e-3 > 100 * small
    np.testing.assert_allclose(faint.inverse_depth, 1e-4 * plain.inverse_depth.astype(float),
                               rtol=2e-3, atol=1e-7)
