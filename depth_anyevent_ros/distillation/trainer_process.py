# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The process that learns while the robot drives; its own, so that it cannot hold up inference.

It reads messages from standard input (wire.py): `begin` with the settings, then labelled frames
and commands. It writes to standard output: `ready`, `status` once a second, `weights` on every
promotion, `forgotten` when a state without what was to be forgotten is on the disk, and
`problem`. When standard input ends it saves its state and ends too.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
import os
from pathlib import Path
import queue
import sys
import threading
import time
from typing import Any, BinaryIO, TextIO

import torch

from depth_anyevent_ros.atomic_file import remove_left_overs
from depth_anyevent_ros.distillation.anchor import anchor_samples, anchor_sequences, SCENES
from depth_anyevent_ros.distillation.memory import give_back_free_blocks, keep_all_blocks
from depth_anyevent_ros.distillation.online import OnlineConfig, OnlineLearner
from depth_anyevent_ros.distillation.promotion import Verdict
from depth_anyevent_ros.distillation.replay_buffer import BufferConfig, LabelledFrame
from depth_anyevent_ros.distillation.training_state import load_state, save_state, TrainingError
from depth_anyevent_ros.distillation.wire import receive, send
from depth_anyevent_ros.folder_lock import hold_folder
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.cuda_runtime import is_device_error
from depth_anyevent_ros.networks.handover import hand_over, HANDED_OVER, is_there

STATUS_EVERY_S = 1.0
WAITING = 256  # messages that wait for a step to end; beyond it the pipe fills
NICENESS = 10
STATE = 'state.safetensors'
FORMER = 'former_state.safetensors'  # what was in the way of beginning anew


@dataclass(frozen=True)
class ProcessSettings:
    """
    What the node tells the process at the beginning.

    student: checkpoint, '' for the bundled one. teacher: what made the labels, in words.
    state_dir: of the state. weights_dir: where promoted weights go, of which `keep` files stay.
    anchor_dir: of the anchor set, of which anchor_scenes are used. duty: share of the time in
    which to train. decide_every: steps between two decisions at least. save_every_s: seconds
    between two states, where they differ. threads: of torch. device, precision: of the steps, see
    OnlineConfig. buffer_mb: of labelled frames.
    """

    student: str
    teacher: str
    state_dir: str
    weights_dir: str
    anchor_dir: str
    keep: int = 5
    duty: float = 1.0
    decide_every: int = 60
    save_every_s: float = 30.0
    threads: int = 1
    device: str = 'cpu'
    precision: str = 'auto'
    buffer_mb: int = 512
    anchor_scenes: int = SCENES
    learning_rate: float = 3e-4
    seed: int = 0


class TrainerProcess:
    """Trains on what comes in, and tells what came of it."""

    def __init__(self, settings: ProcessSettings, source: BinaryIO, sink: BinaryIO):
        self._settings, self._source, self._sink = settings, source, sink
        self._messages: queue.Queue = queue.Queue(WAITING)
        self._paused = self._ended = False
        self._losses: deque[dict[str, float]] = deque(maxlen=20)
        self._verdict: Verdict | None = None
        self._announcement = ''
        self._to_hand_over = False
        self._saved: dict[str, Any] = {}  # the facts of the state that was saved last
        self._forgotten: int | None = None  # the number of what no saved state lacks yet
        self._decided_at = self._begun_anew = 0
        self._rest_until = 0.0
        checkpoint = load_student(settings.student)
        sequences = anchor_sequences(Path(settings.anchor_dir), settings.anchor_scenes,
                                     self._say)
        self._begin = partial(
            OnlineLearner, checkpoint, anchor_samples(sequences, checkpoint.config.input),
            OnlineConfig(learning_rate=settings.learning_rate, seed=settings.seed,
                         device=settings.device, precision=settings.precision,
                         buffer=BufferConfig(max_bytes=settings.buffer_mb << 20)))
        self._checkpoint, self._learner = checkpoint, self._begin()
        self._resume()

    def run(self) -> None:
        """Go on until standard input ends."""
        threading.Thread(target=self._read, name='messages', daemon=True).start()
        self._tell('ready', {'anchor_error': self._learner.anchor_running,
                             'steps': self._learner.steps})
        self._announce_or_hand_over()
        next_status = next_save = time.monotonic()
        next_save += self._settings.save_every_s
        while not self._ended:
            rest_s = self._rest_until - time.monotonic()
            self._take_messages(wait_s=min(max(rest_s, 0.0), 0.2) if self._busy else 0.2)
            # A message may have taken away all that there was to learn from.
            if self._busy and rest_s <= 0:
                self._work()
            now = time.monotonic()
            if now >= next_status:
                next_status = now + STATUS_EVERY_S
                self._tell('status', self._status())
            if now >= next_save:
                next_save = now + self._settings.save_every_s
                self._save()
                give_back_free_blocks()
        self._save()

    @property
    def _busy(self) -> bool:
        """Whether there is something to do, and nothing against it."""
        return self._learner.ready and not self._paused and not self._ended

    def _read(self) -> None:
        try:
            while (message := receive(self._source)) is not None:
                self._messages.put(message)
        finally:
            self._messages.put(None)

    def _take_messages(self, wait_s: float) -> None:
        try:
            message = self._messages.get(timeout=wait_s) if wait_s else \
                self._messages.get_nowait()
            while True:
                self._take(message)
                message = self._messages.get_nowait()
        except queue.Empty:
            pass

    def _take(self, message) -> None:
        if message is None:
            self._ended = True
            return
        kind, values, arrays = message
        if kind == 'frame':
            self._learner.add(LabelledFrame(
                arrays['image'], arrays['inverse_depth'], values['time_ns'], values['events'],
                values['stretch']))
        elif kind == 'forget':
            self._learner.forget(values['stretch'], values['since_ns'])
            self._forgotten = values['number']
            self._save()
        elif kind == 'pause':
            self._paused = values['paused']
        elif kind == 'save':
            self._tell('saved', {'problem': self._save(), 'number': values['number']})

    def _work(self) -> None:
        """Do a step, decide when it is time to, and rest for as long as the duty cycle asks."""
        begin = time.monotonic()
        self._losses.append(self._learner.step())
        learner = self._learner
        if learner.undecided and learner.steps - self._decided_at >= self._settings.decide_every:
            self._decided_at = learner.steps
            self._verdict = learner.consider()
            self._to_hand_over |= self._verdict.promote
            self._tell('verdict', vars(self._verdict))
        if self._to_hand_over:
            self._hand_over()
        end = time.monotonic()
        self._rest_until = end + (end - begin) * (1 / self._settings.duty - 1)

    def _hand_over(self) -> None:
        """Write the running weights; where the disk refuses, try again after the next step."""
        config = replace(self._checkpoint.config, provenance={
            'trained_on': f'a stream, with labels by {self._settings.teacher}, and '
                          f'{self._checkpoint.trained_on}',
            'student': self._checkpoint.sha256, 'steps': self._learner.steps})
        try:
            self._announcement = hand_over(
                Path(self._settings.weights_dir), self._learner.running, config,
                self._learner.promotions, self._settings.keep)
        except (OSError, ValueError) as error:
            self._tell('problem', {'what': f'promoted weights could not be written: {error}'})
            return
        self._to_hand_over = False
        self._save()
        self._announce()

    def _announce_or_hand_over(self) -> None:
        """Announce what was handed over in an earlier run, or do what that run could not."""
        if self._announcement and not is_there(self._announcement, self._settings.weights_dir):
            self._announcement, self._to_hand_over = '', True
        if self._to_hand_over:
            self._hand_over()
        else:
            self._announce()

    def _announce(self) -> None:
        if self._announcement:
            self._tell('weights', {'announcement': self._announcement})

    def _save(self) -> str:
        """Save the state, unless it is as it was saved last; return what went wrong."""
        tensors, facts = self._learner.state()
        facts |= {'announcement': self._announcement, 'to_hand_over': self._to_hand_over}
        path = Path(self._settings.state_dir, STATE)
        # Weights change with a step, a promotion, or by being forgotten.
        if facts == self._saved and self._forgotten is None and path.exists():
            return ''
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_state(path, tensors, facts)
            self._saved = facts
        except (OSError, TrainingError) as error:
            self._tell('problem', {'what': f'the state could not be saved: {error}'})
            return str(error)
        if self._forgotten is not None:
            self._tell('forgotten', {'number': self._forgotten})
            self._forgotten = None
        return ''

    def _resume(self) -> None:
        """
        Go on from the state of an earlier run of this student.

        One that cannot be gone on from is kept as the former state, in place of what that was; but
        where the former is of this student the two change places, as when a parameter that named
        the wrong checkpoint is put right.
        """
        path, former = (Path(self._settings.state_dir, name) for name in (STATE, FORMER))
        other = path.with_name(f'other_{STATE}')
        if other.is_file():  # from an exchange that a kill cut short
            _exchange(path, former, other)
        if not path.exists():
            return
        problem = self._restore(path)
        if not problem:
            return
        problem = f'{path} cannot be gone on from: {problem.rstrip(".")}'
        if former.is_file() and not self._restore(former):
            os.replace(path, other)
            _exchange(path, former, other)
            self._say(f'{problem}. {former} could, and the two have changed places.')
            return
        os.replace(path, former)
        self._begun_anew = 1
        self._say(f'Beginning anew, since {problem}. It is kept as {former}.')

    def _restore(self, path: Path) -> str:
        """Go on from a state; return why not where it does not fit, '' where it does."""
        try:
            tensors, facts = load_state(path)
            announcement, waits = facts.pop('announcement'), facts.pop('to_hand_over', False)
            self._learner.restore(tensors, facts)
        except (ValueError, KeyError, RuntimeError) as error:
            self._learner = self._begin()  # some of the weights may be those of the file
            return str(error)
        self._announcement, self._to_hand_over = announcement, waits
        self._decided_at = self._learner.steps
        self._say(f'Going on from step {self._learner.steps}.')
        rate = self._learner.learning_rate
        if rate != facts['learning_rate']:
            self._say(f'The learning rate is {rate:g}, as train.learning_rate says now, and not '
                      f'the {facts["learning_rate"]:g} that the state was left with.')
        return ''

    def _status(self) -> dict[str, Any]:
        learner, buffer = self._learner, self._learner.buffer
        losses = {name: sum(item[name] for item in self._losses if name in item)
                  / max(sum(name in item for item in self._losses), 1)
                  for name in ('stream', 'anchor', 'gradient_norm')} if self._losses else {}
        return {'steps': learner.steps, 'paused': self._paused, 'losses': losses,
                'promotions': learner.promotions, 'kept_back': learner.kept_back,
                'unjudged': learner.unjudged, 'begun_anew': self._begun_anew,
                'learning_rate': learner.learning_rate,
                'anchor_first': learner.anchor_first, 'anchor_running': learner.anchor_running,
                'buffer_bytes': buffer.nbytes, 'buffer_most': buffer.max_bytes,
                'blocks': len(buffer.training), 'held_out': len(buffer.held_out),
                **{f'buffer_{name}': count for name, count in buffer.counts.items()},
                'waiting': self._messages.qsize()}

    def _say(self, sentence: str) -> None:
        self._tell('log', {'what': sentence})

    def _tell(self, kind: str, values: Mapping[str, Any]) -> None:
        try:
            send(self._sink, kind, values)
        except OSError:  # the node is gone
            self._ended = True


def _exchange(path: Path, former: Path, other: Path) -> None:
    """
    Put the former state into the place of one that is out of the way, and that into its.

    Each is whole under some name all the time.
    """
    if not path.exists():
        os.replace(former, path)
    os.replace(other, former)


def run(source: BinaryIO, sink: BinaryIO) -> None:
    """Take the settings and train until the source ends."""
    message = receive(source)
    if message is None:
        return
    settings = ProcessSettings(**message[1])
    keep_all_blocks()
    torch.set_flush_denormal(True)
    torch.set_num_threads(settings.threads)
    try:
        with _hold(Path(settings.state_dir)):
            remove_left_overs(Path(settings.state_dir), STATE)
            remove_left_overs(Path(settings.weights_dir), HANDED_OVER)
            TrainerProcess(settings, source, sink).run()
    except (ValueError, OSError) as error:
        send(sink, 'failed', {'what': str(error)})
    except RuntimeError as error:
        if not is_device_error(error):
            raise
        send(sink, 'failed', {'what': f'the GPU cannot be trained on, set train.device to cpu: '
                                      f'{error}'})


def _hold(folder: Path) -> TextIO:
    """Hold a folder; raise ValueError where another process does, whose state would be lost."""
    try:
        return hold_folder(folder)
    except BlockingIOError as error:
        raise ValueError(f'another process trains in {folder}: give every distillation node '
                         'a work_dir of its own') from error


def main() -> None:
    """Run on standard input and output; whatever prints goes to standard error."""
    os.nice(NICENESS)
    # Not sys.stdin: an interpreter that ends while a thread reads from that aborts.
    source = os.fdopen(os.dup(sys.stdin.fileno()), 'rb')
    sink = os.fdopen(os.dup(sys.stdout.fileno()), 'wb')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run(source, sink)


if __name__ == '__main__':
    main()
