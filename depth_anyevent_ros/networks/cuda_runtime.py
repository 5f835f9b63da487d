# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A checkpoint on an NVIDIA GPU: one upload, one CUDA graph, one download, one wait for each frame.

A small network is launched kernel by kernel more slowly than it computes. A graph of all kernels
of a frame, captured once for each size of input, is launched at once; the recurrent state stays
in place on the device. The graph is believed only after it gave what torch gives in fp32 without
it. A GPU that fails or has no memory left makes the CPU go on, which `fallback` says.

Half precision is fp16 where that passes the comparison: its eleven bits are eight times finer
than those of bf16, with which vits-r from random weights was off by 1.3 % of the range (H200).
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.half_weights import in_half
from depth_anyevent_ros.networks.runtime import autocast, first_line, HALF, TorchRuntime
from depth_anyevent_ros.networks.static_step import StaticStep

TOLERANCE = 0.01  # of the range of the output, between half precision and fp32
WARM_UP_FRAMES = 3
# Of the cells, with events in each frame of the proof: few or none may give the largest maps.
PROOF_SHARES = (0.3, 0.3, 0.01, 0.0)
ORDER = ('fp16', 'bf16', 'fp32')  # in which auto tries them
DEVICE_WORDS = ('CUDA', 'cuDNN', 'CUDNN', 'CUBLAS', 'cuBLAS', 'NVML')


def is_device_error(error: BaseException) -> bool:
    """Return whether an error is that of the device, rather than of the program."""
    kinds = tuple(kind for kind in (getattr(torch, 'OutOfMemoryError', None),
                                    getattr(torch, 'AcceleratorError', None)) if kind)
    return isinstance(error, kinds) or any(word in str(error) for word in DEVICE_WORDS)


class Refusal(NamedTuple):
    """Why there is no graph, and whether that is because it computes something else."""

    why: str
    differs: bool


class CudaRuntime(TorchRuntime):
    """
    A checkpoint on a GPU; as `TorchRuntime`, which it compares itself with.

    precision: auto is the first of `ORDER` whose output is close to that in fp32. Half precision
    that is not, though it was asked for, is fp32, which `fallback` says.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto'):
        self._static: StaticStep | None = None
        self._graph = None
        super().__init__(checkpoint, device, precision)
        self._checkpoint = checkpoint
        self._asked = precision
        # In which order they are tried, with a graph and without.
        self._choices = self._plain_choices = tuple(dict.fromkeys((self.precision, 'fp32')))
        if precision == 'auto' and self.precision in HALF:
            self._choices = tuple(choice for choice in ORDER
                                  if choice != 'bf16' or self.precision == 'bf16')
            self.precision = self._choices[0]

    @property
    def runtime(self) -> str:
        """What computes."""
        return TorchRuntime.runtime + (' with a CUDA graph' if self._graph else '')

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Predict the next frame, as `TorchRuntime.infer`; on the CPU once the GPU has failed."""
        try:
            return super().infer(image)
        except RuntimeError as error:
            self._go_on_without_gpu(error)
            return super().infer(image)

    def reset(self) -> None:
        """Forget the frames so far, as `TorchRuntime.reset`; on the CPU if the GPU fails in it."""
        try:
            self._forget()
        except RuntimeError as error:
            self._go_on_without_gpu(error)

    def release(self) -> None:
        """Give the device's memory back; the runtime cannot be used any more."""
        self._graph = self._static = None
        super().release()

    def _set_size(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        self._graph = self._static = None
        if self._size is None:
            self._said = self.fallback  # before there was a graph, as of another runtime
        super()._set_size(size)
        if self.device == 'cpu':
            return
        self.fallback = ' '.join(filter(None, (self._said, *self._choose(size)))) or None
        self._forget()

    def _choose(self, size: tuple[int, int]) -> Iterator[str]:
        """Settle graph and precision for this size; yield sentences on what is not as asked."""
        for self.precision in self._choices:
            refusal = self._capture(size)
            if refusal is None or not refusal.differs:
                break
        if refusal:
            yield f'No CUDA graph is used: {refusal.why}.'
        if refusal and not refusal.differs:  # half precision may do without a graph
            for self.precision in self._plain_choices:
                if self.precision == 'fp32' or self._difference(size) <= TOLERANCE:
                    break
        if self._asked in HALF and self.precision != self._asked:
            yield (f'{self._asked} was asked for, but its output differs from that in fp32 by '
                   f'more than {TOLERANCE:.0%} of the range, so the network runs in fp32.')

    def _forget(self) -> None:
        """Empty the state; whatever the device raises passes."""
        super().reset()
        if self._static is not None:
            self._static.reset()

    def _predict(self, image: np.ndarray) -> np.ndarray:
        if self._graph is None:
            return super()._predict(image)
        np.copyto(self._input.numpy(), image)
        self._static.pixels.copy_(self._input, non_blocking=True)
        self._graph.replay()
        self._flat.copy_(self._static.output, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return self._flat.numpy()[:-1].reshape(self._size).copy()

    def _drop_broken_state(self) -> None:
        if self._graph is None:
            super()._drop_broken_state()
        elif self._flat[-1] != 1:
            self.state_resets += 1
            self.reset()

    def _capture(self, size: tuple[int, int]) -> Refusal | None:
        """Make the graph for this size and try it; return why there is none."""
        try:
            with torch.cuda.device(self.device):
                self._static, self._graph = self._captured(size)
            off = self._difference(size)
        except RuntimeError as error:
            # A graph needs memory of its own, and without one the GPU may do all the same: it is
            # given up only when plain torch fails on it, too.
            self._graph = self._static = None
            return Refusal(f'it could not be captured and compared ({first_line(error)})', False)
        if off <= TOLERANCE:
            return None
        self._graph = self._static = None
        return Refusal(f'its output differs from that in fp32 by {off:.2g} of the range', True)

    def _captured(self, size: tuple[int, int]) -> tuple[StaticStep, torch.cuda.CUDAGraph]:
        """Return the tensors of a frame of this size, and the graph that computes in them."""
        step = self.step()
        if self.precision in HALF:
            step = in_half(step, HALF[self.precision], size)
        static = StaticStep(step, size, self.config.input.channels, self.device,
                            self._autocast_for_graph)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_FRAMES):
                static.advance()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # A new student is captured on another thread than that of the worker, whose student uses
        # the GPU meanwhile: in the mode 'global', the default, a call of any thread that may
        # synchronise or allocate breaks the capture.
        with torch.cuda.graph(graph, capture_error_mode='thread_local'):
            static.advance()
        self._flat = torch.empty(static.output.shape, pin_memory=True)
        return static, graph

    def _difference(self, size: tuple[int, int]) -> float:
        """
        Return how far the graph, or torch without one, is from torch in fp32, of the range.

        NaN where it has NaN.
        """
        generator, graph, precision = np.random.default_rng(0), self._graph, self.precision
        images = [(generator.random((self.config.input.channels, *size), np.float32)
                   * (generator.random(size) < share)).astype(np.float32)
                  for share in PROOF_SHARES]
        self._forget()
        found = [self._predict(image) for image in images]
        self._graph, self.precision = None, 'fp32'
        try:
            expected = [super(CudaRuntime, self)._predict(image) for image in images]
        finally:
            self._graph, self.precision = graph, precision
        # Of a number that is none, np.max makes none; Python's max drops it, but for the first.
        return float(np.max([self._off(*pair).max() for pair in zip(found, expected)]))

    def _autocast_for_graph(self):
        return autocast(self.precision, cached=False)

    def _go_on_without_gpu(self, error: RuntimeError) -> None:
        """Run on the CPU from now on, or raise an error that is not the device's."""
        if self.device == 'cpu' or not is_device_error(error):
            raise error
        lost, self._graph, self._static = self.device, None, None
        self.device, self.precision = 'cpu', 'fp32'
        self._load(self._checkpoint)
        self.fallback = (f'{lost} has failed, so the network runs on the CPU in fp32 from now on: '
                         f'{first_line(error)}')
