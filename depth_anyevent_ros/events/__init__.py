# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Event packets to network input: decoding, sensor time, windows, Tencode."""
