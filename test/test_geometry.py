# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras, rays and metric depth against closed forms."""
import cv2
import numpy as np
import pytest

from depth_anyevent_ros.datasets.messages import typestore
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale, points

K = np.array([[300.0, 0, 170.3], [0, 310.0, 128.7], [0, 0, 1]])


def camera(d=(), model='plumb_bob'):
    return CameraModel(346, 260, K, np.array(d, float), model)


def project(rays, cam):
    """Project rays (N, 2) at depth 1 into pixels with OpenCV."""
    spatial = np.c_[rays, np.ones(len(rays))].reshape(-1, 1, 3)
    zero = np.zeros(3)
    function = cv2.fisheye.projectPoints if cam.distortion_model == 'equidistant' \
        else cv2.projectPoints
    return function(spatial, zero, zero, cam.k, cam.d)[0].reshape(-1, 2)


@pytest.mark.parametrize('d, model', [
    ((), 'plumb_bob'), ((-.36, .2, .001, -.002, -.05), 'plumb_bob'),
    ((.1, -.05, .001, .002, .01, .02, .01, .001), 'rational_polynomial'),
    ((-.02, .01, -.003, .001), 'equidistant')])
def test_rays_project_back_to_their_pixels(d, model):
    cam = camera(d, model)
    rays = cam.rays()
    assert rays.shape == (260, 346, 2) and rays.dtype == np.float32
    v, u = np.mgrid[0:260, 0:346]
    back = project(rays.reshape(-1, 2).astype(float), cam)
    np.testing.assert_allclose(back, np.c_[u.ravel(), v.ravel()], atol=0.02)


def test_scaled_camera_sees_the_same_rays():
    small = camera().scaled(173, 130)
    # A pixel of the small picture lies between two of the large one.
    large = camera().rays()
    between = (large[0::2, 0::2] + large[1::2, 1::2]) / 2
    np.testing.assert_allclose(small.rays(), between, atol=1e-5)


def test_scaling_an_uncalibrated_camera_changes_only_its_size():
    cam = CameraModel.uncalibrated(640, 480).scaled(320, 200)
    assert (cam.width, cam.height, cam.calibrated) == (320, 200, False)
    with pytest.raises(CalibrationError, match='zero'):
        cam.rays()


def info(binning=(0, 0), **roi):
    """Return a CameraInfo of a sensor of 346x260 pixels, of which roi and binning show a part."""
    types = typestore().types
    region = {'x_offset': 0, 'y_offset': 0, 'width': 0, 'height': 0, 'do_rectify': False, **roi}
    return types['sensor_msgs/msg/CameraInfo'](
        header=None, width=346, height=260, distortion_model='plumb_bob',
        d=np.array([-.2, .05, 0, 0, 0]), k=K.ravel(), r=np.eye(3).ravel(),
        p=np.c_[K, [-30.0, 31.0, 0]].ravel(), binning_x=binning[0], binning_y=binning[1],
        roi=types['sensor_msgs/msg/RegionOfInterest'](**region))


def test_roi_and_binning_of_a_camera_info_are_those_of_the_pictures():
    whole = CameraModel.from_info(info())
    assert (whole.width, whole.height) == (346, 260)
    np.testing.assert_array_equal(whole.k, K)
    # Of which the whole sensor is the same, as is a binning of 1.
    same = CameraModel.from_info(info((1, 1), width=346, height=260, do_rectify=True))
    assert same.says_the_same_as(whole)
    part = {'x_offset': 40, 'y_offset': 20, 'width': 201, 'height': 160}
    cut = CameraModel.from_info(info(**part))
    assert (cut.width, cut.height) == (201, 160)
    np.testing.assert_array_equal(cut.rays(), whole.rays()[20:180, 40:241])
    np.testing.assert_allclose(cut.p[:2, 2], whole.p[:2, 2] - (40, 20))
    np.testing.assert_array_equal(cut.p[:, 3], whole.p[:, 3])
    joined = CameraModel.from_info(info((2, 4), **part))
    assert (joined.width, joined.height) == (100, 40)
    # The middle of each block is where the middle of its pixels is.
    blocks = cut.rays()[:, :200].reshape(40, 4, 100, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(joined.rays(), blocks, atol=1e-4)
    np.testing.assert_allclose(joined.p[:, 3], (-15.0, 7.75, 0))
    assert joined.r is not None and np.array_equal(joined.d, whole.d)


@pytest.mark.parametrize('values', [
    {'x_offset': 200, 'width': 200, 'height': 100}, {'x_offset': 20}, {'binning': (347, 1)}])
def test_roi_and_binning_that_no_sensor_has_are_refused(values):
    with pytest.raises(CalibrationError, match='cannot be of a sensor of 346x260'):
        CameraModel.from_info(info(**values))


def test_unknown_distortion_model_is_named():
    with pytest.raises(CalibrationError, match='thin_prism'):
        camera((.1, .2), 'thin_prism').rays()


def test_a_calibration_without_a_size_is_refused():
    k = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    with pytest.raises(CalibrationError, match='for 0x0 pixels.*fill in'):
        CameraModel(0, 0, k, np.array([0.1, 0, 0, 0, 0])).check()


def test_a_calibration_of_absurd_sides_is_refused_before_tables_fill_the_memory():
    k = np.array([[300.0, 0, 170], [0, 310, 130], [0, 0, 1]])
    for width, height in ((16385, 1), (1, 16385), (2_000_000, 2_000_000)):
        with pytest.raises(CalibrationError, match=f'{width}x{height}.*16384'):
            CameraModel(width, height, k, np.array([0.1, 0, 0, 0, 0])).rays()
    assert CameraModel(16384, 1, k, np.zeros(5)).rays().shape == (1, 16384, 2)


def test_metric_depth_has_the_codes_of_rep_117():
    inverse = np.array([[1.0, np.nan, 100.0], [0.0, -1.0, 0.1]], np.float32)
    depth = MetricScale(0.5, 0.0, min_range=0.5, max_range=10).depth(inverse)
    expected = [[2.0, np.nan, -np.inf], [np.inf, np.inf, np.inf]]
    np.testing.assert_array_equal(depth, np.array(expected, np.float32))
    assert depth.dtype == np.float32


@pytest.mark.parametrize('scale, low, high', [(0, .1, 80), (-1, .1, 80), (1, 5, 5), (1, 0, 80)])
def test_impossible_scales_and_ranges_are_refused(scale, low, high):
    with pytest.raises(ValueError, match='metric'):
        MetricScale(scale, 0, low, high)


def test_points_lie_on_their_rays_at_their_depth():
    depth = np.full((260, 346), 3.0, np.float32)
    depth[0, 0], depth[1, 1] = np.inf, np.nan
    cloud = points(depth, camera().rays())
    assert np.isnan(cloud[0, 0]).all() and np.isnan(cloud[1, 1]).all()
    u, v = 200, 100
    np.testing.assert_allclose(
        cloud[v, u], [3 * (u - 170.3) / 300, 3 * (v - 128.7) / 310, 3], rtol=1e-5)


def test_rays_beyond_the_lens_model_are_no_numbers_and_give_no_points():
    wide = np.array([[80., 0, 173], [0, 80, 130], [0, 0, 1]])
    cam = CameraModel(346, 260, wide, np.array([-.3, .1, 0, 0]), 'equidistant')
    rays = cam.rays()
    bad = np.isnan(rays).any(-1)
    assert 0.05 < bad.mean() < 0.9 and not bad[130, 173]
    cloud = points(np.ones((260, 346), np.float32), rays)
    np.testing.assert_array_equal(np.isnan(cloud).all(-1), bad)
    np.testing.assert_array_equal(np.isnan(cloud).any(-1), bad)


@pytest.mark.parametrize('d, model', [
    ((.1, .2, .3), 'plumb_bob'), ((.1,) * 7, 'rational_polynomial'), ((.1, .2), 'equidistant'),
    ((np.nan,) * 5, 'plumb_bob')])
def test_distortion_of_another_length_or_without_numbers_is_refused(d, model):
    with pytest.raises(CalibrationError, match='coefficients|finite'):
        camera(d, model).rays()
