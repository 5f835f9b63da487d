# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent infer: a bag of events in, a bag of depth out."""
from __future__ import annotations

from pathlib import Path
import sys
import time

from tqdm import tqdm

from depth_anyevent_ros.bag_inference import choose_event_topic, infer_bag
from depth_anyevent_ros.bag_labels.topics import read_camera
from depth_anyevent_ros.cli.system_errors import explain
from depth_anyevent_ros.cli.writable import check_writable
from depth_anyevent_ros.datasets.bags import (
    BagReader, decode, first_message, open_bag, whole_bag)
from depth_anyevent_ros.depth_estimator import DepthEstimator, WindowSettings
from depth_anyevent_ros.evaluation.depth_sheet import check_ending, DepthSheet
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.runtime import PRECISIONS
from depth_anyevent_ros.networks.runtimes import RUNTIMES

HELP = """\
Run the student on every window of a bag, as fast as it goes and without a ROS graph, and write
inverse depth (32FC1, larger is nearer) with its camera_info to a new bag, which is there when it
is whole; with --picture, also a picture of events and depth at some moments of it."""
EXAMPLES = """\
  depth_anyevent infer --bag drive_01 --output drive_01_depth --picture drive_01.png
  depth_anyevent infer --bag drive_01 --output out --rate 30 --visualization --json out.json
  depth_anyevent infer --bag drive_01 --output out --camera-info event_camera.yaml
  depth_anyevent infer --bag drive_01 --output out --window-count 30000"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('--bag', required=True, help='rosbag2 folder, .db3 or .mcap file')
    parser.add_argument('--output', required=True, help='folder of the new bag')
    parser.add_argument('--format', choices=('sqlite3', 'mcap'), default='sqlite3',
                        help='storage of the new bag (default: %(default)s)')
    parser.add_argument('--topic', help='the event topic, where the bag has several')
    parser.add_argument('--camera-info', metavar='TOPIC|FILE',
                        default='', help='calibration of the event camera: a topic of the bag, or '
                        'a YAML file of camera_calibration (default: camera_info beside the event '
                        'topic)')
    parser.add_argument('--no-rectify', dest='rectify', action='store_false',
                        help='leave the distortion of the lens in the events')
    parser.add_argument('--checkpoint', default='', metavar='FILE',
                        help='the student (default: the bundled one)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--precision', default='auto', choices=PRECISIONS,
                        help='arithmetic: auto is fp16 on a GPU where that comes close to fp32, '
                        'fp32 on a CPU; bf16 on a CPU needs one that computes in it')
    parser.add_argument('--runtime', default='torch', choices=RUNTIMES,
                        help='what runs the student: torch, openvino (faster on a CPU, where it '
                        'is installed), or openvino where it can be had (default: %(default)s)')
    parser.add_argument('--rate', type=float, default=10.0, metavar='HZ',
                        help='windows per second of sensor time (default: %(default)s)')
    parser.add_argument('--window-ms', type=float, default=0.0,
                        help="length of a window (default: the checkpoint's)")
    parser.add_argument('--window-count', type=int, default=0, metavar='N',
                        help='windows of N events each, whenever they come, in place of --rate '
                        'and --window-ms')
    parser.add_argument('--visualization', action='store_true',
                        help='write visualization/image (bgr8) too')
    parser.add_argument('--picture', metavar='FILE', default='',
                        help='draw events and depth of six moments, to look at')


def run(arguments) -> tuple[int, dict]:
    """Infer a bag."""
    begin = time.monotonic()
    picture = Path(arguments.picture) if arguments.picture else None
    if picture:
        check_ending(picture)
        check_writable(picture)
    settings = WindowSettings('count', count=arguments.window_count) if arguments.window_count \
        else WindowSettings(rate_hz=arguments.rate, duration_ms=arguments.window_ms)
    with open_bag(arguments.bag) as reader:
        topic = choose_event_topic(reader, arguments.topic)
        estimator = DepthEstimator(load_student(arguments.checkpoint), settings,
                                   arguments.device, arguments.precision, arguments.runtime)
        camera, calibration, unread = None, '', ''
        try:
            camera, calibration = read_camera(reader, arguments.camera_info, topic)
        except CalibrationError as error:
            if arguments.camera_info:
                raise
            unread = f'the calibration in the bag is not used: {error}'
        estimator.calibrate(camera, arguments.rectify)
        unfit = unread or _unfit(reader, topic, camera, estimator)
        if unfit and arguments.camera_info:
            raise ValueError(f'--camera-info {arguments.camera_info}: {unfit}')
        said = list(dict.fromkeys([*estimator.cautions(), *([unfit] if unfit else [])]))
        for caution in said:
            print(f'note: {caution}', file=sys.stderr)
        sheet = DepthSheet() if picture else None
        with whole_bag(arguments.output, arguments.format) as writer, \
                tqdm(total=reader.topics[topic].count, unit=' packets', disable=None) as bar:
            counts = infer_bag(reader, topic, estimator, writer, arguments.visualization,
                               sheet, bar.update)
            if not counts['published'] and not counts['problem']:  # or an empty bag is left
                raise ValueError(_why_nothing(counts, settings) if counts['packets'] else
                                 f'no message is on {topic}')
        # Whether a runtime can be had shows with the first window, and a GPU may vanish later.
        for warning in [*(c for c in estimator.cautions() if c not in said), *reader.warnings]:
            print(f'note: {warning}', file=sys.stderr)
    if counts['damage']:
        print(f'note: dropped, mended or begun anew: {_listed(counts["damage"])}', file=sys.stderr)
    problem = counts.pop('problem')
    result = {**counts, 'calibration': calibration or 'none',
              'checkpoint': estimator.runtime.describe(),
              'seconds': round(time.monotonic() - begin, 3)}
    print(f'{counts["published"]} depth images of {counts["windows"]} windows '
          f'({counts["packets"]} packets, {counts["events"]} events, {counts["gaps"]} gaps, '
          f'{counts["dropped"]} packets dropped) in {result["seconds"]:.1f} s: '
          f'{arguments.output}')
    if problem:
        print(f'depth_anyevent infer: {problem}', file=sys.stderr)
    drawn = not picture or _drawn(sheet, picture, Path(arguments.bag).resolve().name, estimator)
    return (0 if drawn and counts['published'] and not problem else 1), result


def _why_nothing(counts: dict, settings: WindowSettings) -> str:
    """Return why the events of a bag made no window."""
    damage = f' ({_listed(counts["damage"])})' if counts['damage'] else ''
    if settings.mode == 'count' and counts['damage'].get('interruptions'):
        return (f'the events do not fill one window of {settings.count}, as each pause of '
                f'{settings.max_gap_ms:g} ms begins it anew: give a smaller '
                f'--window-count{damage}')
    return f'the events do not fill one window; is the bag shorter than the window?{damage}'


def _listed(damage: dict[str, int]) -> str:
    return ', '.join(f'{count} {name.replace("_", " ")}' for name, count in damage.items())


def _unfit(reader: BagReader, topic: str, camera: CameraModel | None,
           estimator: DepthEstimator) -> str:
    """Return why the calibration of a bag's events is of no use, '' where it is."""
    if camera is None:
        return ''
    if not camera.calibrated:
        return 'the camera is not calibrated: its camera matrix is zero'
    first = first_message(reader, topic)
    size = (camera.width, camera.height)
    if first is not None:
        packet = decode(first)
        if (packet.width, packet.height) != size:
            return (f'the calibration is for {size[0]}x{size[1]} pixels, but the events come from '
                    f'{packet.width}x{packet.height}, so it is not used')
    return estimator.calibration_problem


def _drawn(sheet: DepthSheet, picture: Path, bag: str, estimator: DepthEstimator) -> bool:
    """Write the picture; return whether it could be, as the bag is there without it."""
    config = estimator.checkpoint.config
    try:
        if sheet.write(picture, f'{bag}: depth by {config.name}; trained on: {config.trained_on}'):
            print(f'See {picture}')
        return True
    except OSError as error:
        print(f'depth_anyevent infer: {explain(error)}', file=sys.stderr)
        return False
