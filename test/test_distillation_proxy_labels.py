# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A teacher's labels in place of the truth: known up to scale and shift."""
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_sequences import write_sequence
import torch

from depth_anyevent_ros.datasets.samples import load_samples
from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.distillation import data
from depth_anyevent_ros.distillation.proxy_labels import TeacherLabels
from depth_anyevent_ros.distillation.run_folder import RunFolder
from depth_anyevent_ros.distillation.training_config import training_config
from depth_anyevent_ros.evaluation.baselines import load_mean_maps
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


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Return the data of a stage by a teacher, of sequences with one sky and one plain truth."""
    used = []
    monkeypatch.setattr(data, 'TeacherLabels',
                        lambda *given: used.append(given) or TeacherLabels(*given))
    for name, sky in (('s0', True), ('s1', False)):
        write_sequence(tmp_path / 'train' / name, sky=sky)
    teacher = linear_teacher(tmp_path / 'teacher.safetensors', 1)
    config = training_config({
        'name': 's', 'output': str(tmp_path), 'device': 'cpu', 'network': {'preset': 'tiny-r'},
        'data': {'train': [str(tmp_path / 'train')], 'labels': f'teacher={teacher}'},
        'stages': [{'height': 70, 'width': 84, 'steps': 2, 'lanes': 1, 'clip': 2}]})
    folder = RunFolder(tmp_path, 's')
    found = data.load_stage(config, config.stages[0], data.find_run_sequences(config.data), folder)
    assert used == [(teacher, 'cpu')]
    return found, folder


def test_the_teacher_of_a_run_needs_no_truth_and_makes_the_mean_map(stage):
    found, folder = stage
    assert [item.name for item in found.train.samples] == ['s0', 's1'] and not found.skipped
    assert all(item.usable.all() for item in found.train.samples)
    labels = np.stack([item.inverse_depth[::4].astype(np.float32)
                       for item in found.train.samples]).reshape(-1, 70, 84)
    standard = (labels - labels.mean((1, 2), keepdims=True)) / labels.std((1, 2), keepdims=True)
    mean_map = load_mean_maps(folder.mean_map)['car']
    expected = cv2.resize(standard.mean(0), mean_map.shape[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(mean_map, expected, atol=1e-3)


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


def test_a_teacher_says_nothing_of_what_the_lens_did_not_see(tmp_path):
    sequence = Sequence(write_sequence(tmp_path / 's', unknown=False,
                                       distortion=(0.2, 0.05, 0.0, 0.0, 0.0)))
    samples = load_samples(sequence, InputConfig(height=70, width=84), 70, 84)
    unknown = np.isnan(samples.inverse_depth)
    assert 0.1 < unknown.mean() < 0.3
    found = TeacherLabels(linear_teacher(tmp_path / 'teacher.safetensors', 1))(sequence, samples)
    np.testing.assert_array_equal(np.isnan(found.inverse_depth), unknown)
