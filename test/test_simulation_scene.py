# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces of a scene, and its light."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.simulation.scene import Box, Ellipsoid, Light, Rectangle, Scene
from depth_anyevent_ros.simulation.surfaces import scene_arrays
from depth_anyevent_ros.simulation.texture import checker_texture

TILE = checker_texture(8, 2)
WALL = Rectangle((5, 0, 0), (0, -1, 0), (0, 0, 1), 4, 3)


def test_faces_of_a_box_point_outward_and_close_it():
    box = Box((1.0, 2.0, 3.0), (2.0, 4.0, 6.0), yaw=0.7)
    faces = box.rectangles()
    assert len(faces) == 6
    for face in faces:
        normal = np.cross(face.right, face.up)
        outward = np.subtract(face.center, box.center)
        assert np.dot(normal, outward) == pytest.approx(np.linalg.norm(outward))
    area = sum(face.width * face.height for face in faces)
    assert area == pytest.approx(2 * (2 * 4 + 2 * 6 + 4 * 6))
    corners = np.array([
        np.add(face.center, h * face.width / 2 * np.array(face.right)
               + w * face.height / 2 * np.array(face.up))
        for face in faces for h in (-1, 1) for w in (-1, 1)])
    assert len(np.unique(corners.round(9), axis=0)) == 8


def test_arrays_of_a_scene():
    scene = Scene((WALL,), (TILE, checker_texture(16, 2)),
                  boxes=(Box((1, 2, 3), (2, 4, 4), texture=1, tile_m=4.0, color=(3, 2, 1)),),
                  ellipsoids=(Ellipsoid((0, 0, 1), (1, 2, 3), body=1),), bodies=(object(),))
    arrays = scene_arrays(scene)
    assert len(arrays.surfaces) == len(scene.surfaces()) == 8
    # Shape, where the mip map starts, its size, body.
    assert arrays.kinds[0].tolist() == [0, 0, 8, 0]
    assert arrays.kinds[6].tolist() == [0, 64 + 16 + 4 + 1, 16, 0]
    assert arrays.kinds[7].tolist() == [1, 0, 8, 1]
    assert arrays.surfaces[:, 15].tolist() == [4.0] * 8
    # Luminance takes the mean of a colour, and the tint the rest.
    assert arrays.surfaces[:, 16].tolist() == [1.0] + [2.0] * 6 + [1.0]
    assert arrays.color[6].tolist() == [1.5, 1, 0.5] and arrays.color[7].tolist() == [1, 1, 1]
    assert arrays.solids.tolist() == [[0, 1, 0, 0], [1, 7, 0, 1], [7, 8, 1, 0]]
    np.testing.assert_allclose(arrays.spheres, [[5, 0, 0, 2.5], [1, 2, 3, 3], [0, 0, 1, 3]])


def test_lamps_swing_between_full_and_their_share():
    light = Light(flicker=0.4, flicker_hz=100.0)
    times = np.linspace(0, 0.02, 4001)
    lamp = np.array([light.lamp(time) for time in times])
    assert lamp.max() == pytest.approx(1) and lamp.min() == pytest.approx(0.6)
    assert lamp.mean() == pytest.approx(0.8, abs=1e-3)
    assert lamp[[0, 2000]] == pytest.approx(0.8) and times[lamp.argmax()] < 0.01
    assert Light().lamp(0.123) == 1


@pytest.mark.parametrize('change, message', [
    ({'right': (0, -2, 0)}, 'unit vectors'), ({'up': (0, 1, 0)}, 'right angles'),
    ({'width': 0}, 'positive'), ({'tile_m': -1}, 'positive'), ({'texture': 1}, 'lacks'),
    ({'body': 1}, 'moves with body 1')])
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        scene_arrays(Scene((replace(WALL, **change),), (TILE,)))
    if 'tile_m' in change or 'texture' in change or 'body' in change:
        ball = Ellipsoid((0, 0, 0), (1, 1, 1))
        with pytest.raises(ValueError, match=message):
            scene_arrays(Scene((), (TILE,), (), (replace(ball, **change),)))


@pytest.mark.parametrize('change, message', [
    ({'sun': (0, 0, 0)}, 'direction'), ({'ambient': 1.1}, 'within 0 to 1'),
    ({'flicker': -0.1}, 'within 0 to 1'), ({'fog_per_m': -1.0}, 'negative'),
    ({'level': float('nan')}, 'negative')])
def test_refuses_lights(change, message):
    with pytest.raises(ValueError, match=message):
        Light(**change)
