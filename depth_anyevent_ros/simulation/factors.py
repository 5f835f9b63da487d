# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a sequence of each split may be made of.

The splits share no texture family, no grammar of layouts, no focal length, threshold, speed,
way of moving or light: a model that does well on the test split has met none of them. Numbers
are ranges that do not touch. The camera's field of view, pitch and yaw are taken from gaps
within the training split's ranges, since beyond them a drive may show no road at all. Of a drive
and of a sensor the other ranges of the training split lie on both sides of the test split's, of a
flight and a desk the test split's lie between or beyond them.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

import numpy as np

SPLITS = ('train', 'validation', 'test')
# A part of the training split that every bundled student was trained on: by it one sees what it
# forgets.
ANCHOR = 'anchor'
KNOWN_BUILDINGS = ('room', 'corridor', 'gallery', 'office', 'garage', 'cross')
# Ranges of a number: it lies within one of them.
Ranges = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CarFactors:
    """
    A street and the car in it.

    layouts: grammars of layouts_street.py. crossed: share of the streets whose grammar is put
    together from all of these. varied: by up to which factor the lengths of such a grammar are
    changed, each by its own. vibrations: ways to shake, of car.py. facades, grounds, objects:
    texture families. speed_mps: when nothing holds it up. height_m, pitch_deg (positive
    downward), yaw_deg (either side): how the camera is mounted. vibration_hz: of pitch and roll.
    road_m: width of the carriageway. fog_per_m: extinction. level: brightness, drawn
    evenly in its logarithm.
    """

    layouts: tuple[str, ...]
    vibrations: tuple[str, ...]
    facades: tuple[str, ...]
    grounds: tuple[str, ...]
    objects: tuple[str, ...]
    speed_mps: Ranges
    height_m: Ranges
    pitch_deg: Ranges
    yaw_deg: Ranges
    vibration_hz: Ranges
    road_m: Ranges
    fog_per_m: Ranges
    level: Ranges
    crossed: float = 0.0
    varied: float = 1.0


@dataclass(frozen=True)
class DroneFactors:
    """
    A building's inside and the drone in it.

    layouts: kinds of layouts_plan.py. crossed: share of the buildings that are put together
    from all of these. varied: as of a street. flights: of drone.py. walls, grounds, objects:
    texture families. speed_mps: while cruising. turn_deg_per_s: how fast the view swings at its
    fastest. sway_hz: of the view's own swing. flicker: share of the light that lamps modulate,
    flicker_hz its frequency. level: brightness, drawn evenly in its logarithm.
    """

    layouts: tuple[str, ...]
    flights: tuple[str, ...]
    walls: tuple[str, ...]
    grounds: tuple[str, ...]
    objects: tuple[str, ...]
    speed_mps: Ranges
    turn_deg_per_s: Ranges
    sway_hz: Ranges
    flicker: Ranges
    flicker_hz: Ranges
    level: Ranges
    crossed: float = 0.0
    varied: float = 1.0


@dataclass(frozen=True)
class DeskFactors:
    """
    A table with things on it, and the camera before it.

    layouts: kinds of layouts_desk.py. crossed: share of the tables that are put together from all
    of these. handlings: ways to move, of desk.py. walls, grounds, objects: texture families.
    speed_mps: of the camera. flicker, flicker_hz, level: as in a building.
    """

    layouts: tuple[str, ...]
    handlings: tuple[str, ...]
    walls: tuple[str, ...]
    grounds: tuple[str, ...]
    objects: tuple[str, ...]
    speed_mps: Ranges
    flicker: Ranges
    flicker_hz: Ranges
    level: Ranges
    crossed: float = 0.0


@dataclass(frozen=True)
class Factors:
    """
    What a split is made of.

    field_of_view_deg: horizontal. principal_point: how far it lies from the middle, as a share
    of the width. threshold: geometric mean of ON and OFF thresholds of the pixels, in natural
    logarithm. threshold_ratio: ON over OFF. mismatch: of the pixels. Threshold and mismatch are
    those of a davis346; sensors.py says how other sensors are scaled against it.
    """

    car: CarFactors
    drone: DroneFactors
    desk: DeskFactors
    field_of_view_deg: Ranges
    principal_point: Ranges
    threshold: Ranges
    threshold_ratio: Ranges
    mismatch: Ranges


def draw(generator: np.random.Generator, ranges: Ranges, logarithmic: bool = False) -> float:
    """Return a number from one of the ranges, each being chosen by its length."""
    if logarithmic:
        spans = tuple((math.log(low), math.log(high)) for low, high in ranges)
        return math.exp(draw(generator, spans))
    lengths = np.array([high - low for low, high in ranges])
    low, high = ranges[generator.choice(len(ranges), p=lengths / lengths.sum())]
    return float(generator.uniform(low, high))


def pick(generator: np.random.Generator, choices: Sequence) -> Any:
    """Return one of the choices."""
    return choices[int(generator.integers(len(choices)))]


def cross(generator: np.random.Generator, own, others: Sequence, traits: Sequence) -> Any:
    """Return a dataclass each of whose traits, groups of fields, is that of any of the others."""
    for names in traits:
        donor = others[int(generator.integers(len(others)))]
        own = replace(own, **{name: getattr(donor, name) for name in names})
    return own


def vary(generator: np.random.Generator, own, most: float, traits: Sequence):
    """
    Return a dataclass each of whose traits, groups of lengths, is scaled by a factor of its own.

    most: the factor lies between 1 / most and most, drawn evenly in its logarithm; with 1 nothing
    is drawn. Fields are numbers or tuples of them; what is None stays.
    """
    if most == 1:
        return own
    for names in traits:
        factor = math.exp(generator.uniform(-math.log(most), math.log(most)))
        for name in names:
            value = getattr(own, name)
            if value is not None:
                value = (tuple(each * factor for each in value) if isinstance(value, tuple)
                         else value * factor)
                own = replace(own, **{name: value})
    return own


FACTORS: dict[str, Factors] = {
    'train': Factors(
        car=CarFactors(
            layouts=('avenue', 'bend', 'suburb', 'boulevard', 'works', 'country', 'park',
                     'cutting', 'yard', 'highway', 'carpark', 'bazaar'),
            vibrations=('suspension',),
            facades=('panels', 'bricks'), grounds=('noise', 'leaves'),
            objects=('noise', 'checker', 'leaves', 'planks'),
            speed_mps=((1.2, 2.7), (4.0, 7.0), (9.0, 12.0), (15.5, 20.0)),
            height_m=((0.9, 1.15), (1.3, 1.65), (1.9, 2.2)),
            pitch_deg=((-9.0, -6.5), (-4.5, -2.0), (0.0, 4.0), (6.5, 9.0)),
            yaw_deg=((0.0, 9.0), (12.0, 15.0), (18.0, 22.0)),
            vibration_hz=((1.0, 1.6), (3.2, 4.0)),
            road_m=((3.2, 3.9), (5.6, 6.4), (6.8, 8.2), (8.8, 10.4)),
            fog_per_m=((0.002, 0.008), (0.017, 0.023)),
            level=((0.3, 1.0), (0.02, 0.1), (0.002, 0.005)), crossed=0.7, varied=1.6),
        drone=DroneFactors(
            layouts=(*KNOWN_BUILDINGS, 'apartment', 'workshop', 'attic', 'canteen', 'arena',
                     'loft'),
            flights=('wander', 'roam'),
            walls=('noise', 'bricks', 'leaves'), grounds=('planks', 'checker', 'noise'),
            objects=('leaves', 'planks', 'noise', 'panels'),
            speed_mps=((0.4, 0.8), (1.0, 1.5)), turn_deg_per_s=((30.0, 60.0), (70.0, 85.0)),
            sway_hz=((0.3, 0.7),), flicker=((0.02, 0.12),), flicker_hz=((99.5, 100.5),),
            level=((0.15, 0.6), (0.02, 0.06), (0.003, 0.006)), crossed=0.7, varied=1.3),
        desk=DeskFactors(
            layouts=('office', 'workbench', 'kitchen', 'parlour', 'studio', 'archive'),
            handlings=('hand', 'sweep', 'arc'),
            walls=('noise', 'bricks', 'leaves'), grounds=('planks', 'checker', 'noise'),
            objects=('leaves', 'planks', 'noise', 'panels', 'checker'),
            speed_mps=((0.1, 0.24), (0.3, 0.6)), flicker=((0.02, 0.12),),
            flicker_hz=((99.5, 100.5),), level=((0.15, 0.6), (0.02, 0.06), (0.003, 0.006)),
            crossed=0.7),
        field_of_view_deg=((52.0, 55.0), (58.0, 62.0), (70.0, 82.0)),
        principal_point=((0.0, 0.02), (0.055, 0.07)),
        threshold=((0.18, 0.24), (0.28, 0.36), (0.47, 0.55)),
        threshold_ratio=((0.6, 0.68), (0.88, 1.12), (1.28, 1.4)),
        mismatch=((0.02, 0.04), (0.064, 0.08))),
    'validation': Factors(
        car=CarFactors(
            layouts=('junction',), vibrations=('stiff',),
            facades=('stripes', 'cells'), grounds=('cells',), objects=('stripes', 'cells'),
            speed_mps=((7.2, 7.8),), height_m=((1.2, 1.28),),
            pitch_deg=((-1.8, -0.2),), yaw_deg=((9.2, 11.8),),
            vibration_hz=((1.8, 2.2),), road_m=((6.45, 6.75),),
            fog_per_m=((0.0085, 0.0105),), level=((0.12, 0.2), (0.008, 0.012))),
        drone=DroneFactors(
            layouts=('l_hall',), flights=('orbit',),
            walls=('stripes', 'cells'), grounds=('cells',), objects=('cells', 'stripes'),
            speed_mps=((0.82, 0.9),), turn_deg_per_s=((61.0, 65.0),),
            sway_hz=((0.75, 0.85),), flicker=((0.125, 0.15),), flicker_hz=((109.0, 111.0),),
            level=((0.1, 0.14), (0.007, 0.01))),
        desk=DeskFactors(
            layouts=('counter',), handlings=('push',),
            walls=('stripes', 'cells'), grounds=('cells',), objects=('cells', 'stripes'),
            speed_mps=((0.25, 0.29),), flicker=((0.125, 0.15),), flicker_hz=((109.0, 111.0),),
            level=((0.1, 0.14), (0.007, 0.01))),
        field_of_view_deg=((63.0, 65.5),), principal_point=((0.021, 0.026),),
        threshold=((0.245, 0.258),), threshold_ratio=((0.8, 0.87),),
        mismatch=((0.0405, 0.045),)),
    'test': Factors(
        car=CarFactors(
            layouts=('lane', 'square'), vibrations=('soft',),
            facades=('grid', 'blinds'), grounds=('gravel', 'marble'),
            objects=('marble', 'gravel', 'blinds'),
            speed_mps=((3.0, 3.9), (7.9, 8.9), (12.2, 15.0)), height_m=((1.68, 1.8),),
            pitch_deg=((-6.3, -4.7), (4.2, 6.3)), yaw_deg=((15.2, 17.8),),
            vibration_hz=((2.4, 3.0),), road_m=((4.2, 5.4),),
            fog_per_m=((0.011, 0.016),), level=((0.22, 0.28), (0.0125, 0.018), (0.0055, 0.0075))),
        drone=DroneFactors(
            layouts=('warehouse',), flights=('survey',),
            walls=('grid', 'marble'), grounds=('gravel',),
            objects=('marble', 'blinds', 'gravel', 'grid'),
            speed_mps=((0.92, 0.98), (1.6, 2.2)), turn_deg_per_s=((66.0, 69.0), (90.0, 110.0)),
            sway_hz=((0.9, 1.3),), flicker=((0.16, 0.25),), flicker_hz=((119.0, 121.0),),
            level=((0.07, 0.09), (0.0125, 0.018))),
        desk=DeskFactors(
            layouts=('stand',), handlings=('slide',),
            walls=('grid', 'marble'), grounds=('gravel',),
            objects=('marble', 'blinds', 'gravel', 'grid'),
            speed_mps=((0.62, 0.8),), flicker=((0.16, 0.25),), flicker_hz=((119.0, 121.0),),
            level=((0.07, 0.09), (0.0125, 0.018))),
        field_of_view_deg=((55.3, 57.7), (66.0, 69.5)), principal_point=((0.028, 0.05),),
        threshold=((0.26, 0.275), (0.38, 0.45)), threshold_ratio=((1.14, 1.25), (0.7, 0.78)),
        mismatch=((0.046, 0.06),)),
}
# What the training split was made of before lengths varied and ranges grew, but for buildings, of
# which only the first kinds are in it.
_TRAIN = FACTORS['train']
FACTORS[ANCHOR] = replace(
    _TRAIN,
    car=replace(
        _TRAIN.car, varied=1.0, speed_mps=((4.0, 7.0), (9.0, 12.0)), height_m=((1.3, 1.65),),
        vibration_hz=((1.0, 1.6),), road_m=((5.6, 6.4), (6.8, 8.2)),
        fog_per_m=((0.002, 0.008),)),
    drone=replace(_TRAIN.drone, varied=1.0, layouts=KNOWN_BUILDINGS),
    principal_point=((0.0, 0.02),), threshold=((0.18, 0.24), (0.28, 0.36)),
    threshold_ratio=((0.88, 1.12),), mismatch=((0.02, 0.04),))
