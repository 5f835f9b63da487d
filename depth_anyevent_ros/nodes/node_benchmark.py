# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What inference_node bears, and how much it adds to the time of the model, over DDS.

Three processes: a sender, the node, and the one that runs this and receives depth.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from depth_anyevent_ros.benchmarks.case import Case
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student

# Width, height, events a second, windows a second, seconds; and what runs the student.
LOAD = (1280, 720, 20e6, 5.0, 60.0)
LATENCIES = ((346, 260, 1e6, 10.0, 30.0, 'torch'), (346, 260, 1e6, 30.0, 30.0, 'torch'),
             (346, 260, 1e6, 30.0, 30.0, 'auto'))
SMALL_INPUT = 70, 98  # of the model that latency is measured with, as small as models get
TOPIC, DEPTH = '/node_benchmark/events', '/node_benchmark/inverse_depth/image'
NODE = 'node_benchmark_inference'  # a robot's own may run beside it
SETTLE_S = 3.0  # of the results that are not looked at, while the clock is being fitted
SILENCE_S = 3.0
TIMEOUT_S = 120.0
COUNTS = ('gaps', 'lost_packets', 'queue drops', 'skipped', 'out_of_range', 'unsynchronised')


@dataclass
class Received:
    """What came: milliseconds from the end of a window to its depth, and the diagnostics."""

    delays_ms: list[float] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    sent: dict = field(default_factory=dict)

    def on_image(self, msg: Image) -> None:
        """Take depth."""
        stamp_ns = msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec
        self.delays_ms.append((time.time_ns() - stamp_ns) / 1e6)

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        """Take the state of the node."""
        for status in msg.status:
            if status.name.startswith(f'{NODE}:'):
                self.values = {item.key: item.value for item in status.values}


def cases(repeats: int, seed: int) -> Iterator[Case]:
    """Yield what was decoded under load, and the time that is added to the model's."""
    del repeats, seed  # a run is long enough to say how much it varies
    yield _load(*LOAD)
    for settings in LATENCIES:
        yield _latency(*settings)


def _load(width: int, height: int, rate: float, rate_hz: float, seconds: float) -> Case:
    found = _run(width, height, rate, rate_hz, seconds)
    decoded = int(found.values.get('events', 0)) / 1e6
    sent = found.sent['events'] / 1e6
    told = ', '.join(f'{name} {found.values.get(name, "?")}' for name in COUNTS)
    return Case(
        f'node: {width}x{height}, packets of 1 ms for {seconds:.0f} s, {found.values["packets"]} '
        f'of {found.sent["packets"]} packets, {told}; sender late p99 '
        f'{found.sent["late_p99_ms"]:.1f} ms; {transport()}', decoded / seconds,
        decoded / seconds, decoded / seconds, 'Mev/s', 'the rate that was sent', decoded / sent)


def _latency(width: int, height: int, rate: float, rate_hz: float, seconds: float,
             runtime: str) -> Case:
    with tempfile.TemporaryDirectory() as folder:
        found = _run(width, height, rate, rate_hz, seconds, '-p',
                     f'checkpoint:={_small_student(Path(folder))}', '-p', f'runtime:={runtime}')
    model_ms = float(found.values['inference p50 (ms)'])
    settled = np.array(found.delays_ms[round(SETTLE_S * rate_hz):]) - model_ms
    p50, p99 = np.percentile(settled, (50, 99)).tolist()
    return Case(
        f'node: {width}x{height}, {rate / 1e6:.0f} Mev/s, {rate_hz:.0f} Hz: from the end of a '
        f"window to its depth in another process, less the model's {model_ms:.1f} ms by "
        f'{found.values["runtime"]}; median, fastest and p99 of {len(settled)} windows, '
        f'{found.values["skipped"]} skipped; '
        f'{transport()}', p50, float(settled.min()), p99, 'ms', "faster than the model",
        model_ms / p50)


def _small_student(folder: Path) -> Path:
    """Return a checkpoint with random weights, whose depth means nothing."""
    student = untrained_student()
    config = replace(student.config, input=replace(
        student.config.input, height=SMALL_INPUT[0], width=SMALL_INPUT[1]))
    save_checkpoint(folder / 'small.safetensors', student.network, config)
    return folder / 'small.safetensors'


def transport() -> str:
    """Return which middleware is used, with which settings."""
    profile = next((os.environ[name] for name in os.environ
                    if name.endswith('_DEFAULT_PROFILES_FILE')), '')
    return rclpy.get_rmw_implementation_identifier() + (
        f' with {os.path.basename(profile)}' if profile else ' with its defaults')


def _run(width: int, height: int, rate: float, rate_hz: float, seconds: float,
         *more: str) -> Received:
    context = rclpy.Context()
    rclpy.init(context=context)
    listener = rclpy.create_node('node_benchmark', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(listener)
    found = Received()
    listener.create_subscription(Image, DEPTH, found.on_image, QoSProfile(depth=50))
    listener.create_subscription(DiagnosticArray, '/diagnostics', found.on_diagnostics, 10)
    node = [sys.executable, '-m', 'depth_anyevent_ros.nodes.inference_node', '--ros-args',
            '-r', f'__node:={NODE}', '-r', f'events:={TOPIC}',
            '-r', f'inverse_depth/image:={DEPTH}',
            '-p', f'rate_hz:={rate_hz}', *more]
    sender = [sys.executable, '-m', 'depth_anyevent_ros.nodes.event_sender', TOPIC, str(width),
              str(height), str(rate), str(seconds)]
    with tempfile.TemporaryFile('w+') as log:
        running = [subprocess.Popen(node, stdout=log, stderr=log)]
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not found.values:
                _spin(executor, running[0], log, deadline)
            running.append(subprocess.Popen(sender, stdout=subprocess.PIPE, text=True))
            deadline = time.monotonic() + seconds + TIMEOUT_S
            while running[1].poll() is None:
                _spin(executor, running[0], log, deadline)
            end = time.monotonic() + SILENCE_S  # for the last diagnostics
            while time.monotonic() < end:
                _spin(executor, running[0], log, deadline)
            if running[1].returncode:
                raise RuntimeError('the sending process failed')
            found.sent = json.loads(running[1].stdout.read())
        finally:
            for process in running:
                process.kill()
                process.wait()
            listener.destroy_node()
            context.shutdown()
    return found


def _spin(executor: SingleThreadedExecutor, node: subprocess.Popen, log, deadline: float) -> None:
    executor.spin_once(timeout_sec=0.05)
    if node.poll() is None and time.monotonic() < deadline:
        return
    log.seek(0)
    said = log.read().strip().splitlines()[-5:]
    raise RuntimeError(f'inference_node {"ended" if node.poll() is not None else "says nothing"}: '
                       + ' '.join(said))
