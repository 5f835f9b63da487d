# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a depth network, its input and a whole model are made of. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
import json
from types import MappingProxyType
from typing import Any, Mapping

from depth_anyevent_ros.networks.value_checks import (
    choice, integer, integers, number, numbers, shown)

PATCH = 14  # pixels, side of a DINOv2 patch
MAX_SIDE = 2800  # pixels, twice the longer side of the largest event cameras
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHANNELS: Mapping[str, int] = MappingProxyType({'tencode': 3, 'rgb': 3, 'voxel': 5})
ACTIVATIONS = ('relu', 'sigmoid', 'softplus', 'none')
OUTPUTS = ('inverse_depth', 'depth', 'one_minus_depth')
CELLS = ('convlstm', 'convgru')
BACKGROUNDS = ('black', 'white')
MOST_CELL_THRESHOLD = 10.0
LATER = {'later': True}  # keys that files of the first version may lack
UNTRAINED = 'nothing (random weights)'


def check_size(height: int, width: int) -> None:
    """Raise ValueError unless height and width, in pixels, can be cut into patches."""
    for name, value in (('height', height), ('width', width)):
        integer(name, value, PATCH, MAX_SIDE)
        if value % PATCH:
            lower = value // PATCH * PATCH
            raise ValueError(f'{name} must be a multiple of {PATCH} pixels, not {value}: '
                             f'use {lower} or {lower + PATCH}.')


@dataclass(frozen=True)
class EncoderConfig:
    """
    A vision transformer: token width, number of blocks, heads, tapped blocks (from 0).

    stages: channels of the convolutions before it, at 7, 4 and 2 times the patch grid, the last
    two of which are tapped too; () for none, as in DINOv2.
    """

    width: int
    depth: int
    heads: int
    taps: tuple[int, ...]
    stages: tuple[int, ...] = ()

    @property
    def map_widths(self) -> tuple[int, ...]:
        """Channels of the four maps that the encoder gives to the head, finest first."""
        return (*self.stages[1:], *(self.width for _ in self.taps))


# vits, vitb and vitl are DINOv2's. vitt6 is ViT-Ti cut to 6 blocks, for CPUs; its taps end
# each quarter of the blocks, as those of vits do. With convolutions before it, it learns from
# scratch in a fraction of the time (DPT-Hybrid, Ranftl et al., 2021; Xiao et al., Early
# Convolutions Help Transformers See Better, 2021).
ENCODERS: Mapping[str, EncoderConfig] = MappingProxyType({
    'vitt6': EncoderConfig(192, 6, 3, (1, 2, 4, 5)),
    'vitt6-hybrid': EncoderConfig(192, 6, 3, (2, 5), stages=(24, 48, 64)),
    'vits': EncoderConfig(384, 12, 6, (2, 5, 8, 11)),
    'vitb': EncoderConfig(768, 12, 12, (2, 5, 8, 11)),
    'vitl': EncoderConfig(1024, 24, 16, (4, 11, 17, 23)),
})


@dataclass(frozen=True)
class NetworkConfig:
    """
    The architecture of a `DepthNetwork`.

    encoder: a name in `ENCODERS`.
    channels: of the input, 3 for Tencode and RGB, 5 for a voxel grid.
    features: channels of the head's fusion path, even.
    out_channels: channels of the four reassembled maps, finest first.
    recurrent_levels: DPT scales with a ConvLSTM block, 1 (finest) to 4 (coarsest); () is the
        vanilla network.
    recurrent_padding: padding of the convolution before each ConvLSTM. 0 as in
        DepthAnyEvent-R, which takes 2 pixels off each map; 1 keeps the size of small maps.
    bound_levels: each place of a level is scaled down to a root mean square below 1. Without
        that the levels of a network from scratch grow until the gates of its ConvLSTMs are shut.
    recurrent_residual: the hidden state is added to the level rather than put in its place, so
        that what the frame shows need not pass through the gates. Needs the padding 1.
    align_corners: of the last resize, to the input's size. True in Depth Anything V2, False
        in DepthAnyEvent and DepthAnyEvent-R. The resizes between scales always align corners.
    activation: of the output, one of `ACTIVATIONS`.
    output: what the activation gives: inverse depth, depth, or what is left of 1 by depth. The
        network's own output is inverse depth whatever this is.
    depth_scale: by which depth is multiplied.
    recurrent_cell: one of `CELLS`.
    noise_filter: an event is seen where one of the eight cells around has one within this part of
        the window, see noise_filter.py; 0 sees all. For a Tencode in cells, on black. Training
        filters what augmentation has made, whose zoom shows lone events twice, side by side.
    hold: whether gates hold levels and memory where nothing moves, see holding.py.
    max_depth: metres. None for relative inverse depth. Set for the metric variants of Depth
        Anything V2, whose sigmoid times max_depth is depth.

    Raises ValueError, in a sentence, for a value out of range.
    """

    encoder: str
    features: int
    out_channels: tuple[int, int, int, int]
    recurrent_levels: tuple[int, ...] = ()
    recurrent_padding: int = 0
    bound_levels: bool = False
    recurrent_residual: bool = False
    align_corners: bool = True
    activation: str = 'relu'
    max_depth: float | None = None
    channels: int = 3
    output: str = field(default='inverse_depth', metadata=LATER)
    depth_scale: float = field(default=1.0, metadata=LATER)
    recurrent_cell: str = field(default='convlstm', metadata=LATER)
    noise_filter: float = field(default=0.0, metadata=LATER)
    hold: bool = field(default=False, metadata=LATER)

    def __post_init__(self):
        choice('encoder', self.encoder, ENCODERS)
        integer('channels', self.channels, 1, 64)
        integer('features', self.features, 2, 1024)
        if self.features % 2:
            raise ValueError(f'features must be even, not {self.features}.')
        out_channels = integers('out_channels', self.out_channels, 1, 4096)
        if len(out_channels) != 4:
            raise ValueError(f'out_channels must be four integers, not {out_channels}.')
        levels = tuple(sorted(integers('recurrent_levels', self.recurrent_levels, 1, 4)))
        if len(set(levels)) != len(levels):
            raise ValueError(f'recurrent_levels must name each level once, not {levels}.')
        object.__setattr__(self, 'out_channels', out_channels)
        object.__setattr__(self, 'recurrent_levels', levels)
        integer('recurrent_padding', self.recurrent_padding, 0, 1)
        for name in ('bound_levels', 'recurrent_residual', 'align_corners', 'hold'):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f'{name} must be true or false, '
                                 f'not {shown(getattr(self, name))}.')
        if self.recurrent_residual and not self.recurrent_padding:
            raise ValueError('recurrent_residual needs recurrent_padding 1, since without it the '
                             'hidden state is smaller than the level.')
        choice('activation', self.activation, ACTIVATIONS)
        choice('output', self.output, OUTPUTS)
        choice('recurrent_cell', self.recurrent_cell, CELLS)
        number('depth_scale', self.depth_scale, 1e-3, 1e3)
        number('noise_filter', self.noise_filter, 0, 1)
        if self.output == 'one_minus_depth' and self.activation != 'sigmoid':
            raise ValueError('output one_minus_depth goes with the activation sigmoid, not with '
                             f'{self.activation}.')
        if self.max_depth is not None:
            number('max_depth', self.max_depth, 0.1, 1e4)
            if self.activation != 'sigmoid':
                raise ValueError('max_depth goes with the activation sigmoid, not with '
                                 f'{self.activation}: leave max_depth out, or use sigmoid.')

    @property
    def recurrent(self) -> bool:
        """Whether the network carries a state from frame to frame."""
        return bool(self.recurrent_levels) or self.hold


@dataclass(frozen=True)
class InputConfig:
    """
    What the network was trained to see, and so has to be given.

    representation: 'tencode' (events), 'rgb', or 'voxel' (events, as a voxel grid of 5 bins).
    window_ms: length of an event window in milliseconds.
    time_normalization: of Tencode's green channel: by the bounds of the 'window', or by its
        first and last event ('first_last', as the authors of DepthAnyEvent).
    placement: 'grid' puts events straight into the cells of the network's input; 'resize'
        draws at sensor size and resizes.
    height, width: nominal input size in pixels, multiples of 14; for 'grid' their product is
        the area that sensors of another shape get, for 'resize' they are what its sides have
        at least.
    background: of Tencode, what a place without an event is, 'black' (0) or 'white' (1).
    cell_threshold: above 0, each cell of a 'grid' is one large pixel, which has an event when its
        pixels together have had so many more events of one polarity, times their number, than of
        the other since its last one; 0: each event of a pixel is one of its cell.
    mean, std: per channel, applied to values in [0, 1]. Empty: ImageNet's, and 0 and 1 for
        a voxel grid, which is standardised by itself.

    Raises ValueError, in a sentence, for a value out of range.
    """

    representation: str = 'tencode'
    window_ms: float = 50.0
    time_normalization: str = 'window'
    placement: str = 'grid'
    height: int = 196
    width: int = 252
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    background: str = field(default='black', metadata=LATER)
    cell_threshold: float = field(default=0.0, metadata=LATER)

    def __post_init__(self):
        choice('representation', self.representation, CHANNELS)
        number('window_ms', self.window_ms, 0.1, 60_000)
        choice('time_normalization', self.time_normalization, ('window', 'first_last'))
        choice('placement', self.placement, ('grid', 'resize'))
        choice('background', self.background, BACKGROUNDS)
        check_size(self.height, self.width)
        number('cell_threshold', self.cell_threshold, 0, MOST_CELL_THRESHOLD)
        if self.cell_threshold and (self.representation, self.placement,
                                    self.time_normalization) != ('tencode', 'grid', 'window'):
            raise ValueError("cell_threshold needs the representation 'tencode', the placement "
                             "'grid' and the time_normalization 'window', since it is of the "
                             "cells of the network's input: set it to 0, or the others so.")
        voxel, channels = self.representation == 'voxel', CHANNELS[self.representation]
        for name, usual, low in (('mean', (0.0,) * channels if voxel else IMAGENET_MEAN, -10),
                                 ('std', (1.0,) * channels if voxel else IMAGENET_STD, 1e-3)):
            given = getattr(self, name)
            object.__setattr__(self, name, numbers(name, usual if given in ((), []) else given,
                                                   channels, low, 10))

    @property
    def channels(self) -> int:
        """How many channels the network is given."""
        return CHANNELS[self.representation]


@dataclass(frozen=True)
class ModelConfig:
    """
    All that a checkpoint says about itself.

    provenance: JSON values by name, with at least `trained_on`, a sentence on the data; it is
    `UNTRAINED` for random weights.

    Raises ValueError, in a sentence, for a bad value.
    """

    name: str
    network: NetworkConfig
    input: InputConfig
    provenance: Mapping[str, Any] = field(default_factory=lambda: {'trained_on': UNTRAINED})

    def __post_init__(self):
        if not (isinstance(self.name, str) and 0 < len(self.name) <= 100
                and self.name.isprintable()):
            raise ValueError('name must be 1 to 100 printable characters, '
                             f'not {shown(self.name)}.')
        for name, kind in (('network', NetworkConfig), ('input', InputConfig)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f'{name} must be a {kind.__name__}, '
                                 f'not {type(getattr(self, name)).__name__}.')
        if self.network.channels != self.input.channels:
            raise ValueError(f'The network takes {self.network.channels} channels, but '
                             f'{self.input.representation} has {self.input.channels}: set '
                             f'network.channels to {self.input.channels}.')
        cells = (self.input.representation, self.input.placement, self.input.background,
                 self.input.time_normalization) == ('tencode', 'grid', 'black', 'window')
        if self.network.noise_filter and not (
                cells and not any(self.input.mean) and len(set(self.input.std)) == 1):
            raise ValueError('network.noise_filter needs a Tencode on a black grid, with times by '
                             'the window, the mean 0 and one std for all channels: it looks for '
                             'what is not 0, and at how old it is.')
        object.__setattr__(self, 'provenance', _provenance(self.provenance))

    @property
    def trained_on(self) -> str:
        """What the weights were trained on, in words."""
        return self.provenance['trained_on']

    @property
    def trained(self) -> bool:
        """False for random weights."""
        return self.trained_on != UNTRAINED

    def to_json(self) -> str:
        """Return the configuration as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read `to_json`'s text; ValueError for missing or unknown keys and bad values."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'The model configuration is not JSON: {error}.') from error
        values = _keys_of(cls, values, 'model configuration')
        values['network'] = NetworkConfig(**_keys_of(NetworkConfig, values['network'], 'network'))
        values['input'] = InputConfig(**_keys_of(InputConfig, values['input'], 'input'))
        return cls(**values)


_TINY = {'encoder': 'vitt6-hybrid', 'features': 32, 'out_channels': (24, 48, 96, 192),
         'bound_levels': True, 'align_corners': False, 'activation': 'softplus'}
_VITS = {'encoder': 'vits', 'features': 64, 'out_channels': (48, 96, 192, 384)}

# The tiny students end in a softplus: a ReLU gives exact zeros, which are infinitely far once
# inverted and have no gradient to leave zero by.
NETWORKS: Mapping[str, NetworkConfig] = MappingProxyType({
    'vits': NetworkConfig(**_VITS),
    'vitb': NetworkConfig('vitb', 128, (96, 192, 384, 768)),
    'vitl': NetworkConfig('vitl', 256, (256, 512, 1024, 1024)),
    'vits-r': NetworkConfig(**_VITS, recurrent_levels=(1, 2, 3, 4), align_corners=False),
    'tiny': NetworkConfig(**_TINY),
    'tiny-r': NetworkConfig(**_TINY, recurrent_levels=(2, 3, 4), recurrent_padding=1,
                            recurrent_residual=True),
})

_RGB = InputConfig('rgb', placement='resize', height=518, width=518)
# An empty cell is 0: with the mean of pictures it would be -2, and all tokens much alike.
_TENCODE = InputConfig(mean=(0.0, 0.0, 0.0), std=(0.35, 0.35, 0.35))
_INPUTS = {
    'vits': _RGB, 'vitb': _RGB, 'vitl': _RGB,
    'vits-r': InputConfig(time_normalization='first_last', placement='resize', height=266,
                          width=350),
    'tiny': _TENCODE, 'tiny-r': _TENCODE,
}


def network_preset(name: str) -> NetworkConfig:
    """Return the network called `name` in `NETWORKS`; ValueError if there is none."""
    choice('preset', name, NETWORKS)
    return NETWORKS[name]


def model_preset(name: str) -> ModelConfig:
    """Return preset `name` with the input it is meant for, described as untrained."""
    return ModelConfig(name, network_preset(name), _INPUTS[name])


def _keys_of(cls, values, where: str) -> dict:
    """Return `values` as a dict with the fields of dataclass `cls`; later ones may lack."""
    if not isinstance(values, dict):
        raise ValueError(f'{where} must be an object of named values, '
                         f'not {type(values).__name__}.')
    names = {item.name for item in fields(cls)}
    later = {item.name for item in fields(cls) if item.metadata.get('later')}
    for problem, keys in (('lacks', names - later - set(values)),
                          ('has unknown', set(values) - names)):
        if keys:
            raise ValueError(f'The {where} {problem} keys {", ".join(sorted(keys)[:5])[:200]}; '
                             f'expected {", ".join(sorted(names))}. '
                             'It may come from another version of this package.')
    return dict(values)


def _provenance(values) -> dict:
    """Return a copy of `values` as it comes back from JSON, so that nobody shares it."""
    if not isinstance(values, Mapping):
        raise ValueError(f'provenance must be a dict, not {type(values).__name__}.')
    try:
        copy = json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'provenance must hold JSON values only: {error}.') from error
    if not isinstance(copy.get('trained_on'), str) or not copy['trained_on'].strip():
        raise ValueError('provenance must have a text trained_on that says what the weights '
                         f'were trained on, not {shown(copy.get("trained_on"))}.')
    return copy
