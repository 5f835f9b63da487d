# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A student on a CPU by another program than torch: the same depth in less time.

Such a program is believed only after it gave the depth that torch gives, frame after frame, for
the size of the input that comes; else torch goes on, which `fallback` says.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.runtime import choose_placement, first_line, TorchRuntime

PROOF_FRAMES = 4


class Tolerance(NamedTuple):
    """How far the output may be from that of torch in fp32, at most and in the mean, of 1."""

    most: float
    mean: float


# Of the range of the output. In fp32 programs differ by some millionths; bf16 keeps eight bits of
# each number, and single pixels at edges go astray before the picture does.
TOLERANCES = {'fp32': Tolerance(1e-3, 1e-3), 'bf16': Tolerance(0.1, 0.015)}

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


class ProvedRuntime(TorchRuntime):
    """A checkpoint on the CPU by `program`; as `TorchRuntime`, which it compares itself with."""

    program = ''
    half: tuple[str, ...] = ()  # precisions beside fp32

    def __init__(self, checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto'):
        super().__init__(checkpoint, 'cpu', 'fp32')
        half = precision in self.half
        # A GPU that is asked for and missing makes the CPU go on in fp32, as with torch.
        self._asked = precision if half and not device.startswith('cuda') else 'fp32'
        self._no_gpu = choose_placement(device, 'auto' if half else precision, 0, False).fallback
        self.fallback = self._no_gpu
        self._step = self.step()
        self._run: Run | None = None
        self._arrays: list[np.ndarray] | None = None

    def version(self) -> str:
        """Return the name and the version of what computes."""
        raise NotImplementedError

    def compile(self, size: tuple[int, int], precision: str) -> Run:
        """
        Return what runs `Step` for this size (height, width): arrays in, arrays out.

        precision: fp32, or one of `half`. Whatever it raises is told, and torch goes on.
        """
        raise NotImplementedError

    def discard(self, size: tuple[int, int]) -> bool:
        """Throw away what the last `compile` took from disk; return whether there was any."""
        return False

    @property
    def runtime(self) -> str:
        """What computes."""
        return TorchRuntime.runtime if self._run is None else self.version()

    def reset(self) -> None:
        """Forget the frames so far: the next one starts a sequence."""
        super().reset()
        self._arrays = None

    def release(self) -> None:
        """Give the memory back; the runtime cannot be used any more."""
        super().release()
        self._step = self._run = self._arrays = None

    def _set_size(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        super()._set_size(size)
        self._run, self.precision = None, 'fp32'
        run, why_not = self._proved(size)
        self.reset()
        self.fallback = self._no_gpu if run else \
            f'{self.program} is not used, torch runs the network: {why_not}'
        self._run = run
        self.precision = self._asked if run else 'fp32'

    def _predict(self, image: np.ndarray) -> np.ndarray:
        if self._run is None:
            return super()._predict(image)
        if not np.isfinite(image).all():  # which such a program may make numbers of
            return np.full(image.shape[1:], np.nan, np.float32)
        try:
            result, self._arrays = self._advance(self._run, image, self._arrays)
        except Exception as error:  # whatever it may raise, torch can go on
            self._run, self.precision = None, 'fp32'
            self.reset()
            self.fallback = f'{self.program} has failed, torch runs the network from now on: ' \
                            f'{first_line(error)}'
            return super()._predict(image)
        return result

    def _drop_broken_state(self) -> None:
        if self._run is None:
            super()._drop_broken_state()
        elif self._arrays and not all(np.isfinite(array).all() for array in self._arrays):
            self.state_resets += 1
            self.reset()

    def _advance(self, run: Run, image: np.ndarray, state: list[np.ndarray] | None):
        """Return inverse depth (H, W), and the state after it."""
        if state is None:
            state = [np.zeros(shape, np.float32)
                     for shape in self._step.state_shapes(*image.shape[1:])]
        found = run([image[None], *state])
        return found[0][0], found[1:]

    def _proved(self, size: tuple[int, int]) -> tuple[Run | None, str]:
        """Return what gives what torch gives, or None and why there is none."""
        try:
            run = self.compile(size, self._asked)
            most, mean = self._differences(run, size)
        except Exception as error:  # whatever a converter may raise, torch can go on
            why_not = 'the network could not be converted and compared ' \
                f'({first_line(error)})'
        else:
            allowed = TOLERANCES[self._asked]
            if most <= allowed.most and mean <= allowed.mean:
                return run, ''
            why_not = (f'its output in {self._asked} differs from that of torch by {most:.2g} of '
                       f'the range, {mean:.2g} in the mean, more than {allowed.most:g} and '
                       f'{allowed.mean:g}')
        if self.discard(size):
            self.reset()
            run, again = self._proved(size)
            return run, again and f'{why_not}; and once more: {again}'
        return None, why_not

    def _differences(self, run: Run, size: tuple[int, int]) -> tuple[float, float]:
        """Return how far it is from torch, at most and in the mean; NaN where it has NaN."""
        generator = np.random.default_rng(0)
        state, most, mean = None, 0.0, 0.0
        for _ in range(PROOF_FRAMES):
            image = generator.random((self.config.input.channels, *size), np.float32)
            image *= generator.random(size) < 0.3  # as few pixels have events
            expected = TorchRuntime._predict(self, image)
            found, state = self._advance(run, image, state)
            off = self._off(found, expected)
            # Of a number that is none, np.maximum makes none.
            most, mean = np.maximum(most, off.max()), np.maximum(mean, off.mean())
        return float(most), float(mean)
