# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Labels of a DAVIS' own frames for its own events, as a picture.

A DAVIS has pixels that see both, so that labels need no registration (mode `same`). Reads an
.aedat4 file by the package aedat from PyPI, which nothing else here needs.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import aedat
from matplotlib.figure import Figure
import numpy as np

from depth_anyevent_ros.depth_estimator import event_input
from depth_anyevent_ros.distillation.labelling import Labeller
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.distillation.picture_quality import PictureQuality, QualityLimits
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.evaluation.pictures import tencode_picture
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.geometry.rig import Rig
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.input_size import representation_for

MAX_GAP_NS, MAX_BYTES = 200_000_000, 1 << 30
COLUMNS = ('frame', 'events of the 50 ms before', "teacher's label, inverse depth")


def messages(path: Path) -> Iterator[Packet | tuple[int, np.ndarray]]:
    """Yield packets, and frames as their time (ns, mid-exposure) and RGB uint8 (H, W, 3)."""
    decoder = aedat.Decoder(str(path))
    camera = next(stream for stream in decoder.id_to_stream().values()
                  if stream['type'] == 'events')
    encoder, begin_us, number = Evt3Encoder(), None, 0
    for item in decoder:
        if 'events' in item:
            events = item['events']
            begin_us = int(events['t'][0]) if begin_us is None else begin_us
            yield Packet(encoder.encode(Events(
                (events['t'].astype(np.int64) - begin_us) * 1000, events['x'], events['y'],
                events['on'].astype(np.uint8))), 'evt3', camera['width'], camera['height'], number)
            number += 1
        elif 'frame' in item and begin_us is not None:
            frame = item['frame']
            middle_us = (frame['exposure_begin_t'] + frame['exposure_end_t']) / 2
            pixels = frame['pixels']
            yield (round((middle_us - begin_us) * 1000),
                   np.repeat(pixels[..., None], 3, -1) if pixels.ndim == 2 else pixels)


def labels(path: Path, teacher: CheckpointTeacher) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield frame, events and label of what may teach; say what may not."""
    config = event_input(load_student('').config.input)
    pairing = FramePairing(lambda width, height: representation_for(config, width, height),
                           round(config.window_ms * 1e6), MAX_GAP_NS, 'sensor', MAX_BYTES)
    labeller = Labeller(teacher, PictureQuality(QualityLimits()),
                        lambda size, shape: Rig('same').registration(size, size, shape))
    for message in messages(path):
        pairs = pairing.add_packet(message) if isinstance(message, Packet) else \
            pairing.add_picture(message[0], message[1])
        for pair in pairs:
            label = labeller.label(pair.picture, pair.window)
            if label is not None:
                yield pair.picture, tencode_picture(pair.window.image)[..., ::-1], \
                    label.inverse_depth
    print(f'{dict(pairing.counts)}\n{dict(labeller.counts)}')


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/label_davis.py davis346_sample.aedat4 --output davis.png')
    parser.add_argument('file', type=Path)
    parser.add_argument('--teacher', default='', help='(default: the bundled tiny one)')
    parser.add_argument('--output', type=Path, default=Path('davis.png'))
    arguments = parser.parse_args()
    teacher = CheckpointTeacher.from_file(arguments.teacher)
    rows = list(labels(arguments.file, teacher))
    if not rows:
        parser.exit(1, f'{arguments.file}: no frame may teach\n')
    figure = Figure(figsize=(3 * len(COLUMNS), 2.4 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), len(COLUMNS), squeeze=False)
    for line, row in zip(axes, rows):
        for place, title, image in zip(line, COLUMNS, row):
            place.imshow(image, cmap='inferno')
            place.set_axis_off()
            if line is axes[0]:
                place.set_title(title, fontsize=9)
    figure.suptitle(f'A real DAVIS346; labels by {teacher.name}', fontsize=10)
    figure.savefig(arguments.output, dpi=90)
    print(f'See {arguments.output}')


if __name__ == '__main__':
    main()
