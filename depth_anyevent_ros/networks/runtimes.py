# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What runs a checkpoint on this machine, by what is asked for and what can be had."""
from __future__ import annotations

from collections.abc import Callable

import torch

from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.cuda_runtime import CudaRuntime, is_device_error
from depth_anyevent_ros.networks.onnx_file import MISSING
from depth_anyevent_ros.networks.onnx_runtime import import_onnxruntime, OnnxRuntime
from depth_anyevent_ros.networks.openvino_runtime import import_openvino, OpenVinoRuntime
from depth_anyevent_ros.networks.runtime import (
    choose_placement, cpu_computes_in_bf16, HALF, TorchRuntime)

RUNTIMES = ('torch', 'openvino', 'onnxruntime', 'auto')
# By name: the class, how its package is imported, and what would install it.
OTHERS: dict[str, tuple[type[TorchRuntime], Callable[[], object], str]] = {
    'openvino': (OpenVinoRuntime, import_openvino, 'pip install openvino'),
    'onnxruntime': (OnnxRuntime, import_onnxruntime, MISSING)}


def make_runtime(checkpoint: Checkpoint, device: str = 'auto', precision: str = 'auto',
                 runtime: str = 'torch') -> TorchRuntime:
    """
    Return what runs a checkpoint.

    runtime: `torch`; `openvino` or `onnxruntime`, which fall back to torch where they cannot be
    had, and say so; `auto`, OpenVINO where it is installed and no GPU is used, else torch.
    precision: see `choose_placement` and, on a GPU, `CudaRuntime`; OpenVINO takes bf16 on any CPU,
    too, and tells where fp32 had to be used.
    Raises ValueError.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f'runtime must be one of {", ".join(RUNTIMES)}, not {runtime!r}')
    on_gpu = _uses_gpu(device)
    wanted = {'torch': '', 'auto': 'openvino'}.get(runtime, runtime)
    if not wanted:
        return _torch_runtime(checkpoint, device, precision, on_gpu)
    if wanted == 'onnxruntime' and precision in HALF:
        raise ValueError(f'onnxruntime computes in fp32 here, not in {precision}: use fp32 or '
                         'auto, or bf16 with the runtime openvino.')
    kind, load, install = OTHERS[wanted]
    why_not = 'it computes on CPUs only here, and a GPU is used' if on_gpu \
        else _missing(load, install)
    if not why_not:
        return kind(checkpoint, device, precision)
    if precision in kind.half and not on_gpu and runtime != 'auto' and not cpu_computes_in_bf16():
        precision = 'fp32'  # which torch would refuse
    made = _torch_runtime(checkpoint, device, precision, on_gpu)
    if runtime != 'auto':
        made.fallback = ' '.join(filter(None, (
            made.fallback,
            f'{kind.program} was asked for, but {why_not}, so torch runs the network.')))
    return made


def _torch_runtime(checkpoint: Checkpoint, device: str, precision: str,
                   on_gpu: bool) -> TorchRuntime:
    if not on_gpu:
        return TorchRuntime(checkpoint, device, precision)
    try:
        return CudaRuntime(checkpoint, device, precision)
    except RuntimeError as error:
        if not is_device_error(error):
            raise
        made = TorchRuntime(checkpoint, 'cpu')
        made.fallback = f'The GPU cannot be used, so the network runs on the CPU: {error}'
        return made


def _uses_gpu(device: str) -> bool:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return choose_placement(device, 'auto', gpus, gpu_bf16=True).device != 'cpu'


def _missing(load: Callable[[], object], install: str) -> str:
    """Return why a package cannot be used, '' where it can."""
    try:
        load()
    except ImportError as error:
        return f'it is not installed ({error}; {install})'
    return ''
