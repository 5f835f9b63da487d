# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Configurations: presets, JSON and what is refused."""

from dataclasses import astuple, replace
import json
import subprocess
import sys

import pytest

from depth_anyevent_ros.networks.config import (
    check_size, ENCODERS, InputConfig, model_preset, ModelConfig, network_preset, NetworkConfig,
    NETWORKS, UNTRAINED)

TINY = NETWORKS['tiny']


def test_reading_a_configuration_needs_no_torch():
    code = ('import sys; import depth_anyevent_ros.networks.config; '
            'sys.exit("torch" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


@pytest.mark.parametrize('name', sorted(NETWORKS))
def test_json_round_trip(name):
    config = replace(model_preset(name), provenance={
        'trained_on': 'simulated scenes', 'steps': 1000, 'scenes': ['boxes', 'planes']})
    again = ModelConfig.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert isinstance(again.network.out_channels, tuple)
    assert isinstance(again.input.mean, tuple)


def test_encoders_and_heads_of_depth_anything_v2():
    table = {
        'vits': ((384, 12, 6, (2, 5, 8, 11)), 64, (48, 96, 192, 384)),
        'vitb': ((768, 12, 12, (2, 5, 8, 11)), 128, (96, 192, 384, 768)),
        'vitl': ((1024, 24, 16, (4, 11, 17, 23)), 256, (256, 512, 1024, 1024))}
    for name, (encoder, features, out_channels) in table.items():
        assert astuple(ENCODERS[name]) == (*encoder, ())  # without convolutions
        assert network_preset(name) == NetworkConfig(name, features, out_channels)


def test_presets_follow_the_paper():
    recurrent = network_preset('vits-r')
    assert recurrent.recurrent_levels == (1, 2, 3, 4)
    assert recurrent.recurrent_padding == 0
    assert not recurrent.align_corners
    assert network_preset('vits').align_corners
    assert network_preset('tiny-r').recurrent_levels == (2, 3, 4)
    assert network_preset('tiny-r').recurrent_padding == 1
    assert not network_preset('vitl').recurrent
    assert model_preset('vits-r').input.time_normalization == 'first_last'
    assert model_preset('tiny-r').input.placement == 'grid'
    assert model_preset('vits').input.representation == 'rgb'


def test_a_preset_is_untrained_until_said_otherwise():
    config = model_preset('tiny-r')
    assert config.trained_on == UNTRAINED
    assert not config.trained
    assert replace(config, provenance={'trained_on': 'simulated scenes'}).trained


def test_provenance_is_not_shared_with_the_caller():
    provenance = {'trained_on': 'simulated scenes'}
    config = replace(model_preset('tiny'), provenance=provenance)
    provenance['trained_on'] = 'something else'
    assert config.trained_on == 'simulated scenes'


@pytest.mark.parametrize('change, words', [
    ({'encoder': 'vitg'}, 'encoder must be one of vitt6, vitt6-hybrid, vits, vitb, vitl'),
    ({'features': 31}, 'even'),
    ({'features': 10**9}, 'from 2 to 1024'),
    ({'features': 10**400}, 'from 2 to 1024'),
    ({'features': True}, 'integer'),
    ({'features': 32.0}, 'integer'),
    ({'out_channels': (1, 2, 3)}, 'four integers'),
    ({'out_channels': (1, 2, 3, 10**6)}, 'from 1 to 4096'),
    ({'out_channels': 'abcd'}, 'list of integers'),
    ({'recurrent_levels': (0,)}, 'from 1 to 4'),
    ({'recurrent_levels': (3, 3)}, 'once'),
    ({'recurrent_padding': 2}, 'from 0 to 1'),
    ({'align_corners': 1}, 'true or false'),
    ({'recurrent_residual': 1}, 'true or false'),
    ({'recurrent_residual': True, 'recurrent_padding': 0}, 'needs recurrent_padding 1'),
    ({'activation': 'tanh'}, 'relu'),
    ({'max_depth': 20.0}, 'sigmoid'),
    ({'activation': 'sigmoid', 'max_depth': float('nan')}, 'number'),
    ({'activation': 'sigmoid', 'max_depth': -1}, 'number'),
])
def test_bad_network_values_are_refused_in_a_sentence(change, words):
    with pytest.raises(ValueError, match=words) as error:
        replace(TINY, **change)
    assert len(str(error.value)) < 300
    assert str(error.value).endswith('.')


@pytest.mark.parametrize('change, words', [
    ({'representation': 'frames'}, 'tencode, rgb, voxel'),
    ({'window_ms': 0}, 'window_ms'),
    ({'window_ms': float('inf')}, 'window_ms'),
    ({'time_normalization': 'none'}, 'window, first_last'),
    ({'placement': 'crop'}, 'grid, resize'),
    ({'height': 200}, 'multiple of 14 pixels, not 200: use 196 or 210'),
    ({'width': 14 * 10**6}, 'from 14 to 2800'),
    ({'width': 252.0}, 'integer'),
    ({'mean': (0.5, 0.5)}, 'list of 3'),
    ({'std': (0.2, 0.2, 0.0)}, 'std'),
    ({'cell_threshold': -0.1}, 'cell_threshold must be a number from 0 to 10'),
    ({'cell_threshold': float('nan')}, 'cell_threshold must be'),
    ({'cell_threshold': 0.1, 'placement': 'resize'}, 'set it to 0'),
    ({'cell_threshold': 0.1, 'time_normalization': 'first_last'}, "time_normalization 'window'"),
    ({'cell_threshold': 0.1, 'representation': 'voxel'}, "the representation 'tencode'"),
])
def test_bad_input_values_are_refused_in_a_sentence(change, words):
    with pytest.raises(ValueError, match=words):
        replace(InputConfig(), **change)


@pytest.mark.parametrize('change, words', [
    ({'name': ''}, 'name'),
    ({'name': 'two\nlines'}, 'name'),
    ({'network': {}}, 'NetworkConfig'),
    ({'provenance': {}}, 'trained_on'),
    ({'provenance': {'trained_on': ' '}}, 'trained_on'),
    ({'provenance': {'trained_on': 'x', 'loss': float('nan')}}, 'JSON'),
    ({'provenance': {'trained_on': 'x', 'when': object()}}, 'JSON'),
    ({'provenance': 'x'}, 'dict'),
])
def test_bad_model_values_are_refused_in_a_sentence(change, words):
    with pytest.raises(ValueError, match=words):
        replace(model_preset('tiny'), **change)


def edited(change):
    values = json.loads(model_preset('tiny-r').to_json())
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize('text, words', [
    ('', 'not JSON'),
    ('[' * 100_000, 'not JSON'),
    ('[]', 'object of named values, not list'),
    ('{}', 'lacks keys input, name, network, provenance'),
    (edited(lambda v: v.update(extra=1)), 'unknown keys extra; expected'),
    (edited(lambda v: v['network'].update(dropout=0.1)), 'unknown keys dropout'),
    (edited(lambda v: v['network'].pop('activation')), 'lacks keys activation'),
    (edited(lambda v: v['input'].update(std=None)), 'std must be a list'),
    (edited(lambda v: v.update(input='x')), 'input must be an object'),
    (edited(lambda v: v['network'].update(encoder=['vits'])), 'encoder must be one of'),
])
def test_bad_json_is_refused_in_a_sentence(text, words):
    with pytest.raises(ValueError, match=words):
        ModelConfig.from_json(text)


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(ValueError, match="tiny-r, not 'vith'"):
        model_preset('vith')


@pytest.mark.parametrize('size', [(14, 14), (70, 70), (196, 252), (2800, 2800)])
def test_sizes_of_whole_patches_pass(size):
    check_size(*size)
    assert NetworkConfig('vits', 64, [48, 96, 192, 384]) == NETWORKS['vits']
