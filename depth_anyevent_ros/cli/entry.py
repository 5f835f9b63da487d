# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the command `depth_anyevent` begins: Ctrl-C ends it without a traceback from here on."""
from __future__ import annotations

import sys

from depth_anyevent_ros.cli.interruption import INTERRUPTED


def main() -> None:
    """Run the command line; Ctrl-C counts while it is still being imported, too."""
    try:
        from depth_anyevent_ros.cli import main as command_line
        command_line.main()
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        sys.exit(INTERRUPTED)
