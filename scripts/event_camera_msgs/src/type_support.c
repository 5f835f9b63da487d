// Copyright 2026 depth_anyevent_ros contributors
// SPDX-License-Identifier: Apache-2.0

// The entry point of the type support. Where ROS packages open one library per middleware at
// run time, here all type supports are linked into one extension and are picked by their name.

#include <stddef.h>
#include <string.h>

#include "event_camera_msgs/msg/detail/event_packet__functions.h"
#include "rosidl_runtime_c/message_type_support_struct.h"
#include "rosidl_typesupport_interface/macros.h"

#define TYPE_SUPPORT(implementation) \
  ROSIDL_TYPESUPPORT_INTERFACE__MESSAGE_SYMBOL_NAME( \
    implementation, event_camera_msgs, msg, EventPacket)

const rosidl_message_type_support_t * TYPE_SUPPORT(rosidl_typesupport_c)(void);
const rosidl_message_type_support_t * TYPE_SUPPORT(rosidl_typesupport_fastrtps_c)(void);
const rosidl_message_type_support_t * TYPE_SUPPORT(rosidl_typesupport_introspection_c)(void);

static const rosidl_message_type_support_t * find_type_support(
  const rosidl_message_type_support_t * handle, const char * identifier)
{
  if (strcmp(identifier, handle->typesupport_identifier) == 0) {
    return handle;
  }
  if (strcmp(identifier, "rosidl_typesupport_fastrtps_c") == 0) {
    return TYPE_SUPPORT(rosidl_typesupport_fastrtps_c)();
  }
  if (strcmp(identifier, "rosidl_typesupport_introspection_c") == 0) {
    return TYPE_SUPPORT(rosidl_typesupport_introspection_c)();
  }
  return NULL;
}

const rosidl_message_type_support_t * TYPE_SUPPORT(rosidl_typesupport_c)(void)
{
  static const rosidl_message_type_support_t handle = {
    "rosidl_typesupport_c",
    NULL,
    find_type_support,
    event_camera_msgs__msg__EventPacket__get_type_hash,
    event_camera_msgs__msg__EventPacket__get_type_description,
    event_camera_msgs__msg__EventPacket__get_type_description_sources,
  };
  return &handle;
}
