# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which network input a sensor gets; the same for training and for running. No torch."""

from __future__ import annotations

import math

from depth_anyevent_ros.events.pipeline import Representation
from depth_anyevent_ros.networks.config import InputConfig, MAX_SIDE, PATCH

SAME_ASPECT = 0.04  # a nominal size whose aspect is off by less is taken as it is


def representation_for(config: InputConfig, width: int, height: int) -> Representation:
    """
    Return the network input of a sensor of width x height pixels.

    Placement `grid`: the checkpoint's size is a budget of pixels. Where the sensor has another
    shape, so has the input; it never has more cells than the sensor has pixels, since empty
    columns would look like structure. Placement `resize`: the sensor's shape, no side smaller
    than the checkpoint's, as Depth Anything V2 and the authors of DepthAnyEvent do.
    """
    if config.placement == 'resize':
        return Representation(*lower_bound(config, width, height), 'resize',
                              config.time_normalization, config.background)
    if min(width, height) < PATCH:
        raise ValueError(f'a sensor of {width}x{height} pixels is smaller than one patch of '
                         f'{PATCH}x{PATCH}')
    rows, columns = grid_patches(config.height // PATCH, config.width // PATCH,
                                 width / height, height // PATCH, width // PATCH)
    return Representation(rows * PATCH, columns * PATCH, 'grid', config.time_normalization,
                          config.background, config.cell_threshold)


def lower_bound(config: InputConfig, width: int, height: int) -> tuple[int, int]:
    """
    Return (height, width) of a picture resized as Depth Anything V2 does, multiples of 14.

    The scale is the least by which no side is smaller than the configuration's; then each side
    goes to the nearest multiple, or the next one where that is too small.
    """
    scale = max(config.height / height, config.width / width)
    sides = []
    for side, least in ((height, config.height), (width, config.width)):
        rounded = round(scale * side / PATCH) * PATCH
        sides.append(rounded if rounded >= least else math.ceil(scale * side / PATCH) * PATCH)
    if max(sides) > MAX_SIDE:
        raise ValueError(f'{width}x{height} pixels are too narrow: the input would be '
                         f'{sides[1]}x{sides[0]}')
    return sides[0], sides[1]


def grid_patches(rows: int, columns: int, aspect: float, most_rows: int,
                 most_columns: int) -> tuple[int, int]:
    """Return (rows, columns) of about the given area, of the shape of the sensor, within it."""
    if abs(math.log(columns / rows / aspect)) < SAME_ASPECT:
        candidates = [(rows, columns)]
    else:
        ideal = math.sqrt(rows * columns / aspect)
        candidates = [(max(r, 1), max(round(r * aspect), 1))
                      for r in (math.floor(ideal), math.ceil(ideal))]
        within = [(r, c) for r, c in candidates if r * c <= 1.1 * rows * columns]
        candidates = within or candidates
    fitting = [(min(r, most_rows), min(c, most_columns)) for r, c in candidates]
    return min(fitting, key=lambda size: abs(math.log(size[1] / size[0] / aspect)))


def input_size(config: InputConfig, width: int, height: int) -> tuple[int, int]:
    """
    Return (height, width) of the network's input for a sensor or picture of width x height.

    Events as `representation_for` says, pictures as `lower_bound`.
    """
    if config.representation == 'rgb':
        return lower_bound(config, width, height)
    representation = representation_for(config, width, height)
    return representation.height, representation.width
