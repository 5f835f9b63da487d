# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How bright every pixel is: textures in the sun, sky and fog."""
from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.events.jit import njit
from depth_anyevent_ros.simulation.scene import Light
from depth_anyevent_ros.simulation.surfaces import ROUND
from depth_anyevent_ros.simulation.texture import (
    footprint, level_at, level_of_detail, noise_texture, sample, sample_along,
    sample_count, samples_sum, share_of_next)
from depth_anyevent_ros.simulation.view import (
    PLANE, V_AXES, V_CENTER, V_HALF, V_LIGHT, V_RADII, V_RIGHT, V_RIGHT_CENTER, V_SCALE, V_SHAPE,
    V_SQUARE, V_TEXTURE, V_TEXTURE_SIZE, V_TONE, V_UP, V_UP_CENTER)
from depth_anyevent_ros.simulation.visibility import SKY

# The footprint of a pixel is worked out once for so many of them, and interpolated in between.
BLOCK = 16
CLOUD_TEXELS = 256
SKY_COLOR = (0.8, 1.0, 1.2)  # linear red, green, blue, a mean of 1
# Towards the rim of an ellipsoid a pixel's footprint grows without end.
FLATTEST = 0.05


class Air(NamedTuple):
    """
    Light for compiled loops, from one pose.

    sky_horizon, sky_zenith, clouds, fog_per_m, ambient: of Light. sun: float64 (3,), its
    direction in the optical frame. rotation: float64 (3, 3), world from optical. cloud_texels:
    float32 (n,), values within -1 to 1.
    """

    sky_horizon: float
    sky_zenith: float
    clouds: float
    fog_per_m: float
    ambient: float
    sun: np.ndarray
    rotation: np.ndarray
    cloud_texels: np.ndarray


def air(light: Light, rotation: np.ndarray) -> Air:
    """Return the light as seen from a pose whose rotation (3, 3) is world from optical."""
    sun = np.asarray(light.sun, np.float64)
    rotation = np.ascontiguousarray(rotation, np.float64)
    return Air(float(light.sky_horizon), float(light.sky_zenith), float(light.clouds),
               float(light.fog_per_m), float(light.ambient),
               rotation.T @ (sun / np.linalg.norm(sun)), rotation, _cloud_texels())


@functools.cache
def _cloud_texels() -> np.ndarray:
    field = np.log(noise_texture(0, CLOUD_TEXELS, slope=2.2, contrast=0.3).astype(np.float64))
    field = (field - field.mean()) / (2 * field.std())
    return np.clip(field, -1, 1).astype(np.float32).ravel()


@njit
def sky(air, x, y):
    """Return the luminance of the sky along the ray (x, y, 1)."""
    r = air.rotation
    up = r[2, 0] * x + r[2, 1] * y + r[2, 2]
    up = max(np.divide(up, math.sqrt(x * x + y * y + 1)), 0.0)
    # Soft at the horizon, even at the zenith.
    value = air.sky_horizon + (air.sky_zenith - air.sky_horizon) * up * (2 - up)
    if air.clouds == 0:
        return value
    # A flat layer of clouds, brought nearer at the horizon so that it does not get too fine.
    norm = np.divide(1.0, math.sqrt(x * x + y * y + 1))
    ahead = (r[0, 0] * x + r[0, 1] * y + r[0, 2]) * norm
    left = (r[1, 0] * x + r[1, 1] * y + r[1, 2]) * norm
    scale = np.divide(CLOUD_TEXELS / 8, up + 0.3)
    pattern = samples_sum(air.cloud_texels, 0, CLOUD_TEXELS, ahead * scale, left * scale,
                          0.0, 0.0, 1)
    return value * (1 + air.clouds * pattern)


@njit
def _transmitted(fog_per_m, distance):
    """
    Return exp(-fog_per_m distance), by (1 + a + a^2 / 2 + a^3 / 6 + a^4 / 24)^-8 with an eighth.

    Off by less than 1e-4, and quicker than exp.
    """
    a = fog_per_m * distance / 8
    series = 1 + a * (1 + a / 2 * (1 + a / 3 * (1 + a / 4)))
    series *= series
    series *= series
    return np.divide(1.0, series * series)


@njit
def _through_fog(fog_per_m, horizon, value, z, x, y):
    """Return luminance value as it comes through the fog from depth z."""
    if fog_per_m == 0:
        return value
    part = _transmitted(fog_per_m, z * math.sqrt(x * x + y * y + 1))
    return horizon + (value - horizon) * part


@njit
def shade(views, whole, texels, k, air, inverse, nearest, luminance):
    """Fill in the luminance of every pixel as if one surface covered it."""
    height, width = inverse.shape
    xs = (np.arange(width) - k[2]) / k[0]
    for row in range(height):
        y = np.divide(row - k[3], k[1])
        begin = 0
        while begin < width:
            i, end = nearest[row, begin], begin + 1
            # Blocks lie fast in the picture.
            last = min((begin // BLOCK + 1) * BLOCK, width)
            while end < last and nearest[row, end] == i:
                end += 1
            if i == SKY:
                for column in range(begin, end):
                    luminance[row, column] = sky(air, xs[column], y)
            elif whole[i, V_SHAPE] == ROUND:
                for column in range(begin, end):
                    luminance[row, column] = _round(
                        views, whole, i, texels, k, air, xs[column], y)
            else:
                _shade_flat(views, whole, i, texels, k, air, inverse, xs, y, begin, end,
                            row, luminance)
            begin = end


@njit
def _shade_flat(views, whole, i, texels, k, air, inverse, xs, y, begin, end, row, luminance):
    """Fill in pixels [begin, end) of a row that see one rectangle."""
    scale = views[i, V_SCALE]
    minor_0, major_0, s_0, t_0 = _footprint(views, i, k, scale, xs[begin], y)
    minor_1, major_1, s_1, t_1 = _footprint(views, i, k, scale, xs[end - 1], y)
    count = max(sample_count(minor_0, major_0), sample_count(minor_1, major_1))
    lod_0 = level_of_detail(minor_0, major_0, count)
    lod_1 = level_of_detail(minor_1, major_1, count)
    level = int((lod_0 + lod_1) / 2)
    part_0, part_1 = share_of_next(lod_0, level), share_of_next(lod_1, level)
    start, side, texels_scale = level_at(whole[i, V_TEXTURE], whole[i, V_TEXTURE_SIZE], level)
    if s_0 * s_1 + t_0 * t_1 < 0:
        s_1, t_1 = -s_1, -t_1
    way, step = 0.0, np.divide(1.0, max(end - 1 - begin, 1))
    fog_per_m, horizon, light = air.fog_per_m, air.sky_horizon, views[i, V_LIGHT]
    right_y = views[i, V_RIGHT + 1] * y + views[i, V_RIGHT + 2]
    up_y = views[i, V_UP + 1] * y + views[i, V_UP + 2]
    for column in range(begin, end):
        x = xs[column]
        z = np.divide(1.0, inverse[row, column])
        across = z * (x * views[i, V_RIGHT] + right_y) - views[i, V_RIGHT_CENTER]
        along = z * (x * views[i, V_UP] + up_y) - views[i, V_UP_CENTER]
        value = sample_along(
            texels, start, side, texels_scale, across * scale, -along * scale,
            s_0 + way * (s_1 - s_0), t_0 + way * (t_1 - t_0), count,
            part_0 + way * (part_1 - part_0))
        luminance[row, column] = _through_fog(fog_per_m, horizon, light * value, z, x, y)
        way += step


@njit
def _jacobian(views, i, k, scale, x, y):
    """Return how far in texels one pixel is on a rectangle: s_u, s_v, t_u, t_v."""
    a, b = views[i, PLANE], views[i, PLANE + 1]
    z = np.divide(1.0, a * x + b * y + views[i, PLANE + 2])
    # d(P)/d(u) = Z ((1, 0, 0) - (x, y, 1) Z a) / fx, by the quotient rule, and alike for v.
    ray_right = z * (x * views[i, V_RIGHT] + y * views[i, V_RIGHT + 1] + views[i, V_RIGHT + 2])
    ray_up = z * (x * views[i, V_UP] + y * views[i, V_UP + 1] + views[i, V_UP + 2])
    step_u, step_v = np.divide(scale * z, k[0]), np.divide(scale * z, k[1])
    return (step_u * (views[i, V_RIGHT] - ray_right * a),
            step_v * (views[i, V_RIGHT + 1] - ray_right * b),
            -step_u * (views[i, V_UP] - ray_up * a), -step_v * (views[i, V_UP + 1] - ray_up * b))


@njit
def _footprint(views, i, k, scale, x, y):
    s_u, s_v, t_u, t_v = _jacobian(views, i, k, scale, x, y)
    return footprint(s_u, s_v, t_u, t_v)


@njit
def luminance_of(views, whole, i, texels, k, air, x, y):
    """Return the luminance of a surface over the pixel about the ray (x, y, 1)."""
    if whole[i, V_SHAPE] == ROUND:
        return _round(views, whole, i, texels, k, air, x, y)
    z = np.divide(1.0, views[i, PLANE] * x + views[i, PLANE + 1] * y + views[i, PLANE + 2])
    scale = views[i, V_SCALE]
    across = z * (x * views[i, V_RIGHT] + y * views[i, V_RIGHT + 1] + views[i, V_RIGHT + 2]) \
        - views[i, V_RIGHT_CENTER]
    along = z * (x * views[i, V_UP] + y * views[i, V_UP + 1] + views[i, V_UP + 2]) \
        - views[i, V_UP_CENTER]
    # The mean of rays that hit a thin surface is on it, but for rounding.
    across = min(max(across, -views[i, V_HALF]), views[i, V_HALF])
    along = min(max(along, -views[i, V_HALF + 1]), views[i, V_HALF + 1])
    s_u, s_v, t_u, t_v = _jacobian(views, i, k, scale, x, y)
    value = views[i, V_LIGHT] * sample(texels, whole[i, V_TEXTURE], whole[i, V_TEXTURE_SIZE],
                                       across * scale, -along * scale, s_u, s_v, t_u, t_v)
    return _through_fog(air.fog_per_m, air.sky_horizon, value, z, x, y)


@njit
def _round(views, whole, i, texels, k, air, x, y):
    """
    Return the luminance of an ellipsoid over the pixel about the ray (x, y, 1).

    Its texture is laid on by Lambert's azimuthal equal-area map about its top, which is smooth
    everywhere but at its bottom.
    """
    square = (views[i, V_SQUARE] * x
              + 2 * (views[i, V_SQUARE + 1] * y + views[i, V_SQUARE + 2])) * x \
        + (views[i, V_SQUARE + 3] * y + 2 * views[i, V_SQUARE + 4]) * y + views[i, V_SQUARE + 5]
    z = np.divide(1.0, views[i, PLANE] * x + views[i, PLANE + 1] * y + views[i, PLANE + 2]
                  + math.sqrt(max(square, 0.0)))
    px, py = z * x - views[i, V_CENTER], z * y - views[i, V_CENTER + 1]
    pz = z - views[i, V_CENTER + 2]
    m = V_AXES
    # The point on the unit sphere, and the normal, from the axes by radii.
    q0 = views[i, m] * px + views[i, m + 1] * py + views[i, m + 2] * pz
    q1 = views[i, m + 3] * px + views[i, m + 4] * py + views[i, m + 5] * pz
    q2 = views[i, m + 6] * px + views[i, m + 7] * py + views[i, m + 8] * pz
    n0 = views[i, m] * q0 + views[i, m + 3] * q1 + views[i, m + 6] * q2
    n1 = views[i, m + 1] * q0 + views[i, m + 4] * q1 + views[i, m + 7] * q2
    n2 = views[i, m + 2] * q0 + views[i, m + 5] * q1 + views[i, m + 8] * q2
    norm = np.divide(1.0, math.sqrt(n0 * n0 + n1 * n1 + n2 * n2))
    n0, n1, n2 = n0 * norm, n1 * norm, n2 * norm
    facing = n0 * air.sun[0] + n1 * air.sun[1] + n2 * air.sun[2]
    light = views[i, V_TONE] * (air.ambient + (1 - air.ambient) * max(facing, 0.0))
    # The tangent plane n . P = n . P0 moves the point as a flat surface would.
    slope = min(n0 * x + n1 * y + n2, -FLATTEST)
    a, b = np.divide(n0, slope), np.divide(n1, slope)
    step_u, step_v = np.divide(z, k[0]), np.divide(z, k[1])
    low = max(1 + q2, 0.02)
    stretch = math.sqrt(np.divide(2.0, low))
    s_u, t_u = _on_map(views, i, q0, q1, low, stretch, step_u * (1 - x * a), -step_u * y * a,
                       -step_u * a)
    s_v, t_v = _on_map(views, i, q0, q1, low, stretch, -step_v * x * b, step_v * (1 - y * b),
                       -step_v * b)
    value = light * sample(
        texels, whole[i, V_TEXTURE], whole[i, V_TEXTURE_SIZE],
        stretch * q0 * views[i, V_RADII] * views[i, V_SCALE],
        stretch * q1 * views[i, V_RADII + 1] * views[i, V_SCALE], s_u, s_v, t_u, t_v)
    return _through_fog(air.fog_per_m, air.sky_horizon, value, z, x, y)


@njit
def _on_map(views, i, q0, q1, low, stretch, dx, dy, dz):
    """Return by how many texels (s, t) a small step on an ellipsoid moves."""
    m = V_AXES
    d0 = views[i, m] * dx + views[i, m + 1] * dy + views[i, m + 2] * dz
    d1 = views[i, m + 3] * dx + views[i, m + 4] * dy + views[i, m + 5] * dz
    d2 = views[i, m + 6] * dx + views[i, m + 7] * dy + views[i, m + 8] * dz
    bend = np.divide(-stretch * d2, 2 * low)
    return ((stretch * d0 + bend * q0) * views[i, V_RADII] * views[i, V_SCALE],
            (stretch * d1 + bend * q1) * views[i, V_RADII + 1] * views[i, V_SCALE])
