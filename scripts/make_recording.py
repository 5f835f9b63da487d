#!/usr/bin/env python3
# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make the recording of our own that tests and the demo use: boxes on a floor, evt3."""
import argparse
from pathlib import Path
import sqlite3
import sys
import time

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from depth_anyevent_ros.datasets.bags import BagError, BagWriter  # noqa: E402
from depth_anyevent_ros.simulation.boxes import boxes_simulation  # noqa: E402
from depth_anyevent_ros.simulation.recording import DriverConfig, packets, truth  # noqa: E402

EVENTS_TOPIC = '/event_camera/events'
CAMERA_INFO_TOPIC = '/event_camera/camera_info'
CAMERA_INFO_PERIOD_NS = 100_000_000
# The 24 bits of the sensor's clock wrap 0.777 s into the recording, as they do on real cameras.
SENSOR_START_NS = 16_000_000_000


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  scripts/make_recording.py --output boxes --duration 1 --seed 3')
    parser.add_argument('--output', type=Path, default=ROOT / 'test' / 'data' / 'boxes_evt3',
                        help='folder to make, not to exist yet (default: %(default)s)')
    parser.add_argument('--duration', type=float, default=3.0, metavar='S',
                        help='seconds (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=7,
                        help='of scene and noise (default: %(default)s)')
    parser.add_argument('--format', choices=('sqlite3', 'mcap'), default='sqlite3',
                        help='of the bag (default: %(default)s)')
    parser.add_argument('--truth-hz', type=float, default=5.0, metavar='HZ',
                        help='frames of exact depth in truth.npz a second (default: %(default)s)')
    return parser.parse_args()


def write_truth(path: Path, simulation, driver: DriverConfig, rate_hz: float) -> None:
    """
    Write exact depth and luminance at half resolution into a compressed npz.

    stamp_ns: int64 (n,), ROS time. depth: float16 (n, 130, 173), metres along the optical axis,
    +inf for sky. luminance: uint8 (n, 130, 173), linear, 255 for white in full light. Every
    second pixel of every second row, so that pixel (u, v) here is (2 u, 2 v) of the camera.
    """
    times_ns = [round(k * 1e9 / rate_hz) for k in range(
        1, int(simulation.duration_ns * 1e-9 * rate_hz) + 1)]
    frames = list(truth(simulation, times_ns))
    np.savez_compressed(
        path, stamp_ns=np.array(times_ns) + driver.ros_start_ns,
        depth=np.array([frame.depth[::2, ::2] for frame in frames]).astype(np.float16),
        luminance=np.array([np.clip(frame.luminance[::2, ::2] * 255, 0, 255).round()
                            for frame in frames]).astype(np.uint8))


def pack_tightly(folder: Path) -> None:
    """Give SQLite files larger pages, so that a packet of 3 kB does not take one of 4 kB."""
    for path in folder.glob('*.db3'):
        connection = sqlite3.connect(path)
        connection.execute('PRAGMA page_size = 16384')
        connection.execute('VACUUM')
        connection.close()


def main() -> int:
    """Make the recording; return the exit status."""
    arguments = parse_arguments()
    simulation = boxes_simulation(arguments.seed, round(arguments.duration * 1e9))
    driver = DriverConfig(sensor_start_ns=SENSOR_START_NS, vectors=True,
                          time_high_interval_us=128, seed=arguments.seed)
    began = time.monotonic()
    count, size = 0, 0
    try:
        with BagWriter(arguments.output, arguments.format) as writer:
            next_info_ns = driver.ros_start_ns
            for packet, received_ns in packets(simulation, driver):
                if packet.stamp_ns >= next_info_ns:
                    writer.write_camera_info(CAMERA_INFO_TOPIC, simulation.camera,
                                             packet.stamp_ns, packet.frame_id, received_ns)
                    next_info_ns += CAMERA_INFO_PERIOD_NS
                writer.write_event_packet(EVENTS_TOPIC, packet, received_ns)
                count, size = count + 1, size + len(packet.events)
    except BagError as error:
        print(error, file=sys.stderr)
        return 1
    pack_tightly(arguments.output)
    write_truth(arguments.output / 'truth.npz', simulation, driver, arguments.truth_hz)
    print(f'{arguments.output}: {count} packets, {size} bytes of events, '
          f'{arguments.duration:g} s in {time.monotonic() - began:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
