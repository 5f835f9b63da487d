# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of topics and services, relative, as the nodes use them. Imports no ROS."""

EVENTS = 'events'
CAMERA_INFO = 'camera_info'
WEIGHTS = 'weights'
INVERSE_DEPTH = 'inverse_depth/image'
INVERSE_DEPTH_INFO = 'inverse_depth/camera_info'
VISUALIZATION = 'visualization/image'
EVENTS_PICTURE = 'visualization/events'
DEPTH = 'depth/image'
DEPTH_INFO = 'depth/camera_info'
POINTS = 'depth/points'
DIAGNOSTICS = '/diagnostics'
CLOCK = '/clock'
RESET = '~/reset'
IMAGE = 'image'
IMAGE_COMPRESSED = 'image/compressed'
IMAGE_INFO = 'image/camera_info'
TEACHER = 'teacher/inverse_depth'
PROXY_LABEL = 'proxy_label/image'
PROXY_LABEL_INFO = 'proxy_label/camera_info'
PROXY_LABEL_FACTS = 'proxy_label/info'
SAVE = '~/save'
PAUSE = '~/pause'
RESUME = '~/resume'

INFERENCE_INPUTS = (EVENTS, CAMERA_INFO, WEIGHTS)
INFERENCE_OUTPUTS = (INVERSE_DEPTH, INVERSE_DEPTH_INFO, VISUALIZATION, EVENTS_PICTURE, DEPTH,
                     DEPTH_INFO, POINTS, DIAGNOSTICS)
DISTILLATION_INPUTS = (EVENTS, CAMERA_INFO, IMAGE, IMAGE_COMPRESSED, IMAGE_INFO, TEACHER)
DISTILLATION_OUTPUTS = (PROXY_LABEL, PROXY_LABEL_INFO, PROXY_LABEL_FACTS, WEIGHTS, DIAGNOSTICS)
LABEL_RECORDER_INPUTS = (EVENTS, PROXY_LABEL, PROXY_LABEL_INFO, PROXY_LABEL_FACTS)
