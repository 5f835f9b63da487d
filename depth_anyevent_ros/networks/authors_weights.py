# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of the authors of Depth AnyEvent: DepthAnyEvent and the recurrent DepthAnyEvent-R.

Weights have the keys of Depth Anything V2, and those of the recurrent blocks beside them. What
they mean is not in them: the settings, JSON with a `model` in it, lie under `config` in the same
file or in a config.json beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from depth_anyevent_ros.networks.config import (
    ENCODERS, IMAGENET_MEAN, IMAGENET_STD, InputConfig, ModelConfig, NetworkConfig, NETWORKS)
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.value_checks import choice, number, shown
from depth_anyevent_ros.networks.weights_check import (
    build_network, check_finite, check_shapes, CheckpointError, expected_shapes)

MODEL_TYPES = {'DAv2': 'DepthAnyEvent', 'RecDAv2': 'DepthAnyEvent-R'}
OWN_KEYS = ('gru_layer_', 'input_mapping.')  # parts of names that Depth Anything V2 has not
SIZE, WINDOW_MS = 518, 50.0  # where the settings do not say
# Depth by (activation, inv_prediction), as their forward pass has it: 1 / x, 1 - x, or x itself.
OUTPUTS = {('relu', True): 'inverse_depth', ('relu', False): 'depth',
           ('sigmoid', True): 'one_minus_depth', ('sigmoid', False): 'depth',
           ('softplus', True): 'depth', ('softplus', False): 'depth'}
ENCODER_NAMES = ('vits', 'vitb', 'vitl')


def are_authors_settings(settings: Any) -> bool:
    """Return whether this is a configuration of theirs, rather than that of another program."""
    if not isinstance(settings, dict) or not isinstance(settings.get('model'), dict):
        return False
    kind = settings['model'].get('model_type')
    return isinstance(kind, str) and kind in MODEL_TYPES


def refuse_without_settings(weights: Mapping[str, Tensor], name: str) -> None:
    """Raise CheckpointError for weights of theirs that came without their settings."""
    if any(part in key for key in weights for part in OWN_KEYS):
        raise CheckpointError(
            f'{name} is a DepthAnyEvent-R checkpoint of its authors without its settings '
            '(activation, inversion, sizes): they were expected under `config` in the file, or '
            'in a config.json beside it, with a `model` whose model_type is RecDAv2. Put the '
            'config.json that came with the weights into their folder.')


def load_authors(weights: Mapping[str, Tensor], settings: dict, name: str
                 ) -> tuple[ModelConfig, DepthNetwork]:
    """
    Return what the weights and their settings make; every key has to be there, and no other.

    Raises CheckpointError. Two weights of one shape that have changed places cannot be told.
    """
    try:
        config = _configuration(weights, settings, name)
    except ValueError as error:
        raise CheckpointError(f'The settings of {name} cannot be used: {error} They come with '
                              'the weights: take them as they were published.') from error
    check_shapes(name, expected_shapes(config.network),
                 {key: tuple(tensor.shape) for key, tensor in weights.items()})
    check_finite(name, weights)
    return config, build_network(config.network, weights)


def _configuration(weights: Mapping[str, Tensor], settings: dict, name: str) -> ModelConfig:
    model = settings['model']
    recurrent = model['model_type'] == 'RecDAv2'
    if model.get('input_channels', 3) != 3:
        raise ValueError(f'it takes {shown(model["input_channels"])} channels, and events are '
                         'given as the three of Tencode.')
    if _section(settings, 'trainer').get('use_logdepth'):
        raise ValueError('use_logdepth is true, so the weights give the logarithm of depth, '
                         'which is not read here.')
    encoder = model.get('encoder') or _encoder_of(weights)
    choice('encoder', encoder, ENCODER_NAMES)
    network = _network(model, encoder, recurrent)
    kind = MODEL_TYPES[model['model_type']]
    told = ', '.join(f'{key} {shown(value)}' for key, value in (
        ('name', settings.get('name')),
        ('dataset', _section(settings, 'data_loader').get('dataset'))) if value is not None)
    return ModelConfig(
        f'{kind}_{encoder}', network, _input(settings, model),
        {'trained_on': f'not recorded in the file ({kind} of its authors'
                       f'{"; settings: " + told if told else ""})'[:300],
         'licence_as_published': 'not stated', 'file': name})


def _network(model: dict, encoder: str, recurrent: bool) -> NetworkConfig:
    activation = model.get('activation', 'relu')
    choice('activation', activation, ('relu', 'sigmoid', 'softplus'))
    inverted = _flag(model, 'inv_prediction')
    network = replace(NETWORKS[encoder], align_corners=False, activation=activation,
                      output=OUTPUTS[activation, inverted],
                      depth_scale=model.get('scale_factor', 1.0))
    if not recurrent:
        return network
    cell = model.get('recurrent_block_type', 'convlstm')
    choice('recurrent_block_type', cell, ('convlstm', 'convgru'))
    return replace(network, recurrent_levels=(1, 2, 3, 4), recurrent_padding=0,
                   recurrent_cell=cell)


def _input(settings: dict, model: dict) -> InputConfig:
    seen = model.get('input_type', 'events')
    choice('input_type', seen, ('events', 'rgb'))
    size = {side: model.get(f'input_size_{side}', SIZE) for side in ('height', 'width')}
    if seen == 'rgb':
        return InputConfig('rgb', placement='resize', **size)
    loader = _section(settings, 'data_loader')
    slicing, events = _section(loader, 'slicing'), _section(loader, 'event_representation')
    choice('slicing_type', slicing.get('slicing_type', 'sbt'), ('sbt',))
    choice('representation_type', events.get('representation_type', 'tencode'), ('tencode',))
    if not _flag(events, 'normalize', True):
        raise ValueError('normalize is false, so the weights want values up to 255, which are '
                         'not given here.')
    window_ms = slicing.get('time_window_ms', WINDOW_MS)
    number('time_window_ms', window_ms, 0.1, 60_000)
    return InputConfig('tencode', window_ms, 'first_last', 'resize', **size, mean=IMAGENET_MEAN,
                       std=IMAGENET_STD,
                       background='white' if _flag(events, 'white_frame') else 'black')


def _section(settings: dict, name: str) -> dict:
    section = settings.get(name) or {}
    if not isinstance(section, dict):
        raise ValueError(f'{name} must be an object of named values, not {shown(section)}.')
    return section


def _flag(section: dict, name: str, usual: bool = False) -> bool:
    value = section.get(name, usual)
    if not isinstance(value, bool):
        raise ValueError(f'{name} must be true or false, not {shown(value)}.')
    return value


def _encoder_of(weights: Mapping[str, Tensor]) -> str:
    token = weights.get('pretrained.cls_token')
    width = token.shape[-1] if token is not None and token.dim() == 3 else None
    found = [name for name in ENCODER_NAMES if ENCODERS[name].width == width]
    if not found:
        raise ValueError('no encoder is named, and pretrained.cls_token does not tell it.')
    return found[0]
