# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The demo: simulated drives and flights through replay_node and inference_node, over DDS.

Simulates two recordings of worlds that the bundled student was not trained on, replays them to
the student as separate processes, prints a live table, and leaves depth.png and result.json with
the student's error against the truth in the output folder.
"""
from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from demo_scoring import draw, mean_over, report, score, Scores
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from tqdm import tqdm

from depth_anyevent_ros.datasets.bags import event_topics, open_bag
from depth_anyevent_ros.malloc import keep_large_blocks
from depth_anyevent_ros.simulation.production import already_made, produce, Recording

ROOT = Path(__file__).resolve().parents[1]
# A drive and a flight, chosen of eight of each by what there is to see and that they move.
RECORDINGS = tuple(Recording(world, seed=seed, duration_s=5.0, split='test', max_motion_px=2.0)
                   for world, seed in (('car', 102), ('drone', 107)))
RATE_HZ = 10.0
START_TIMEOUT_S, END_TIMEOUT_S = 120.0, 60.0
INFERENCE_STATUS = 'inference: inference'


class Listener:
    """Hears inverse depth and diagnostics."""

    def __init__(self):
        self.node = rclpy.create_node('demo')
        self.images: dict[int, np.ndarray] = {}
        self.times: list[float] = []
        self.values: dict[str, str] = {}
        self.node.create_subscription(Image, 'inverse_depth/image', self._on_image,
                                      QoSProfile(depth=100))
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_image(self, msg: Image) -> None:
        self.times.append(time.monotonic())
        stamp = msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec
        self.images[stamp] = np.frombuffer(msg.data, np.float32).reshape(msg.height, msg.width)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == INFERENCE_STATUS:
                self.values = {item.key: item.value for item in status.values}

    def rate_hz(self) -> float:
        """Return the rate at which images came."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])

    def spin_until(self, condition, timeout_s: float, processes) -> bool:
        """Handle messages until the condition holds; raise if a process ends badly."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            for name, process in processes.items():
                if process.poll() not in (None, 0):
                    raise RuntimeError(f'{name} ended with status {process.returncode}')
            rclpy.spin_once(self.node, timeout_sec=0.1)
        return True


def executable(name: str) -> str:
    """Return the path of an installed node."""
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        path = Path(prefix, 'lib', 'depth_anyevent_ros', name)
        if os.access(path, os.X_OK):
            return str(path)
    raise RuntimeError(f'{name} is not installed; source scripts/env.sh')


def start(name: str, log: Path, *parameters: str) -> subprocess.Popen:
    """Start a node as a process of its own; it logs into a file."""
    with open(log, 'w') as file:
        return subprocess.Popen(
            [executable(name), '--ros-args', '-r', 'events:=/event_camera/events',
             '-r', 'camera_info:=/event_camera/camera_info', *parameters],
            stdout=file, stderr=subprocess.STDOUT)


def stop(process: subprocess.Popen) -> None:
    """End a process as Ctrl-C would."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


COLUMNS = (('packets', 'packets', 8), ('events', 'events', 9), ('gaps', 'gaps', 5),
           ('published', 'images', 7), ('skipped', 'skipped', 8), ('rate (Hz)', 'rate Hz', 8),
           ('latency p50 (ms)', 'p50 ms', 8), ('latency p99 (ms)', 'p99 ms', 8))


class Run(NamedTuple):
    """What was heard of a recording, and the last diagnostics of the inference node."""

    listener: Listener
    values: dict[str, str]


def run(bag: Path) -> Run:
    """Replay a recording to the student."""
    listener = Listener()
    try:
        with tempfile.TemporaryDirectory() as logs:
            return Run(listener, play(listener, bag, Path(logs)))
    finally:
        listener.node.destroy_node()


def play(listener: Listener, bag: Path, logs: Path) -> dict[str, str]:
    """Run both nodes over the bag with a live table; return the last diagnostics."""
    packets = count_packets(bag)
    processes = {'inference_node': start('inference_node', logs / 'inference_node.log',
                                         '-p', f'rate_hz:={RATE_HZ}')}
    try:
        print(f'\nStarting inference_node for {bag.name} ...', flush=True)
        if not listener.spin_until(
                lambda: listener.node.count_publishers('inverse_depth/image')
                and listener.values.get('checkpoint'), START_TIMEOUT_S, processes):
            raise RuntimeError('inference_node did not start')
        print(f'Student: {listener.values["checkpoint"]}, trained on '
              f'{listener.values["trained_on"]}, on {listener.values["device"]}.')
        processes['replay_node'] = start('replay_node', logs / 'replay_node.log', '-p',
                                         f'bag:={bag}', '-p', 'exit_when_done:=true')
        print(f'Replaying {bag.name}: {packets} event packets.\n')
        print(''.join(f'{title:>{width}}' for _, title, width in COLUMNS))
        shown = None

        def all_packets() -> bool:
            nonlocal shown
            if listener.values is not shown:
                shown = listener.values
                print(''.join(f'{shown.get(key) or "-":>{width}}'
                              for key, _, width in COLUMNS), flush=True)
            return int(shown.get('packets', 0)) >= packets \
                and int(shown['published']) == len(listener.images) \
                and processes['replay_node'].poll() is not None
        if not listener.spin_until(all_packets, END_TIMEOUT_S, processes):
            raise RuntimeError(f'only {listener.values.get("packets", 0)} of {packets} packets '
                               'arrived')
        return listener.values
    except RuntimeError as error:
        text = ''.join(f'\n--- {log.name}\n{log.read_text()}' for log in logs.glob('*.log'))
        raise RuntimeError(f'{error}{text}') from error
    finally:
        for process in processes.values():
            stop(process)


def simulate(folder: Path) -> list[Path]:
    """Make the recordings that are not there yet; return their paths."""
    paths = [folder / recording.name for recording in RECORDINGS]
    missing = [(recording, path) for recording, path in zip(RECORDINGS, paths)
               if not already_made(recording, path)]
    if missing:
        print(f'Simulating {len(missing)} recordings, which later runs find in {folder}.')
    for recording, path in missing:
        with tqdm(total=recording.duration_s, desc=recording.name, unit=' s',
                  bar_format='{l_bar}{bar}| {n:.1f}/{total:.0f} s [{elapsed}]') as bar:
            produce(recording, path, lambda time_ns, bar=bar: bar.update(time_ns / 1e9 - bar.n))
    return paths


def count_packets(bag: Path) -> int:
    """Return the number of event packets in a bag."""
    with open_bag(bag) as reader:
        return sum(reader.topics[topic].count for topic in event_topics(reader))


def result_of(runs: list[Run], scores: dict[str, Scores], pictures: list[str]) -> dict:
    """Return what result.json says; of several recordings the worst rate and latency."""
    values = [run.values for run in runs]
    return {
        'stream': {name: sum(int(v[name]) for v in values)
                   for name in ('packets', 'events', 'gaps')},
        'inference': {
            'rate_hz': round(min(run.listener.rate_hz() for run in runs), 2),
            'latency_ms': {name: max(float(v[f'latency {name} (ms)']) for v in values)
                           for name in ('p50', 'p99')},
            'student_ms': {'p50': max(float(v['inference p50 (ms)']) for v in values)},
            'images': sum(int(v['published']) for v in values),
            'skipped': sum(int(v['skipped']) for v in values),
            'checkpoint': {name: values[0][name] for name in (
                'checkpoint', 'sha256', 'trained_on', 'device', 'precision')}},
        'accuracy': {
            'new_domain': {'frozen': mean_over(scores, 'student')},
            'worlds': {world: {'frames': found.frames, **found.abs_rel}
                       for world, found in scores.items()}},
        'pictures': pictures}


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, epilog='example: ./scripts/demo.sh',
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, default=ROOT / 'out' / 'demo',
                        help='folder for pictures and result.json (default: out/demo)')
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    keep_large_blocks()
    # A domain of its own, unless one is chosen, so that a robot beside it is left alone.
    os.environ.setdefault('ROS_DOMAIN_ID', str(100 + os.getpid() % 100))
    rclpy.init()
    try:
        paths = simulate(arguments.output / 'recordings')
        runs = [run(path) for path in paths]
        scores = {recording.world: score(path, run.listener.images, recording.world)
                  for recording, path, run in zip(RECORDINGS, paths, runs)}
    except (RuntimeError, ValueError, OSError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    picture, trained_on = arguments.output / 'depth.png', runs[0].values['trained_on']
    draw(scores, trained_on, picture)
    result = result_of(runs, scores, [picture.name])
    (arguments.output / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
    report(scores, trained_on)
    print(f'\n{result["inference"]["images"]} depth images of {result["stream"]["packets"]} '
          f'packets, {result["stream"]["gaps"]} gaps: see {picture}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
