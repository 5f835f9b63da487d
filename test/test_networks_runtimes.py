# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO and onnxruntime beside torch: the same depth, or torch and a sentence."""
import contextlib
from dataclasses import replace
import importlib.util
import json
import os
import subprocess
import sys

from network_frames import assert_same, frames, SIZE, student_with
import numpy as np
import pytest
import torch

from depth_anyevent_ros.depth_estimator import DepthEstimator, WindowSettings
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.networks import (
    dinov2, onnx_runtime, openvino_runtime, runtime as runtime_module, runtimes)
from depth_anyevent_ros.networks.checkpoint import checkpoint_bytes, untrained_student
from depth_anyevent_ros.networks.onnx_file import (
    check_facts, facts_of, FORMAT_VERSION, METADATA_KEY)
from depth_anyevent_ros.networks.onnx_runtime import cached_file, KEEP, OnnxRuntime
from depth_anyevent_ros.networks.runtime import TorchRuntime
from depth_anyevent_ros.networks.runtimes import make_runtime


PROGRAMS = ['openvino', 'onnxruntime']


@pytest.fixture(scope='module', autouse=True)
def cache(tmp_path_factory):
    """Keep ONNX files, which take seconds to make, for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='module')
def recurrent():
    return untrained_student('tiny-r')


@pytest.fixture(params=PROGRAMS)
def program(request):
    needs(request.param)
    return request.param


def needs(program):
    # Not imported here, since the package imports OpenVINO in its own way.
    names = ['openvino'] if program == 'openvino' else ['onnxruntime', 'onnxscript', 'onnx']
    if any(importlib.util.find_spec(name) is None for name in names):
        pytest.skip(f'{program} is optional')


@pytest.mark.parametrize('program, preset', [
    ('openvino', 'tiny-r'), ('openvino', 'tiny'), ('openvino', 'convgru'),
    ('openvino', 'filtered'), ('openvino', 'held'), ('onnxruntime', 'tiny-r'),
    ('onnxruntime', 'filtered'), ('onnxruntime', 'held')])
def test_a_sequence_has_the_depth_that_torch_gives(program, preset):
    needs(program)
    changes = {'convgru': {'recurrent_cell': 'convgru'}, 'filtered': {'noise_filter': 0.3},
               'held': {'hold': True}}
    student = student_with(**changes[preset]) if preset in changes else untrained_student(preset)
    runtime, other = make_runtime(student, runtime=program), TorchRuntime(student, 'cpu')
    runtime.warm_up(*SIZE)
    assert runtime.runtime.startswith(program) and runtime.fallback is None
    assert runtime.describe()['runtime'] == runtime.runtime
    assert_same(runtime, other, frames(6))
    for one in (runtime, other):
        one.reset()
    assert_same(runtime, other, frames(3, seed=1))
    if program == 'openvino':
        # Another size begins a sequence.
        assert_same(runtime, other, frames(3, (84, 98), seed=2))


@pytest.mark.parametrize('changes', [{}, {'noise_filter': 0.3}, {'hold': True}])
def test_bf16_on_a_processor_that_computes_in_it(changes):
    needs('openvino')
    student = student_with(**changes)
    runtime, other = make_runtime(student, 'cpu', 'bf16', 'openvino'), TorchRuntime(student)
    runtime.warm_up(*SIZE)
    if not computes_in_bf16():
        assert runtime.precision == 'fp32' and 'does not compute in bf16' in runtime.fallback
        return
    assert runtime.precision == 'bf16' and runtime.fallback is None
    assert runtime.describe()['precision'] == 'bf16' and 'openvino' in runtime.runtime
    for image in frames(6):
        expected, found = other.infer(image), runtime.infer(image)
        off = np.abs(found - expected) / np.ptp(expected)
        # Not the same, or it was not bf16 that computed.
        assert 1e-5 < off.mean() < 0.015 and off.max() < 0.1


def test_bf16_on_a_gpu_that_is_missing_is_fp32_on_the_cpu(recurrent):
    needs('openvino')
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    runtime = make_runtime(recurrent, 'cuda:0', 'bf16', 'openvino')
    runtime.warm_up(*SIZE)
    assert runtime.precision == 'fp32' and 'in fp32' in runtime.fallback


def test_bf16_that_is_too_far_off_is_not_used(recurrent, monkeypatch):
    needs('openvino')
    right = runtimes.OTHERS['openvino'][0].compile

    def shifted(self, size, precision):
        run = right(self, size, 'fp32')
        return lambda inputs: [output + 0.02 * np.ptp(output) for output in run(inputs)]
    monkeypatch.setattr(runtimes.OTHERS['openvino'][0], 'compile', shifted)
    runtime = make_runtime(recurrent, 'cpu', 'bf16', 'openvino')
    runtime.warm_up(*SIZE)
    assert runtime.precision == 'fp32' and 'in the mean' in runtime.fallback
    assert_same(runtime, TorchRuntime(recurrent, 'cpu'), frames(2))


def test_bf16_on_another_cpu_is_for_openvino_alone(recurrent, monkeypatch):
    for module in (runtime_module, runtimes):
        monkeypatch.setattr(module, 'cpu_computes_in_bf16', lambda: False)
    for name in ('torch', 'onnxruntime'):
        with pytest.raises(ValueError, match='with the runtime openvino'):
            make_runtime(recurrent, 'cpu', 'bf16', name)
    with pytest.raises(ValueError, match='fp16'):
        make_runtime(recurrent, 'cpu', 'fp16', 'openvino')
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(ValueError, match='with the runtime openvino'):
        make_runtime(recurrent, 'cpu', 'bf16', 'auto')
    asked = make_runtime(recurrent, 'cpu', 'bf16', 'openvino')
    assert type(asked) is TorchRuntime and asked.precision == 'fp32'
    assert 'pip install' in asked.fallback


def test_torch_takes_bf16_on_a_cpu_that_computes_in_it(recurrent, monkeypatch):
    for module in (runtime_module, runtimes):
        monkeypatch.setattr(module, 'cpu_computes_in_bf16', lambda: True)
    made, other = TorchRuntime(recurrent, 'cpu', 'bf16'), TorchRuntime(recurrent, 'cpu')
    assert made.describe()['precision'] == 'bf16' and other.precision == 'fp32'
    for image in frames(6):
        expected, found = other.infer(image), made.infer(image)
        off = np.abs(found - expected) / np.ptp(expected)
        # Not the same, or it was not bf16 that computed.
        assert found.dtype == np.float32 and 1e-5 < off.mean() < 0.015 and off.max() < 0.1
    monkeypatch.setitem(sys.modules, 'openvino', None)
    asked = make_runtime(recurrent, 'cpu', 'bf16', 'openvino')
    assert asked.precision == 'bf16' and 'torch runs the network' in asked.fallback
    with pytest.raises(ValueError, match='onnxruntime computes in fp32'):
        make_runtime(recurrent, 'cpu', 'bf16', 'onnxruntime')


def computes_in_bf16():
    core = openvino_runtime.import_openvino().Core()
    return 'BF16' in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


def test_the_state_is_remembered_and_forgotten(recurrent, program):
    runtime = make_runtime(recurrent, runtime=program)
    image = frames(1)[0]
    first, second = runtime.infer(image), runtime.infer(image)
    assert not np.array_equal(first, second)
    runtime.reset()
    np.testing.assert_array_equal(runtime.infer(image), first)


def test_nan_in_a_frame_does_not_spoil_those_to_come(recurrent, program):
    runtime = make_runtime(recurrent, runtime=program)
    image = frames(1)[0]
    second = [runtime.infer(image) for _ in range(2)][1]
    runtime.reset()
    runtime.infer(image)
    assert np.isnan(runtime.infer(np.full_like(image, np.nan))).all()
    assert runtime.non_finite == SIZE[0] * SIZE[1]
    np.testing.assert_array_equal(runtime.infer(image), second)


def test_what_computes_something_else_is_not_used(recurrent, program, monkeypatch):
    right = runtimes.OTHERS[program][0].compile

    def mistaken(self, *asked):
        run = right(self, *asked)
        return lambda inputs: [1.01 * output for output in run(inputs)]
    monkeypatch.setattr(runtimes.OTHERS[program][0], 'compile', mistaken)
    runtime = make_runtime(recurrent, runtime=program)
    runtime.warm_up(*SIZE)
    assert runtime.runtime.startswith('torch') and 'differs from that of torch' in runtime.fallback
    assert_same(runtime, TorchRuntime(recurrent, 'cpu'), frames(3))


@pytest.mark.parametrize('name', PROGRAMS)
def test_where_it_is_not_installed_torch_runs_and_says_so(recurrent, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    asked = make_runtime(recurrent, runtime=name)
    assert type(asked) is TorchRuntime and 'pip install' in asked.fallback
    assert make_runtime(recurrent, runtime='auto').fallback is None
    with pytest.raises(ValueError, match='torch, openvino, onnxruntime, auto'):
        make_runtime(recurrent, runtime='magic')


def test_beside_a_gpu_it_is_not_used(recurrent, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    # The choice alone: the machine has no GPU to go on with.
    monkeypatch.setattr(runtimes, 'CudaRuntime',
                        lambda *_: replace(recurrent, name='on the GPU'))
    assert make_runtime(recurrent, runtime='auto').name == 'on the GPU'


def test_onnxruntime_collects_nothing_for_its_maker(tmp_path):
    needs('onnxruntime')
    program = ('from depth_anyevent_ros.networks.onnx_runtime import import_onnxruntime\n'
               'import_onnxruntime().InferenceSession')
    subprocess.run([sys.executable, '-c', program], check=True, timeout=120,
                   env={**os.environ, 'HOME': str(tmp_path), 'XDG_CACHE_HOME': ''})
    assert not list(tmp_path.iterdir())


def test_it_tells_nobody_what_is_converted(recurrent, tmp_path, monkeypatch):
    needs('openvino')
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('XDG_CACHE_HOME')
    runtime = make_runtime(recurrent, runtime='openvino')
    runtime.warm_up(*SIZE)
    assert not list(tmp_path.iterdir())
    assert sys.modules['openvino_telemetry'] is None


def test_the_estimator_and_its_next_students_run_by_it(recurrent):
    needs('openvino')
    estimator = DepthEstimator(recurrent, WindowSettings(), 'cpu', runtime='auto')
    estimator.warm_up(98, 70)
    after = estimator.runtime_for(recurrent)
    assert estimator.runtime.runtime.startswith('openvino') == after.runtime.startswith('openvino')
    assert after.runtime.startswith('openvino')


def test_a_gpu_without_memory_leaves_the_cpu(recurrent, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)

    def full(*_):
        raise torch.OutOfMemoryError('CUDA out of memory')
    monkeypatch.setattr(runtimes, 'CudaRuntime', full)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', full)  # nor does it answer
    runtime = make_runtime(recurrent)
    assert runtime.device == 'cpu' and 'out of memory' in runtime.fallback
    assert np.isfinite(runtime.infer(frames(1)[0])).all()


def with_other_weights(path):
    """Return an ONNX file that says it is what it was, with one matrix of zeros."""
    import onnx
    model = onnx.load(path)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.raw_data = bytes(len(largest.raw_data))
    return model.SerializeToString()


def with_other_names(path):
    """Return an ONNX file that opens, and fails when it is run."""
    import onnx
    model = onnx.load(path)
    for names in ([model.graph.input[0].name], *(node.input for node in model.graph.node)):
        names[:] = ['other' if name == 'image' else name for name in names]
    model.graph.input[0].name = 'other'
    return model.SerializeToString()


@pytest.mark.parametrize('kind', ['of another model', 'cut short', 'with other weights',
                                  'with other names'])
def test_a_wrong_file_in_the_cache_is_made_again(recurrent, kind):
    needs('onnxruntime')
    student = untrained_student('tiny-r', seed=1)
    path = cached_file(student.sha256, SIZE)
    before = student if kind.startswith('with other') else recurrent
    OnnxRuntime(before).warm_up(*SIZE)
    content = cached_file(before.sha256, SIZE).read_bytes()
    if kind == 'with other weights':
        content = with_other_weights(path)
    elif kind == 'with other names':
        content = with_other_names(path)
    path.write_bytes(content[:len(content) // 2] if kind == 'cut short' else content)
    runtime = OnnxRuntime(student)
    runtime.warm_up(*SIZE)
    assert runtime.runtime.startswith('onnxruntime') and runtime.fallback is None
    assert_same(runtime, TorchRuntime(student, 'cpu'), frames(2))
    kept = path.read_bytes()
    assert kept != content and len(kept) > len(content) // 2


@pytest.mark.parametrize('before', [True, False])
def test_a_file_that_is_wrong_again_leaves_torch(recurrent, monkeypatch, before):
    needs('onnxruntime')
    path, made = cached_file(recurrent.sha256, (84, 98)), []
    if before:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')

    def damaged(_checkpoint, _step, _size, path):
        made.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'no network')
    monkeypatch.setattr(onnx_runtime, 'export_onnx', damaged)
    runtime = OnnxRuntime(recurrent)
    runtime.warm_up(84, 98)
    path.unlink()
    assert made == [path] and 'could not be converted' in runtime.fallback
    assert runtime.runtime.startswith('torch')


@pytest.mark.parametrize('content, words', [
    (None, 'onnx is not there'), (b'no network', 'Protobuf parsing failed'),
    (b'', 'ONNX')])
def test_why_no_file_is_used_is_told_where_none_can_be_made(recurrent, tmp_path, monkeypatch,
                                                            content, words):
    needs('onnxruntime')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setitem(sys.modules, 'onnxscript', None)  # a robot with onnxruntime alone
    path = cached_file(recurrent.sha256, SIZE)
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    runtime = OnnxRuntime(recurrent)
    runtime.warm_up(*SIZE)
    assert words in runtime.fallback and 'pip install onnx onnxscript' in runtime.fallback
    assert runtime.runtime.startswith('torch')


@pytest.mark.parametrize('changed, words', [
    ({}, ''), ({'format_version': FORMAT_VERSION + 1}, 'of another version'),
    ({'sha256': '0' * 64}, 'of another model'), ({'height': 84}, 'for another size'),
    ({'width': 84}, 'for another size'), ({'sha256': None}, 'of another model'),
    (None, 'does not say'), ('no json', 'does not say'), ('[]', 'does not say'),
    ('{}', 'does not say')])
def test_a_file_is_taken_for_the_checkpoint_and_the_size_that_it_names(recurrent, changed, words):
    if isinstance(changed, dict):
        changed = json.dumps({**facts_of(recurrent, SIZE), **changed})
    metadata = {} if changed is None else {METADATA_KEY: changed}
    with pytest.raises(ValueError, match=f'x.onnx.*{words}') if words \
            else contextlib.nullcontext():
        check_facts(metadata, recurrent, SIZE, 'x.onnx')


def test_an_export_at_a_size_that_was_never_run_leaves_numbers(recurrent, monkeypatch):
    """What an exporter computes with are no numbers, and must not be kept for what runs next."""
    needs('onnxruntime')
    monkeypatch.setattr(dinov2, '_MATRICES', {})
    runtime = OnnxRuntime(recurrent, 'cpu')
    assert_same(runtime, TorchRuntime(recurrent, 'cpu'), frames(2, (56, 70)))
    assert runtime.runtime.startswith('onnxruntime') and runtime.fallback is None


def test_the_newest_onnx_files_are_kept(recurrent, tmp_path, monkeypatch):
    needs('onnxruntime')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    folder = cached_file(recurrent.sha256, SIZE).parent
    folder.mkdir(parents=True)
    for i in range(KEEP + 2):
        (folder / f'{i}.onnx').write_bytes(b'')
        os.utime(folder / f'{i}.onnx', (i, i))
    OnnxRuntime(recurrent).warm_up(*SIZE)
    names = {path.name for path in folder.iterdir()}
    assert len(names) == KEEP and '0.onnx' not in names
    assert cached_file(recurrent.sha256, SIZE).name in names
    # Of another version of the format there would be a file of its own.
    assert f'_v{FORMAT_VERSION}.onnx' in cached_file(recurrent.sha256, SIZE).name


def test_export_writes_a_file_that_other_programs_run(recurrent, tmp_path):
    needs('onnxruntime')
    import onnxruntime
    (tmp_path / 'student.safetensors').write_bytes(
        checkpoint_bytes(recurrent.network, recurrent.config))
    result, path = tmp_path / 'result.json', tmp_path / 'student.onnx'
    assert execute(['export', '--checkpoint', str(tmp_path / 'student.safetensors'), '--size',
                    '98x70', '--output', str(path), '--json', str(result)]) == 0
    told = json.loads(result.read_text())
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    assert [item.name for item in session.get_inputs()] == told['inputs']
    facts = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert (facts['sha256'], facts['height'], facts['width']) == (recurrent.sha256, 70, 98)
    state = {item.name: np.zeros(item.shape, np.float32) for item in session.get_inputs()}
    other = TorchRuntime(recurrent, 'cpu')
    for image in frames(3):
        state['image'] = image[None]
        found = dict(zip(told['outputs'], session.run(None, state)))
        expected = other.infer(state['image'][0])
        np.testing.assert_allclose(found['inverse_depth'][0], expected,
                                   atol=1e-4 * np.ptp(expected))
        state |= {name[len('new_'):]: value for name, value in found.items() if 'state' in name}
    for bad in (['--size', '99x70'], ['--size', 'big'], ['--checkpoint', '/nowhere']):
        with pytest.raises(SystemExit) if bad[1] == 'big' else contextlib.nullcontext():
            assert execute(['export', *bad, '--output', str(tmp_path / 'x.onnx')]) == 1
