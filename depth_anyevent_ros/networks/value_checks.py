# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of single configuration values; each raises ValueError in a sentence."""

from __future__ import annotations


def choice(name: str, value, choices) -> None:
    """Raise ValueError unless `value` is one of the texts `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f'{name} must be one of {", ".join(choices)}, not {shown(value)}.')


def integer(name: str, value, low: int, high: int) -> int:
    """Return `value` if it is an integer from `low` to `high`; no bool, no 3.0."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f'{name} must be an integer from {low} to {high}, not {shown(value)}.')
    return value


def integers(name: str, values, low: int, high: int) -> tuple[int, ...]:
    """Return the list `values` as a tuple of integers from `low` to `high`."""
    if not isinstance(values, (list, tuple)):
        raise ValueError(f'{name} must be a list of integers, not {shown(values)}.')
    return tuple(integer(f'each of {name}', value, low, high) for value in values)


def number(name: str, value, low: float, high: float) -> float:
    """Return `value` as a float if it is a finite number from `low` to `high`."""
    if (isinstance(value, bool) or not isinstance(value, (int, float))
            or not low <= value <= high):  # false for NaN too
        raise ValueError(f'{name} must be a number from {low:g} to {high:g}, not {shown(value)}.')
    return float(value)


def numbers(name: str, values, count: int, low: float, high: float) -> tuple[float, ...]:
    """Return the list `values` as a tuple of `count` floats from `low` to `high`."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f'{name} must be a list of {count} numbers, not {shown(values)}.')
    return tuple(number(f'each of {name}', value, low, high) for value in values)


def shown(value) -> str:
    """Return `value` as a message shows it, cut where somebody passed a novel."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + '...'
