# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A command that another one has started, and that ends with it."""
from __future__ import annotations

import math
import os
import signal
import threading
import time

from depth_anyevent_ros.cli.main import main as run_command

# An interruption is lost at times while loops are being compiled.
AGAIN_AFTER_S = 5.0


def main() -> None:
    """
    Run the command line, and interrupt it when standard input ends.

    The one that started it holds the other end and writes nothing to it. SIGTERM interrupts as
    Ctrl-C does, which a shell may have its background commands ignore.
    """
    interrupt = _Interruption()
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=_end_with_parent, name='parent', daemon=True).start()
    run_command()


class _Interruption:
    """
    Interrupts once.

    The terminal's Ctrl-C comes to this process and to the one that started it, which passes it
    on: the second would interrupt the removal of what was begun.
    """

    def __init__(self) -> None:
        self._at = -math.inf

    def __call__(self, _number, _frame) -> None:
        if time.monotonic() - self._at >= AGAIN_AFTER_S:
            self._at = time.monotonic()
            raise KeyboardInterrupt


def _end_with_parent() -> None:
    # Not sys.stdin: an interpreter that ends while a thread reads from that aborts.
    os.read(0, 1)
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AGAIN_AFTER_S)
