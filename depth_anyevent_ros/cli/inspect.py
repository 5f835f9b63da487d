# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent inspect: what is in a bag."""
from __future__ import annotations

from pathlib import Path
import sys

from tqdm import tqdm

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.cli.writable import check_writable
from depth_anyevent_ros.datasets.bags import BagError, open_bag, require_event_topics
from depth_anyevent_ros.hot_pixel_memory import encode_pixels
from depth_anyevent_ros.inspection import inspect_bag

HELP = """\
Decode every event packet of a bag (rosbag2 folder, .db3 or .mcap) and say what is in it:
encoding, sensor size, packets, events, lost packets, times, hot pixels, and whether the light
flickers or the rate of events meets a limit. Nothing but the bag is needed."""
EXAMPLES = """\
  depth_anyevent inspect drive_01
  depth_anyevent inspect drive_01/drive_01_0.db3 --json drive_01.json
  depth_anyevent inspect drive_01 --hot-pixels hot_pixels.json"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('bag', metavar='BAG', help='rosbag2 folder, .db3 or .mcap file')
    parser.add_argument('--hot-pixels', type=Path, metavar='FILE',
                        help='write the hot pixels that were found, for label --hot-pixels; the '
                        'bag must have one topic of events')


def run(arguments) -> tuple[int, dict]:
    """Inspect a bag; the exit status is 1 where a packet could not be decoded."""
    if arguments.hot_pixels:
        check_writable(arguments.hot_pixels)
    with open_bag(arguments.bag) as reader:
        require_event_topics(reader)
        total = sum(topic.count or 0 for topic in reader.topics.values())
        with tqdm(total=total, unit=' messages', leave=False, disable=None) as bar:
            result = inspect_bag(reader, bar.update)
    print_report(result)
    if arguments.hot_pixels:
        _write_hot_pixels(arguments.hot_pixels, result['topics'])
    problems = [f'{name}: {figures["bad_packets"]} packets could not be decoded: '
                f'{figures.get("problem", "")}'
                for name, figures in result['topics'].items() if figures.get('bad_packets')]
    notes = [f'{name}: {figures["problem"]}' for name, figures in result['topics'].items()
             if 'problem' in figures and not figures.get('bad_packets')]
    for problem in [*problems, *notes]:
        print(f'depth_anyevent inspect: {problem}', file=sys.stderr)
    return (1 if problems else 0), result


def _write_hot_pixels(path: Path, topics: dict) -> None:
    """Write the hot pixels of the only sensor; BagError where there are several or none."""
    sensors = {name: figures for name, figures in topics.items() if 'sensor' in figures}
    if len(sensors) != 1:
        raise BagError(f'--hot-pixels needs one topic with events, and there are {len(sensors)}'
                       f'{": " if sensors else ""}{", ".join(sensors)}.')
    figures, = sensors.values()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, encode_pixels(figures['width'], figures['height'],
                                     figures['sensor']['hot_pixels_at']))


def print_report(result: dict) -> None:
    """Print the figures for people."""
    print(result['path'])
    for name, figures in sorted(result['topics'].items()):
        print(f'\n{name}  {figures["type"]}')
        if 'packets' not in figures:
            print(f'  {figures["messages"]} messages')
            continue
        events = figures['on'] + figures['off']
        print(f'  {figures["encoding"]}, {figures["width"]}x{figures["height"]} pixels')
        print(f'  {figures["packets"]} packets, {figures["bytes"]} bytes, '
              f'{figures["gaps"]} gaps in seq, {figures["restarts"]} restarts')
        print(f'  {events} events: {figures["on"]} ON, {figures["off"]} OFF; '
              f'{figures["triggers"]} external triggers')
        if figures['first']:
            seconds = (figures['last'][0] - figures['first'][0]) / 1e9
            rate = f', {events / seconds / 1e6:.3f} million events/s' if seconds > 0 else ''
            print(f'  sensor time {figures["first"][0] / 1e9:.6f} s to '
                  f'{figures["last"][0] / 1e9:.6f} s: {seconds:.3f} s{rate}')
        sensor = figures.get('sensor', {})
        if sensor.get('hot_pixels'):
            print(f'  {sensor["hot_pixels"]} hot pixels')
        for warning in sensor.get('warnings', ()):
            print(f'  {warning}')
        if figures['dropped']:
            print('  dropped or mended: ' + ', '.join(
                f'{count} {name.replace("_", " ")}'
                for name, count in figures['dropped'].items()))
    for warning in result['warnings']:
        print(f'\nnote: {warning}')
