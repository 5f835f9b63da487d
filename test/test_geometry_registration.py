# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Registration against scenes whose depth along every ray is known in closed form."""
import numpy as np
import pytest

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.geometry.registration import Displaced, Rotated, SameView
from depth_anyevent_ros.geometry.transform import Transform

METRIC = MetricScale(1.0)
LENSES = {'none': ('plumb_bob', ()),
          'plumb_bob': ('plumb_bob', (-.30, .12, .001, -.001, -.02)),
          'equidistant': ('equidistant', (-.02, .01, -.003, .001))}


def camera(width, height, focal, lens='none'):
    model, d = LENSES[lens]
    k = np.array([[focal, 0, width / 2 + 3], [0, focal, height / 2 - 2], [0, 0, 1]])
    return CameraModel(width, height, k, np.array(d, float), model)


def turn(yaw_deg, pitch_deg=0.0, roll_deg=0.0):
    """Return a rotation about y, then x, then z of the optical frame."""
    y, x, z = np.deg2rad([yaw_deg, pitch_deg, roll_deg])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return rz @ rx @ ry


def scene_inverse_depth(cam, from_event, front=True):
    """
    Return exact inverse depth of a slanted wall and a board before it, seen by a camera.

    from_event: Transform of the event camera's frame, in which the scene stands, to the camera's.
    """
    to_event = from_event.inverse()
    rays = np.concatenate([cam.rays().astype(float), np.ones((cam.height, cam.width, 1))], -1)
    directions, origin = rays @ to_event.rotation.T, to_event.translation
    # Planes n . p = 1 in the event camera's frame; p = origin + z * direction.
    inverse = np.zeros(rays.shape[:2])
    for normal, half in (((0.03, -0.05, 1 / 9), None), ((0, 0, 1 / 2.5), (0.5, 0.35))):
        if half and not front:
            continue
        normal = np.array(normal)
        found = directions @ normal / (1 - origin @ normal)
        if half:
            place = origin + directions / found[..., None]
            found = np.where((np.abs(place[..., 0]) < half[0])
                             & (np.abs(place[..., 1]) < half[1]), found, 0)
        inverse = np.maximum(inverse, found)
    return inverse.astype(np.float32)


def misses(label, truth, event, color, color_to_event):
    """Return how far, in the colour camera's pixels, each label was taken from its place."""
    rays = np.concatenate([event.rays().astype(float), np.ones((*truth.shape, 1))], -1)
    back = color_to_event.inverse()

    def place(inverse):
        moved = rays @ back.rotation.T + inverse[..., None] * back.translation
        return color.project((moved[..., :2] / moved[..., 2:]).reshape(-1, 2))
    known = np.isfinite(label).ravel()
    return np.linalg.norm(place(label.astype(float)) - place(truth.astype(float)), axis=1)[known]


def test_the_same_view_is_a_resize():
    label = SameView(130, 173).register(np.full((266, 350), 0.25, np.float32))
    assert label.shape == (130, 173) and np.allclose(label, 0.25)


@pytest.mark.parametrize('color_lens', LENSES)
@pytest.mark.parametrize('event_lens', LENSES)
def test_a_rotation_alone_is_undone_to_a_part_of_a_pixel(color_lens, event_lens):
    color, event = camera(640, 480, 400.0, color_lens), camera(346, 260, 250.0, event_lens)
    to_event = Transform(turn(4, -3, 2), np.zeros(3))
    truth = scene_inverse_depth(event, Transform.identity())
    seen = scene_inverse_depth(color, to_event.inverse())
    label = Rotated(color, event, to_event, seen.shape).register(seen)
    known = np.isfinite(label)
    assert label.dtype == np.float32 and known.mean() > 0.8
    assert np.median(np.abs(label / truth - 1)[known]) < 2e-3
    # Blurred at the board's edge alone.
    assert np.mean(np.abs(label / truth - 1)[known] < 0.01) > 0.97


def test_far_scenes_are_registered_by_the_rotation_where_the_baseline_is_small():
    color, event = camera(346, 260, 260.0), camera(346, 260, 250.0)
    to_event = Transform(turn(-2, 1, 0), np.array([0.01, 0.0, 0.0]))
    truth = scene_inverse_depth(event, Transform.identity(), front=False)
    # 1 cm at 9 m is 0.3 pixels.
    label = Rotated(color, event, to_event, (260, 346)).register(
        scene_inverse_depth(color, to_event.inverse(), front=False))
    rotation = Transform(to_event.rotation, np.zeros(3))
    known = np.isfinite(label)
    assert np.median(np.abs(label / truth - 1)[known]) < 0.02
    assert np.median(misses(label, truth, event, color, rotation)) < 0.5


@pytest.mark.parametrize('lens', LENSES)
@pytest.mark.parametrize('size', [(480, 640), (260, 346), (120, 160)])
def test_depth_moves_surfaces_to_their_place_and_hides_what_was_not_seen(lens, size):
    color, event = camera(640, 480, 420.0, lens), camera(346, 260, 250.0, lens)
    to_event = Transform(turn(2, -1, 1), np.array([0.12, -0.03, 0.01]))
    truth = scene_inverse_depth(event, Transform.identity())
    seen = scene_inverse_depth(color.scaled(size[1], size[0]), to_event.inverse())
    label = Displaced(color, event, to_event, size, METRIC).register(seen)
    known = np.isfinite(label)
    assert 0.75 < known.mean() < 0.99
    missed = misses(label, truth, event, color, to_event)
    assert np.median(missed) < 0.1
    assert np.mean(missed < 0.5) > (0.97 if size[0] > 200 else 0.93)
    # The strip of wall beside the board that the colour camera could not see has no label.
    place = np.argwhere(truth > 0.3)
    row, left, right = place[:, 0].mean().astype(int), place[:, 1].min(), place[:, 1].max()
    hidden = 250 * 0.12 * (1 / 2.5 - 1 / 9)
    strip = label[row, right + 3:right + int(hidden) - 2] if np.isnan(
        label[row, right + 4]) else label[row, left - int(hidden) + 2:left - 3]
    assert len(strip) >= 3 and np.isnan(strip).all()


def test_unknown_pixels_stay_unknown_and_sky_stays_infinitely_far():
    color, event = camera(320, 240, 200.0), camera(346, 260, 250.0)
    to_event = Transform(turn(1), np.array([0.1, 0, 0]))
    seen = np.zeros((240, 320), np.float32)
    seen[100:140, 140:180] = np.nan
    for way in (Rotated(color, event, to_event, seen.shape),
                Displaced(color, event, to_event, seen.shape, METRIC)):
        label = way.register(seen)
        assert np.isnan(label[130, 173]) and np.nanmax(np.abs(label)) == 0
        assert 0.5 < np.isfinite(label).mean() < 0.98


def test_a_quaternion_turns_as_its_matrix():
    angle = np.deg2rad(30)
    found = Transform.from_quaternion(0, 2 * np.sin(angle / 2), 0, 2 * np.cos(angle / 2),
                                      [1, 2, 3])
    np.testing.assert_allclose(found.rotation, turn(30), atol=1e-12)
    point = np.array([0.3, -1.0, 2.0])
    there = found.rotation @ point + found.translation
    back = found.inverse()
    np.testing.assert_allclose(back.rotation @ there + back.translation, point, atol=1e-12)


@pytest.mark.parametrize('rotation', [2 * np.eye(3), np.diag([1, 1, -1]), np.full((3, 3), np.nan)])
def test_what_is_no_rotation_is_refused(rotation):
    with pytest.raises(ValueError, match='rotation'):
        Transform(rotation, np.zeros(3))
    with pytest.raises(ValueError, match='rotation'):
        Transform.from_quaternion(0, 0, 0, 0, [0, 0, 0])
