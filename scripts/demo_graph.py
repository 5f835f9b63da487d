# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of the demo as processes, and what is heard from them."""
from __future__ import annotations

from collections.abc import Iterable
import os
from pathlib import Path
import signal
import subprocess
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

EVENTS, CAMERA_INFO = '/event_camera/events', '/event_camera/camera_info'
IMAGE, IMAGE_INFO = '/camera/image', '/camera/camera_info'
# Names of pictures of depth, and where it comes from.
DEPTHS = {'frozen': '/frozen/inverse_depth/image', 'teacher': '/proxy_label/image',
          'adapting': '/inverse_depth/image', 'truth': '/truth/inverse_depth/image'}


class Listener:
    """
    Hears inverse depth of several sources by stamp (ns), and the last diagnostics of nodes.

    names: of `DEPTHS`, those that are heard.
    """

    def __init__(self, names: Iterable[str] = DEPTHS):
        self.node = rclpy.create_node('demo')
        self.depths: dict[str, dict[int, np.ndarray]] = {name: {} for name in names}
        self.times: list[float] = []
        self._status: dict[str, dict[str, str]] = {}
        for name in names:
            self.node.create_subscription(
                Image, DEPTHS[name], lambda msg, name=name: self._on_image(name, msg),
                QoSProfile(depth=200))
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_image(self, name: str, msg: Image) -> None:
        stamp = msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec
        self.depths[name][stamp] = np.frombuffer(msg.data, np.float32).reshape(
            msg.height, msg.width)
        if name == 'adapting':
            self.times.append(time.monotonic())

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            node = status.name.partition(':')[0].rpartition('/')[2]  # without its namespace
            self._status[node] = {item.key: item.value for item in status.values}

    def values(self, node: str) -> dict[str, str]:
        """Return the last diagnostics of a node."""
        return self._status.get(node, {})

    def forget(self, node: str) -> None:
        """Drop the diagnostics of a node that has ended."""
        self._status.pop(node, None)

    @property
    def rate_hz(self) -> float:
        """Rate at which the adapting student's images came."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


class Processes:
    """Nodes as processes of their own, which log into a folder; ended on exit."""

    def __init__(self, logs: Path):
        self._logs = logs
        self._running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, executable: str, name: str, remaps: dict[str, str],
              parameters: dict[str, object], niceness: int = 0) -> None:
        """Start an executable of the package as a node of this name."""
        arguments = ['-r', f'__node:={name}']
        for source, target in remaps.items():
            arguments += ['-r', f'{source}:={target}']
        for parameter, value in parameters.items():
            arguments += ['-p', f'{parameter}:={value}']
        with open(self._logs / f'{name}.log', 'w') as file:
            # One thread each, since five processes share what may be two cores.
            self._running[name] = subprocess.Popen(
                ['nice', '-n', str(niceness), _installed(executable), '--ros-args', *arguments],
                stdout=file, stderr=subprocess.STDOUT,
                env={**os.environ, 'OMP_NUM_THREADS': '1'})

    def stop(self, name: str) -> None:
        """End a node, as Ctrl-C does."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGINT)
        process.wait(20)

    def pid(self, name: str) -> int:
        """Return the number of a node's process."""
        return self._running[name].pid

    def ended(self, name: str) -> bool:
        """Return whether a node has ended; raise RuntimeError if any ended badly."""
        for other, process in self._running.items():
            if process.poll() not in (None, 0):
                raise RuntimeError(f'{other} ended with status {process.returncode}\n'
                                   f'{self.logs()}')
        return self._running[name].poll() is not None

    def logs(self) -> str:
        """Return what the nodes said."""
        return ''.join(f'\n--- {name}\n' + (self._logs / f'{name}.log').read_text()
                       for name in self._running)


def _installed(name: str) -> str:
    """Return the path of an installed executable."""
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        path = Path(prefix, 'lib', 'depth_anyevent_ros', name)
        if os.access(path, os.X_OK):
            return str(path)
    raise RuntimeError(f'{name} is not installed; source scripts/env.sh')
