# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the distillation node says about itself on /diagnostics."""
from __future__ import annotations

from collections import deque
import time
from typing import Any

from depth_anyevent_ros.distillation.label_stream import LabelStream
from depth_anyevent_ros.distillation.trainer_client import TrainerClient
from depth_anyevent_ros.nodes.diagnostics import Report

SILENCE_S = 3.0
PROBLEM_SHOWN_S = 10.0
UNLABELLED_S = 5.0  # of pictures
# It tells its status every second, but while it decides, which takes long on a slow CPU.
TRAINER_SILENCE_S = 120.0
# What becomes of pictures that are not labelled, as it is counted.
FATES = {
    'unpaired_pictures': 'no window of events ends with them: look at their stamps, and at the '
                         'parameter image.clock',
    'early_pictures': 'the time of the events is not known: look at the stamps of their packets',
    'queue_drops': 'they are dropped, since the queue is full',
    'skipped': 'the teacher is too slow',
    'failed': 'the teacher fails'}


class DistillationReport:
    """Collects counters of the parts, and turns them into a level, a sentence and values."""

    def __init__(self):
        self._stream: LabelStream | None = None
        self._trainer: TrainerClient | None = None
        self._about: dict[str, Any] = {}
        self._problem, self._problem_time = '', float('-inf')
        self._status: dict[str, Any] = {}
        self._verdict: dict[str, Any] = {}
        self._heard = 0.0  # when the training process told its status
        self._counts: deque[tuple[float, dict[str, int]]] = deque()  # of the last seconds
        self.problems = 0

    def watch(self, stream: LabelStream, trainer: TrainerClient | None, about: dict) -> None:
        """Report on these from now on; about: values that stay as they are."""
        self._stream, self._trainer, self._about = stream, trainer, about
        self._status, self._verdict = {}, {}
        self._counts.clear()

    def forget(self) -> None:
        """Report on nothing: the node is not active."""
        self._stream = self._trainer = None

    def problem(self, sentence: str) -> None:
        """Take a problem, to be shown for a while."""
        self.problems += 1
        self._problem, self._problem_time = sentence, time.monotonic()

    def hear(self, kind: str, values: dict[str, Any]) -> None:
        """Take a message of the training process."""
        if kind == 'status':
            self._status, self._heard = values, time.monotonic()
        elif kind == 'verdict':
            self._verdict = values

    def collect(self) -> Report:
        """Return the present state."""
        stream, trainer = self._stream, self._trainer
        if stream is None:
            return Report('ok', 'not active', {})
        health = stream.pairing.pipeline.health
        values = {
            'label rate (Hz)': round(stream.times.rate(), 2),
            'label age p50 (ms)': _rounded(stream.age_ms.percentile(50)),
            'label age p99 (ms)': _rounded(stream.age_ms.percentile(99)),
            'teacher p50 (ms)': _rounded(stream.teacher_ms.percentile(50)),
            **stream.labeller.counts, **stream.counts, **stream.pairing.counts,
            **{f'events {name}': count
               for name, count in stream.pairing.pipeline.counters().items()},
            **{f'edges {name}': round(value, 3)
               for name, value in stream.labeller.check.means().items()},
            'flip disagreement': round(stream.labeller.check.flip, 3),
            'rectified': stream.pairing.pipeline.rectified,
            'picture clock': stream.pairing.picture_clock,
            'hot pixels': health.masked if health else 0,
            'problems': self.problems, **self._about}
        if trainer is not None:
            values |= {f'frames {name}': count for name, count in trainer.counts.items()}
            values |= self._training()
        self._remember(stream)
        level, message = self._judge(stream, trainer)
        return Report(level, message, values)

    def _training(self) -> dict[str, Any]:
        status, verdict = self._status, self._verdict
        values = {name: value for name, value in status.items() if name != 'losses'}
        values |= {f'loss {name}': round(value, 4)
                   for name, value in status.get('losses', {}).items()}
        if verdict:
            values |= {'disagreement (candidate / running)': round(verdict['ratio'], 4),
                       'disagreement interval':
                           f'{verdict["low"]:.4f} to {verdict["high"]:.4f}',
                       'anchor error (candidate / first)': round(verdict['anchor_total'], 4),
                       'last decision': verdict['reason']}
        return values

    def _judge(self, stream: LabelStream, trainer: TrainerClient | None) -> tuple[str, str]:
        """Return level and sentence: the worst thing there is to say."""
        if not stream.alive:
            return 'error', 'the thread of the labels has ended; restart the node'
        if time.monotonic() - self._problem_time < PROBLEM_SHOWN_S:
            return 'error', self._problem
        if trainer is not None and trainer.problem:
            return 'warn', f'nothing is learned: {trainer.problem}'
        for last_ns, what in ((stream.last_packet_ns, 'event packet'),
                              (stream.last_picture_ns, 'picture')):
            silent_s = (time.monotonic_ns() - last_ns) / 1e9
            if last_ns == 0:
                return 'warn', f'no {what} has come'
            if silent_s > SILENCE_S:
                return 'warn', f'no {what} for {silent_s:.0f} s'
        fate = self._fate(stream)
        if fate:
            return 'warn', f'pictures come, but no label is made: {fate}'
        if trainer is not None and self._status:
            silent_s = time.monotonic() - self._heard
            if silent_s > TRAINER_SILENCE_S:
                return 'warn', f'the training process has said nothing for {silent_s:.0f} s'
        if trainer is None:
            return 'ok', 'labels'
        if self._status.get('paused'):
            return 'ok', 'training is paused'
        return 'ok', f'learning; {self._status.get("promotions", 0)} students promoted'

    def _remember(self, stream: LabelStream) -> None:
        """Keep the counters of now, and as many of before as `_fate` looks back to."""
        now = time.monotonic()
        self._counts.append((now, {**stream.counts, **stream.pairing.counts,
                                   **stream.labeller.counts}))
        while len(self._counts) > 1 and self._counts[1][0] <= now - _span_s(stream):
            self._counts.popleft()

    def _fate(self, stream: LabelStream) -> str:
        """Return what becomes of the pictures where none was labelled for a while, else ''."""
        (begin, before), (now, counts) = self._counts[0], self._counts[-1]
        grown = {name: count - before.get(name, 0) for name, count in counts.items()}
        if now - begin < _span_s(stream) or grown['labels'] or grown['unwanted'] \
                or not grown['pictures']:
            return ''
        most = max((name for name in grown if name in FATES or name.startswith('refused: ')),
                   key=lambda name: grown[name])
        return FATES.get(most, most) if grown[most] else ''


def _span_s(stream: LabelStream) -> float:
    """Return for how long there may be no label, by what is asked for and how fast it goes."""
    teacher_ms = stream.teacher_ms.percentile(50) or 0.0
    return max(UNLABELLED_S, 2 * stream.period_ns / 1e9, 3 * teacher_ms / 1e3)


def _rounded(value: float | None) -> float | str:
    return '' if value is None else round(value, 2)
