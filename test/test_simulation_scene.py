# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces of a scene."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.simulation.scene import Box, Rectangle, Scene, surface_arrays
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
                  boxes=(Box((0, 0, 0), (1, 1, 1), texture=1, tile_m=4.0),), sun=(0, 0, 2),
                  ambient=0.25)
    arrays = surface_arrays(scene)
    assert len(arrays.center) == 7
    # The wall faces -x and sees only ambient light; the top of the box sees the sun.
    assert arrays.light[0] == 0.25 and arrays.light.max() == 1
    assert arrays.texture[0].tolist() == [0, 8]
    assert arrays.texture[1].tolist() == [64 + 16 + 4 + 1, 16]
    assert arrays.texels_per_m[0] == 4 and arrays.texels_per_m[1] == 4


@pytest.mark.parametrize('change, message', [
    ({'right': (0, -2, 0)}, 'unit vectors'), ({'up': (0, 1, 0)}, 'right angles'),
    ({'width': 0}, 'positive'), ({'tile_m': -1}, 'positive'), ({'texture': 1}, 'lacks')])
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        surface_arrays(Scene((replace(WALL, **change),), (TILE,)))
