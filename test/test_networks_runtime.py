# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The torch runtime: arrays in, arrays out, state, devices."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from depth_anyevent_ros.models import load_student, load_teacher
from depth_anyevent_ros.networks.checkpoint import untrained_student
from depth_anyevent_ros.networks.half_range import fit_half_range
from depth_anyevent_ros.networks.runtime import (
    choose_placement, cpu_computes_in_bf16, TorchRuntime)

SIZE = (70, 84)


@pytest.fixture(scope='module')
def checkpoint():
    return untrained_student('tiny-r', seed=2)


@pytest.fixture
def runtime(checkpoint):
    return TorchRuntime(checkpoint, device='cpu')


def frames(count, size=SIZE):
    return np.random.default_rng(0).random((count, 3, *size), np.float32)


def by_hand(checkpoint, images):
    """Return what the network gives for a sequence that was normalised in numpy."""
    config = checkpoint.config.input
    mean, std = (np.array(values)[:, None, None] for values in (config.mean, config.std))
    images = torch.from_numpy(((images - mean) / std).astype(np.float32))
    with torch.inference_mode():
        return checkpoint.network.forward_sequence(images[:, None])[0][:, 0].numpy()


def test_a_sequence_carries_its_state_until_reset(checkpoint, runtime):
    images = frames(3)
    expected = by_hand(checkpoint, images)
    first = [runtime.infer(image) for image in images]
    assert first[0].dtype == np.float32 and first[0].shape == SIZE
    np.testing.assert_allclose(np.stack(first), expected, rtol=1e-4, atol=1e-5)
    runtime.reset()
    np.testing.assert_allclose(runtime.infer(images[0]), expected[0], rtol=1e-4, atol=1e-5)
    assert np.abs(runtime.infer(images[0]) - expected[0]).max() > 1e-3, 'the state has no effect'


def test_results_are_the_callers(runtime):
    images = frames(2)
    first = runtime.infer(images[0])
    kept = first.copy()
    runtime.infer(images[1])
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    images.setflags(write=False)
    assert runtime.infer(images[0][:, ::-1, ::-1]).any(), 'read-only and strided arrays work'


def test_another_size_starts_a_sequence(checkpoint, runtime):
    small, large = frames(2), frames(2, (84, 98))
    runtime.infer(small[0])
    np.testing.assert_allclose(runtime.infer(large[0]), by_hand(checkpoint, large[:1])[0],
                               rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(runtime.infer(small[1]), by_hand(checkpoint, small[1:])[0],
                               rtol=1e-4, atol=1e-5)


def test_warm_up_leaves_no_trace(checkpoint, runtime):
    images = frames(2)
    runtime.infer(images[1])
    runtime.warm_up(*SIZE)
    np.testing.assert_allclose(runtime.infer(images[0]), by_hand(checkpoint, images[:1])[0],
                               rtol=1e-4, atol=1e-5)


def test_two_runtimes_do_not_share_a_state(checkpoint):
    images = frames(2)
    one, two = TorchRuntime(checkpoint, 'cpu'), TorchRuntime(checkpoint, 'cpu')
    one.infer(images[0])
    np.testing.assert_array_equal(two.infer(images[1]),
                                  TorchRuntime(checkpoint, 'cpu').infer(images[1]))


def test_the_checkpoint_stays_as_it_was(checkpoint, runtime):
    weight = checkpoint.network.depth_head.scratch.output_conv1.weight
    assert weight.is_contiguous() and weight.requires_grad
    runtime.infer(frames(1)[0])
    assert weight is checkpoint.network.depth_head.scratch.output_conv1.weight


def test_numbers_that_are_not_finite_become_nan_and_do_not_stay(checkpoint, runtime):
    images = frames(2)
    spoilt = images[0].copy()
    spoilt[1, 3, 5] = np.inf
    result = runtime.infer(spoilt)
    assert np.isnan(result).any() and not np.isinf(result).any()
    assert runtime.non_finite == np.isnan(result).sum()
    assert runtime.state_resets == 1
    np.testing.assert_allclose(runtime.infer(images[1]), by_hand(checkpoint, images[1:])[0],
                               rtol=1e-4, atol=1e-5)
    assert runtime.non_finite == np.isnan(result).sum()


def test_infinite_depth_alone_keeps_the_state(checkpoint):
    """An overflow behind the ConvLSTM is one frame's; what was remembered is sound."""
    network = untrained_student().network
    with torch.no_grad():
        network.depth_head.scratch.output_conv2[2].bias.fill_(float('inf'))
    runtime = TorchRuntime(replace(checkpoint, network=network), 'cpu')
    assert np.isnan(runtime.infer(frames(1)[0])).all()
    assert runtime.non_finite == SIZE[0] * SIZE[1]
    assert runtime.state_resets == 0


def test_a_lost_device_can_be_given_back(runtime, monkeypatch):
    def lost():
        raise RuntimeError('CUDA error: device-side assert triggered')

    runtime.device = 'cuda:0'
    monkeypatch.setattr(torch.cuda, 'empty_cache', lost)
    runtime.release()
    assert runtime._network is None


def test_vanilla_students_run_too():
    student = untrained_student('tiny')
    runtime = TorchRuntime(student, 'cpu')
    image = frames(1)[0]
    np.testing.assert_array_equal(runtime.infer(image), runtime.infer(image))
    np.testing.assert_allclose(runtime.infer(image), by_hand(student, image[None])[0],
                               rtol=1e-4, atol=1e-5)


def test_describe(checkpoint, runtime):
    description = runtime.describe()
    assert description == {
        'checkpoint': checkpoint.name, 'model': 'untrained-tiny-r',
        'sha256': checkpoint.sha256[:12], 'trained': False,
        'trained_on': 'nothing (random weights)', 'runtime': f'torch {torch.__version__}',
        'device': 'cpu', 'precision': 'fp32',
        'fallback': None, 'parameters': 3_992_689}


@pytest.mark.parametrize('load', [load_student, load_teacher,
                                  lambda: untrained_student('vits-r')])
def test_maps_that_fit_into_half_precision_leave_every_bit_of_the_depth(load):
    given = load()
    runtime = TorchRuntime(given, 'cpu')
    fitted = copy.deepcopy(given.network)
    fit_half_range(fitted)
    fit_half_range(fitted)  # a second time it does nothing
    for weight, used in zip(fitted.parameters(), runtime.step().network.parameters()):
        assert torch.equal(weight, used)
    state = known = None
    with torch.inference_mode():
        for image in (*frames(2), np.zeros((3, *SIZE), np.float32)):
            image = torch.from_numpy(image)[None]
            depth, state = fitted(image, state)
            expected, known = given.network(image, known)
            assert torch.equal(depth, expected)


def test_levels_are_bounded_in_half_precision_too():
    head = untrained_student('tiny').network.depth_head
    large = torch.full((1, 32, 2, 2), 1000.0)
    assert head._bounded(large.half()).dtype == torch.float16
    torch.testing.assert_close(head._bounded(large.half()).float(), head._bounded(large),
                               rtol=1e-3, atol=0)


@pytest.mark.parametrize('image, words', [
    (np.zeros((3, 70, 85), np.float32), 'width must be a multiple of 14 pixels, not 85'),
    (np.zeros((70, 84, 3), np.float32), r'\(3, height, width\), not shape \(70, 84, 3\)'),
    (np.zeros((1, 3, 70, 84), np.float32), r'not shape \(1, 3, 70, 84\)'),
    (np.zeros((3, 70, 84), np.uint8), 'divide 8-bit values by 255'),
    (np.zeros((3, 70, 84)), 'float32'),
    ([[0.0]], 'not list'),
    (np.zeros((3, 0, 0), np.float32), 'height'),
])
def test_bad_images_are_refused_in_a_sentence(runtime, image, words):
    with pytest.raises(ValueError, match=words):
        runtime.infer(image)


@pytest.mark.parametrize('asked, gpus, bf16, settled', [
    (('auto', 'auto'), 0, False, ('cpu', 'fp32')),
    (('cpu', 'auto'), 2, True, ('cpu', 'fp32')),
    (('auto', 'auto'), 1, True, ('cuda:0', 'bf16')),
    (('auto', 'auto'), 1, False, ('cuda:0', 'fp16')),
    (('cuda', 'fp32'), 1, True, ('cuda:0', 'fp32')),
    (('cuda:1', 'fp16'), 2, True, ('cuda:1', 'fp16')),
])
def test_placement(asked, gpus, bf16, settled):
    assert choose_placement(*asked, gpus, bf16) == (*settled, None)


def test_a_cpu_that_computes_in_bf16_does_so_only_where_it_is_asked_to(tmp_path):
    assert choose_placement('cpu', 'bf16', 0, False, cpu_bf16=True) == ('cpu', 'bf16', None)
    assert choose_placement('auto', 'bf16', 0, False, cpu_bf16=True) == ('cpu', 'bf16', None)
    assert choose_placement('auto', 'auto', 0, False, cpu_bf16=True) == ('cpu', 'fp32', None)
    with pytest.raises(ValueError, match='12 times slower'):
        choose_placement('cpu', 'fp16', 0, False, cpu_bf16=True)
    info = tmp_path / 'cpuinfo'
    for line, computes in (('flags : fpu avx512f avx512_bf16 sha_ni', True),
                           ('Features : fp asimd bf16 i8mm', False),
                           ('flags : fpu avx512f avx512bw\nmodel name : no_bf16 at all', False)):
        info.write_text(f'processor : 0\n{line}\n')
        assert cpu_computes_in_bf16(info) == computes, line
    assert not cpu_computes_in_bf16(tmp_path / 'none')


@pytest.mark.parametrize('precision', ['auto', 'fp32', 'bf16'])
def test_a_gpu_that_is_not_there_is_told(precision):
    placement = choose_placement('cuda:0', precision, 0, False)
    assert placement[:2] == ('cpu', 'fp32')
    assert 'cuda:0 was asked for' in placement.fallback
    assert 'CPU in fp32' in placement.fallback


@pytest.mark.parametrize('asked, gpus, bf16, words', [
    (('cpu', 'bf16'), 0, False, '12 times slower'),
    (('auto', 'fp16'), 0, False, '12 times slower'),
    (('cuda:2', 'auto'), 2, True, 'there are 2 GPUs, cuda:0 to cuda:1'),
    (('cuda', 'bf16'), 1, False, 'does not compute in it'),
    (('gpu', 'auto'), 1, True, "not 'gpu'"),
    (('cuda:x', 'auto'), 1, True, "not 'cuda:x'"),
    ((None, 'auto'), 1, True, 'not None'),
    (('cpu', 'int8'), 1, True, 'auto, fp32, bf16, fp16'),
])
def test_what_cannot_be_done_is_refused_in_a_sentence(asked, gpus, bf16, words):
    with pytest.raises(ValueError, match=words):
        choose_placement(*asked, gpus, bf16)


@pytest.mark.skipif(torch.cuda.is_available(), reason='shows what a machine without a GPU does')
def test_without_a_gpu_the_runtime_falls_back_and_says_so(checkpoint):
    runtime = TorchRuntime(checkpoint, device='cuda:0')
    assert runtime.device == 'cpu'
    assert runtime.fallback == runtime.describe()['fallback']
    assert 'finds no NVIDIA GPU' in runtime.fallback
    assert runtime.infer(frames(1)[0]).shape == SIZE


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')
@pytest.mark.parametrize('precision, tolerance', [('fp32', 5e-3), ('auto', 5e-2)])
def test_on_a_gpu(checkpoint, precision, tolerance):
    images = frames(3)
    runtime = TorchRuntime(checkpoint, 'cuda:0', precision)
    assert runtime.fallback is None
    results = np.stack([runtime.infer(image) for image in images])
    np.testing.assert_allclose(results, by_hand(checkpoint, images), rtol=tolerance,
                               atol=tolerance)
