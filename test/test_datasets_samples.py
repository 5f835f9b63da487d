# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples: the same network input as the live pipeline's, and the truth on the same grid."""
from dataclasses import replace

import numpy as np
import pytest
from tiny_sequences import HEIGHT, PERIOD_NS, WIDTH, write_sequence

from depth_anyevent_ros.datasets.samples import (
    area_average, load_samples, SampleError, usable_labels)
from depth_anyevent_ros.datasets.sequences import Sequence, SequenceError
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.pipeline import EventPipeline
from depth_anyevent_ros.events.surface import grid_of_pixels
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.events.voxel_grid import voxel_grid
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.config import InputConfig, model_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.input_size import representation_for


def live_windows(sequence, config):
    """Return the windows that the live pipeline makes of the events, by their end."""
    encoder = Evt3Encoder()
    pipeline = EventPipeline(lambda width, height: representation_for(config, width, height),
                             TimeWindows(round(config.window_ms * 1e6), PERIOD_NS, 10**9))
    if sequence.rectification:
        pipeline.rectify(sequence.rectification.coordinates)
    end, windows = int(sequence.times_ns[-1]), []
    for seq, begin in enumerate(range(0, end + PERIOD_NS, PERIOD_NS)):
        data = encoder.encode(sequence.events(begin, begin + PERIOD_NS), end_ns=begin + PERIOD_NS)
        windows += pipeline.push(Packet(data, 'evt3', sequence.camera.width,
                                        sequence.camera.height, seq, stamp_ns=begin + 1))
    windows += pipeline.finish()
    return {window.t_end: window for window in windows}


@pytest.mark.parametrize('config', [
    InputConfig(height=70, width=84), InputConfig(height=42, width=56, window_ms=30),
    InputConfig(height=70, width=84, time_normalization='first_last', window_ms=80),
    InputConfig(height=56, width=70, placement='resize'),
    InputConfig(height=42, width=42, cell_threshold=0.5),
    InputConfig(height=28, width=42, cell_threshold=0.3, window_ms=30),
], ids=['native', 'grid', 'first_last', 'resize', 'large pixels', 'gaps'])
@pytest.mark.parametrize('distortion', [(0.0,) * 5, (-0.2, 0.03, 0.001, 0.002, 0.0)],
                         ids=['pinhole', 'lens'])
def test_tencode_is_the_live_pipelines(tmp_path, config, distortion):
    sequence = Sequence(write_sequence(tmp_path / 's', distortion=distortion))
    size = representation_for(config, WIDTH, HEIGHT)
    samples = load_samples(sequence, config, size.height, size.width, compact=False)
    live = live_windows(sequence, config)
    compared = 0
    for image, count, time_ns in zip(samples.image, samples.events, samples.times_ns.tolist()):
        if time_ns in live:
            np.testing.assert_array_equal(image, live[time_ns].image)
            assert count == live[time_ns].events
            compared += 1
    assert compared >= 9 and samples.image.dtype == np.float32


def test_labels_are_seen_without_the_distortion_of_the_lens(tmp_path):
    """A plane: its inverse depth grows linearly over the rectified picture."""
    sequence = Sequence(write_sequence(tmp_path / 's', distortion=(-0.25, 0.05, 0, 0, 0)))
    camera, rectification = sequence.camera, sequence.rectification
    plane = camera.rays() @ np.array([0.1, 0.2]) + 0.5
    found = rectification.inverse_depth(plane.astype(np.float32))
    expected = rectification.camera.rays() @ np.array([0.1, 0.2]) + 0.5
    # Each pixel takes that of the nearest, half a pixel of 60 to a unit of the ray away.
    np.testing.assert_allclose(found, expected, atol=1.3 * 0.3 / 60)
    assert np.abs(plane - expected).max() > 0.02
    np.testing.assert_array_equal(sequence.label(3),
                                  rectification.inverse_depth(sequence.inverse_depth(3)))
    damaged = Sequence(write_sequence(tmp_path / 'd', distortion=(np.nan,) * 5))
    with pytest.raises(SequenceError, match='distortion cannot be removed'):
        damaged.label(0)


def test_compact_samples_are_within_a_255th(tmp_path):
    sequence = Sequence(write_sequence(tmp_path / 's'))
    config = InputConfig(height=70, width=84)
    exact = load_samples(sequence, config, 70, 84, compact=False)
    compact = load_samples(sequence, config, 70, 84)
    assert compact.image.dtype == np.uint8 and compact.inverse_depth.dtype == np.float16
    np.testing.assert_allclose(compact.image / 255, exact.image, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize('distortion', [(0.0,) * 5, (-0.2, 0.03, 0.001, 0.002, 0.0)])
def test_a_compact_tencode_that_is_resized_goes_beyond_0_and_1(tmp_path, distortion):
    sequence = Sequence(write_sequence(tmp_path / 's', distortion=distortion))
    config = InputConfig(height=126, width=140, placement='resize')
    exact = load_samples(sequence, config, 126, 140, compact=False).image
    assert exact.min() < -0.1 and exact.max() > 1.1
    compact = load_samples(sequence, config, 126, 140).image
    assert compact.itemsize == 2
    np.testing.assert_allclose(compact.astype(np.float32) / 255, exact, atol=1e-3)


def test_pictures_and_voxel_grids(tmp_path):
    sequence = Sequence(write_sequence(tmp_path / 's'))
    rgb = load_samples(sequence, InputConfig('rgb', placement='resize'), 35, 42)
    blue_green_red = sequence.image(3).astype(float)
    mean = blue_green_red.reshape(35, 2, 42, 2, 3).mean((1, 3))[..., ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(rgb.image[3], mean, atol=1.01)
    voxel = load_samples(sequence, InputConfig('voxel', window_ms=50), 70, 84)
    assert voxel.image.shape == (12, 5, 70, 84) and voxel.image.dtype == np.float16
    window = sequence.events(3 * PERIOD_NS, 4 * PERIOD_NS)
    cells = np.add.outer(*grid_of_pixels(84, 70, 84, 70))
    grid = voxel_grid(window, cells, 84 * 70, 3 * PERIOD_NS, 4 * PERIOD_NS)
    np.testing.assert_allclose(voxel.image[3].reshape(5, -1), grid, atol=2e-3)


def test_a_small_picture_is_enlarged_as_for_a_teacher_that_runs(tmp_path):
    sequence = Sequence(write_sequence(tmp_path / 's'))
    config = InputConfig('rgb', height=140, width=168)
    preset = model_preset('tiny')
    network = DepthNetwork(preset.network)
    teacher = CheckpointTeacher(Checkpoint(replace(preset, input=config), network, '', 'teacher'),
                                'cpu')
    samples = load_samples(sequence, config, 140, 168)
    seen = teacher._input(np.ascontiguousarray(sequence.image(3)[..., ::-1]))
    np.testing.assert_allclose(samples.image[3] / 255, seen, atol=1e-6)


def test_pictures_are_seen_without_the_distortion_of_the_lens(tmp_path):
    """As the labels that belong to them are."""
    sequence = Sequence(write_sequence(tmp_path / 's', distortion=(-0.25, 0.05, 0, 0, 0)))
    samples = load_samples(sequence, InputConfig('rgb', placement='resize'), HEIGHT, WIDTH)
    expected = sequence.rectification.picture(sequence.image(3))
    np.testing.assert_array_equal(samples.image[3], expected[..., ::-1].transpose(2, 0, 1))
    assert (expected != sequence.image(3)).any()


def test_truth_is_the_mean_over_known_pixels():
    rng = np.random.default_rng(0)
    label = rng.random((70, 84)).astype(np.float32)
    np.testing.assert_allclose(area_average(label, 35, 28),
                               label.reshape(35, 2, 28, 3).mean((1, 3)), rtol=1e-5)
    holes = label.copy()
    holes[rng.random(holes.shape) < 0.4] = np.nan
    blocks = holes.reshape(35, 2, 28, 3).transpose(0, 2, 1, 3).reshape(35, 28, 6)
    known = np.isfinite(blocks).sum(-1)
    found = area_average(holes, 35, 28)
    np.testing.assert_array_equal(np.isfinite(found), known > 3)
    np.testing.assert_allclose(found[known > 3], np.nanmean(blocks[known > 3], -1), rtol=1e-5)


@pytest.mark.parametrize('kind, config, words', [
    ({'events_per_label': 0}, InputConfig(), 'no events'),
    ({'sky': True}, InputConfig(), 'all sky'),
    ({'images': False}, InputConfig('rgb'), 'no pictures'),
    ({'labels': 0}, InputConfig(), 'no label'),
])
def test_sequences_without_use_are_refused(tmp_path, kind, config, words):
    sequence = Sequence(write_sequence(tmp_path / 's', **kind))
    with pytest.raises(SampleError, match=words):
        load_samples(sequence, config, 70, 84)


def test_labels_without_a_unit_are_judged_by_their_own_size(tmp_path):
    """A teacher's labels are known up to a scale, so that none is too small to learn from."""
    config = InputConfig(height=70, width=84)
    faint = Sequence(write_sequence(tmp_path / 'faint', relative=True, scale=1e-5))
    assert load_samples(faint, config, 70, 84).usable.all()
    with pytest.raises(SampleError, match='all sky'):
        load_samples(Sequence(write_sequence(tmp_path / 'far', scale=1e-3)), config, 70, 84)
    ramp = np.linspace(0, 1, 40, dtype=np.float32).reshape(1, 5, 8)
    holes = np.where(np.arange(40).reshape(1, 5, 8) < 39, np.nan, ramp)
    labels = np.concatenate([ramp, 1e-4 * ramp, 1e-4 * ramp - 1e-5, 1e4 + ramp, 0 * ramp,
                             np.full_like(ramp, np.nan), holes])
    assert usable_labels(labels, True).tolist() == [True] * 3 + [False] * 4
    assert usable_labels(labels, False).tolist() == [True] + [False] * 2 + [True] + [False] * 3
