# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent label: bags with pictures and events in, labels for the events out."""
from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
import sys
import time

from tqdm import tqdm

from depth_anyevent_ros.bag_labels.labelling import BagLabelling
from depth_anyevent_ros.bag_labels.plan import BagPlan, make_plan
from depth_anyevent_ros.bag_labels.report import bag_report, summary, write_report
from depth_anyevent_ros.bag_labels.settings import CLOCKS, FORMATS, LabelSettings
from depth_anyevent_ros.datasets.bags import open_bag
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher, ForeignTeacher
from depth_anyevent_ros.geometry.rig import MODES
from depth_anyevent_ros.networks.runtime import PRECISIONS

HELP = """\
Let a teacher look at the pictures in bags, and write what it sees as labels of inverse depth in
the view of the event camera, faster than replay and without a ROS graph. mcap: a rosbag2 folder
for each bag with its event packets and proxy_label/image, proxy_label/camera_info and
proxy_label/info. sequence: folders that train and evaluate read as they are. The work is cut
into shards; interrupted, the same command goes on with those that are left. report.html shows
what came, and whether calibration and clocks fit."""
EXAMPLES = """\
  depth_anyevent label drive_01 --output labels
  depth_anyevent label drive_* --output labels --format sequence --rate 10 \\
      --teacher depth_anything_v2_vits
  depth_anyevent label drive_01 --output labels --image /camera/image_raw \\
      --camera-info event_camera.yaml --rotation 0 0 0.0087 0.99996 --translation 0.05 0 0
  depth_anyevent label drive_01 --output truth --format sequence \\
      --teacher topic:/lidar/inverse_depth"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    default = LabelSettings()
    parser.add_argument('bags', nargs='+', metavar='BAG',
                        help='rosbag2 folders, .db3 or .mcap files')
    parser.add_argument('--output', required=True, type=Path, metavar='DIR',
                        help='folder of the labels')
    parser.add_argument('--format', choices=FORMATS, default=default.format,
                        help='what is written (default: %(default)s)')
    parser.add_argument('--teacher', default='', metavar='NAME|FILE|topic:NAME',
                        help='a name of `models list`, a file of weights, or topic:NAME for maps '
                        "of inverse depth (32FC1, in the event camera's view unless "
                        '--registration says otherwise) that the bag has already (default: the '
                        'bundled tiny teacher, which has seen simulated scenes only)')
    parser.add_argument('--device', default=default.device, help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--precision', default=default.precision,
                        choices=PRECISIONS,
                        help='arithmetic of the teacher: auto is bf16 on a GPU, fp32 on a CPU; '
                        'bf16 on a CPU needs one that computes in it')
    parser.add_argument('--batch', type=int, default=default.batch, metavar='N',
                        help='pictures that the teacher sees at once (default: %(default)s)')
    parser.add_argument('--rate', type=float, default=default.rate_hz, metavar='HZ',
                        help='most labels a second (default: one for each picture)')
    parser.add_argument('--start', type=float, default=default.start_s, metavar='S',
                        help='leave out so many seconds at the beginning (default: 0)')
    parser.add_argument('--end', type=float, default=default.end_s, metavar='S',
                        help='end so many seconds behind the beginning of the bag')
    parser.add_argument('--shard-seconds', type=float, default=default.shard_s, metavar='S',
                        help='of the bag, that are done at once (default: %(default)s)')
    parser.add_argument('--hot-pixels', default=default.hot_pixels, metavar='FILE',
                        help='pixels whose events are left out of sequences, as inspect '
                        '--hot-pixels writes them and inference_node keeps them')
    topics = parser.add_argument_group('topics and calibration, by default as the bag has them')
    topics.add_argument('--events', default='', metavar='TOPIC', help='of event packets')
    topics.add_argument('--image', default='', metavar='TOPIC', help='of pictures, raw or '
                        'compressed')
    topics.add_argument('--camera-info', default='', metavar='TOPIC|FILE',
                        help='calibration of the event camera (default: camera_info beside the '
                        'events)')
    topics.add_argument('--image-info', default='', metavar='TOPIC|FILE',
                        help='calibration of the colour camera (default: camera_info beside the '
                        'pictures)')
    topics.add_argument('--registration', choices=MODES, default=default.registration,
                        help='how labels come into the view of the event camera: same (both see '
                        'the same picture), rotation, depth (with --scale) or auto (default: '
                        '%(default)s)')
    topics.add_argument('--translation', type=float, nargs=3, default=(), metavar=('X', 'Y', 'Z'),
                        help="from the colour camera's optical frame to the event camera's, "
                        'metres (default: as /tf_static says)')
    topics.add_argument('--rotation', type=float, nargs=4, default=(),
                        metavar=('X', 'Y', 'Z', 'W'), help='the same, as a quaternion')
    topics.add_argument('--scale', type=float, default=default.scale, metavar='K',
                        help="1/m for one unit of the teacher's inverse depth, for cameras that "
                        'stand apart')
    topics.add_argument('--shift', type=float, default=default.shift, metavar='B',
                        help='1/m, added to it (default: 0)')
    topics.add_argument('--clock', choices=CLOCKS, default=default.clock,
                        help='of the stamps of pictures (default: %(default)s)')


def run(arguments) -> tuple[int, dict]:
    """Label."""
    begin = time.monotonic()
    settings = LabelSettings(
        format=arguments.format, teacher=arguments.teacher, device=arguments.device,
        precision=arguments.precision, batch=arguments.batch, events=arguments.events,
        image=arguments.image, camera_info=arguments.camera_info,
        image_info=arguments.image_info, registration=arguments.registration,
        translation=tuple(arguments.translation), rotation=tuple(arguments.rotation),
        scale=arguments.scale, shift=arguments.shift, clock=arguments.clock,
        rate_hz=arguments.rate, hot_pixels=arguments.hot_pixels,
        shard_s=arguments.shard_seconds, start_s=arguments.start, end_s=arguments.end)
    with ExitStack() as stack:
        plans = [make_plan(stack.enter_context(open_bag(bag)), settings)
                 for bag in arguments.bags]
        _check_names(plans)
        teacher = _teacher(settings)
        arguments.output.mkdir(parents=True, exist_ok=True)
        labellings = [BagLabelling(plan, arguments.output, teacher) for plan in plans]
        made = _label(labellings)
        reports = {}
        for labelling in labellings:
            name = labelling.plan.name
            reports[name] = bag_report(labelling, labelling.finish())
            for note in (*reports[name]['notes'], *reports[name]['bag_warnings']):
                print(f'note: {name}: {note}', file=sys.stderr)
            print(summary(name, reports[name]))
        write_report(arguments.output, labellings, reports)
    seconds = time.monotonic() - begin
    print(f'{made} labels in {seconds:.1f} s; see {arguments.output / "report.html"}')
    empty = [name for name, report in reports.items() if not report['labels']]
    for name in empty:
        print(f'depth_anyevent label: {name} has no label at all; the problem is above',
              file=sys.stderr)
    return (1 if empty else 0), {'output': str(arguments.output), 'seconds': round(seconds, 3),
                                 'labels_made': made, 'bags': reports}


def _label(labellings: list[BagLabelling]) -> int:
    """Do what is left; return how many labels that were."""
    left = [(labelling, shard) for labelling in labellings for shard in labelling.left()]
    shards = sum(len(labelling.plan.shards) for labelling in labellings)
    if len(left) < shards:
        print(f'{shards - len(left)} of {shards} shards are done already, {len(left)} are left.')
    made = 0
    with tqdm(total=round(sum(shard.end_ns - shard.begin_ns for _, shard in left) / 1e9, 1),
              disable=None, unit='s',
              bar_format='{l_bar}{bar}| {n:.0f}/{total:.0f} s of bags [{elapsed}<{remaining}]'
              ) as bar:
        for labelling, shard in left:
            reached = shard.begin_ns

            def progress(bag_ns: int) -> None:
                nonlocal reached
                bar.update((max(bag_ns, reached) - reached) / 1e9)
                reached = max(bag_ns, reached)

            made += labelling.run(shard, progress)
    return made


def _teacher(settings: LabelSettings) -> CheckpointTeacher | ForeignTeacher:
    if settings.teacher_topic:
        return ForeignTeacher()
    teacher = CheckpointTeacher.from_file(settings.teacher, settings.device, settings.precision)
    if teacher.runtime.fallback:
        print(f'note: {teacher.runtime.fallback}', file=sys.stderr)
    return teacher


def _check_names(plans: list[BagPlan]) -> None:
    names = [plan.name for plan in plans]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f'several of the bags are called {", ".join(doubled)}: label them into '
                         'folders of their own, one after the other')
