# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Waiting until subscribers have what was published last."""
from __future__ import annotations

from collections.abc import Callable, Iterable
import time

from rclpy.duration import Duration

LAST_ACK_S = 5.0
POLL_S = 0.05


def wait_until_delivered(publishers: Iterable, stopped: Callable[[], bool]) -> None:
    """
    Wait until the subscribers of publishers have all of it, so that the process may end.

    Not longer than 5 s, since a subscriber may hang, and not when stopped() says so.
    """
    end = time.monotonic() + LAST_ACK_S
    for publisher in publishers:
        while not stopped() and time.monotonic() < end:
            if publisher.wait_for_all_acked(Duration(seconds=POLL_S)):
                break
