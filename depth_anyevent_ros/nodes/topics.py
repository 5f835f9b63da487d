# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of topics and services, relative, as the nodes use them. Imports no ROS."""

EVENTS = 'events'
CAMERA_INFO = 'camera_info'
WEIGHTS = 'weights'
INVERSE_DEPTH = 'inverse_depth/image'
INVERSE_DEPTH_INFO = 'inverse_depth/camera_info'
VISUALIZATION = 'visualization/image'
DEPTH = 'depth/image'
DEPTH_INFO = 'depth/camera_info'
POINTS = 'depth/points'
DIAGNOSTICS = '/diagnostics'
CLOCK = '/clock'
RESET = '~/reset'

INFERENCE_INPUTS = (EVENTS, CAMERA_INFO, WEIGHTS)
INFERENCE_OUTPUTS = (INVERSE_DEPTH, INVERSE_DEPTH_INFO, VISUALIZATION, DEPTH, DEPTH_INFO, POINTS,
                     DIAGNOSTICS)
