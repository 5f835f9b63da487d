# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Declaration of the tabled parameters, and refusal of bad values with a reason."""
from __future__ import annotations

from rcl_interfaces.msg import (FloatingPointRange, IntegerRange, ParameterDescriptor,
                                SetParametersResult)
from rclpy.lifecycle import LifecycleNode

from depth_anyevent_ros.nodes.parameters import Parameter


def declare(node: LifecycleNode, table: tuple[Parameter, ...], is_configured, apply) -> None:
    """
    Declare the parameters of the table on the node.

    is_configured() tells whether the node has read its parameters: then only those that are
    `live` can be changed, and apply(values by name) puts all of them to use; a ValueError of it
    refuses the change.
    """
    by_name = {parameter.name: parameter for parameter in table}

    def check(changes) -> SetParametersResult:
        changed = {change.name: change.value for change in changes if change.name in by_name}
        for name, value in changed.items():
            parameter = by_name[name]
            reason = parameter.problem(value)
            if not reason and is_configured() and not parameter.live:
                reason = (f'{name} is read when the node is configured: deactivate and clean up '
                          'the node, set it, then configure and activate')
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        if changed and is_configured():
            try:
                apply({name: node.get_parameter(name).value for name in by_name} | changed)
            except ValueError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    # Before the declarations, so that bad values from files and launch arguments meet it too.
    node.add_on_set_parameters_callback(check)
    for parameter in table:
        default = list(parameter.default) if isinstance(parameter.default, tuple) \
            else parameter.default
        node.declare_parameter(parameter.name, default, _descriptor(parameter))


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=parameter.description)
    if parameter.choices:
        descriptor.additional_constraints = 'one of ' + ', '.join(parameter.choices)
    if parameter.bounds and isinstance(parameter.default, float):
        low, high = parameter.bounds
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif parameter.bounds:
        low, high = (int(bound) for bound in parameter.bounds)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return descriptor
