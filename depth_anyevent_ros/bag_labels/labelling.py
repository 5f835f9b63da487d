# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags to labels: what is left to do, and one shard after the other, its stages overlapping."""
from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path

import cv2
import numpy as np

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.background import Ahead, Behind
from depth_anyevent_ros.bag_labels.findings import ShardFindings
from depth_anyevent_ros.bag_labels.plan import BagPlan
from depth_anyevent_ros.bag_labels.shard_reader import BEFORE, Chunk, Shard, ShardReader, Slot
from depth_anyevent_ros.bag_labels.shard_writers import McapShard, SequenceShard
from depth_anyevent_ros.bag_labels.teacher_lanes import taught
from depth_anyevent_ros.bag_labels.topics import read_map, read_picture
from depth_anyevent_ros.datasets.bag_writer import write_split_metadata
from depth_anyevent_ros.distillation.labelling import usable
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.distillation.picture_quality import PictureQuality
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher, ForeignTeacher
from depth_anyevent_ros.events.pipeline import Representation
from depth_anyevent_ros.events.reel import EventReel
from depth_anyevent_ros.events.types import PacketError
from depth_anyevent_ros.geometry.camera import CalibrationError

WINDOW_NS = 50_000_000
MAX_GAP_NS = 200_000_000
MOST_GRID = 180  # cells along the width of the events that findings look at
QUEUE_BYTES = 256 << 20
OTHER_SIZE = 'other size'  # than the calibration is for
PROGRESS = 'progress'  # folder of the records of shards that are done


class StaleOutput(ValueError):
    """A folder of labels that were made otherwise than asked for; the message says how."""


class BagLabelling:
    """
    The labels of one bag, in a folder that may hold those of others, and some of this one.

    A shard is done when its record lies in the folder `progress`, which is written last.
    """

    def __init__(self, plan: BagPlan, output: Path, teacher: CheckpointTeacher | ForeignTeacher):
        self.plan, self._output, self._teacher = plan, output, teacher
        self._progress = output / PROGRESS
        self._folder = output / plan.name
        bag, folder = plan.reader.path.resolve(), self._folder.resolve()
        if bag == folder or bag in folder.parents or folder in bag.parents:
            raise ValueError(f'the labels of {plan.reader.path} would be written into the bag '
                             f'itself, as {self._folder}: give another --output')
        self.identity = plan.identity(teacher.name, teacher.sha256)
        self.facts = {
            'teacher': teacher.name, 'teacher_sha256': teacher.sha256,
            'alignment': 'as published' if plan.settings.teacher_topic else 'relative',
            'registration': self.identity['registration'],
            'calibration_sha256': self.identity['calibration_sha256'],
            'settings': self.identity['settings'], 'bag': plan.name,
            **({} if plan.left_out is None else {'hot_pixels': self.identity['hot_pixels']})}
        self._check_identity()

    def left(self) -> list[Shard]:
        """Return the shards that are not done."""
        return [shard for shard in self.plan.shards if not self._record(shard).exists()]

    def run(self, shard: Shard, progress: Callable[[int], None] = lambda bag_ns: None) -> int:
        """
        Label a shard, whole or not at all; return how many labels it has.

        progress: called with the time of the bag that was reached, ns.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        source = self._source(shard)
        stages = _Stages(self.plan, shard, self._writer(shard), self._teacher)
        try:
            with Ahead(source.chunks()) as chunks, Behind(stages.write) as writing:
                for chunk in taught(stages.teach, chunks, self._teacher):
                    writing.put(chunk)
                    if chunk.slots:
                        progress(min(chunk.slots[-1].bag_ns, shard.end_ns))
            stages.end()
            made = stages.writer.finish()
        except BaseException:
            stages.writer.abandon()
            raise
        progress(shard.end_ns)
        self._finish(shard, stages.findings, {
            'shard': shard.index, 'begin_ns': shard.begin_ns, 'end_ns': shard.end_ns,
            **source.counts, 'problem': source.problem,
            'unreadable': source.unreadable, **stages.findings.record(),
            'out_of_order': getattr(stages.writer, 'out_of_order', 0), **made})
        return stages.findings.counts['labels']

    def finish(self) -> list[dict]:
        """Complete the bag's folder where all shards are done; return their records."""
        records = [json.loads(self._record(shard).read_text()) for shard in self.plan.shards
                   if self._record(shard).exists()]
        if self.plan.settings.format == 'mcap' and len(records) == len(self.plan.shards):
            write_split_metadata(self._folder / 'metadata.yaml',
                                 [record['metadata'] for record in records],
                                 [record['file'] for record in records])
        return records

    def volumes(self) -> list[np.ndarray]:
        """Return, group by group, how alike pictures and events were by their offsets."""
        found = []
        for shard in self.plan.shards:
            path = self._record(shard).with_suffix('.npy')
            if path.exists():
                found.extend(np.load(path, allow_pickle=False))
        return found

    def examples(self) -> list[Path]:
        """Return pictures of a label of each shard."""
        paths = (self._record(shard).with_suffix('.jpg') for shard in self.plan.shards)
        return [path for path in paths if path.exists()]

    def _finish(self, shard: Shard, findings: ShardFindings, record: dict) -> None:
        path = self._record(shard)
        if findings.example:
            row = _row(findings.example)
            replace_file(path.with_suffix('.jpg'), cv2.imencode('.jpg', row)[1].tobytes())
        with path.with_suffix('.npy').open('wb') as file:
            np.save(file, findings.volumes(), allow_pickle=False)
        replace_file(path, (json.dumps(record) + '\n').encode())

    def _source(self, shard: Shard) -> ShardReader:
        plan, settings = self.plan, self.plan.settings
        pairing = FramePairing(_representation, WINDOW_NS, MAX_GAP_NS, settings.clock,
                               QUEUE_BYTES)
        foreign = isinstance(self._teacher, ForeignTeacher)
        return ShardReader(
            plan.reader, shard, plan.events, plan.image, pairing,
            read_map if foreign else read_picture, None if foreign else PictureQuality(),
            settings.batch, round(1e9 / settings.rate_hz) if settings.rate_hz else 0,
            plan.watched)

    def _writer(self, shard: Shard) -> McapShard | SequenceShard:
        plan, stem = self.plan, f'{self.plan.name}_{shard.index:04d}'
        if plan.settings.format == 'mcap':
            return McapShard(self._folder / f'{stem}.mcap', plan.events, plan.camera,
                             plan.frame_id, self.facts)
        return SequenceShard(self._folder / stem, plan.camera, {
            'source': f'labels of the bag {plan.name}', 'labels': self.facts})

    def _record(self, shard: Shard) -> Path:
        return self._progress / f'{self.plan.name}_{shard.index:04d}.json'

    def _check_identity(self) -> None:
        # No shard of another bag can have this name, as one of `run` has that of a bag `run_0000`.
        path = self._progress / f'{self.plan.name}.bag.json'
        if len(self.left()) == len(self.plan.shards):  # nothing is done yet
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, (json.dumps(self.identity, indent=2) + '\n').encode())
            return
        known = json.loads(path.read_text())
        differ = [f'{name} was {before!r} and is {now!r}'
                  for name, before, now in _differences(known, self.identity)]
        if differ:
            raise StaleOutput(f'{self._output} holds labels of {self.plan.name} that were made '
                              f'otherwise: {"; ".join(differ)}. Give another --output, or remove '
                              'that one.')


class _Stages:
    """The teacher's and the writer's part of a shard; each is called on one thread."""

    def __init__(self, plan: BagPlan, shard: Shard, writer: McapShard | SequenceShard,
                 teacher: CheckpointTeacher | ForeignTeacher):
        self._plan, self._teacher, self.writer = plan, teacher, writer
        self.findings = ShardFindings(shard)
        self._reel = EventReel()
        self._place, self._size = BEFORE, (0, 0)  # of the packets that the reel holds
        self._registration: tuple[tuple, object] | None = None
        self._misfit: CalibrationError | None = None  # of the first picture of another size

    def teach(self, chunk: Chunk) -> Chunk:
        """Let the teacher see the chunk's pictures, those of one size at once."""
        by_size: dict[tuple, list[Slot]] = {}
        for slot in chunk.slots:
            if slot.picture is not None:
                by_size.setdefault(slot.picture.shape, []).append(slot)
        for slots in by_size.values():
            pictures = [slot.picture for slot in slots]
            found = [self._teacher(picture) for picture in pictures] \
                if isinstance(self._teacher, ForeignTeacher) \
                else self._teacher.label_batch(pictures)
            for slot, inverse_depth in zip(slots, found):
                slot.found = inverse_depth
        return chunk

    def write(self, chunk: Chunk) -> None:
        """Write a chunk."""
        for slot in chunk.slots:
            if slot.is_picture:
                self._take_events()
                self._label(slot)
            else:
                self._packet(slot)
        self._take_events()
        chunk.slots.clear()

    def end(self) -> None:
        """
        Write the events that waited for what follows, as nothing does.

        Raises CalibrationError where there is no label since most pictures are of another size.
        """
        self._take_events(final=True)
        counts, refused = self.findings.counts, self.findings.refused
        if not counts['labels'] and 2 * refused[OTHER_SIZE] > counts['pictures']:
            raise self._misfit

    def _packet(self, slot: Slot) -> None:
        self.writer.packet(slot)
        if slot.packet is None:
            return
        try:
            anew = self._reel.begins_anew(slot.packet)
        except PacketError:  # the reader has counted it
            return
        if anew or slot.place != self._place:
            self._take_events(final=anew)
        self._reel.push(slot.packet)
        self._place, self._size = slot.place, (slot.packet.width, slot.packet.height)
        if anew:
            self.findings.anew()
            self.writer.anew()

    def _take_events(self, final: bool = False) -> None:
        """Hand over the events of the packets so far, all at once, which takes less time."""
        events = self._reel.take(final)
        left_out = self._plan.left_out
        if left_out is not None and left_out.shape[::-1] == self._size:
            events = events.outside(left_out)
        if len(events):
            self.findings.events(self._place, events, self._size)
            self.writer.events(self._place, events)

    def _label(self, slot: Slot) -> None:
        if slot.found is None:
            self.findings.refuse(slot.why_not)
            return
        try:
            registration = self._registered(slot)
        except CalibrationError as error:  # of one odd picture, or of all: see `end`
            self._misfit = self._misfit or error
            self.findings.refuse(OTHER_SIZE)
            return
        label = registration.register(slot.found)
        if not usable(label):
            self.findings.refuse('no depth')
            return
        self.writer.label(slot, label)
        gray = None
        if slot.picture.ndim == 3:
            gray = registration.picture(
                cv2.cvtColor(slot.picture, cv2.COLOR_RGB2GRAY).astype(np.float32), label)
        self.findings.label(slot, label, gray)

    def _registered(self, slot: Slot):
        height, width = slot.picture.shape[:2]
        key = (width, height), slot.found.shape
        if self._registration is None or self._registration[0] != key:
            camera = self._plan.camera
            self._registration = key, self._plan.rig.registration(
                (camera.width, camera.height), *key)
        return self._registration[1]


def _representation(width: int, height: int) -> Representation:
    factor = max(1, -(-width // MOST_GRID))
    return Representation(max(1, height // factor), max(1, width // factor))


def _row(pictures: list[np.ndarray]) -> np.ndarray:
    """Return pictures side by side, as high as the last."""
    height = max(pictures[-1].shape[0], 180)
    return np.hstack([cv2.resize(picture, (round(picture.shape[1] * height / picture.shape[0]),
                                           height), interpolation=cv2.INTER_AREA)
                      for picture in pictures])


def _differences(known: dict, asked: dict, prefix: str = ''):
    """Yield (name, before, now) for the values that differ."""
    for name in sorted({*known, *asked}):
        before, now = known.get(name), asked.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _differences(before, now, f'{prefix}{name}.')
        elif before != now:
            yield f'{prefix}{name}', before, now
