# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The demo: a student meets a rig that it does not know, and learns from a teacher on the way.

Simulates a drive (once) whose event camera is tilted against the colour camera, through streets
of a kind that the bundled student was not trained on. Replays it over DDS to three nodes: a
student that stays as it is, a student that is replaced while it runs, and the distillation node,
whose teacher sees the colour camera. Prints a live table of their errors against the truth, which
nobody but the table sees, and leaves demo.png and result.json in the output folder.
"""
from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import sys
import tempfile
import time

from demo_graph import CAMERA_INFO, EVENTS, IMAGE, IMAGE_INFO, Listener, Processes
from demo_scoring import BASELINE, NAMES, Scores
import rclpy
from tqdm import tqdm

from depth_anyevent_ros.datasets.bags import event_topics, open_bag
from depth_anyevent_ros.distillation.anchor import anchor_sequences
from depth_anyevent_ros.malloc import keep_large_blocks
from depth_anyevent_ros.simulation.production import already_made, produce, Recording
from depth_anyevent_ros.simulation.worlds import WORLDS

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 5.0
TABLE_S = 5.0
AUDIENCE_NICENESS = 5
LAST_S = 30.0  # at the end, over which `after` is a mean
START_TIMEOUT_S, END_TIMEOUT_S = 300.0, 60.0


def recording(world: str, seconds: float, seed: int, turn_deg: tuple) -> Recording:
    """Return what is simulated; pixels joined two by two, which is quick."""
    return Recording(world, seed=seed, duration_s=seconds, split='validation', rate_hz=10.0,
                     max_motion_px=2.0, max_step_ms=10.0, binning=2, turn_deg=turn_deg)


def simulate(wanted: Recording, folder: Path) -> tuple[Path, Path]:
    """Make recording and anchor set where they are not there yet; return their paths."""
    anchors = folder / 'anchor'
    path = folder / '_'.join(
        [wanted.name, *(f'{angle:.0f}' for angle in wanted.turn_deg), f'{wanted.duration_s:.0f}s'])
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as beside:
        made = beside.submit(anchor_sequences, anchors)
        if not already_made(wanted, path):
            print(f'Simulating {wanted.duration_s:.0f} s, which later runs find in {folder}.')
            with tqdm(total=wanted.duration_s, desc=path.name, disable=None,
                      bar_format='{l_bar}{bar}| {n:.1f}/{total:.0f} s [{elapsed}]') as bar:
                produce(wanted, path, lambda time_ns: bar.update(
                    min(time_ns / 1e9, bar.total) - bar.n))
        if not made.done():
            print('Simulating the anchor set, short sequences of the old domain ...', flush=True)
        made.result()
    return path, anchors


def start_nodes(processes: Processes, bag: Path, work: Path) -> None:
    """Start both students and the distillation node."""
    inputs = {'events': EVENTS, 'camera_info': CAMERA_INFO}
    weights = {'weights_dir': work / 'weights'}
    extrinsics = json.loads((bag / 'simulation.json').read_text())['color_to_event']
    # Only the audience needs it, so that it makes room for those that a robot would run.
    processes.start('inference_node', 'frozen', {**inputs, '__ns': '/frozen'},
                    {'rate_hz': RATE_HZ}, AUDIENCE_NICENESS)
    processes.start('inference_node', 'inference', inputs, {'rate_hz': RATE_HZ, **weights})
    processes.start('distillation_node', 'distillation',
                    {**inputs, 'image': IMAGE, 'image/camera_info': IMAGE_INFO},
                    {'work_dir': work, **weights, 'label.rate_hz': RATE_HZ,
                     **{f'extrinsics.{name}': value for name, value in extrinsics.items()}})


class Table:
    """Prints a line every few seconds, and remembers when weights were promoted."""

    COLUMNS = ('time', 'labels', 'steps', 'promoted', 'kept back', 'frozen', 'teacher',
               'adapting', 'old domain')

    def __init__(self, listener: Listener, scores: Scores):
        self._listener, self._scores = listener, scores
        self._next_s, self._promoted, self._decision = TABLE_S, 0, ''
        self._next_update = 0.0
        self.promotions_s: list[float] = []
        print('\nMean relative error of depth against the truth, last 10 s; old domain: error '
              'there over that of\nthe first student.\n')
        print(''.join(f'{title:>11}' for title in self.COLUMNS))

    def update(self, everything: bool = False) -> None:
        """Score what came, and print if it is time to."""
        # Seldom, as all here: the nodes need the processor.
        if time.monotonic() < self._next_update and not everything:
            return
        self._next_update = time.monotonic() + 1.0
        self._scores.update(everything)
        if not self._scores.moments:
            return
        now_s = self._scores.moments[-1].time_s
        values = self._listener.values('distillation')
        promoted = int(values.get('promotions', 0))
        self.promotions_s += [now_s] * (promoted - self._promoted)
        self._promoted = promoted
        if now_s >= self._next_s:
            self._next_s = now_s + TABLE_S
            if values.get('last decision', '') != self._decision:
                self._decision = values['last decision']
                print(f'  decision: {self._decision}')
            errors = [self._scores.mean(name, now_s - 10, now_s + 1) for name in NAMES]
            print(f'{now_s:>9.0f} s' + ''.join(f'{values.get(key, "-"):>11}' for key in (
                'labels', 'steps', 'promotions', 'kept_back'))
                + ''.join(f'{error:>11.3f}' for error in errors)
                + f'{old_domain(values):>11.3f}', flush=True)


def old_domain(values: dict[str, str]) -> float:
    """Return the running student's error on the anchor set over that of the first."""
    return float(values['anchor_running']) / float(values['anchor_first'])


def play(bag: Path, world: str, work: Path, logs: Path) -> tuple[Listener, Scores, Table]:
    """Run the nodes over the bag."""
    listener = Listener()
    scores = Scores(listener.depths, world)
    with Processes(logs) as processes:
        print('Starting two students and the distillation node ...', flush=True)
        start_nodes(processes, bag, work)

        def spin_until(condition, timeout_s: float, what: str) -> None:
            end = time.monotonic() + timeout_s
            while not condition():
                if time.monotonic() > end:
                    raise RuntimeError(f'{what}\n{processes.logs()}')
                processes.ended('distillation')
                rclpy.spin_once(listener.node, timeout_sec=0.1)

        spin_until(lambda: listener.values('inference').get('checkpoint')
                   and listener.values('frozen').get('checkpoint')
                   and listener.values('distillation').get('anchor_first'),
                   START_TIMEOUT_S, 'the nodes did not start')
        student, teacher = listener.values('inference'), listener.values('distillation')
        print(f'Student: {student["checkpoint"]}, trained on {student["trained_on"]}, on '
              f'{student["device"]}. Teacher: {teacher["teacher"]}.')
        processes.start('replay_node', 'replay', {}, {
            'bag': bag, 'wait_for_subscribers': 3, 'exit_when_done': 'true'})
        os.nice(AUDIENCE_NICENESS)
        table = Table(listener, scores)

        def done() -> bool:
            table.update()
            return processes.ended('replay')
        spin_until(done, float('inf'), '')
        packets = count_packets(bag)

        def all_packets() -> bool:
            table.update()
            return int(listener.values('inference').get('packets', 0)) >= packets
        spin_until(all_packets, END_TIMEOUT_S, f'not all of the {packets} packets arrived')
        table.update(everything=True)
    return listener, scores, table


def count_packets(bag: Path) -> int:
    """Return the number of event packets in a bag."""
    with open_bag(bag) as reader:
        return sum(reader.topics[topic].count for topic in event_topics(reader))


def result_of(listener: Listener, scores: Scores, pictures: list[str]) -> dict:
    """Return what result.json says."""
    student, learning = listener.values('inference'), listener.values('distillation')
    end_s = scores.moments[-1].time_s
    last = end_s - LAST_S, end_s + 1
    errors = {name: round(scores.mean(name, *last), 4) for name in NAMES}
    gap = errors['frozen'] - errors['teacher']
    return {
        'stream': {name: int(student[name]) for name in ('packets', 'events', 'gaps')},
        'inference': {
            'rate_hz': round(listener.rate_hz, 2),
            'latency_ms': {name: float(student[f'latency {name} (ms)'])
                           for name in ('p50', 'p99')},
            'images': int(student['published']), 'skipped': int(student['skipped']),
            'checkpoint': {name: student[name] for name in (
                'checkpoint', 'sha256', 'trained_on', 'device', 'precision')}},
        'accuracy': {
            'new_domain': {
                'frozen': errors['frozen'], 'teacher': errors['teacher'],
                'after': errors['adapting'], 'last_s': LAST_S,
                'gap_closed': round((errors['frozen'] - errors['adapting']) / gap, 3)
                if gap > 0 else None,
                BASELINE: round(scores.mean(BASELINE, *last), 4),
                'whole_view': {name: round(scores.mean(name, *last, whole=True), 4)
                               for name in ('frozen', 'adapting')}},
            'old_domain': {'before': float(learning['anchor_first']),
                           'after': float(learning['anchor_running'])}},
        'labels': int(learning['labels']), 'steps': int(learning['steps']),
        'promotions': int(learning['promotions']), 'kept_back': int(learning['kept_back']),
        'moments': len(scores.moments), 'pictures': pictures}


def report(result: dict) -> None:
    """Print the figures."""
    new, old = result['accuracy']['new_domain'], result['accuracy']['old_domain']
    print(f'\nLast {LAST_S:.0f} s: mean relative error {new["frozen"]:.3f} as it came, '
          f'{new["after"]:.3f} after {result["promotions"]} promotions; the teacher has '
          f'{new["teacher"]:.3f}, the mean of the training labels {new[BASELINE]:.3f}. On the '
          f'old domain {old["before"]:.3f} before, {old["after"]:.3f} after.')
    inference = result['inference']
    print(f'{inference["images"]} depth images beside the training, {inference["skipped"]} '
          f'skipped, latency p50 {inference["latency_ms"]["p50"]:.0f} ms, p99 '
          f'{inference["latency_ms"]["p99"]:.0f} ms; {result["stream"]["packets"]} packets, '
          f'{result["stream"]["gaps"]} gaps.')


def main() -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  ./scripts/demo.sh\n'
        '  ./scripts/demo.sh --world drone --seconds 240')
    parser.add_argument('--world', choices=WORLDS, default='car',
                        help='a drive, a flight or a desk (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=120.0, metavar='S',
                        help='length of it (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=511, metavar='N',
                        help='of the scenes (default: %(default)s)')
    parser.add_argument('--turn', type=float, nargs=3, default=(20.0, 10.0, 0.0),
                        metavar=('ROLL', 'PITCH', 'YAW'),
                        help='how the event camera is turned against the colour camera, degrees '
                        '(default: 20 10 0)')
    parser.add_argument('--output', type=Path, default=ROOT / 'out' / 'demo',
                        help='folder for demo.png and result.json (default: out/demo)')
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    keep_large_blocks()
    # A domain of its own, unless one is chosen, so that a robot beside it is left alone. The ports
    # of those above 101 may be in use, as the system gives them to anyone.
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    turn = tuple(arguments.turn)
    try:
        bag, anchors = simulate(recording(arguments.world, arguments.seconds, arguments.seed,
                                          turn), arguments.output / 'recordings')
        rclpy.init()
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder, 'work')
            shutil.copytree(anchors, work / 'anchor')
            listener, scores, table = play(bag, arguments.world, work, Path(folder))
    except (RuntimeError, ValueError, OSError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    if not scores.moments:
        print('demo: no picture of depth could be compared with the truth', file=sys.stderr)
        return 1
    from demo_pictures import draw
    picture = arguments.output / 'demo.png'
    result = result_of(listener, scores, [picture.name])
    draw(picture, bag, scores, table.promotions_s,
         f'A {arguments.world} whose event camera is turned by {turn[0]:.0f}, {turn[1]:.0f} and '
         f'{turn[2]:.0f} degrees; scenes, student and teacher are simulated')
    (arguments.output / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
    report(result)
    print(f'See {picture}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
