# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the user asks for when bags are to be labelled."""
from __future__ import annotations

from dataclasses import asdict, dataclass

from depth_anyevent_ros.geometry.rig import MODES

FORMATS = ('mcap', 'sequence')
CLOCKS = ('auto', 'sensor', 'ros')
TOPIC_TEACHER = 'topic:'
# These change how fast labels come, and at most the last bits of them.
NOT_OF_THE_LABELS = ('device', 'hot_pixels')  # of this file the pixels count, not the path


@dataclass(frozen=True)
class LabelSettings:
    """
    teacher: '' for the bundled one, a name of `models list`, a file, or topic:NAME for maps that
    the bag has already. batch: pictures that the teacher sees at once. events, image: topics, ''
    to find them. camera_info, image_info: topics or calibration files, '' to find them.
    registration, scale, shift: as in `Rig`; scale 0 for none. translation, rotation: from the
    colour camera's frame to that of the event camera, metres and x, y, z, w; () for what
    /tf_static says. clock: as in `FramePairing`. rate_hz: most labels a second, 0 for one of
    each picture. hot_pixels: file of the pixels whose events a sequence does not get, '' for
    none. shard_s: seconds of the bag that are done at once. start_s, end_s: which part
    of the bag, from its beginning, end_s 0 for all of it.
    """

    format: str = 'mcap'
    teacher: str = ''
    device: str = 'auto'
    precision: str = 'auto'
    batch: int = 8
    events: str = ''
    image: str = ''
    camera_info: str = ''
    image_info: str = ''
    registration: str = 'auto'
    translation: tuple[float, ...] = ()
    rotation: tuple[float, ...] = ()
    scale: float = 0.0
    shift: float = 0.0
    clock: str = 'auto'
    rate_hz: float = 0.0
    hot_pixels: str = ''
    shard_s: float = 30.0
    start_s: float = 0.0
    end_s: float = 0.0

    def __post_init__(self):
        for name, value, choices in (('format', self.format, FORMATS),
                                     ('registration', self.registration, MODES),
                                     ('clock', self.clock, CLOCKS)):
            if value not in choices:
                raise ValueError(f'{name} must be one of {", ".join(choices)}, not {value!r}')
        for name, value, count in (('translation', self.translation, 3),
                                   ('rotation', self.rotation, 4)):
            if len(value) not in (0, count):
                raise ValueError(f'{name} must be {count} numbers, not {len(value)}')
        if self.hot_pixels and self.format != 'sequence':
            raise ValueError('hot pixels are left out of sequences only; a bag gets the packets '
                             'as they are, and inference_node knows its own hot pixels')
        if not 1 <= self.batch <= 256:
            raise ValueError(f'batch must be from 1 to 256, not {self.batch}')
        if not 1 <= self.shard_s <= 600:
            raise ValueError(f'shard-seconds must be from 1 to 600, not {self.shard_s}')
        for name, value, most in (('scale', self.scale, 1e9), ('rate', self.rate_hz, 1e6),
                                  ('start', self.start_s, 1e9), ('end', self.end_s, 1e9)):
            if not 0 <= value <= most:  # NaN is not, either
                raise ValueError(f'{name} must be from 0 to {most:g}, not {value}')
        for name, values in (('translation', self.translation), ('rotation', self.rotation),
                             ('shift', [self.shift])):
            if not all(abs(value) <= 1e9 for value in values):
                raise ValueError(f'{name} must be numbers below 1e9, not {values}')
        if self.end_s and self.end_s <= self.start_s:
            raise ValueError(f'end must be behind start, not {self.end_s} and {self.start_s}')

    @property
    def teacher_topic(self) -> str:
        """Return the topic whose maps are the labels, '' where a network labels."""
        return self.teacher[len(TOPIC_TEACHER):] if self.teacher.startswith(TOPIC_TEACHER) else ''

    def of_the_labels(self) -> dict:
        """Return, as JSON values, all that labels depend on."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items() if name not in NOT_OF_THE_LABELS}
