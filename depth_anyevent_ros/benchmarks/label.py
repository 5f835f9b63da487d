# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of labelling a bag: how much of the teacher's own rate is left."""
from __future__ import annotations

from collections.abc import Iterator
import itertools
from pathlib import Path
import tempfile

import numpy as np

from depth_anyevent_ros.bag_labels.labelling import BagLabelling
from depth_anyevent_ros.bag_labels.plan import make_plan
from depth_anyevent_ros.bag_labels.settings import LabelSettings
from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.datasets.bags import BagReader, open_bag
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.config import model_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights
from depth_anyevent_ros.simulation.production import produce, Recording

SECONDS, RATE_HZ = 30.0, 10.0
# A large teacher takes seconds for a picture on a CPU, so it gets few.
FEW_SECONDS, FEW_HZ = 8.0, 2.0
PRESET = 'vits'


def cases(repeats: int, seed: int) -> Iterator[Case]:
    """Yield the rate with the tiny teacher, and with a random one of Depth Anything V2's size."""
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder, 'flight')
        produce(Recording('drone', seed=seed, duration_s=SECONDS, rate_hz=RATE_HZ, binning=2,
                          max_motion_px=2.0, max_step_ms=10.0), bag)
        with open_bag(bag) as reader:
            yield _labels(reader, CheckpointTeacher.from_file(), LabelSettings(), repeats,
                          Path(folder))
            few = LabelSettings(end_s=FEW_SECONDS, rate_hz=FEW_HZ)
            yield _labels(reader, _random_teacher(seed), few, repeats,
                          Path(folder))


def _random_teacher(seed: int) -> CheckpointTeacher:
    """Return a teacher whose maps mean nothing, and take as long as those of real weights."""
    config = model_preset(PRESET)
    network = DepthNetwork(config.network)
    initialize_weights(network, seed)
    return CheckpointTeacher(Checkpoint(config, network, '', f'{PRESET} with random weights'))


class _Listener:
    """A teacher that remembers what it was asked."""

    def __init__(self, teacher: CheckpointTeacher):
        self._teacher = teacher
        self.name, self.sha256, self.batches = teacher.name, teacher.sha256, []

    def label_batch(self, pictures: list[np.ndarray]) -> np.ndarray:
        """See `CheckpointTeacher`."""
        self.batches.append(pictures)
        return self._teacher.label_batch(pictures)


def _labels(reader: BagReader, teacher: CheckpointTeacher, settings: LabelSettings, repeats: int,
            folder: Path) -> Case:
    """All of the labelling, with nothing done yet, against the teacher on the same pictures."""
    plan = make_plan(reader, settings)
    outputs = (folder / f'{teacher.name} {index}' for index in itertools.count())

    def label(by: CheckpointTeacher | _Listener = teacher) -> int:
        work = BagLabelling(plan, next(outputs), by)
        return sum(work.run(shard) for shard in work.left())

    listener = _Listener(teacher)
    made = label(listener)

    def bare():
        for pictures in listener.batches:
            teacher.label_batch(pictures)

    seconds = (plan.shards[-1].end_ns - plan.shards[0].begin_ns) / 1e9
    return compare(
        f'label: {made} pictures of {seconds:.0f} s of a bag, {teacher.name}, '
        f'{teacher.runtime.device}', 'labels/s', Work(label, made),
        'the bare teacher on the same pictures in memory',
        Work(bare, sum(map(len, listener.batches))), repeats)
