# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast the parts are, each beside a baseline that is timed in the same run."""
