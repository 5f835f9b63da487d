# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A long run of inference beside learning over DDS, with faults on the way, to be run by hand.

Replays a recording of the demo in a loop, so that the clock jumps back at every end, to
inference_node and distillation_node alone. Prints each minute what came of it: depth images, the
share of windows that were skipped, latency, labels, steps, promotions, and the memory of the
three processes. With --faults a process of the training is killed, the inference node is ended
and started, and weights with a changed byte are announced. Ends with the latency of the last
minute against the period, and by how much memory grew after the first quarter.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import os
from pathlib import Path
import shutil
import signal
import sys
import tempfile
import time

from demo_graph import CAMERA_INFO, EVENTS, IMAGE, IMAGE_INFO, Listener, Processes
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

START_TIMEOUT_S, FAULT_TIMEOUT_S = 120.0, 60.0
BUFFER_MB = 32  # full within minutes, so that what grows after that is no buffer
COLUMNS = ('minute', 'images', 'skipped', 'p50 ms', 'p99 ms', 'labels', 'steps', 'promoted',
           'kept back', 'inference MB', 'distillation MB', 'trainer MB')


class Graph:
    """The nodes, and what is known of them."""

    def __init__(self, processes: Processes, bag: Path, work: Path, rate_hz: float):
        self.processes, self.listener = processes, Listener(())
        self._work, self._rate_hz = work, rate_hz
        self._weights = self.listener.node.create_publisher(
            String, 'weights', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self.announcement = ''
        self.listener.node.create_subscription(
            String, 'weights', self._on_weights,
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self.listener.node.create_subscription(Image, '/inverse_depth/image', lambda _: None, 10)
        self.start_inference()
        pose = json.loads((bag / 'simulation.json').read_text())['color_to_event']
        processes.start('distillation_node', 'distillation',
                        {'events': EVENTS, 'camera_info': CAMERA_INFO, 'image': IMAGE,
                         'image/camera_info': IMAGE_INFO},
                        {'work_dir': work, 'weights_dir': work / 'weights',
                         'label.rate_hz': rate_hz, 'train.buffer_mb': BUFFER_MB,
                         **{f'extrinsics.{name}': value for name, value in pose.items()}})
        self.spin_until(lambda: self.values('inference').get('checkpoint')
                        and self.values('distillation').get('anchor_first'), START_TIMEOUT_S)
        processes.start('replay_node', 'replay', {}, {
            'bag': bag, 'loop': 'true', 'wait_for_subscribers': 2})

    def start_inference(self) -> None:
        """Start the inference node."""
        self.processes.start('inference_node', 'inference',
                             {'events': EVENTS, 'camera_info': CAMERA_INFO},
                             {'rate_hz': self._rate_hz, 'weights_dir': self._work / 'weights'})

    def values(self, node: str) -> dict[str, str]:
        """Return the last diagnostics of a node."""
        return self.listener.values(node)

    def spin_until(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Wait for a condition; return whether it came to be."""
        end = time.monotonic() + timeout_s
        while not condition():
            self.processes.ended('distillation')
            if time.monotonic() > end:
                return False
            rclpy.spin_once(self.listener.node, timeout_sec=0.1)
        return True

    def trainer_pid(self) -> int:
        """Return the number of the process that trains, 0 while there is none."""
        pid = self.processes.pid('distillation')
        children = [int(child) for task in Path(f'/proc/{pid}/task').iterdir()
                    for child in (task / 'children').read_text().split()]
        return children[0] if children else 0

    def memory_mb(self) -> list[float]:
        """Return the resident memory of inference, distillation and trainer."""
        pids = (self.processes.pid('inference'), self.processes.pid('distillation'),
                self.trainer_pid())
        return [_resident_mb(pid) if pid else float('nan') for pid in pids]

    def announce_changed_weights(self) -> None:
        """Announce the newest weights with a byte changed, under another name."""
        fields = json.loads(self.announcement)
        folder = self._work / 'weights'
        content = bytearray((folder / fields['file']).read_bytes())
        content[-1] ^= 1
        (folder / 'changed.safetensors').write_bytes(content)
        self._weights.publish(String(data=json.dumps({**fields, 'file': 'changed.safetensors'})))

    def _on_weights(self, message: String) -> None:
        if 'changed' not in message.data:
            self.announcement = message.data


def _resident_mb(pid: int) -> float:
    line = next(line for line in Path(f'/proc/{pid}/status').read_text().splitlines()
                if line.startswith('VmRSS'))
    return int(line.split()[1]) / 1024


def kill_trainer(graph: Graph) -> str:
    """Kill the training process; it has to go on from its state."""
    steps, pid = int(graph.values('distillation')['steps']), graph.trainer_pid()
    os.kill(pid, signal.SIGKILL)
    if not graph.spin_until(lambda: graph.trainer_pid() not in (0, pid), FAULT_TIMEOUT_S):
        return 'FAILED: it was not started again'
    # The state is up to half a minute old.
    ok = graph.spin_until(lambda: int(graph.values('distillation').get('steps', 0)) > steps,
                          2 * FAULT_TIMEOUT_S)
    return f'killed at step {steps}, ' + ('went on' if ok else 'FAILED: it did not go on')


def restart_inference(graph: Graph) -> str:
    """End and start the inference node; it has to take the newest weights."""
    if not graph.announcement:
        return 'FAILED: no weights have been handed over yet'
    graph.processes.stop('inference')
    graph.spin_until(lambda: False, 1.0)  # what it has said last may still be on its way
    graph.listener.forget('inference')
    graph.start_inference()
    ok = graph.spin_until(lambda: int(graph.values('inference').get('weights swapped', 0)) > 0,
                          FAULT_TIMEOUT_S)
    return 'runs the newest weights' if ok else 'FAILED: it did not take the newest weights'


def announce_changed(graph: Graph) -> str:
    """Announce weights whose bytes are not those that the announcement says."""
    if not graph.announcement:
        return 'FAILED: no weights have been handed over yet'
    swapped = graph.values('inference')['weights swapped']
    graph.announce_changed_weights()
    ok = graph.spin_until(lambda: graph.values('inference')['weights refused'] == '1',
                          FAULT_TIMEOUT_S)
    ok = ok and graph.values('inference')['weights swapped'] == swapped
    return 'refused and counted' if ok else 'FAILED: it was not refused'


FAULTS: tuple[Callable[[Graph], str], ...] = (kill_trainer, restart_inference, announce_changed)


def run(graph: Graph, minutes: int, faults: bool) -> bool:
    """Watch for so many minutes; return whether all faults were borne."""
    fine, memory, images = True, [], 0
    print(''.join(f'{title:>16}' for title in COLUMNS), flush=True)
    for minute in range(1, minutes + 1):
        graph.spin_until(lambda: False, 60)
        number = minute - minutes // 2
        if faults and 0 <= number < len(FAULTS):
            outcome = FAULTS[number](graph)
            fine = fine and 'FAILED' not in outcome
            print(f'fault {FAULTS[number].__name__}: {outcome}', flush=True)
        inference, learning = graph.values('inference'), graph.values('distillation')
        memory.append(graph.memory_mb())
        print(''.join(f'{value:>16}' for value in (
            minute, *(inference.get(name, '') for name in (
                'published', 'skipped', 'latency p50 (ms)', 'latency p99 (ms)')),
            *(learning[name] for name in ('labels', 'steps', 'promotions', 'kept_back')),
            *(f'{value:.0f}' for value in memory[-1]))), flush=True)
        images = int(inference.get('published') or 0)
    quarter = memory[len(memory) // 4]
    grew = ', '.join(f'{name} {100 * (last / first - 1):+.1f} %' for name, first, last in zip(
        ('inference', 'distillation', 'trainer'), quarter, memory[-1]))
    print(f'{images} images in all since the node was started; memory since minute '
          f'{len(memory) // 4 + 1}: {grew}.')
    return fine


def main() -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example, in a shell that has sourced scripts/env.sh:\n'
        '  python scripts/soak.py out/demo/recordings/car_* --minutes 20 --faults')
    parser.add_argument('bag', type=Path, help='recording of the demo')
    parser.add_argument('--anchor', type=Path, help='of the anchor set (default: beside it)')
    parser.add_argument('--minutes', type=int, default=20, help='(default: %(default)s)')
    parser.add_argument('--rate-hz', type=float, default=5.0, help='(default: %(default)s)')
    parser.add_argument('--faults', action='store_true', help='with faults')
    arguments = parser.parse_args()
    if arguments.faults and arguments.minutes < len(FAULTS):
        parser.error(f'{len(FAULTS)} faults, one a minute, need --minutes {len(FAULTS)} or more')
    anchor = arguments.anchor or arguments.bag.parent / 'anchor'
    for needed in (arguments.bag / 'simulation.json', anchor):
        if not needed.exists():
            parser.error(f'{needed} is not there: give a recording of scripts/demo.sh')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    rclpy.init()
    try:
        with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
            work = Path(folder, 'work')
            shutil.copytree(anchor, work / 'anchor')
            graph = Graph(processes, arguments.bag, work, arguments.rate_hz)
            fine = run(graph, arguments.minutes, arguments.faults)
            if not fine:
                print(processes.logs())
    finally:
        rclpy.try_shutdown()
    return 0 if fine else 1


if __name__ == '__main__':
    sys.exit(main())
