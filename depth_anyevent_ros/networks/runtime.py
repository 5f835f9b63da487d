# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running a checkpoint frame by frame: arrays in, arrays out, everything else on the device."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
import re
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.config import check_size
from depth_anyevent_ros.networks.half_range import fit_half_range
from depth_anyevent_ros.networks.step import Step

PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16')
HALF = {'bf16': torch.bfloat16, 'fp16': torch.float16}
# What Linux calls the bfloat16 arithmetic of x86-64 processors. Those with AMX have it too; on
# ARM, where it is called bf16, nothing was measured.
CPU_BF16 = 'avx512_bf16'
CPU_INFO = Path('/proc/cpuinfo')


class Placement(NamedTuple):
    """Where and how a network runs, and, if that is not as asked, why."""

    device: str
    precision: str
    fallback: str | None


def choose_placement(device: str, precision: str, gpus: int, gpu_bf16: bool,
                     cpu_bf16: bool = False) -> Placement:
    """
    Settle device ('auto', 'cpu', 'cuda', 'cuda:N') and precision on a machine with `gpus` GPUs.

    gpu_bf16: whether they compute in bfloat16. cpu_bf16: whether the CPU may, which it only does
    where it is asked for. 'auto' is the first GPU in bf16 (fp16 where there is no bf16), or the
    CPU in fp32. A GPU asked for on a machine without one falls back to the CPU in fp32, and
    `fallback` says so. Raises ValueError for what cannot be done.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision must be one of {", ".join(PRECISIONS)}, not {precision!r}.')
    if not isinstance(device, str) or not re.fullmatch(r'auto|cpu|cuda(:\d{1,3})?', device):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', not {device!r}.")
    if device.startswith('cuda') and gpus == 0:
        return Placement('cpu', 'fp32', f'{device} was asked for, but torch {torch.__version__} '
                         'finds no NVIDIA GPU, so the network runs on the CPU in fp32.')
    if device == 'cpu' or gpus == 0:
        if precision == 'bf16' and cpu_bf16:
            return Placement('cpu', 'bf16', None)
        if precision in HALF:
            raise ValueError(f'precision {precision} was asked for on a CPU, where half precision '
                             'measured 12 times slower than fp32 by torch, but for bf16 where the '
                             'processor has avx512_bf16: use fp32 or auto, or bf16 with the '
                             'runtime openvino.')
        return Placement('cpu', 'fp32', None)
    index = int(device.partition(':')[2] or 0)
    if index >= gpus:
        raise ValueError(f'device {device} was asked for, but there are {gpus} GPUs, cuda:0 to '
                         f'cuda:{gpus - 1}: name one of them, or auto.')
    if precision == 'auto':
        precision = 'bf16' if gpu_bf16 else 'fp16'
    elif precision == 'bf16' and not gpu_bf16:
        raise ValueError('precision bf16 was asked for, but this GPU does not compute in it: '
                         'use fp16 or auto.')
    return Placement(f'cuda:{index}', precision, None)


def placement_here(device: str, precision: str) -> Placement:
    """Settle device and precision on this machine, as `choose_placement`; ValueError."""
    # A GPU that is not to be used is not asked, since a broken one may raise.
    gpus = torch.cuda.device_count() if device != 'cpu' and torch.cuda.is_available() else 0
    # From Ampere on; torch's own answer counts slow emulation as support.
    bf16 = all(torch.cuda.get_device_capability(gpu) >= (8, 0) for gpu in range(gpus))
    return choose_placement(device, precision, gpus, bf16, cpu_computes_in_bf16())


def cpu_computes_in_bf16(info: Path = CPU_INFO) -> bool:
    """Return whether Linux says so; torch would also emulate it, slowly."""
    try:
        return CPU_BF16 in info.read_text().split()
    except OSError:
        return False


def autocast(precision: str, cached: bool = True, device: str = 'cuda'):
    """
    Return the context of a device's arithmetic, one that does nothing for fp32.

    cached: whether a weight is cast once rather than wherever it is used. Not within a CUDA
    graph, which would outlive what was cast.
    """
    if precision == 'fp32':
        return contextlib.nullcontext()
    return torch.autocast(device.partition(':')[0], dtype=HALF[precision], cache_enabled=cached)


def first_line(error: Exception) -> str:
    """Return what happened; some errors advise, or print the whole network, after it."""
    return str(error).strip().partition('\n')[0] or type(error).__name__


class TorchRuntime:
    """
    A checkpoint on a device, with its recurrent state.

    For one thread at a time, but for `infer_batch`, which uses no state.

    fp32 on a GPU means torch's defaults, which allow TF32 in convolutions.
    Attributes: runtime, what computes; device and precision, as settled; fallback, None or a
    sentence; config, name and sha256 of the checkpoint; non_finite, how many output pixels were
    NaN or infinite so far; state_resets, how often the recurrent state was dropped because of
    them.
    """

    runtime = f'torch {torch.__version__}'

    def __init__(self, checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto'):
        self.device, self.precision, self.fallback = placement_here(device, precision)
        self.config = checkpoint.config
        self.name, self.sha256 = checkpoint.name, checkpoint.sha256
        self.non_finite = 0
        self.state_resets = 0
        self._load(checkpoint)

    def _load(self, checkpoint: Checkpoint) -> None:
        """Bring the network to the device."""
        # A copy, since Module.to works in place and the checkpoint belongs to the caller.
        # Channels last is the layout in which the encoder's tokens already are maps; the tiny
        # student ran 1.1 to 1.2 times faster with it on a CPU.
        network = copy.deepcopy(checkpoint.network)
        fit_half_range(network)
        self._network = network.eval().to(self.device, memory_format=torch.channels_last)
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=self.device)[:, None, None]
            for values in (self.config.input.mean, self.config.input.std))
        self._size: tuple[int, int] | None = None
        self._state = None

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the frames that it is ready for; None before the first one."""
        return self._size

    def infer(self, image: np.ndarray) -> np.ndarray:
        """
        Predict the next frame of the sequence.

        image: (C, H, W) float32, in [0, 1] for Tencode and RGB, not yet normalised; H and W
        multiples of 14.
        Returns inverse depth (H, W) float32, larger is nearer, NaN where the network gave no
        finite number; the array is the caller's. A change of size starts a new sequence.
        Raises ValueError for another shape or type.
        """
        self._set_size(self._checked_size(image))
        result = self._predict(image)
        bad = ~np.isfinite(result)
        if bad.any():
            result[bad] = np.nan
            self.non_finite += int(bad.sum())
            self._drop_broken_state()
        return result

    def infer_batch(self, images: np.ndarray) -> np.ndarray:
        """
        Predict frames that have nothing to do with each other, by a network without memory.

        images: (N, C, H, W) float32, as `infer` takes them. Returns float32 (N, H, W). Raises
        ValueError for other shapes or types, and for a recurrent network.
        """
        if self.config.network.recurrent:
            raise ValueError(f'{self.name} is recurrent: it sees one frame after the other.')
        for image in images:
            self._checked_size(image)
        with torch.inference_mode(), self._autocast():
            pixels = torch.from_numpy(images).to(self.device)
            pixels = (pixels - self._mean) / self._std
            inverse_depth, _ = self._network(
                pixels.contiguous(memory_format=torch.channels_last), None)
            result = inverse_depth.float().cpu().numpy()
        bad = ~np.isfinite(result)
        result[bad] = np.nan
        self.non_finite += int(bad.sum())
        return result

    def _predict(self, image: np.ndarray) -> np.ndarray:
        """Return inverse depth of a frame that was checked, and keep the new state."""
        np.copyto(self._input.numpy(), image)
        with torch.inference_mode(), self._autocast():
            pixels = self._input.to(self.device, non_blocking=True)
            pixels = (pixels - self._mean) / self._std
            inverse_depth, self._state = self._network(pixels.unsqueeze(0), self._state)
            return self._download(inverse_depth[0])

    def step(self) -> Step:
        """Return one frame of the network, on its device, as a function of plain tensors."""
        return Step(self._network, self._mean, self._std)

    def reset(self) -> None:
        """Forget the frames so far: the next one starts a sequence."""
        self._state = None

    def release(self) -> None:
        """Give the device's memory back; the runtime cannot be used any more."""
        self._network = self._state = self._input = self._output = self._size = None
        if self.device != 'cpu':
            with contextlib.suppress(RuntimeError):  # of a device that is lost nothing is left
                torch.cuda.empty_cache()

    def warm_up(self, height: int, width: int) -> None:
        """Run twice at this size, so that the first real frame is not slow; resets the state."""
        blank = np.zeros((self.config.input.channels, height, width), np.float32)
        counts = self.non_finite, self.state_resets
        self.reset()
        for _ in range(2):
            self.infer(blank)
        self.reset()
        self.non_finite, self.state_resets = counts

    def describe(self) -> dict:
        """Return what runs and where, as plain values for logs and diagnostics."""
        return {
            'checkpoint': self.name,
            'model': self.config.name,
            'sha256': self.sha256[:12],
            'trained': self.config.trained,
            'trained_on': self.config.trained_on,
            'runtime': self.runtime,
            'device': self.device,
            'precision': self.precision,
            'fallback': self.fallback,
            'parameters': sum(weight.numel() for weight in self._network.parameters()),
        }

    def _set_size(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        self.reset()
        on_gpu = self.device != 'cpu'
        # Pinned, so that both copies go by DMA; allocated once per size, as pinning is slow.
        self._input = torch.empty((self.config.input.channels, *size), pin_memory=on_gpu)
        self._output = torch.empty(size, pin_memory=True) if on_gpu else None
        self._size = size

    def _autocast(self):
        return autocast(self.precision, device=self.device)

    def _download(self, inverse_depth: Tensor) -> np.ndarray:
        if self._output is None:
            return inverse_depth.numpy()
        self._output.copy_(inverse_depth, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return self._output.numpy().copy()

    def _off(self, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """
        Return how far a prediction is from the expected one, of the range of that, pixel by pixel.

        Of depth for a network that gives depth: where that is 0 its inverse is a million, beside
        which no other pixel would count.
        """
        network = self.config.network
        if network.output != 'inverse_depth' or network.max_depth is not None:
            with np.errstate(divide='ignore'):
                found, expected = 1 / found, 1 / expected
        return np.abs(found - expected) / (float(np.ptp(expected)) or 1.0)

    def _drop_broken_state(self) -> None:
        """One NaN in the state would spoil every frame to come."""
        if self._state is not None and not self._state.is_finite():
            self.state_resets += 1
            self.reset()

    def _checked_size(self, image: np.ndarray) -> tuple[int, int]:
        channels = self.config.input.channels
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[0] != channels:
            came = f'shape {image.shape}' if isinstance(image, np.ndarray) \
                else type(image).__name__
            raise ValueError(f'The input must be an array ({channels}, height, width), '
                             f'not {came}.')
        if image.dtype != np.float32:
            raise ValueError(f'The input must be float32 in [0, 1], not {image.dtype}: convert '
                             'it, and divide 8-bit values by 255.')
        check_size(image.shape[1], image.shape[2])
        return image.shape[1], image.shape[2]
