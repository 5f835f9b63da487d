# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's side of the process that learns: starts it, feeds it, and starts it again."""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
import contextlib
from dataclasses import asdict
import itertools
import os
from pathlib import Path
import queue
import subprocess
import sys
import threading
import time
import traceback
from typing import Any

from depth_anyevent_ros.distillation.replay_buffer import LabelledFrame
from depth_anyevent_ros.distillation.trainer_process import ProcessSettings
from depth_anyevent_ros.distillation.wire import receive, send, WireError

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
WAITING = 64  # frames on their way; beyond it the oldest are dropped
AGAIN_AFTER_S = 5.0
SAVE_TIMEOUT_S = 30.0
LONGEST_WAIT_S = 160.0
PATIENCE_S = 20.0  # with a process that was told to end


class TrainerClient:
    """
    Runs a TrainerProcess as a child.

    hear(kind, values): called on a thread of its own with each message; what it raises is printed.
    counts: frames sent and dropped, restarts of the process. problem: why it does not run, ''
    while it does.
    """

    def __init__(self, settings: ProcessSettings, hear: Callable[[str, dict[str, Any]], None]):
        self._settings, self._hear = settings, hear
        self._waiting: deque[tuple[str, dict, dict]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._paused = False
        self._failures = 0  # in a row, since the process was last ready
        self._process: subprocess.Popen | None = None
        self._numbers = itertools.count()
        # What is to be forgotten, by its number, until a saved state lacks it.
        self._to_forget: dict[int, dict] = {}
        self._answers: dict[int, queue.Queue[str]] = {}  # to those who wait, by their number
        self._threads = [threading.Thread(target=target, name=name, daemon=True)
                         for target, name in ((self._keep_running, 'trainer'),
                                              (self._send, 'to the trainer'))]
        self.counts = Counter(sent=0, dropped=0, restarts=0)
        self.problem = 'it is being started'

    def start(self) -> None:
        """Start the process and the threads."""
        for thread in self._threads:
            thread.start()

    def add(self, frame: LabelledFrame) -> None:
        """Send a frame; never waits."""
        with self._changed:
            frames = sum(kind == 'frame' for kind, _, _ in self._waiting)
            if frames >= WAITING:
                self._waiting.remove(next(item for item in self._waiting if item[0] == 'frame'))
                self.counts['dropped'] += 1
            self._waiting.append(('frame', {
                'time_ns': frame.time_ns, 'events': frame.events, 'stretch': frame.stretch}, {
                'image': frame.image, 'inverse_depth': frame.inverse_depth}))
            self._changed.notify()

    def pause(self, paused: bool) -> None:
        """Let training rest, or go on."""
        self._paused = paused
        self._command('pause', {'paused': paused})

    def forget(self, stretch: int, since_ns: int) -> None:
        """Say that the labels from a time in a stretch on are in doubt; said until it is heard."""
        self._command('forget', {'stretch': stretch, 'since_ns': since_ns,
                                 'number': next(self._numbers)})

    def save(self, timeout_s: float = SAVE_TIMEOUT_S) -> str:
        """Save the state when the step in hand ends; return what went wrong, '' for nothing."""
        if self.problem:
            return f'nothing is trained at present: {self.problem}'
        number, answer = next(self._numbers), queue.Queue()
        self._answers[number] = answer
        self._command('save', {'number': number})
        try:
            return answer.get(timeout=timeout_s)
        except queue.Empty:
            return self.problem or f'no answer within {timeout_s:g} s'
        finally:
            self._answers.pop(number, None)

    def stop(self) -> None:
        """Let the process save its state and end; one that does not is ended."""
        with self._changed:
            self._stopping = True
            self._end_unready()
            self._changed.notify_all()
        end = time.monotonic() + PATIENCE_S
        started = [thread for thread in self._threads if thread.ident is not None]
        for thread in started:
            thread.join(max(end - time.monotonic(), 0))
        with self._changed:
            if self._process is not None:
                self._process.kill()  # its state appears in one step: there is the last one
        for thread in started:
            thread.join()

    def _command(self, kind: str, values: dict) -> None:
        with self._changed:
            self._waiting.append((kind, values, {}))
            self._changed.notify()

    def _keep_running(self) -> None:
        """Run the process; where it dies by itself, start it again from its last state."""
        while True:
            reason = self._run_once()
            with self._changed:
                if self._stopping:
                    return
                self.problem = reason
                self._failures += 1
                if self._changed.wait_for(lambda: self._stopping, pause_after(self._failures)):
                    return
                self.counts['restarts'] += 1

    def _run_once(self) -> str:
        """Run the process until it ends; return why it did."""
        try:
            process = self._started()
        except OSError as error:  # no memory for it, or too many processes
            return f'the training process could not be started: {error}'
        with self._changed:
            self._process = process
            if self._stopping:
                self._end_unready()
            self._changed.notify_all()
        reason = ''
        try:
            while (message := receive(process.stdout)) is not None:
                kind, values, _ = message
                if kind == 'ready':
                    self.problem, self._failures = '', 0
                elif kind == 'failed':
                    reason = values['what']
                elif kind == 'saved':
                    waiting = self._answers.get(values['number'])
                    if waiting is not None:
                        waiting.put(values['problem'])
                elif kind == 'forgotten':
                    self._was_forgotten(values['number'])
                self._tell(kind, values)
        except WireError as error:
            reason = str(error)
            process.kill()
        with self._changed:
            self._process = None
            self._waiting.extendleft(('forget', values, {}) for values in
                                     reversed(self._to_forget.values()))
            self._to_forget.clear()
        try:
            status = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        return reason or f'the training process ended with status {status}'

    def _tell(self, kind: str, values: dict) -> None:
        """Let whoever listens hear; where that fails, the messages after it are still read."""
        try:
            self._hear(kind, values)
        except Exception:  # or nobody would notice any more when the process ends
            traceback.print_exc()

    def _started(self) -> subprocess.Popen:
        """Start the process and tell it what to do; OSError where it cannot be started."""
        search = os.pathsep.join([str(PACKAGE_ROOT), os.environ.get('PYTHONPATH', '')])
        process = subprocess.Popen(
            [sys.executable, '-m', 'depth_anyevent_ros.distillation.trainer_process'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, 'PYTHONPATH': search.rstrip(os.pathsep)},
            start_new_session=True)  # Ctrl-C is for the node, which tells the child to end
        with contextlib.suppress(OSError):  # of one that has ended already, whose status tells why
            send(process.stdin, 'begin', asdict(self._settings))
            if self._paused:
                send(process.stdin, 'pause', {'paused': True})
        return process

    def _end_unready(self) -> None:
        """End a process that is not ready: it reads nothing yet, and has nothing to save."""
        if self._process is not None and self.problem:
            self._process.kill()

    def _was_forgotten(self, number: int) -> None:
        """Take that a state was saved without what this message was about, and those before."""
        with self._changed:
            self._to_forget = {sent: values for sent, values in self._to_forget.items()
                               if sent > number}

    def _send(self) -> None:
        """Write what waits, in order; close the pipe at the end."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or (self._waiting and self._process is not None))
                process = self._process
                if self._stopping:
                    break
                kind, values, arrays = self._waiting.popleft()
                if kind == 'forget':
                    self._to_forget[values['number']] = values
            try:
                send(process.stdin, kind, values, **arrays)
                self.counts['sent'] += kind == 'frame'
            except (OSError, ValueError):  # it has just died; what it was sent is lost
                self.counts['dropped'] += kind == 'frame'
        if process is not None:
            try:
                process.stdin.close()
            except OSError:
                pass


def pause_after(failures: int) -> float:
    """
    Return how many seconds to wait before the process is started again.

    failures: how often it ended in a row without having been ready. What is in its way may be
    gone soon (a GPU's memory that another process holds) or never (a student of other weights).
    """
    return min(AGAIN_AFTER_S * 2.0 ** min(max(failures - 1, 0), 30), LONGEST_WAIT_S)
