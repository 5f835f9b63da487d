# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The demo: a recording through replay_node and inference_node, as separate processes over DDS.

Prints a live table, and leaves depth.png and result.json in the output folder.
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

import cv2
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from depth_anyevent_ros.datasets.bags import decode_event_packet, event_topics, open_bag
from depth_anyevent_ros.evaluation.pictures import (caption, colorize, SteadyRange,
                                                    tencode_picture)
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation, Window
from depth_anyevent_ros.events.windows import TimeWindows
from depth_anyevent_ros.malloc import keep_large_blocks

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / 'test' / 'data' / 'boxes_evt3'
RATE_HZ = 10.0
WINDOW_NS = 50_000_000
ROWS = 4  # moments in the picture
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


def play(listener: Listener, bag: Path, logs: Path) -> dict[str, str]:
    """Run both nodes over the bag with a live table; return the last diagnostics."""
    packets = count_packets(bag)
    processes = {'inference_node': start('inference_node', logs / 'inference_node.log',
                                         '-p', f'rate_hz:={RATE_HZ}')}
    try:
        print('Starting inference_node ...', flush=True)
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


def count_packets(bag: Path) -> int:
    """Return the number of event packets in a bag."""
    with open_bag(bag) as reader:
        return sum(reader.topics[topic].count for topic in event_topics(reader))


def windows_of(bag: Path) -> dict[int, Window]:
    """Return the windows of a bag by their stamp, at sensor resolution."""
    pipeline = EventPipeline(lambda width, height: Representation(height, width),
                             TimeWindows(WINDOW_NS, round(1e9 / RATE_HZ), 10**9))
    with open_bag(bag) as reader:
        return {window.stamp_ns: window for raw in reader.messages(event_topics(reader))
                for window in pipeline.push(decode_event_packet(raw))}


def draw(listener: Listener, bag: Path, trained_on: str, path: Path) -> None:
    """Draw events, the student's inverse depth and the truth, at some moments."""
    windows = windows_of(bag)
    truth = np.load(bag / 'truth.npz')
    stamps = sorted(set(listener.images) & set(windows))
    chosen = [stamps[i] for i in np.linspace(0, len(stamps) - 1, ROWS + 1).round().astype(int)]
    colors, true_colors, rows = SteadyRange(), SteadyRange(), []
    untrained = trained_on.startswith('nothing')
    titles = ('events, 50 ms', 'student: UNTRAINED, not depth' if untrained
              else f'student, trained on {trained_on}', 'truth')
    for stamp in chosen[1:]:
        events = tencode_picture(windows[stamp].image)
        size = events.shape[1::-1]
        inverse = listener.images[stamp]
        depth = truth['depth'][np.argmin(np.abs(truth['stamp_ns'] - stamp))]
        true_inverse = 1 / depth.astype(np.float32)
        pictures = (events, colorize(inverse, *colors.update(inverse)),
                    colorize(true_inverse, *true_colors.update(true_inverse)))
        resized = [cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
                   for picture in pictures]
        if not rows:
            resized = [caption(picture, title) for picture, title in zip(resized, titles)]
        rows.append(np.hstack(resized))
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise OSError(f'{path} cannot be written')


def result_of(listener: Listener, values: dict[str, str], pictures: list[str]) -> dict:
    """Return what result.json says."""
    return {
        'stream': {name: int(values[name]) for name in ('packets', 'events', 'gaps')},
        'inference': {
            'rate_hz': round(listener.rate_hz(), 2),
            'latency_ms': {'p50': float(values['latency p50 (ms)']),
                           'p99': float(values['latency p99 (ms)'])},
            'student_ms': {'p50': float(values['inference p50 (ms)'])},
            'images': int(values['published']), 'skipped': int(values['skipped']),
            'checkpoint': {name: values[name] for name in ('checkpoint', 'sha256', 'trained_on',
                                                           'device', 'precision')}},
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
    listener = Listener()
    try:
        with tempfile.TemporaryDirectory() as logs:
            values = play(listener, RECORDING, Path(logs))
    except RuntimeError as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    finally:
        listener.node.destroy_node()
        rclpy.try_shutdown()
    picture = arguments.output / 'depth.png'
    draw(listener, RECORDING, values['trained_on'], picture)
    result = result_of(listener, values, [picture.name])
    (arguments.output / 'result.json').write_text(json.dumps(result, indent=2) + '\n')
    print(f'\n{result["inference"]["images"]} depth images of {result["stream"]["packets"]} '
          f'packets, {result["stream"]["gaps"]} gaps: see {picture}')
    if values['trained_on'].startswith('nothing'):
        print('The student is UNTRAINED until weights are bundled: what it shows is not depth.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
