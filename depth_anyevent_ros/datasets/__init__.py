# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: bags with and without good metadata, and simulated sequences."""
