# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the files lie that are installed beside the package's code. Needs no other package."""
from __future__ import annotations

import os
from pathlib import Path
import sys

PACKAGE = 'depth_anyevent_ros'


def share_folder(name: str) -> Path | None:
    """
    Return the folder `name` (models, config, launch) of the package, None where there is none.

    Looked for in the source tree, then in the prefixes of ament, then in Python's own prefix.
    """
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    candidates = [Path(__file__).resolve().parents[1] / name,
                  *(Path(prefix, 'share', PACKAGE, name) for prefix in prefixes if prefix)]
    return next((folder for folder in candidates if folder.is_dir()), None)
