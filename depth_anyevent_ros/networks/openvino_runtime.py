# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A student on a CPU by OpenVINO, where it is installed: the same depth in less time.

The network is converted on this machine, in memory, for the size of its input, with its recurrent
state as inputs and outputs; nothing is kept on disk. It is believed only after it gave the depth
that torch gives, frame after frame, and else torch goes on, which `fallback` says.
"""
from __future__ import annotations

import sys
from types import ModuleType
import warnings

import numpy as np
import torch
from torch import nn, Tensor

from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.runtime import choose_placement, TorchRuntime
from depth_anyevent_ros.networks.state import RecurrentState

RUNTIMES = ('torch', 'openvino', 'auto')
# Of the range of the output; in float32 the two differ by some millionths.
TOLERANCE = 1e-3
PROOF_FRAMES = 4


def make_runtime(checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto',
                 runtime: str = 'torch') -> TorchRuntime:
    """
    Return what runs a checkpoint.

    runtime: `torch`; `openvino`, which falls back to torch where it cannot be had, and says so;
    `auto`, OpenVINO where it is installed and no GPU is used, else torch. Raises ValueError.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f'runtime must be one of {", ".join(RUNTIMES)}, not {runtime!r}')
    if runtime == 'torch':
        return TorchRuntime(checkpoint, device, precision)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    on_gpu = choose_placement(device, precision, gpus, gpu_bf16=True).device != 'cpu'
    why_not = 'it computes on CPUs only here, and a GPU is used' if on_gpu else _missing()
    if not why_not:
        return OpenVinoRuntime(checkpoint, device, precision)
    made = TorchRuntime(checkpoint, device, precision)
    if runtime == 'openvino':
        made.fallback = ' '.join(filter(None, (
            made.fallback, f'OpenVINO was asked for, but {why_not}, so torch runs the network.')))
    return made


def _missing() -> str:
    """Return why OpenVINO cannot be used, '' where it can."""
    try:
        _openvino()
    except ImportError as error:
        return f'it is not installed ({error}; pip install openvino)'
    return ''


def _openvino() -> ModuleType:
    """
    Import OpenVINO.

    Its converter would tell its maker what is converted, over the network; without the package
    that does so it is quiet. A robot tells nobody.
    """
    sys.modules.setdefault('openvino_telemetry', None)
    import openvino
    return openvino


class OpenVinoRuntime(TorchRuntime):
    """A checkpoint on the CPU by OpenVINO; as `TorchRuntime`, which it compares itself with."""

    def __init__(self, checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto'):
        super().__init__(checkpoint, 'cpu', 'fp32')
        self._no_gpu = self.fallback = choose_placement(device, precision, 0, False).fallback
        self._openvino = _openvino()
        self._request = None
        self._arrays: list[np.ndarray] | None = None

    @property
    def runtime(self) -> str:
        """What computes."""
        if self._request is None:
            return TorchRuntime.runtime
        return f'openvino {self._openvino.__version__.partition("-")[0]}'

    def reset(self) -> None:
        """Forget the frames so far: the next one starts a sequence."""
        super().reset()
        self._arrays = None

    def release(self) -> None:
        """Give the memory back; the runtime cannot be used any more."""
        super().release()
        self._request = self._arrays = None

    def _set_size(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        super()._set_size(size)
        self._request = None
        request, why_not = self._proved(size)
        self.reset()
        self.fallback = self._no_gpu if request else \
            f'OpenVINO is not used, torch runs the network: {why_not}'
        self._request = request

    def _predict(self, image: np.ndarray) -> np.ndarray:
        if self._request is None:
            return super()._predict(image)
        if not np.isfinite(image).all():  # which OpenVINO may make numbers of
            return np.full(image.shape[1:], np.nan, np.float32)
        result, self._arrays = self._step(self._request, image, self._arrays)
        return result

    def _drop_broken_state(self) -> None:
        if self._request is None:
            super()._drop_broken_state()
        elif self._arrays and not all(np.isfinite(array).all() for array in self._arrays):
            self.state_resets += 1
            self.reset()

    def _step(self, request, image: np.ndarray, state: list[np.ndarray] | None):
        """Return inverse depth (H, W), and the state after it."""
        if state is None:
            state = [np.zeros(shape, np.float32) for shape in self._state_shapes(image.shape)]
        outputs = request.infer([image[None], *state], share_inputs=True)
        found = [np.array(outputs[i]) for i in range(len(outputs))]
        return found[0][0], found[1:]

    def _state_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        shapes = self._network.state_shapes(1, *shape[-2:]).values()
        return [shape for shape in shapes for _ in range(self._network.state_parts)]

    def _proved(self, size: tuple[int, int]):
        """Return a request that gives what torch gives, or None and why there is none."""
        try:
            request = self._convert(size)
        except Exception as error:  # whatever a converter may raise, torch can go on
            return None, f'the network could not be converted ({error})'
        generator = np.random.default_rng(0)
        state, off = None, 0.0
        for _ in range(PROOF_FRAMES):
            image = generator.random((self.config.input.channels, *size), np.float32)
            image *= generator.random(size) < 0.3  # as few pixels have events
            expected = TorchRuntime._predict(self, image)
            found, state = self._step(request, image, state)
            span = float(np.ptp(expected)) or 1.0
            off = max(off, float(np.abs(found - expected).max()) / span)
        if not off <= TOLERANCE:
            return None, (f'its output differs from that of torch by {off:.2g} of the range, '
                          f'more than {TOLERANCE:g}')
        return request, ''

    def _convert(self, size: tuple[int, int]):
        """Return an inference request of the network for this size."""
        image = torch.zeros(1, self.config.input.channels, *size)
        state = [torch.zeros(shape) for shape in self._state_shapes(image.shape)]
        step = Step(self._network, self._mean, self._std)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # sizes become constants, as they should
            model = self._openvino.convert_model(
                step, example_input=(image, *state),
                input=[tuple(tensor.shape) for tensor in (image, *state)])
        compiled = self._openvino.compile_model(model, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'INFERENCE_PRECISION_HINT': 'f32'})
        return compiled.create_infer_request()


class Step(nn.Module):
    """One frame of a network with its normalisation, and the state as plain tensors."""

    def __init__(self, network: DepthNetwork, mean: Tensor, std: Tensor):
        super().__init__()
        self.network, self.mean, self.std = network, mean, std

    def forward(self, image: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """
        Predict one frame.

        image: (1, C, H, W) in [0, 1]. state: the tensors of each level, coarsest first.
        Returns inverse depth (1, H, W), then the new state.
        """
        parts = self.network.state_parts
        levels = RecurrentState(tuple(zip(*(state[part::parts] for part in range(parts))))) \
            if state else None
        maps = self.network.pretrained((image - self.mean) / self.std)
        inverse_depth, after = self.network.decode(maps, 1, levels)
        return (inverse_depth[0], *(tensor for level in (after.levels if after else ())
                                    for tensor in level))
