# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A short drive of a rig with both cameras, for the tests of labels."""
from depth_anyevent_ros.simulation.output import Counts, driver_messages, EVENTS, IMAGE, observed
from depth_anyevent_ros.simulation.recording import DriverConfig
from depth_anyevent_ros.simulation.worlds import make_world


def drive_messages(rate_hz):
    """Return packets and pictures of 0.8 s, 173x130, in the order in which they arrive."""
    world = make_world('car', 3, 800_000_000, level=0.5, max_motion_px=6.0, binning=2)
    return [message for message in driver_messages(
        observed(world.simulation, rate_hz, True), DriverConfig(seed=3, ros_start_ns=10**18),
        Counts()) if message.topic in (EVENTS, IMAGE)]
