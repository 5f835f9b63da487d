# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small world before a camera: scenes, ray caster, motion, and the event camera's model."""
