# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of a training run, as read from config/training. Imports no torch."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
import os
from pathlib import Path
import re
from typing import Any

import yaml

from depth_anyevent_ros.distillation.loss_config import LossConfig
from depth_anyevent_ros.distillation.strict_mapping import (
    build, check_keys, ConfigError, load_yaml, override)
from depth_anyevent_ros.networks.config import (
    check_size, InputConfig, ModelConfig, network_preset, NetworkConfig)
from depth_anyevent_ros.networks.value_checks import choice, integer, number

BUNDLED = 'bundled'  # the student in models/, as a start
TEACHER = 'teacher='  # prefix of data.labels
OPTIMIZERS = 'adamw', 'muon'
SIDES = 'height', 'width'  # of the input, which the last stage says
# When a run is resumed.
MAY_DIFFER = ('output', 'threads', 'device', 'precision', 'save_every', 'data.processes')


@dataclass(frozen=True)
class DataConfig:
    """
    Which sequences, and what is learned from them.

    train, validation: sequence folders, or folders of them. labels: 'truth', what the sequences
    say, or 'teacher=FILE', what a checkpoint on RGB says about their pictures; validation is
    always against the truth. processes: how many load at once.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    labels: str = 'truth'
    processes: int = 1

    def __post_init__(self):
        for name in ('train', 'validation'):
            paths = getattr(self, name)
            paths = (paths,) if isinstance(paths, str) else paths
            if not isinstance(paths, (list, tuple)) or \
                    not all(isinstance(path, str) and path for path in paths):
                raise ConfigError(f'data.{name} must be a list of folders, not {paths!r:.80}.')
            # No shell has seen what stands in a file.
            object.__setattr__(self, name, tuple(map(os.path.expanduser, paths)))
        if not self.train:
            raise ConfigError('data.train must name one sequence or more.')
        if self.labels != 'truth' and not (isinstance(self.labels, str)
                                           and self.labels.startswith(TEACHER)
                                           and len(self.labels) > len(TEACHER)):
            raise ConfigError("data.labels must be 'truth' or 'teacher=FILE', "
                              f'not {self.labels!r:.80}.')
        integer('data.processes', self.processes, 1, 64)

    @property
    def teacher(self) -> str | None:
        """Return the teacher's checkpoint file, None for truth."""
        return self.labels[len(TEACHER):] if self.labels.startswith(TEACHER) else None


@dataclass(frozen=True)
class AugmentationConfig:
    """
    What is changed at random, once per visit of a lane to a sequence.

    flip: left and right. polarity_swap: ON and OFF. strides: every how many labels there is a
    frame. visit_frames: frames of one visit at most, 0 for the rest of the sequence. gain: of
    pictures, a factor between 1 - gain and 1 + gain. event_dropout: up to this share of the cells
    loses its events, as with a higher threshold. event_noise: in half of the visits up to this
    share of the cells shows an event of another cell, anew in each frame, as with a noisier
    sensor. zoom: up to this factor is zoomed in, anywhere.
    roll_deg: the camera is turned about its axis by up to this, either way, in half of the
    visits, which leaves depth as it is.
    standstill: this share of the visits stops once, for standstill_frames at most (or one clip),
    see `Visit`; where clips have one frame none does, since nothing could be learned from it.
    """

    flip: bool = True
    polarity_swap: bool = False
    strides: tuple[int, ...] = (1, 2)
    visit_frames: int = 48
    gain: float = 0.0
    event_dropout: float = 0.0
    event_noise: float = 0.0
    zoom: float = 1.0
    roll_deg: float = 0.0
    standstill: float = 0.0
    standstill_frames: int = 40

    def __post_init__(self):
        _booleans(self, 'augmentation', 'flip', 'polarity_swap')
        strides = [self.strides] if isinstance(self.strides, int) else self.strides
        if not isinstance(strides, (list, tuple)) or not strides:
            raise ConfigError(f'augmentation.strides must be a list of integers, not {strides!r}.')
        object.__setattr__(self, 'strides', tuple(
            integer('each of augmentation.strides', stride, 1, 100) for stride in strides))
        integer('augmentation.visit_frames', self.visit_frames, 0, 1_000_000)
        number('augmentation.gain', self.gain, 0, 0.9)
        number('augmentation.event_dropout', self.event_dropout, 0, 0.95)
        number('augmentation.event_noise', self.event_noise, 0, 0.95)
        number('augmentation.zoom', self.zoom, 1, 4)
        number('augmentation.roll_deg', self.roll_deg, 0, 180)
        number('augmentation.standstill', self.standstill, 0, 1)
        integer('augmentation.standstill_frames', self.standstill_frames, 1, 100_000)


@dataclass(frozen=True)
class OptimizerConfig:
    """
    The optimizer, its schedule, and the average of the weights.

    kind: one of OPTIMIZERS; with muon AdamW is left with what is no matrix. warmup_steps: the
    rate rises from 0 at the start of every stage. final_share: of the rate at the end of the run,
    which a cosine leads to. encoder_share: of the rate, for the encoder. clip_norm: of the
    gradient of all weights. ema_decay: of the exponential moving average that is validated and
    saved. only: what the names of the weights begin with that are trained, such as
    depth_head.holds.; '' trains all.
    """

    kind: str = 'adamw'
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.99
    warmup_steps: int = 100
    final_share: float = 0.02
    encoder_share: float = 1.0
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    only: str = ''

    def __post_init__(self):
        choice('optimizer.kind', self.kind, OPTIMIZERS)
        number('optimizer.weight_decay', self.weight_decay, 0, 10)
        number('optimizer.beta1', self.beta1, 0, 0.9999)
        number('optimizer.beta2', self.beta2, 0, 0.99999)
        integer('optimizer.warmup_steps', self.warmup_steps, 0, 10_000_000)
        number('optimizer.final_share', self.final_share, 0, 1)
        number('optimizer.encoder_share', self.encoder_share, 0, 10)
        number('optimizer.clip_norm', self.clip_norm, 1e-6, 1e6)
        number('optimizer.ema_decay', self.ema_decay, 0, 0.999999)
        if not isinstance(self.only, str):
            raise ConfigError(f'optimizer.only must be a text, not {self.only!r:.80}.')


@dataclass(frozen=True)
class ValidationConfig:
    """How often (steps), over how many frames of each sequence, every how many labels."""

    every: int = 250
    frames: int = 40
    stride: int = 2

    def __post_init__(self):
        integer('validation.every', self.every, 1, 10_000_000)
        integer('validation.frames', self.frames, 1, 1_000_000)
        integer('validation.stride', self.stride, 1, 100)


@dataclass(frozen=True)
class StageConfig:
    """
    A stretch of training at one size.

    height, width: pixels of the network's input, or about that area where the sensor has
    another shape. lanes: sequences side by side. clip: frames through which gradients go back.
    visit_frames: in place of augmentation.visit_frames, None for that.
    """

    height: int
    width: int
    steps: int
    lanes: int = 4
    clip: int = 6
    learning_rate: float = 5e-4
    visit_frames: int | None = None

    def __post_init__(self):
        check_size(self.height, self.width)
        integer('steps', self.steps, 1, 100_000_000)
        integer('lanes', self.lanes, 1, 4096)
        integer('clip', self.clip, 1, 4096)
        if self.visit_frames is not None:
            integer('visit_frames', self.visit_frames, 0, 1_000_000)
        number('learning_rate', self.learning_rate, 1e-8, 1)


@dataclass(frozen=True)
class TrainingConfig:
    """
    A run. network: with the preset's values filled in. input: its size is the last stage's.

    init: checkpoint to start from, `bundled` for the student in models/, '' for random weights.
    save_every: steps between states to resume from. threads: of torch on a CPU, 0 for its own
    choice.
    """

    name: str
    network: NetworkConfig
    input: InputConfig
    data: DataConfig
    stages: tuple[StageConfig, ...]
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    output: str = 'out/training'
    init: str = ''
    seed: int = 0
    threads: int = 0
    device: str = 'auto'
    precision: str = 'auto'
    save_every: int = 250

    def __post_init__(self):
        for name in ('name', 'output', 'init', 'device', 'precision'):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f'{name} must be a text, not {getattr(self, name)!r:.80}.')
        if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._-]{0,60}', self.name):
            raise ConfigError('name must be letters, digits, dots, dashes and underscores, not '
                              f'{self.name!r:.80}.')
        if not self.output:
            raise ConfigError('output must name a folder.')
        object.__setattr__(self, 'output', os.path.expanduser(self.output))
        integer('seed', self.seed, 0, 2 ** 31 - 1)
        integer('threads', self.threads, 0, 1024)
        integer('save_every', self.save_every, 1, 10_000_000)
        choice('precision', self.precision, ('auto', 'fp32', 'bf16', 'fp16'))
        if self.network.max_depth is not None:
            raise ConfigError('network.max_depth is set, but metric networks are not trained '
                              'here, only relative ones: leave it out.')
        pictures = self.input.representation == 'rgb'
        of_events = 'polarity_swap', 'event_dropout', 'event_noise', 'standstill'
        for name in of_events if pictures else ('gain',):
            if getattr(self.augmentation, name):
                raise ConfigError(
                    f'augmentation.{name} is for {"events" if pictures else "pictures"}, but the '
                    f'input is {self.input.representation}: leave it out.')
        if self.input.background != 'black':
            raise ConfigError('input.background must be black for training, not '
                              f'{self.input.background}: augmentation fills what it leaves out '
                              'with 0, which is black.')
        if self.data.teacher and self.loss.sky_below:
            raise ConfigError("loss.sky_below is in 1/m, but a teacher's labels have no unit: "
                              'leave it and loss.log out.')
        ModelConfig(self.name, self.network, self.input)

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def to_dict(self) -> dict:
        """Return plain values, which `training_config` reads back."""
        return _plain(asdict(self))


def read_yaml(path: str | Path) -> dict:
    """Return the keys with values in a YAML file; ConfigError, OSError."""
    try:
        values = load_yaml(Path(path).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path} is no YAML: {error}') from error
    if not isinstance(values, dict):
        raise ConfigError(f'{path} must hold keys with values.')
    return values


def read_training_config(path: str | Path, assignments: Iterable[str] = ()) -> TrainingConfig:
    """Return the configuration in a YAML file with assignments made; ConfigError, OSError."""
    return training_config(with_assignments(read_yaml(path), assignments))


def with_assignments(values: dict, assignments: Iterable[str]) -> dict:
    """
    Return a copy of the values of a file with assignments made, as by `override`.

    A preset that is assigned stands in place of all that the file says of the network, which in
    config.yaml of a run is every key, and what is assigned beside it goes before. Where stages
    are assigned, so does the size of the input. Raises ConfigError.
    """
    assignments = list(assignments)
    if any(assignment.startswith('network.preset=') for assignment in assignments):
        values = {**values, 'network': {}}
    return assigned(values, assignments)


def assigned(values: dict, assignments: list[str]) -> dict:
    """Return values as by `override`, without the input's size where stages are assigned."""
    shown = values.get('input')
    if isinstance(shown, Mapping) and any(a.startswith('stages') for a in assignments):
        shown = {key: value for key, value in shown.items() if key not in SIDES}
        values = {**values, 'input': shown}
    return override(values, assignments)


def training_config(values: Mapping[str, Any]) -> TrainingConfig:
    """
    Return the configuration of plain values.

    network: {preset: NAME, ...} takes the preset and changes what else is named. Channels follow
    the representation. Raises ConfigError.
    """
    values = dict(values)
    check_keys(values, [item.name for item in fields(TrainingConfig)])
    inputs = values.get('input', {})
    if not isinstance(inputs, Mapping):
        raise ConfigError(f'input must be keys with values, not {inputs!r:.80}.')
    inputs = {**inputs, **{side: _side(inputs, values.get('stages'), side) for side in SIDES}}
    input_config = build(InputConfig, inputs, 'input')
    values['input'] = asdict(input_config)
    values['network'] = _network(values.get('network', {}), input_config)
    return build(TrainingConfig, values)


def changed_keys(config: TrainingConfig, former: Mapping[str, Any]) -> list[str]:
    """
    Return the keys in which a run differs from what `to_dict` said, but for MAY_DIFFER.

    Those of sections are as of assignments, such as loss.gradient. former may come from an
    earlier version: what it does not name is as it was then.
    """
    before, now = (dict(_assignable(item.to_dict())) for item in (training_config(former), config))
    return [key for key, value in now.items() if key not in MAY_DIFFER and value != before[key]]


def _assignable(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield keys and values, those of a section each by its own."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f'{key}.{name}', item) for name, item in value.items())
        else:
            yield key, value


def _side(inputs: Mapping, stages, side: str):
    """Return the size of the input along one side, which the last stage says."""
    try:
        length = stages[-1][side]
    except (TypeError, LookupError) as error:
        raise ConfigError('stages must be a list of {height, width, steps, ...}, with one stage '
                          'or more.') from error
    if inputs.get(side, length) != length:
        raise ConfigError(f'input.{side} is {inputs[side]!r:.80}, but the last of the stages says '
                          f'{length!r:.80}, and stages say the size: leave input.{side} out.')
    return length


def _network(values, input_config: InputConfig) -> dict:
    if not isinstance(values, Mapping):
        raise ConfigError(f'network must be keys with values, not {values!r:.80}.')
    values = dict(values)
    names = [item.name for item in fields(NetworkConfig)]
    check_keys(values, ['preset', *names], 'network')
    preset = values.pop('preset', None)
    if preset is not None:
        try:
            values = {**asdict(network_preset(preset)), 'channels': input_config.channels,
                      **values}
        except ValueError as error:
            raise ConfigError(f'network.{error}') from error
    return {'channels': input_config.channels, **values}


def _booleans(config, where: str, *names: str) -> None:
    for name in names:
        if not isinstance(getattr(config, name), bool):
            raise ConfigError(f'{where}.{name} must be true or false, '
                              f'not {getattr(config, name)!r:.80}.')


def _plain(value):
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
