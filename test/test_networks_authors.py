# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of the authors of Depth AnyEvent, by random weights under the published keys.

No published file was at hand; what they compute is in authors_reference.py.
"""
import io
import json

from authors_reference import random_weights, Reference
from checkpoint_refusal import refusal
from evt3_words import packet, plain_decode, random_words
import numpy as np
import pytest
from test_networks_transformers import relative_error, resized_positions
import torch

from depth_anyevent_ros.depth_estimator import DepthEstimator, WindowSettings
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.tencode import tencode
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.networks.authors_weights import load_authors
from depth_anyevent_ros.networks.checkpoint import (
    Checkpoint, checkpoint_bytes, CheckpointError, load_checkpoint, load_checkpoint_bytes)
from depth_anyevent_ros.networks.config import InputConfig
from depth_anyevent_ros.networks.input_size import input_size, representation_for
from depth_anyevent_ros.networks.runtime import TorchRuntime

MODEL = {'model_type': 'RecDAv2', 'encoder': 'vits', 'activation': 'relu', 'scale_factor': 1.0,
         'inv_prediction': True, 'input_size_width': 350, 'input_size_height': 266,
         'freeze_encoder': False, 'input_channels': 3, 'recurrent_block_type': 'convlstm'}
EVENTS = {'representation_type': 'tencode', 'normalize': True}
SETTINGS = {'name': 'distilled', 'model': MODEL,
            'data_loader': {'dataset': 'mvsec', 'event_representation': EVENTS,
                            'slicing': {'slicing_type': 'sbt', 'time_window_ms': 50}},
            'trainer': {'clip_distance': 80, 'use_scaleshift': True}}


@pytest.fixture(scope='module')
def weights():
    return random_weights(recurrent=True)


def settings(events=EVENTS, **model):
    return {**SETTINGS, 'model': {**MODEL, **model},
            'data_loader': {**SETTINGS['data_loader'], 'event_representation': events}}


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load(weights, **model):
    config, network = load_authors(weights, settings(**model), 'NAME.pth')
    return Checkpoint(config, network, 'none', 'NAME.pth')


def refused(weights, config):
    with pytest.raises(CheckpointError) as error:
        load_authors(weights, config, 'NAME.pth')
    message = str(error.value)
    assert 'NAME.pth' in message and message.endswith('.')
    return message


def compare(checkpoint, reference, size, frames=2):
    """Run both over a sequence; return the worst difference over the range of the output."""
    reference.encoder.embeddings.interpolate_pos_encoding = \
        lambda *_: resized_positions(reference.w['pretrained.pos_embed'], size[0] // 14,
                                     size[1] // 14)
    runtime, worst = TorchRuntime(checkpoint, 'cpu'), 0.0
    rng = np.random.default_rng(0)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for _ in range(frames):
        image = rng.random((3, *size), np.float32) * (rng.random(size) < 0.3)
        image = image.astype(np.float32)
        depth = reference(torch.from_numpy((image - mean) / std)[None])
        expected = 1 / (depth + 1e-6)
        assert expected.std() > 0.01 * expected.max() > 0
        worst = max(worst, relative_error(torch.from_numpy(runtime.infer(image)), expected))
    return worst


@pytest.mark.parametrize('size', [(266, 350), (322, 644)])
def test_recurrent_depth_is_that_of_the_architecture(weights, size):
    checkpoint = load(weights, input_size_height=size[0], input_size_width=size[1])
    assert checkpoint.config.name == 'DepthAnyEvent-R_vits'
    reference = Reference(weights)
    # 1 / (1 / (x + 1e-6) + 1e-6) is x but for some millionths of it.
    assert compare(checkpoint, reference, size) < 2e-4


@pytest.mark.parametrize('activation, inverted, scale', [
    ('sigmoid', True, 1.0), ('sigmoid', False, 2.0),
    ('softplus', True, 1.0), ('softplus', False, 0.5), ('relu', True, 4.0)])
def test_activations_inversion_and_scale(weights, activation, inverted, scale):
    checkpoint = load(weights, activation=activation, inv_prediction=inverted,
                      scale_factor=scale, recurrent_block_type='convlstm')
    reference = Reference(weights, activation, inverted, scale)
    assert compare(checkpoint, reference, (126, 154)) < 1e-3


def test_depth_of_zero_stays_finite(weights):
    runtime = TorchRuntime(load(weights, inv_prediction=False), 'cpu')
    found = runtime.infer(np.zeros((3, 126, 154), np.float32))
    assert np.isfinite(found).all() and found.max() <= 1.001e6 and runtime.non_finite == 0


def test_the_vanilla_student():
    weights = random_weights(recurrent=False, seed=1)
    checkpoint = load(weights, model_type='DAv2')
    assert checkpoint.config.name == 'DepthAnyEvent_vits'
    assert not checkpoint.config.network.recurrent
    assert compare(checkpoint, Reference(weights, recurrent=False), (266, 350), 1) < 2e-4


def test_gated_recurrent_units_and_their_state():
    weights = random_weights(recurrent=True, cell='convgru', seed=2)
    checkpoint = load(weights, recurrent_block_type='convgru')
    assert compare(checkpoint, Reference(weights, cell='convgru'), (126, 154)) < 1e-3
    # As a file of this package it is the same but for half precision.
    again = load_checkpoint_bytes(checkpoint_bytes(checkpoint.network, checkpoint.config), 'x')
    assert again.config == checkpoint.config


@pytest.mark.parametrize('kind', ['bare', 'state_dict', 'module.', 'half', 'old format'])
def test_forms_of_the_file(weights, kind, tmp_path):
    content = {'bare': weights, 'state_dict': {'state_dict': weights, 'epoch': 7},
               'module.': {f'module.{key}': value for key, value in weights.items()},
               'half': {key: value.half() for key, value in weights.items()},
               'old format': weights}[kind]
    path = tmp_path / 'NAME.pth'
    torch.save(content, path, _use_new_zipfile_serialization=kind != 'old format')
    (tmp_path / 'config.json').write_text(json.dumps(SETTINGS))
    checkpoint = load_checkpoint(path)
    config = checkpoint.config
    assert config.network.recurrent_levels == (1, 2, 3, 4) and not config.network.align_corners
    assert config.input == InputConfig('tencode', 50.0, 'first_last', 'resize', 266, 350)
    assert 'dataset \'mvsec\'' in config.trained_on and checkpoint.trained
    assert config.provenance['licence_as_published'] == 'not stated'
    key = 'depth_head.gru_layer_3.recurrent_block.Gates.bias'
    found = checkpoint.network.state_dict()[key]
    assert torch.allclose(found, weights[key], atol=1e-3 if kind == 'half' else 0)


def test_settings_in_the_file_decide_over_those_beside_it(weights, tmp_path):
    path = tmp_path / 'NAME.pth'
    torch.save({'state_dict': weights, 'config': settings(activation='softplus')}, path)
    (tmp_path / 'config.json').write_text(json.dumps(SETTINGS))
    assert load_checkpoint(path).config.network.activation == 'softplus'


@pytest.mark.parametrize('config', [
    '{"model_type": "depth_anything", "model": "x"}', '{"model": {"model_type": ["DAv2"]}}'])
def test_the_config_of_another_program_is_not_theirs(tmp_path, config):
    path = tmp_path / 'depth_anything_v2_vits.pth'
    torch.save(random_weights(recurrent=False), path)
    (tmp_path / 'config.json').write_text(config)
    assert load_checkpoint(path).config.input.representation == 'rgb'


@pytest.mark.parametrize('content', [
    json.dumps(SETTINGS)[:-20].encode(), b'', b'\xff\xfe{}', b'[' * 100_000,
    b' ' * (1 << 20) + b'{}', None])
def test_settings_that_are_damaged_are_told(tmp_path, content):
    path = tmp_path / 'NAME.pth'
    torch.save(random_weights(recurrent=False), path)
    if content is None:
        (tmp_path / 'config.json').mkdir()
    else:
        (tmp_path / 'config.json').write_bytes(content)
    with pytest.raises(CheckpointError, match='config.json.*beside NAME.pth.*cannot be read'):
        load_checkpoint(path)


@pytest.mark.parametrize('model, words', [
    ({'encoder': 'vitg'}, 'encoder'), ({'encoder': 'vitb'}, 'do not fit'),
    ({'activation': 'tanh'}, 'activation'), ({'inv_prediction': 'yes'}, 'inv_prediction'),
    ({'scale_factor': 0}, 'depth_scale'), ({'recurrent_block_type': 'convrnn'}, 'convrnn'),
    ({'recurrent_block_type': 'convgru'}, 'recurrent_block.reset_gate.weight'),
    ({'input_channels': 5}, '5 channels'), ({'input_size_width': 351}, 'multiple of 14'),
    ({'input_type': 'frames'}, 'input_type'), ({'model_type': 'DAv2'}, 'unexpected'),
    ({'events': {'representation_type': 'voxel'}}, 'voxel'),
    ({'events': {'normalize': False}}, 'normalize'), ({'events': 3}, 'event_representation'),
    ({'events': {'white_frame': 1}}, 'white_frame')])
def test_settings_that_cannot_be_used_are_refused(weights, model, words):
    assert words in refused(weights, settings(**model))


def test_logarithmic_depth_is_refused(weights):
    assert 'logarithm' in refused(weights, {**SETTINGS, 'trainer': {'use_logdepth': True}})


@pytest.mark.parametrize('config', [None, {}, {'model': {'model_type': 'E2Depth'}}])
def test_recurrent_weights_without_settings_are_refused(weights, config):
    few = {key: value for key, value in weights.items() if 'gru_layer_1' in key}
    assert 'config.json' in refusal(saved({'state_dict': few, 'config': config}))


def damaged(weights, kind):
    changed = dict(weights)
    first, second = (f'depth_head.gru_layer_1.{name}.weight' for name in (
        'conv.conv2d', 'recurrent_block.Gates'))
    if kind == 'missing':
        del changed[first]
    elif kind == 'extra':
        changed['depth_head.gru_layer_5.conv.conv2d.weight'] = changed[first]
    elif kind == 'swapped':
        changed[first], changed[second] = changed[second], changed[first]
    elif kind == 'nan':
        changed[second] = changed[second].clone()
        changed[second][0, 0, 0, 0] = float('nan')
    elif kind == 'mapping':
        changed['input_mapping.0.weight'] = torch.zeros(16, 5, 3, 3)
    return changed


@pytest.mark.parametrize('kind, words', [
    ('missing', '1 missing (depth_head.gru_layer_1.conv.conv2d.weight)'),
    ('extra', '1 unexpected (depth_head.gru_layer_5'), ('swapped', '2 mis-shaped'),
    ('nan', 'Gates.weight'), ('mapping', '1 unexpected (input_mapping.0.weight)')])
def test_damaged_weights_are_refused_by_their_key(weights, kind, words):
    assert words in refused(damaged(weights, kind), SETTINGS)


def test_a_stream_is_drawn_as_the_authors_draw_it(weights):
    checkpoint = load(weights, events={**EVENTS, 'white_frame': True})
    assert checkpoint.config.input.background == 'white'
    estimator = DepthEstimator(checkpoint, WindowSettings(), device='cpu')
    windows = list(estimator.push(packet(random_words(3, 6000))))
    assert windows and windows[0].image.shape == (3, 266, 350)
    depth = estimator.infer(windows[0])
    assert depth.shape == (266, 350) and np.isfinite(depth).all()


def test_a_white_background_is_one_where_there_is_no_event():
    words = random_words(4, 3000)
    pipeline = EventPipeline(
        lambda width, height: Representation(height, width, 'grid', 'first_last', 'white'),
        TimeWindows(20_000_000, 20_000_000, 10**9))
    events = plain_decode(words, 64, 48)
    for window in pipeline.push(packet(words)):
        inside = (events.t >= window.t_start) & (events.t < window.t_end)
        part = Events(*(getattr(events, name)[inside] for name in 'txyp'))
        expected = tencode(part, 64, 48, int(part.t[0]), int(part.t[-1]))
        empty = np.ones((48, 64), bool)
        empty[part.y, part.x] = False
        expected[:, empty] = 1
        np.testing.assert_allclose(window.image, expected, atol=1e-6)


@pytest.mark.parametrize('least, sensor, expected', [
    ((266, 350), (346, 260), (266, 350)), ((322, 644), (640, 320), (322, 644)),
    ((266, 350), (1280, 720), (266, 476)), ((266, 350), (640, 480), (266, 350)),
    ((322, 644), (640, 480), (490, 644)), ((518, 518), (1280, 720), (518, 924))])
def test_inputs_keep_the_shape_of_the_sensor(least, sensor, expected):
    config = InputConfig(placement='resize', height=least[0], width=least[1])
    found = representation_for(config, *sensor)
    assert (found.height, found.width) == expected
    # Pictures too, as Depth Anything V2 does.
    assert input_size(InputConfig('rgb', height=least[0], width=least[1]), *sensor) == expected
