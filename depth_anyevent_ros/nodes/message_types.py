# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message classes by the name that a bag gives them."""
from __future__ import annotations

import importlib
import os
import re

# The older name of the same message, as old bags have it.
RENAMED = {'event_array_msgs/msg/EventArray': 'event_camera_msgs/msg/EventPacket'}
INTERFACES = os.path.join('share', 'ament_index', 'resource_index', 'rosidl_interfaces')
NAME = re.compile(r'([a-z][a-z0-9_]*)/(?:msg/)?([A-Z][A-Za-z0-9]*)')


def message_class(name: str) -> type:
    """
    Return the class of a message type such as sensor_msgs/msg/Image.

    Raises LookupError, with a sentence, where it is not installed or no such name at all. The
    name comes from a file, so only packages that ament knows as interfaces are imported.
    """
    match = NAME.fullmatch(RENAMED.get(name, name))
    if not match:
        raise LookupError(f'{name!r} is no message type')
    package, message = match.groups()
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if not any(os.path.exists(os.path.join(prefix, INTERFACES, package))
               for prefix in prefixes if prefix):
        raise LookupError(f'the message type {name} is not installed')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), message)
    except (ImportError, AttributeError) as error:
        raise LookupError(f'the message type {name} is not installed') from error
