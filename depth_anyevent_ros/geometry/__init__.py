# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and what follows from them: rays, points, metric depth."""
