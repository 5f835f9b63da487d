# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All samples of a stage in memory: many sequences, with what had to be skipped."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
import multiprocessing
import os
from pathlib import Path
import signal
import threading

from tqdm import tqdm

from depth_anyevent_ros.datasets.samples import load_samples, SampleError, Samples
from depth_anyevent_ros.datasets.sequences import Sequence, SequenceError
from depth_anyevent_ros.networks.config import InputConfig
from depth_anyevent_ros.networks.input_size import input_size

Labeller = Callable[[Sequence, Samples], Samples]
Map = Callable[[Callable, Iterable], Iterable]  # as the builtin one, maybe of many processes


@dataclass(frozen=True)
class SampleSet:
    """
    Samples of one grid size, and the sequences that could not be used: (path, reason).

    paths: of the samples' sequences, as several may have the same name.
    """

    paths: tuple[str, ...]
    samples: tuple[Samples, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def frames(self) -> int:
        """Labels in all."""
        return sum(len(item) for item in self.samples)

    @property
    def unusable(self) -> int:
        """Labels that have no depth to learn from."""
        return sum(int((~item.usable).sum()) for item in self.samples)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid."""
        return self.samples[0].size


@contextmanager
def workers(processes: int) -> Iterator[Map]:
    """
    Give a map of so many processes, or the builtin one.

    Raises SampleError where one of them is ended from outside.
    """
    if processes == 1:
        yield map
        return
    # Spawned, since torch's threads may hold locks that a fork would never see released.
    context = multiprocessing.get_context('spawn')
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        def map_(function: Callable, items: Iterable) -> Iterator:
            # The processes begin here and inherit what is blocked. A terminal sends Ctrl-C to all
            # of them, and each would print where it was; who began them is told, and ends them.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                return pool.map(function, items)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            yield map_
        except BrokenProcessPool as error:
            raise SampleError('A process that loads sequences was ended from outside, as the '
                              'system does where memory runs out: set data.processes lower.'
                              ) from error
        except BaseException:
            # Else the pool would wait until all that was handed out is done.
            for process in set(multiprocessing.active_children()) - set(others):
                process.terminate()
            raise


def _end_with_parent() -> None:
    """End this process with the one that started it, which when it is killed tells no one."""
    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)
    threading.Thread(target=wait, name='parent', daemon=True).start()


def load_sample_set(paths: list[Path], config: InputConfig, what: str, map_: Map = map,
                    relabel: Labeller | None = None) -> SampleSet:
    """
    Load sequences for an input of about config.height x config.width; show a progress bar.

    map_: of `workers`. relabel: puts other labels in place of the truth, which is not read then.
    Sequences without events, depth or needed pictures are skipped. Raises SampleError where none
    is left, or where sensors of different shape give grids of different size, which cannot be in
    one batch.
    """
    samples, used, skipped = [], [], []
    tasks = [(path, config, not relabel) for path in paths]
    with tqdm(total=len(paths), desc=f'loading {what}', unit=' sequences', disable=None) as bar:
        for path, result in zip(paths, map_(_load, tasks)):
            bar.update()
            if relabel and not isinstance(result, str):
                try:
                    result = relabel(Sequence(path), result)
                except (SampleError, SequenceError) as error:
                    result = str(error)
            if isinstance(result, str):
                skipped.append((str(path), result))
            else:
                samples.append(result)
                used.append(str(path))
    if not samples:
        raise SampleError(f'None of the {len(paths)} sequences for {what} can be used. The '
                          f'first: {skipped[0][1] if skipped else "there is none"}')
    sizes = {item.size: item.name for item in samples}
    if len(sizes) > 1:
        listed = ', '.join(f'{h}x{w} ({name})' for (h, w), name in sizes.items())
        raise SampleError(f'The sequences for {what} come from sensors of different shape, which '
                          f'gives inputs of {listed}: train on sensors of one shape at a time.')
    return SampleSet(tuple(used), tuple(samples), tuple(skipped))


def with_labels(samples: Samples, inverse_depth, usable) -> Samples:
    """Return samples with other labels, (N, h, w) and (N,)."""
    return replace(samples, inverse_depth=inverse_depth, usable=usable)


def _load(task: tuple[Path, InputConfig, bool]) -> Samples | str:
    path, config, truth = task
    try:
        sequence = Sequence(path)
        try:
            size = input_size(config, sequence.camera.width, sequence.camera.height)
        except ValueError as error:  # no input fits this sensor
            return str(error)
        return load_samples(sequence, config, *size, truth=truth)
    except (SampleError, SequenceError) as error:
        return str(error)
