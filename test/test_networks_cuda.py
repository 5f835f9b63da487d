# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The path of a GPU: what of it can be shown on a CPU, and the rest where there is one."""
import contextlib
from types import SimpleNamespace

from network_frames import frames, SIZE, student_with
import numpy as np
import pytest
import torch

from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks import cuda_runtime, runtime as torch_runtime
from depth_anyevent_ros.networks.checkpoint import untrained_student
from depth_anyevent_ros.networks.cuda_runtime import (
    CudaRuntime, is_device_error, PROOF_SHARES, Refusal, TOLERANCE)
from depth_anyevent_ros.networks.half_weights import in_half
from depth_anyevent_ros.networks.runtime import Placement, TorchRuntime
from depth_anyevent_ros.networks.static_step import StaticStep


def advance(static, image):
    static.pixels.copy_(torch.from_numpy(image))
    static.advance()
    return static.output[:-1].reshape(SIZE).numpy().copy()


@pytest.fixture
def gpu(monkeypatch):
    """
    Let the CPU pass for a GPU in all that CudaRuntime does, but for kernels and half precision.

    Gives what each capture was asked. A replay is one more frame of the step that was made last.
    """
    steps, captures = [], []

    class Step(StaticStep):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            steps.append(self)

    @contextlib.contextmanager
    def capture(_graph, **asked):
        captures.append(asked)
        yield
    empty = torch.empty
    stream = SimpleNamespace(wait_stream=lambda _: None, synchronize=lambda: None)
    for place, name, fake in (
            # 'cpu:0' is the CPU to torch, and what is not 'cpu' is a GPU to the runtimes.
            (torch_runtime, 'choose_placement', lambda device, *_: Placement(
                'cpu' if device == 'cpu' else 'cpu:0', 'fp32', None)),
            (cuda_runtime, 'StaticStep', Step),
            (torch, 'empty', lambda *shape, pin_memory=False, **more: empty(*shape, **more)),
            (torch.cuda, 'device', contextlib.nullcontext),
            (torch.cuda, 'stream', contextlib.nullcontext),
            (torch.cuda, 'Stream', lambda: stream),
            (torch.cuda, 'current_stream', lambda *_: stream),
            (torch.cuda, 'CUDAGraph', lambda: SimpleNamespace(replay=lambda: steps[-1].advance())),
            (torch.cuda, 'graph', capture)):
        monkeypatch.setattr(place, name, fake)
    return captures


def assert_same(runtime, plain, count=4):
    for image in frames(count):
        np.testing.assert_allclose(runtime.infer(image), plain.infer(image), atol=1e-5)


@pytest.mark.parametrize('changes', [{}, {'recurrent_levels': ()}, {'hold': True}])
def test_tensors_that_stay_in_place_give_the_same_depth(changes):
    plain = TorchRuntime(student_with(**changes), 'cpu')
    static = StaticStep(plain.step(), SIZE, 3, 'cpu', contextlib.nullcontext)
    places = [tensor.data_ptr() for tensor in (static.pixels, static.output, *static.state)]
    for _ in range(2):
        for image in frames(4):
            np.testing.assert_allclose(advance(static, image), plain.infer(image), atol=1e-5)
            assert static.output[-1] == 1
        static.reset()
        plain.reset()
    assert places == [tensor.data_ptr() for tensor in (static.pixels, static.output,
                                                       *static.state)]


def test_a_state_that_is_broken_is_told_with_the_frame():
    static = StaticStep(TorchRuntime(untrained_student('tiny-r'), 'cpu').step(), SIZE, 3, 'cpu',
                        contextlib.nullcontext)
    image = frames(1)[0]
    right = advance(static, image)
    assert np.isnan(advance(static, np.full_like(image, np.nan))).all()
    assert static.output[-1] != 1
    static.reset()
    np.testing.assert_array_equal(advance(static, image), right)


@pytest.mark.parametrize('preset', ['tiny-r', 'vits-r'])
@pytest.mark.parametrize('dtype, close', [
    (torch.float32, 1e-5), (torch.bfloat16, 0.05), (torch.float16, 0.02)])
def test_a_step_made_ready_for_half_precision_gives_the_same_depth(preset, dtype, close):
    student = untrained_student(preset)
    for block in student.network.pretrained.blocks:
        for scale in (block.ls1, block.ls2):
            torch.nn.init.uniform_(scale.gamma, 0.5, 1.5)
    plain = TorchRuntime(student, 'cpu')
    before = [weight.clone() for weight in plain.step().state_dict().values()]
    static = StaticStep(in_half(plain.step(), dtype, SIZE), SIZE, 3, 'cpu', lambda: torch.autocast(
        'cpu', dtype=dtype, enabled=dtype != torch.float32))
    for image in frames(3):
        expected = plain.infer(image)
        np.testing.assert_allclose(advance(static, image), expected, rtol=0,
                                   atol=close * np.ptp(expected))
    for weight, kept in zip(plain.step().state_dict().values(), before):
        assert torch.equal(weight, kept)  # it is a copy


def test_the_bundled_student_fits_into_half_precision():
    images = [*frames(2), np.zeros((3, *SIZE), np.float32)]  # blank ones may have the largest maps
    plain = TorchRuntime(load_student(), 'cpu')
    static = StaticStep(in_half(plain.step(), torch.float16, SIZE), SIZE, 3, 'cpu',
                        lambda: torch.autocast('cpu', dtype=torch.float16))
    for image in images:
        expected = plain.infer(image)
        np.testing.assert_allclose(advance(static, image), expected, rtol=0,
                                   atol=TOLERANCE * np.ptp(expected))


def let_blank_frames_overflow(student):
    """Let a channel that depth does not hang on leave the range of fp16 where nothing is seen."""
    plain, seen = TorchRuntime(student, 'cpu'), []  # which has a copy of the network
    with plain.step().network.depth_head.projects[3].register_forward_hook(
            lambda _, inputs, __: seen.append(inputs[0][0].flatten(1).T)):
        for image in (*frames(2), np.zeros((3, *SIZE), np.float32)):
            plain.infer(image)
    *others, blank = seen
    others = torch.cat(others)
    usual = others.mean(0)
    # The direction in which blank frames differ most from the scatter of others.
    scatter = (others - usual).T @ (others - usual) / len(others)
    scatter += 0.1 * scatter.diagonal().mean() * torch.eye(len(scatter))
    weight = torch.linalg.solve(scatter, blank.mean(0) - usual)
    weight *= 100_000 / ((blank - usual) @ weight).abs().max()
    assert ((others - usual) @ weight).abs().max() < torch.finfo(torch.float16).max / 2
    head = student.network.depth_head
    project = head.projects[3]
    with torch.no_grad():
        project.weight[0], project.bias[0] = weight[:, None, None], -usual @ weight
        head.scratch.layer4_rn.weight[:, 0] = 0


def test_half_precision_that_overflows_in_blank_frames_is_not_taken(gpu, monkeypatch):
    """A robot that stands still sees no events; the arithmetic is that of a CPU."""
    student = load_student()
    let_blank_frames_overflow(student)
    monkeypatch.setattr(torch_runtime, 'choose_placement', lambda device, *_: Placement(
        *(('cpu', 'fp32') if device == 'cpu' else ('cpu:0', 'fp16')), None))
    for place in (cuda_runtime, torch_runtime):
        monkeypatch.setattr(place, 'autocast', lambda precision, **_: torch.autocast(
            'cpu', dtype=torch.float16, enabled=precision == 'fp16'))
    runtime, plain = CudaRuntime(student), TorchRuntime(student, 'cpu')
    runtime.warm_up(*SIZE)
    assert runtime.precision == 'fp32'
    for image in (*frames(2), *np.zeros((3, 3, *SIZE), np.float32)):
        expected = plain.infer(image)
        np.testing.assert_allclose(runtime.infer(image), expected,
                                   atol=TOLERANCE * np.ptp(expected))


def let_precisions_differ(monkeypatch, usual, off):
    """Let a GPU whose usual half precision this is compute in fp32, and be said to be off by."""
    monkeypatch.setattr(torch_runtime, 'choose_placement',
                        lambda *_: Placement('cpu:0', usual, None))
    monkeypatch.setattr(cuda_runtime, 'in_half', lambda step, *_: step)
    monkeypatch.setattr(CudaRuntime, '_autocast', contextlib.nullcontext)
    monkeypatch.setattr(CudaRuntime, '_autocast_for_graph', contextlib.nullcontext)
    monkeypatch.setattr(CudaRuntime, '_difference', lambda self, _: off[self.precision])


@pytest.mark.parametrize('off, used, words', [
    ({'fp16': 0.001}, 'fp16', None),
    ({'fp16': np.nan, 'bf16': 0.001}, 'bf16', None),
    ({'fp16': np.nan, 'bf16': 0.02, 'fp32': 1e-6}, 'fp32', None),
    ({'fp16': 1.0, 'bf16': 0.02, 'fp32': 0.03}, 'fp32', 'No CUDA graph is used'),
])
def test_auto_is_the_first_precision_that_gives_the_depth(gpu, monkeypatch, off, used, words):
    student = untrained_student('tiny-r')
    plain = TorchRuntime(student, 'cpu')
    let_precisions_differ(monkeypatch, 'bf16', off)
    runtime = CudaRuntime(student)
    assert_same(runtime, plain)
    assert runtime.precision == used and len(gpu) == len(off)
    assert words is None and runtime.fallback is None or words in runtime.fallback
    assert ('CUDA graph' in runtime.runtime) == (words != 'No CUDA graph is used')


@pytest.mark.parametrize('off, used', [(0.001, 'fp16'), (0.02, 'fp32'), (np.nan, 'fp32')])
@pytest.mark.parametrize('asked, room', [('fp16', True), ('fp16', False), ('auto', False)])
def test_half_precision_is_used_where_it_was_compared(gpu, monkeypatch, off, used, asked, room):
    student = untrained_student('tiny-r')
    plain = TorchRuntime(student, 'cpu')
    let_precisions_differ(monkeypatch, 'fp16', {'fp16': off, 'fp32': 0.0})
    if not room:
        monkeypatch.setattr(CudaRuntime, '_capture', lambda *_: Refusal('no memory', False))
    runtime = CudaRuntime(student, 'cuda:0', asked)
    assert_same(runtime, plain)
    assert runtime.precision == used and ('CUDA graph' in runtime.runtime) == room
    said = runtime.fallback or ''
    assert ('fp16 was asked for' in said) == (asked == 'fp16' and used == 'fp32')
    assert ('No CUDA graph is used: no memory.' in said) != room


def test_a_graph_is_used_where_it_gives_the_same_depth(gpu):
    student = untrained_student('tiny-r')
    runtime, plain = CudaRuntime(student), TorchRuntime(student, 'cpu')
    for _ in range(2):
        assert_same(runtime, plain)
        runtime.reset()
        plain.reset()
    # Of one thread, since the worker's goes on with the GPU while a new student is captured.
    assert gpu == [{'capture_error_mode': 'thread_local'}]
    assert 'CUDA graph' in runtime.runtime and runtime.fallback is None


def test_a_frame_goes_through_pinned_memory_and_is_waited_for_once(gpu, monkeypatch):
    pinned, waits, empty = [], [], torch.empty
    monkeypatch.setattr(torch, 'empty', lambda *shape, pin_memory=False, **more: (
        pinned.append(pin_memory), empty(*shape, **more))[1])
    stream = SimpleNamespace(wait_stream=lambda _: None, synchronize=lambda: waits.append(1))
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda *_: stream)
    runtime = CudaRuntime(untrained_student('tiny-r'))
    for size in (SIZE, (28, 42)):
        runtime.warm_up(*size)
        assert 'CUDA graph' in runtime.runtime and pinned.count(True) == 3  # in, and out by either
        pinned.clear()
        waits.clear()
        for _ in range(3):
            runtime.infer(np.zeros((3, *size), np.float32))
        assert len(waits) == 3 and not any(pinned)
        waits.clear()


@pytest.mark.parametrize('where', ['capture', 'comparison'])
def test_without_memory_for_a_graph_the_gpu_goes_on_without_one(gpu, monkeypatch, where):
    def full(*_, **__):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.')
    if where == 'capture':
        monkeypatch.setattr(torch.cuda, 'graph', full)
    else:
        monkeypatch.setattr(CudaRuntime, '_difference', full)
    student = untrained_student('tiny-r')
    runtime = CudaRuntime(student)
    assert_same(runtime, TorchRuntime(student, 'cpu'))
    assert (runtime.device, runtime.runtime) == ('cpu:0', TorchRuntime.runtime)
    assert 'No CUDA graph is used' in runtime.fallback and 'out of memory' in runtime.fallback


def test_without_memory_for_a_frame_the_cpu_goes_on(gpu, monkeypatch):
    predict = TorchRuntime._predict

    def full(self, image):
        if self.device != 'cpu':
            raise torch.OutOfMemoryError('CUDA out of memory')
        return predict(self, image)
    monkeypatch.setattr(TorchRuntime, '_predict', full)
    student = untrained_student('tiny-r')
    runtime = CudaRuntime(student)
    assert_same(runtime, TorchRuntime(student, 'cpu'))
    assert runtime.device == 'cpu' and 'out of memory' in runtime.fallback


@pytest.mark.parametrize('bad', range(len(PROOF_SHARES)))
def test_a_graph_that_overflows_from_a_frame_on_is_not_used(gpu, bad):
    class Overflowing(CudaRuntime):
        replays = 0

        def _predict(self, image):
            result = super()._predict(image)
            if self._graph is not None:
                result[0, 0] = np.nan if self.replays >= bad else result[0, 0]
                self.replays += 1
            return result
    student = untrained_student('tiny-r')
    runtime = Overflowing(student)
    assert_same(runtime, TorchRuntime(student, 'cpu'), 2)
    assert len(gpu) == 1 and 'CUDA graph' not in runtime.runtime
    assert 'No CUDA graph is used: its output differs' in runtime.fallback


@pytest.mark.parametrize('error', [
    torch.OutOfMemoryError('CUDA out of memory'),
    RuntimeError('CUDA error: an illegal memory access was encountered\nmore')])
def test_a_gpu_that_fails_makes_the_cpu_go_on(error):
    class Failing(CudaRuntime):
        def _predict(self, image):
            if self.device != 'cpu':
                raise error
            return super()._predict(image)
    student, images = untrained_student('tiny-r'), frames(4)
    runtime, plain = Failing(student, 'cpu'), TorchRuntime(student, 'cpu')
    runtime.infer(images[0])
    runtime.device, runtime.precision = 'cuda:0', 'bf16'  # as if it had been there so far
    for image in images:
        np.testing.assert_array_equal(runtime.infer(image), plain.infer(image))
    about = runtime.describe()
    assert (about['device'], about['precision']) == ('cpu', 'fp32')
    assert 'cuda:0 has failed' in about['fallback'] and 'more' not in about['fallback']


@pytest.mark.parametrize('action', [
    lambda runtime: runtime.reset(), lambda runtime: runtime.warm_up(*SIZE)])
def test_a_gpu_that_fails_in_a_reset_makes_the_cpu_go_on(gpu, monkeypatch, action):
    student = untrained_student('tiny-r')
    runtime, plain = CudaRuntime(student), TorchRuntime(student, 'cpu')
    runtime.infer(frames(1)[0])

    def fail_with(message):
        def fail(_step):
            raise RuntimeError(message)
        monkeypatch.setattr(StaticStep, 'reset', fail)
    fail_with('shapes do not match')
    with pytest.raises(RuntimeError, match='shapes'):
        action(runtime)
    fail_with('CUDA error: device lost')
    action(runtime)
    assert runtime.device == 'cpu' and 'device lost' in runtime.fallback
    assert_same(runtime, plain)


def test_what_was_said_before_the_graph_is_still_said(gpu):
    runtime = cuda_runtime.CudaRuntime(untrained_student('tiny-r'), 'cuda:0')
    runtime.fallback = 'OpenVINO was asked for, but a GPU is used.'
    for size in ((28, 42), (42, 42)):
        runtime.warm_up(*size)
        assert runtime.fallback == 'OpenVINO was asked for, but a GPU is used.'


def test_an_error_of_the_program_is_not_the_devices():
    assert not is_device_error(RuntimeError('shapes do not match'))
    assert not is_device_error(ValueError('H and W'))
    runtime = CudaRuntime(untrained_student('tiny-r'), 'cpu')
    with pytest.raises(ValueError):
        runtime.infer(np.zeros((3, 71, 98), np.float32))
    assert runtime.fallback is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('precision', ['auto', 'fp32', 'fp16'])
@pytest.mark.parametrize('make', [
    lambda: untrained_student('vits-r'), load_student,
    lambda: student_with(hold=True, noise_filter=0.3)], ids=['vits-r', 'bundled', 'filtered'])
def test_a_graph_gives_the_depth_of_fp32(precision, make):
    student = make()
    runtime, plain = CudaRuntime(student, 'cuda', precision), TorchRuntime(student, 'cpu')
    blank = list(np.zeros((3, 3, *SIZE), np.float32))
    for images in (frames(5) + blank, blank + frames(5, seed=1)):
        for image in images:
            expected = plain.infer(image)
            np.testing.assert_allclose(runtime.infer(image), expected,
                                       atol=0.01 * np.ptp(expected))
        runtime.reset()
        plain.reset()
    assert 'CUDA graph' in runtime.runtime and runtime.fallback is None
    assert np.isnan(runtime.infer(np.full((3, *SIZE), np.nan, np.float32))).all()
    assert runtime.state_resets == 1
    assert np.isfinite(runtime.infer(frames(1)[0])).all()
