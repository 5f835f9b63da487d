# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Making one recording of a world from a handful of options, and knowing it again."""
from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import hashlib
import json
from pathlib import Path
import shlex

import numpy as np

from depth_anyevent_ros.datasets.sequence_format import INFO_FILE
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.simulation.factors import FACTORS
from depth_anyevent_ros.simulation.output import (
    Counts, observed, Progress, SIMULATION_FILE, write_bag, write_sequence)
from depth_anyevent_ros.simulation.recording import DriverConfig
from depth_anyevent_ros.simulation.sensors import SENSORS
from depth_anyevent_ros.simulation.worlds import make_world, World

# Storage of a bag, None for a sequence folder.
FORMATS = {'bag': 'sqlite3', 'mcap': 'mcap', 'sequence': None}
ENCODINGS = ('evt3', *ENCODERS)
MOST_BASELINE_M = 10.0  # further apart two cameras are on no rig, and see little alike
# Beyond these a simulation would not end within days, fill memory, or leave what floats can hold.
BOUNDS = {'rate_hz': (0.01, 1000.0), 'max_motion_px': (0.01, 100.0), 'max_step_ms': (0.1, 50.0),
          'level': (1e-9, 10.0)}


@dataclass(frozen=True)
class Recording:
    """
    What is simulated, and how it is kept.

    duration_s: seconds. rate_hz: labels and pictures a second. level: brightness, None for that
    of the seed. images: whether there are pictures. flow: whether labels of a sequence have it.
    max_motion_px: no pixel moves further between two renders. max_step_ms: longest time between
    them. binning: see make_world. format: one of FORMATS. encoding: of event packets, '' for
    the sensor's own. pauses: of the camera, (start, length) in seconds, () for those that the
    world draws. turn_deg: roll, pitch and yaw of the event camera against the colour camera,
    baseline_m: how far it stands to the left of that; see make_world.
    """

    world: str
    seed: int = 1
    duration_s: float = 10.0
    sensor: str = 'davis346'
    split: str = 'train'
    rate_hz: float = 20.0
    level: float | None = None
    images: bool = True
    flow: bool = False
    max_motion_px: float = 0.7
    max_step_ms: float = 5.0
    binning: int = 1
    format: str = 'bag'
    encoding: str = ''
    pauses: tuple[tuple[float, float], ...] = ()
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    baseline_m: float = 0.0

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f'format has to be one of {", ".join(FORMATS)}, got '
                             f'{self.format!r}')
        if self.encoding and FORMATS[self.format] is None:
            raise ValueError('an encoding is one of event packets in a bag; a sequence keeps '
                             'events as they are: leave it out, or choose the format bag')
        if self.encoding and self.encoding not in ENCODINGS:
            raise ValueError(f'the encoding has to be one of {", ".join(ENCODINGS)}, got '
                             f'{self.encoding!r}')
        if self.flow and FORMATS[self.format] is not None:
            raise ValueError('flow is kept in sequences only: choose the format sequence')
        if (any(self.turn_deg) or self.baseline_m) and self.images \
                and FORMATS[self.format] is None:
            raise ValueError('pictures of a sequence show what the event camera sees: leave '
                             'them out, or choose the format bag for cameras that stand apart')
        # Written so that NaN is refused too.
        if not (all(abs(angle) <= 360 for angle in self.turn_deg)
                and abs(self.baseline_m) <= MOST_BASELINE_M):
            raise ValueError('turn has to be within 360 degrees and baseline within '
                             f'{MOST_BASELINE_M:g} m either way, got {self.turn_deg} and '
                             f'{self.baseline_m}')
        if not 0 < self.duration_s < 4000:
            raise ValueError('the duration has to be positive and below 4000 s, got '
                             f'{self.duration_s:g} s')
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f'{name} has to be within {low:g} and {high:g}, got {value:g}')
        if FORMATS[self.format] is None and self.duration_s * self.rate_hz < 1 - 1e-6:
            raise ValueError(f'a sequence of {self.duration_s:g} s with {self.rate_hz:g} labels a '
                             'second has no label, and is of no use: make it longer or raise the '
                             'rate')

    @property
    def name(self) -> str:
        """Name of the recording among others."""
        return f'{self.world}_{self.split}_{self.seed:05d}'

    @property
    def duration_ns(self) -> int:
        """Duration in whole microseconds, as nanoseconds."""
        return round(self.duration_s * 1e6) * 1000

    def command(self) -> list[str]:
        """Return the words of the command that makes it, without its output."""
        words = ['simulate']
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            if value not in (None, ''):
                words += [option, _word(value)]
        for pause in self.pauses:
            words += ['--pause', *map(_word, pause)]
        if any(self.turn_deg):
            words += ['--turn', *map(_word, self.turn_deg)]
        return words + ['--no-images'] * (not self.images) + ['--flow'] * self.flow


# Fields of Recording that are options with a value on the command line.
OPTIONS = {'world': '--world', 'seed': '--seed', 'duration_s': '--duration',
           'sensor': '--sensor', 'split': '--split', 'rate_hz': '--rate', 'level': '--level',
           'max_motion_px': '--max-motion-px', 'max_step_ms': '--max-step-ms',
           'binning': '--binning', 'baseline_m': '--baseline',
           'format': '--format', 'encoding': '--encoding'}


def produce(recording: Recording, path: Path, progress: Progress = lambda _: None) -> Counts:
    """
    Simulate a recording into a new folder; return what came.

    Raise ValueError where something does not fit or the path exists, OSError where it cannot be
    written; what was begun is then removed.
    """
    world = make_world(recording.world, recording.seed, recording.duration_ns,
                       sensor=recording.sensor, split=recording.split, level=recording.level,
                       pauses=recording.pauses or None, max_motion_px=recording.max_motion_px,
                       binning=recording.binning, turn_deg=recording.turn_deg,
                       baseline_m=recording.baseline_m)
    simulation = replace(world.simulation, max_step_ns=round(recording.max_step_ms * 1e6))
    world = replace(world, simulation=observed(
        simulation, recording.rate_hz, recording.images))
    info = describe(recording, world)
    storage = FORMATS[recording.format]
    try:
        if storage is None:
            return write_sequence(path, world.simulation, info, recording.flow, progress)
        return write_bag(path, world.simulation, _driver(recording),
                         {'name': path.name, **info}, storage, progress)
    except OSError as error:
        raise OSError(f'{path} could not be written, and what was begun is removed: '
                      f'{error.strerror or error}') from error


def _word(value) -> str:
    """Return a value as a word of a command: argparse takes -1e-05 for an option."""
    return np.format_float_positional(value, trim='0') if isinstance(value, float) else str(value)


def _driver(recording: Recording) -> DriverConfig:
    return DriverConfig(seed=recording.seed,
                        encoding=recording.encoding or SENSORS[recording.sensor].encoding)


def describe(recording: Recording, world: World) -> dict:
    """Return what sequence.json says of a recording."""
    to_event = world.simulation.rgb.to_event if world.simulation.rgb else Transform.identity()
    return {
        'source': 'simulated', 'world': recording.world, 'split': recording.split,
        'seed': recording.seed, 'sensor': recording.sensor,
        'level': world.simulation.scene.light.level,
        'pauses': [list(pause) for pause in world.pauses],
        'simulation': {**world.factors, 'max_motion_px': recording.max_motion_px,
                       'pixels': asdict(world.simulation.sensor)},
        'color_to_event': {'translation': to_event.translation.tolist(),
                           'rotation': list(to_event.quaternion())},
        'command': shlex.join(['depth_anyevent', *recording.command()]),
        'options': asdict(recording), 'factors': factors_digest(recording.split)}


def factors_digest(split: str) -> str:
    """Return a short hash of what a split may be made of, which later versions may change."""
    return hashlib.sha256(repr(FACTORS[split]).encode()).hexdigest()[:16]


def already_made(recording: Recording, path: Path) -> bool:
    """
    Return whether the recording is at a path; raise ValueError where another one is.

    Names appear when recordings are whole, so that the options, and of what the split was made
    then, alone have to be compared.
    """
    if not path.exists():
        return False
    file = path / (INFO_FILE if FORMATS[recording.format] is None else SIMULATION_FILE)
    try:
        info = json.loads(file.read_text())
        found = info['options']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} exists already and is not a recording of this kind; give '
                         'another path or remove it first') from error
    # As JSON holds them; an option that is not named there is younger than the recording.
    wanted, usual = (json.loads(json.dumps(asdict(item)))
                     for item in (recording, Recording(recording.world)))
    found = {**usual, **found}
    other = [name for name in wanted if found[name] != wanted[name]]
    if other:
        differences = ', '.join(f'{name} {found[name]}, not {wanted[name]}'
                                for name in other)
        raise ValueError(f'{path} exists already, but with other options ({differences}); give '
                         'another path or remove it first')
    if info.get('factors') != factors_digest(recording.split):
        raise ValueError(f'{path} exists already, but is of a version whose split '
                         f'{recording.split} was made of other things; give another path or '
                         'remove it first')
    return True
