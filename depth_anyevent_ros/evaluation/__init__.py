# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How right depth is: protocols, metrics, baselines, pictures."""
