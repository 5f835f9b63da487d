# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make a sequence folder of a real recording in which each event has a depth.

Reads a folder with events.txt, lines `seconds x y metres polarity` of events whose places are
without distortion, and calib.txt, `fx fy cx cy ...` and the width and height in its second line:
as the examples of EventEMin (Nunes and Demiris, TPAMI 2021), of which dataset/indoor_flying1 is a
stretch of MVSEC with the depth of its lidar (Zhu et al., RA-L 2018). The label of a window knows
the depth where the window has an event.
"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from depth_anyevent_ros.datasets.sequence_writer import SequenceWriter
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

WINDOW_NS = 50_000_000
COLUMNS = 5


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python scripts/depth_events_sequence.py EventEMin/dataset/indoor_flying1 '
               '--output data/mvsec/indoor_flying1\n'
               '         depth_anyevent evaluate --data data/mvsec --rate 20 --picture sheet.png')
    parser.add_argument('recording', type=Path, help='folder of the text files')
    parser.add_argument('--output', type=Path, required=True, help='sequence folder to make')
    arguments = parser.parse_args()
    try:
        make(arguments.recording, arguments.output)
    except (OSError, ValueError) as error:
        parser.exit(1, f'{parser.prog}: {error}\n')


def make(recording: Path, output: Path) -> None:
    """Write the sequence; ValueError where the files are none of such a recording."""
    camera = read_camera(recording / 'calib.txt')
    events, depth_m = read_events(recording / 'events.txt', camera.width, camera.height)
    info = {'source': 'recording', 'world': '', 'sensor': 'unknown', 'camera': camera,
            'duration_ns': int(events.t[-1])}
    ends = range(WINDOW_NS, int(events.t[-1]) + 1, WINDOW_NS)
    if not ends:
        raise ValueError(f'{recording} is shorter than a window of 50 ms')
    with SequenceWriter(output, info) as writer:
        writer.add_events(events)
        for end in ends:
            inside = (events.t >= end - WINDOW_NS) & (events.t < end)
            label = np.full((camera.height, camera.width), np.nan, np.float32)
            label[events.y[inside], events.x[inside]] = 1 / depth_m[inside]
            writer.add_label(end, label)
    print(f'{output}: {len(ends)} labels, {len(depth_m)} events.')


def read_camera(path: Path) -> CameraModel:
    """Return the pinhole camera of the two lines; ValueError where they are others."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if len(lines) != 2 or len(lines[0]) < 4 or len(lines[1]) != 2:
        raise ValueError(f'{path} must hold a line `fx fy cx cy ...` and one of width and height')
    fx, fy, cx, cy = (float(value) for value in lines[0][:4])
    return CameraModel(int(lines[1][0]), int(lines[1][1]),
                       np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), np.zeros(5))


def read_events(path: Path, width: int, height: int) -> tuple[Events, np.ndarray]:
    """
    Return the events within the picture, from time 0 on (ns), and the depth of each in m.

    Raises ValueError for lines of another kind, times that go back and depths that are none.
    """
    table = np.loadtxt(path, ndmin=2)
    if table.shape[1] != COLUMNS or not len(table):
        raise ValueError(f'{path} must have lines `seconds x y metres polarity`')
    places = np.rint(table[:, 1:3])
    table = table[((places >= 0) & (places < (width, height))).all(1)]
    seconds, x, y, depth_m, polarity = table.T
    if not len(table) or (np.diff(seconds) < 0).any() or not (depth_m > 0).all() or \
            not np.isin(polarity, (0, 1)).all():
        raise ValueError(f'{path} must have events in order of time, in a picture of '
                         f'{width}x{height}, with depths above 0 and polarities 0 and 1')
    times = np.rint((seconds - seconds[0]) * 1e9).astype(np.int64)
    return Events(times, np.rint(x).astype(np.uint16), np.rint(y).astype(np.uint16),
                  polarity.astype(np.uint8)), depth_m


if __name__ == '__main__':
    main()
