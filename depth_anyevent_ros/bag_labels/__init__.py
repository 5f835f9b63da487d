# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels from bags: reading, the teacher, and writing, shard by shard."""
