# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A student on a CPU by OpenVINO, where it is installed.

The network is converted on this machine, in memory, for the size of its input, with its recurrent
state as inputs and outputs; nothing is kept on disk.
"""
from __future__ import annotations

import copy
import sys
from types import ModuleType
import warnings

import numpy as np
import torch

from depth_anyevent_ros.events.noise_filter import supported
from depth_anyevent_ros.networks.proved_runtime import ProvedRuntime, Run

HINTS = {'fp32': 'f32', 'bf16': 'bf16'}


def import_openvino() -> ModuleType:
    """
    Import OpenVINO; ImportError.

    Its converter would tell its maker what is converted, over the network; without the package
    that does so it is quiet. A robot tells nobody.
    """
    sys.modules.setdefault('openvino_telemetry', None)
    import openvino
    return openvino


class OpenVinoRuntime(ProvedRuntime):
    """A checkpoint on the CPU by OpenVINO."""

    program = 'OpenVINO'
    half = ('bf16',)

    def version(self) -> str:
        """Return the name and the version of what computes."""
        return f'openvino {import_openvino().__version__.partition("-")[0]}'

    def compile(self, size: tuple[int, int], precision: str) -> Run:
        """Return what runs `Step` for this size (height, width); see `ProvedRuntime`."""
        openvino = import_openvino()
        core = openvino.Core()
        if precision == 'bf16' and 'BF16' not in core.get_property(
                'CPU', 'OPTIMIZATION_CAPABILITIES'):
            raise RuntimeError('this processor does not compute in bf16; fp32 can be had')
        step, within = self._step, self.config.network.noise_filter
        if within:
            # Noise is left out before: in bf16 other events would be taken for it.
            step = copy.deepcopy(step)
            step.network.pretrained.noise_filter = 0.0
        image = torch.zeros(1, self.config.input.channels, *size)
        state = [torch.zeros(shape) for shape in self._step.state_shapes(*size)]
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # sizes become constants, as they should
            model = openvino.convert_model(
                step, example_input=(image, *state),
                input=[tuple(tensor.shape) for tensor in (image, *state)])
        request = core.compile_model(model, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'INFERENCE_PRECISION_HINT': HINTS[precision]}).create_infer_request()

        def run(inputs):
            if within:
                image, *state = inputs
                inputs = supported(image[0], within)[None], *state
            outputs = request.infer(list(inputs), share_inputs=True)
            return [np.array(outputs[i]) for i in range(len(outputs))]
        return run
