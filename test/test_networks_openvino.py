# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO beside torch: the same depth, or torch and a sentence."""
from dataclasses import replace
import importlib.util
import sys

import numpy as np
import pytest
import torch

from depth_anyevent_ros.depth_estimator import DepthEstimator, WindowSettings
from depth_anyevent_ros.networks import openvino_runtime
from depth_anyevent_ros.networks.checkpoint import untrained_student
from depth_anyevent_ros.networks.openvino_runtime import make_runtime, OpenVinoRuntime
from depth_anyevent_ros.networks.runtime import TorchRuntime

SIZE = (70, 98)


@pytest.fixture(scope='module', params=['tiny-r', 'tiny'])
def student(request):
    return untrained_student(request.param)


@pytest.fixture
def recurrent():
    return untrained_student('tiny-r')


def needs_openvino():
    # Not imported here, since the package imports it in its own way.
    if importlib.util.find_spec('openvino') is None:
        pytest.skip('OpenVINO is optional')


def frames(count, size=SIZE, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.random((3, *size), np.float32) * (generator.random(size) < 0.3)
            for _ in range(count)]


def assert_same(runtime, other, images):
    for image in images:
        image = image.astype(np.float32)
        expected = other.infer(image)
        np.testing.assert_allclose(runtime.infer(image), expected,
                                   atol=1e-3 * np.ptp(expected))


def test_a_sequence_has_the_depth_that_torch_gives(student):
    needs_openvino()
    runtime, other = make_runtime(student, runtime='openvino'), TorchRuntime(student, 'cpu')
    runtime.warm_up(*SIZE)
    assert runtime.runtime.startswith('openvino') and runtime.fallback is None
    assert runtime.describe()['runtime'] == runtime.runtime
    assert_same(runtime, other, frames(6))
    for one in (runtime, other):
        one.reset()
    assert_same(runtime, other, frames(3, seed=1))
    # Another size begins a sequence.
    assert_same(runtime, other, frames(3, (84, 98), seed=2))


def test_the_state_is_remembered_and_forgotten(recurrent):
    needs_openvino()
    runtime = make_runtime(recurrent, runtime='openvino')
    image = frames(1)[0].astype(np.float32)
    first, second = runtime.infer(image), runtime.infer(image)
    assert not np.array_equal(first, second)
    runtime.reset()
    np.testing.assert_array_equal(runtime.infer(image), first)


def test_nan_in_a_frame_does_not_spoil_those_to_come(recurrent):
    needs_openvino()
    runtime = make_runtime(recurrent, runtime='openvino')
    image = frames(1)[0].astype(np.float32)
    second = [runtime.infer(image) for _ in range(2)][1]
    runtime.reset()
    runtime.infer(image)
    assert np.isnan(runtime.infer(np.full_like(image, np.nan))).all()
    assert runtime.non_finite == SIZE[0] * SIZE[1]
    np.testing.assert_array_equal(runtime.infer(image), second)


def test_other_weights_are_refused_and_torch_goes_on(recurrent, monkeypatch):
    needs_openvino()
    other = untrained_student('tiny-r', seed=1).network

    class Mistaken(openvino_runtime.Step):
        def __init__(self, network, mean, std):
            super().__init__(other, mean, std)

    monkeypatch.setattr(openvino_runtime, 'Step', Mistaken)
    runtime = make_runtime(recurrent, runtime='openvino')
    runtime.warm_up(*SIZE)
    assert runtime.runtime.startswith('torch') and 'differs from that of torch' in runtime.fallback
    assert_same(runtime, TorchRuntime(recurrent, 'cpu'), frames(3))


def test_what_cannot_be_converted_runs_on_torch(recurrent, monkeypatch):
    needs_openvino()

    def fail(self, size):
        raise RuntimeError('no such operation')
    monkeypatch.setattr(OpenVinoRuntime, '_convert', fail)
    runtime = make_runtime(recurrent, runtime='openvino')
    assert_same(runtime, TorchRuntime(recurrent, 'cpu'), frames(2))
    assert 'no such operation' in runtime.fallback and runtime.runtime.startswith('torch')


def test_where_it_is_not_installed_torch_runs_and_says_so(recurrent, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    asked = make_runtime(recurrent, runtime='openvino')
    assert type(asked) is TorchRuntime and 'pip install openvino' in asked.fallback
    assert make_runtime(recurrent, runtime='auto').fallback is None
    with pytest.raises(ValueError, match='torch, openvino, auto'):
        make_runtime(recurrent, runtime='magic')


def test_beside_a_gpu_it_is_not_used(recurrent, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    # The choice alone: the machine has no GPU to go on with.
    monkeypatch.setattr(openvino_runtime, 'TorchRuntime',
                        lambda *_: replace(recurrent, name='on the GPU'))
    assert make_runtime(recurrent, runtime='auto').name == 'on the GPU'


def test_it_tells_nobody_what_is_converted(recurrent, tmp_path, monkeypatch):
    needs_openvino()
    monkeypatch.setenv('HOME', str(tmp_path))
    runtime = make_runtime(recurrent, runtime='openvino')
    runtime.warm_up(*SIZE)
    assert not list(tmp_path.iterdir())
    assert sys.modules['openvino_telemetry'] is None


def test_the_estimator_and_its_next_students_run_by_it(recurrent):
    needs_openvino()
    estimator = DepthEstimator(recurrent, WindowSettings(), 'cpu', runtime='auto')
    estimator.warm_up(98, 70)
    after = estimator.runtime_for(recurrent)
    assert estimator.runtime.runtime.startswith('openvino') == after.runtime.startswith('openvino')
    assert after.runtime.startswith('openvino')
