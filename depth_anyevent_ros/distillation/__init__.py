# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses, schedule, state and trainer: how teachers and students get their weights."""
