# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Depth networks in torch: DINOv2 encoder, DPT head, ConvLSTM blocks, checkpoints, runtime.

This file and `config` import no torch, so a configuration can be read without it.
"""
