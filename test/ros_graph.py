# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A real ROS graph for tests: nodes in threads or processes, and a client that listens."""
import contextlib
import gc
import itertools
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
import yaml

ROOT = Path(__file__).resolve().parents[1]
# One domain per test process, away from the default one.
DOMAIN = 20 + os.getpid() % 80
NUMBERS = itertools.count()  # of the names of nodes


class Spinner:
    """A context of its own with an executor that spins in a thread."""

    def __init__(self):
        # A lifecycle node is part of a cycle: its participant, one of the 32 on a machine that
        # others look for, stays until the cycle is found.
        gc.collect()
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        try:
            while self.context.ok():
                self.executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            pass

    def close(self):
        self.context.try_shutdown()
        self._thread.join()


class Client(Spinner):
    """A node that collects messages, publishes, and calls services."""

    def __init__(self):
        super().__init__()
        self.node = rclpy.create_node('client', context=self.context)
        self.executor.add_node(self.node)
        self.heard = {}
        self._subscriptions = []
        self._diagnostics = {}
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_diagnostics(self, msg):
        for status in msg.status:
            values = {item.key: item.value for item in status.values}
            self._diagnostics[status.name] = (status.level[0], status.message, values)

    def listen(self, kind, topic, depth=100):
        """Collect the messages of a topic in heard[topic]."""
        self.heard[topic] = []
        self._subscriptions.append(self.node.create_subscription(
            kind, topic, self.heard[topic].append, QoSProfile(depth=depth)))

    def deafen(self):
        """End what listen() began."""
        while self._subscriptions:
            self.node.destroy_subscription(self._subscriptions.pop())

    def diagnostics(self, name):
        """Return (level, message, values) of the last status; level -1 before the first."""
        return self._diagnostics.get(name, (-1, '', {}))

    def call(self, kind, name, request=None, timeout=15.0):
        """Call a service and return its response."""
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(timeout), f'no service {name}'
        # The service has to find the client as well: Fast DDS gives it a tenth of a second when it
        # answers, and drops the response then.
        time.sleep(0.2)
        future = client.call_async(request or kind.Request())
        wait_for(future.done, timeout, f'a response of {name}')
        self.node.destroy_client(client)
        return future.result()


@contextlib.contextmanager
def node_maker(client, kind, prefix, **defaults):
    """Give a function that starts a lifecycle node of a new name, client.name, in a thread."""
    made = []

    def make(*remaps, **values):
        # A name is used once: rclpy keeps the services of a lifecycle node until the process ends.
        client.name = f'{prefix}_{next(NUMBERS)}'
        arguments = ['--ros-args', '-r', f'__node:={client.name}']
        for remap in remaps:
            arguments += ['-r', remap]
        spinner = Spinner()
        node = kind(context=spinner.context, cli_args=arguments,
                    parameter_overrides=overrides(**{**defaults, **values}))
        spinner.executor.add_node(node)
        made.append((spinner, node))
        node.started = node.start()
        return node
    yield make
    for spinner, node in made:
        spinner.executor.remove_node(node)
        node.close()
        node.destroy_node()
        spinner.close()
    client.deafen()


def wait_for(condition, timeout=20.0, what='the condition'):
    """Wait until the condition holds; fail after the timeout."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f'waited {timeout} s for {what}'
        time.sleep(0.01)


def overrides(**values):
    """Return parameters; a name's dots are written as two underscores."""
    return [Parameter(name.replace('__', '.'), value=value) for name, value in values.items()]


def start_process(module, folder, *arguments, **environment):
    """Start a node as a process; its output goes to a file in the folder."""
    log = open(Path(folder) / f'{module}.log', 'w+')
    process = subprocess.Popen(
        [sys.executable, '-m', f'depth_anyevent_ros.nodes.{module}', '--ros-args', *arguments],
        stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN), 'ROS_LOG_DIR': str(folder),
             **environment})
    process.log = lambda: Path(log.name).read_text()
    return process


def stop_process(process):
    """Interrupt a process as Ctrl-C would, and return its exit status."""
    process.send_signal(2)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def write_calibration(path, camera):
    """Write a calibration as camera_calibration does."""
    path.write_text(yaml.safe_dump({
        'image_width': camera.width, 'image_height': camera.height,
        'distortion_model': camera.distortion_model,
        **{name: {'data': np.ravel(values).tolist()} for name, values in (
            ('camera_matrix', camera.k), ('distortion_coefficients', camera.d),
            ('rectification_matrix', camera.r), ('projection_matrix', camera.p))
            if values is not None}}))
