# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a stage of a run trains and validates on."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from depth_anyevent_ros.datasets.sequences import find_sequences, Sequence, SequenceError
from depth_anyevent_ros.distillation.lanes import check_clip
from depth_anyevent_ros.distillation.proxy_labels import TeacherLabels
from depth_anyevent_ros.distillation.run_folder import RunFolder
from depth_anyevent_ros.distillation.sample_sets import (
    load_sample_set, Map, SampleSet, workers)
from depth_anyevent_ros.distillation.strict_mapping import ConfigError
from depth_anyevent_ros.distillation.training_config import DataConfig, StageConfig, TrainingConfig
from depth_anyevent_ros.distillation.training_state import writing
from depth_anyevent_ros.distillation.validation import check_one_kind, Validator
from depth_anyevent_ros.evaluation.baselines import (
    label_sums, load_mean_maps, mean_maps, save_mean_maps, teacher_sums)

MOST_NAMED = 5  # sequences in a sentence


@dataclass(frozen=True)
class RunSequences:
    """Folders of the sequences of a run; validation may be empty."""

    train: list[Path]
    validation: list[Path]


@dataclass(frozen=True)
class StageData:
    """
    Samples at the size of a stage.

    validator: None without validation sequences.
    """

    train: SampleSet
    validator: Validator | None

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Training sequences that could not be used, (path, reason)."""
        return self.train.skipped

    @property
    def sequences(self) -> list[list]:
        """Names and numbers of labels of the training sequences, in order, as JSON values."""
        return [[item.name, len(item)] for item in self.train.samples]


def find_run_sequences(config: DataConfig) -> RunSequences:
    """
    Find the sequences of a run.

    Raises SequenceError where a path names none, ConfigError where those of validation have
    labels of different kinds.
    """
    found = RunSequences(find_sequences(config.train), find_sequences(config.validation))
    both = {path.resolve() for path in found.train} & {path.resolve()
                                                       for path in found.validation}
    if both:
        tqdm.write(f'{len(both)} sequences are both trained on and validated on: the validation '
                   'error says nothing about other sequences.')
    check_one_kind(_kinds(found.validation))
    return found


def _kinds(paths: list[Path]) -> Iterator[bool]:
    """Yield whether the labels are a teacher's, of those sequences that can be read."""
    for path in paths:
        with suppress(SequenceError):  # it is skipped, and told, when it is loaded
            yield Sequence(path).relative


def load_stage(config: TrainingConfig, stage: StageConfig, found: RunSequences,
               folder: RunFolder) -> StageData:
    """
    Load the samples of a stage, and make the mean map of the training labels at the first time.

    Raises SampleError, SequenceError, CheckpointError, ConfigError, TrainingError, or ValueError
    where no sequence is long enough for the clips of this stage or a later one.
    """
    with workers(config.data.processes) as map_:
        return _load_stage(config, stage, found, folder, map_)


def _load_stage(config: TrainingConfig, stage: StageConfig, found: RunSequences,
                folder: RunFolder, map_: Map) -> StageData:
    inputs = replace(config.input, height=stage.height, width=stage.width)
    teacher = TeacherLabels(config.data.teacher, config.device) if config.data.teacher else None
    train = load_sample_set(found.train, inputs, 'training', map_, teacher)
    if config.loss.sky_below and any(item.relative for item in train.samples):
        raise ConfigError("loss.sky_below is in 1/m, but some of the labels are a teacher's and "
                          'have no unit: leave it and loss.log out, as finetune.yaml does.')
    lengths = [len(item) for item in train.samples]
    for later in config.stages[config.stages.index(stage):]:  # before any step is done
        check_clip(lengths, later.clip, config.augmentation.strides)
    train = _long_enough(train, (stage.clip - 1) * min(config.augmentation.strides) + 1)
    _tell_skipped(train)
    tqdm.write(f'{len(train.samples)} sequences with {train.frames} labels for training, '
               f'{train.unusable} labels without depth to learn from, '
               f'{len(train.skipped)} sequences skipped.')
    if not folder.mean_map.exists():
        maps = mean_maps(map(teacher_sums, train.samples) if teacher
                         else map_(_label_sums, train.paths))
        with writing(folder.mean_map):
            save_mean_maps(folder.mean_map, maps)
    if not found.validation:
        return StageData(train, None)
    validation = load_sample_set(found.validation, inputs, 'validation', map_)
    _tell_skipped(validation)
    return StageData(train, Validator(validation.samples, config.validation,
                                      load_mean_maps(folder.mean_map)))


def _label_sums(path: str) -> dict:
    return label_sums(Sequence(path))


def changed_sequences(before: list[list], now: list[list]) -> str:
    """Return in words how `StageData.sequences` changed, '' where they did not."""
    before, now = ([tuple(item) for item in items] for items in (before, now))
    if before == now:
        return ''
    parts = [f'{what} {_listed(items)}' for what, items in (
        ('no longer there:', Counter(before) - Counter(now)),
        ('new:', Counter(now) - Counter(before))) if items]
    return '; '.join(parts) or 'they come in another order'


def _listed(items: Counter) -> str:
    named = [f'{name} of {frames} labels' for name, frames in sorted(items.elements())]
    more = len(named) - MOST_NAMED
    return ', '.join(named[:MOST_NAMED]) + (f' and {more} more' if more > 0 else '')


def _long_enough(samples: SampleSet, least: int) -> SampleSet:
    """Return the samples without sequences of less than `least` labels, if others are left."""
    both = tuple(zip(samples.paths, samples.samples))
    kept = tuple(item for item in both if len(item[1]) >= least)
    short = tuple((path, f'{len(item)} labels are less than the {least} that a clip spans')
                  for path, item in both if len(item) < least)
    return SampleSet(*zip(*kept), samples.skipped + short) if kept else samples


def _tell_skipped(samples: SampleSet) -> None:
    by_reason: dict[str, list[str]] = {}
    for path, reason in samples.skipped:
        by_reason.setdefault(reason, []).append(path)
    for reason, paths in by_reason.items():
        for path in paths[:MOST_NAMED]:
            tqdm.write(f'skipped {path}: {reason}')
        if len(paths) > MOST_NAMED:  # --json names all for training
            tqdm.write(f'skipped {len(paths) - MOST_NAMED} more: {reason}')
