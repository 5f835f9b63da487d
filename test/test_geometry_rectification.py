# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Distortion removed from the coordinates of events, against OpenCV and by projection."""
from dataclasses import replace

import cv2
from evt3_words import event_words, packet
import numpy as np
import pytest

from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.surface import grid_of_coordinates, grid_of_pixels
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.rectification import is_rectified, Rectification

MS = 1_000_000
WIDTH, HEIGHT = 64, 48  # of evt3_words.packet


def random_camera(seed, width=WIDTH, height=HEIGHT):
    """Return a calibration with distortion, rotation and a projection of its own."""
    rng = np.random.default_rng(seed)
    focal = rng.uniform(0.7, 1.2) * width
    k = np.array([[focal, 0, width / 2 + rng.uniform(-2, 2)],
                  [0, focal * rng.uniform(.97, 1.03), height / 2 + rng.uniform(-2, 2)], [0, 0, 1]])
    if rng.random() < 0.5:
        model, d = 'plumb_bob', np.array([rng.uniform(-.35, .1), rng.uniform(0, .1),
                                          *rng.uniform(-.002, .002, 2), 0])
    else:
        model, d = 'equidistant', rng.uniform(-.03, .03, 4)
    r = cv2.Rodrigues(rng.uniform(-.03, .03, 3))[0]
    p = np.hstack([k @ np.diag([.9, .95, 1]), [[-3.0], [0], [0]]])
    p[:2, 2] = k[:2, 2] + rng.uniform(-1, 1, 2)
    return CameraModel(width, height, k, d, model, r, p)


def distorted_pixels(camera, rays):
    """Return the pixels of rays (N, 2) in the camera's optical frame, by OpenCV."""
    spatial, zero = np.c_[rays, np.ones(len(rays))].reshape(-1, 1, 3), np.zeros(3)
    project = cv2.fisheye.projectPoints if camera.distortion_model == 'equidistant' \
        else cv2.projectPoints
    return project(spatial, zero, zero, camera.k, camera.d)[0].reshape(-1, 2)


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('placement', ['grid', 'resize'])
def test_an_event_lands_where_its_point_is_projected_without_distortion(seed, placement):
    camera = random_camera(seed)
    rectification = Rectification(camera)
    grid = (40, 30) if placement == 'grid' else (WIDTH, HEIGHT)
    pipeline = EventPipeline(
        lambda width, height: Representation(grid[1], grid[0], placement),
        TimeWindows(10 * MS, 10 * MS, 10**9))
    pipeline.rectify(rectification.coordinates)
    shown = rectification.camera.scaled(*grid)
    rng = np.random.default_rng(seed)
    rays = rng.uniform(-.5, .5, (40, 2))
    pixels = np.rint(distorted_pixels(camera, rays)).astype(int)
    fits = np.all((pixels >= 0) & (pixels < [WIDTH, HEIGHT]), axis=1)
    turned = np.c_[rays, np.ones(len(rays))] @ camera.r.T
    expected = shown.project(turned[:, :2] / turned[:, 2:])
    # One event in each window, and one before and after them.
    places = [(0, 0), *pixels[fits], (0, 0)]
    words = np.concatenate([event_words(i * 10_000 + 5000, int(x), int(y), 1)
                            for i, (x, y) in enumerate(places)])
    windows = [*pipeline.push(packet(words)), *pipeline.finish()]
    assert [w.t_start for w in windows] == [i * 10 * MS for i in range(1, len(places) - 1)]
    compared = 0
    for window, (u, v) in zip(windows, expected[fits]):
        found = np.argwhere(window.image[0] > 0)
        inside = -0.5 <= u < grid[0] - .5 and -0.5 <= v < grid[1] - .5
        assert len(found) <= 1
        if inside and len(found):
            compared += 1
            # A pixel is half a pixel away from the point at most, the cell half a cell, and
            # whole numbers, which the authors' weights get, lie up to one lower.
            slack = 1.3 if placement == 'grid' else 1.9
            assert abs(found[0][1] - u) < slack and abs(found[0][0] - v) < slack
        elif inside:
            assert min(u, v, grid[0] - 1 - u, grid[1] - 1 - v) < 1.5
    assert compared > 15


@pytest.mark.parametrize('seed', range(4))
def test_coordinates_are_those_of_opencv(seed):
    camera = random_camera(seed)
    made = Rectification(camera).coordinates
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    pixels = np.stack([u, v], -1).reshape(-1, 1, 2)
    undistort = cv2.fisheye.undistortPoints if camera.distortion_model == 'equidistant' \
        else cv2.undistortPoints
    other = undistort(pixels, camera.k, camera.d, R=camera.r, P=camera.p[:, :3])
    other = other.reshape(HEIGHT, WIDTH, 2)
    np.testing.assert_allclose(made[8:-8, 8:-8], other[8:-8, 8:-8], atol=0.01)


def test_truncation_is_that_of_the_authors():
    camera = random_camera(1)
    coordinates = Rectification(camera).coordinates
    pipeline = EventPipeline(lambda w, h: Representation(h, w, 'resize'), TimeWindows(MS, MS, MS))
    pipeline.rectify(coordinates)
    list(pipeline.push(packet(event_words(100, 3, 3, 1))))
    cells = pipeline._surface.sink.cell_of_pixel
    known = cells >= 0
    whole = coordinates[known].astype(np.int64)
    np.testing.assert_array_equal(cells[known] // WIDTH, whole[:, 1])
    np.testing.assert_array_equal(cells[known] % WIDTH, whole[:, 0])
    assert known.mean() > 0.5


def test_without_distortion_every_pixel_stays():
    k = np.array([[60.0, 0, 31], [0, 61, 22.5], [0, 0, 1]])
    camera = CameraModel(WIDTH, HEIGHT, k, np.zeros(5), 'plumb_bob', np.zeros((3, 3)),
                         np.zeros((3, 4)))
    assert is_rectified(camera)
    assert not is_rectified(replace(camera, d=np.array([-.1, 0, 0, 0, 0])))
    assert not is_rectified(replace(camera, p=np.c_[k * 2, np.zeros(3)]))
    made = Rectification(camera)
    np.testing.assert_array_equal(grid_of_coordinates(made.coordinates, WIDTH, HEIGHT),
                                  np.add.outer(*grid_of_pixels(WIDTH, HEIGHT, WIDTH, HEIGHT)))
    assert made.seen(WIDTH, HEIGHT).all() and made.seen(21, 17).all()


@pytest.mark.parametrize('seed', range(6))
def test_seen_is_where_events_can_land(seed):
    camera = random_camera(seed, 346, 260)
    made = Rectification(camera)
    seen = made.seen(346, 260)
    hit = np.zeros(346 * 260 + 1, bool)
    hit[grid_of_coordinates(made.coordinates, 346, 260)] = True
    hit = cv2.dilate(hit[:-1].reshape(260, 346).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # Beside the border, where a cell is hit by a pixel that is half in it.
    border = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5))) > 0
    np.testing.assert_array_equal(seen[~border], hit[~border])
    assert seen.mean() > 0.5


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('finer', [1, 2])
def test_pictures_are_rectified_as_by_opencv(seed, finer):
    camera = random_camera(seed)
    v, u = np.mgrid[:finer * HEIGHT, :finer * WIDTH] / finer
    picture = np.rint(np.stack([3 * u, 4 * v, 60 + 50 * np.sin(u / 7) + 50 * np.cos(v / 5)], -1)
                      ).astype(np.uint8)
    rectification = Rectification(camera)
    found = rectification.picture(picture)
    matrix = camera.scaled(finer * WIDTH, finer * HEIGHT)
    maps = cv2.fisheye if camera.distortion_model == 'equidistant' else cv2
    expected = cv2.remap(picture, *maps.initUndistortRectifyMap(
        matrix.k, camera.d, camera.r, matrix.p[:, :3], picture.shape[1::-1], cv2.CV_32FC1),
        cv2.INTER_LINEAR)
    # At the edge OpenCV blends with black.
    inner = cv2.erode(rectification.seen(*picture.shape[1::-1]).astype(np.uint8), np.ones((5, 5)),
                      borderValue=0) > 0
    assert inner.mean() > 0.5 and found.shape == picture.shape
    assert np.abs(found[inner].astype(int) - expected[inner]).max() <= 2
    assert not found[~rectification.seen(*picture.shape[1::-1])].any()


def test_beyond_the_lens_model_nothing_is_seen():
    # Rays of 60 degrees and more come back into the picture: the polynomial falls from there on.
    wide = np.array([[80., 0, 173], [0, 80, 130], [0, 0, 1]])
    camera = CameraModel(346, 260, wide, np.array([-.3, 0, 0, 0]), 'equidistant',
                         None, np.c_[np.diag([.5, .5, 1]) @ wide, np.zeros(3)])
    camera.p[:2, 2] = 173, 130
    made = Rectification(camera)
    lost = np.isnan(made.coordinates).any(-1)
    assert 0.05 < lost.mean() < 0.95
    assert (grid_of_coordinates(made.coordinates, 100, 80)[lost] == -1).all()
    seen = made.seen(346, 260)
    angle = np.arctan(np.linalg.norm(made.camera.rays(), axis=-1))
    assert seen[angle < 0.9].all() and not seen[angle > 1.06].any()


@pytest.mark.parametrize('change, words', [
    ({'r': np.diag([1.0, 1.0, 2.0])}, 'no rotation'),
    ({'p': np.array([[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])}, 'focal'),
    ({'p': np.array([[np.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])}, 'focal'),
    ({'p': np.array([[60.0, 0, 900, 0], [0, 60, 20, 0], [0, 0, 1, 0]])}, 'belong together'),
    ({'distortion_model': 'thin'}, 'thin'), ({'d': np.array([np.nan] * 5)}, 'finite')])
def test_calibrations_that_cannot_be_used_are_refused(change, words):
    k = np.array([[60.0, 0, 31], [0, 61, 22.5], [0, 0, 1]])
    camera = CameraModel(WIDTH, HEIGHT, k, np.array([-.1, 0, 0, 0, 0.]), 'plumb_bob')
    with pytest.raises(CalibrationError, match=words):
        Rectification(replace(camera, **change))


def test_a_change_of_calibration_begins_the_stream_anew():
    pipeline = EventPipeline(lambda w, h: Representation(h, w), TimeWindows(MS, MS, 10**9))
    made = Rectification(random_camera(2))
    pipeline.rectify(made.coordinates)
    assert not pipeline.rectified and pipeline.counters()['recalibrations'] == 0
    words = [np.concatenate([event_words(i * 1000 + us, 5, 5, 1) for us in (1, 900)])
             for i in range(12)]
    windows = [w for i in range(4) for w in pipeline.push(packet(words[i], seq=i))]
    assert pipeline.rectified and [w.interrupted for w in windows][:2] == [True, False]
    pipeline.rectify(None)
    assert not pipeline.rectified and pipeline.counters()['recalibrations'] == 1
    windows = [w for i in range(4, 12) for w in pipeline.push(packet(words[i], seq=i))]
    assert [w.interrupted for w in windows][:2] == [True, False]
    assert pipeline.counters()['events'] == 24
    # A table of another size is not for this sensor.
    pipeline.rectify(Rectification(random_camera(3, 32, 24)).coordinates)
    assert not pipeline.rectified
