# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the loss is made of. Imports no torch."""
from __future__ import annotations

from dataclasses import dataclass

from depth_anyevent_ros.networks.value_checks import choice, number


@dataclass(frozen=True)
class LossConfig:
    """
    What the loss is made of.

    gradient: weight of the gradient-matching term (lambda). temporal: weight of the
    temporal-consistency term. alignment: scale and shift for each 'frame' or for a whole 'clip'.
    normalization: the target is divided by its standard deviation over a 'frame' or 'clip', so
    that near scenes do not outweigh far ones; 'none' leaves it in 1/m. weighting: 'uniform', or
    'relative', where errors are divided by the target's inverse depth + relative_floor (1/m),
    also in the alignment; normalization then has no part. sky_below: inverse depth (1/m) below
    which it only matters that the prediction is as far: such pixels take no part in alignment
    and normalization. 0 for labels without unit. log: weight of the error of the logarithm of
    depth, aligned by frame, for which sky_below has to be set. least_correlation: see `align`.
    """

    gradient: float = 0.5
    temporal: float = 0.0
    alignment: str = 'frame'
    normalization: str = 'frame'
    weighting: str = 'uniform'
    relative_floor: float = 0.05
    sky_below: float = 0.0
    log: float = 0.0
    least_correlation: float = 0.3

    def __post_init__(self):
        number('loss.gradient', self.gradient, 0, 100)
        number('loss.temporal', self.temporal, 0, 100)
        choice('loss.alignment', self.alignment, ('frame', 'clip'))
        choice('loss.normalization', self.normalization, ('none', 'frame', 'clip'))
        choice('loss.weighting', self.weighting, ('uniform', 'relative'))
        number('loss.relative_floor', self.relative_floor, 1e-4, 10)
        number('loss.sky_below', self.sky_below, 0, 10)
        number('loss.log', self.log, 0, 100)
        if self.log and not self.sky_below:
            raise ValueError('loss.log needs loss.sky_below, in 1/m: the logarithm of the depth '
                             'of the sky has no end.')
        number('loss.least_correlation', self.least_correlation, 0.01, 1)
