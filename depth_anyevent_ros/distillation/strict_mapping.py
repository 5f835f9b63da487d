# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""YAML to frozen dataclasses, with no key left unnoticed."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, MISSING
import difflib
import typing
from typing import Any

import yaml


class ConfigError(ValueError):
    """A configuration that cannot be used; the message says what was expected and what came."""


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor):
        """Raise YAMLError for a key that comes twice, of which PyYAML drops all but the last."""
        node, found = super().compose_mapping_node(anchor), set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in found:
                raise yaml.MarkedYAMLError(problem=f'the key {key.value} is given twice',
                                           problem_mark=key.start_mark)
            found.add(key.value)
        return node


def load_yaml(text: str):
    """Return what YAML says; yaml.YAMLError where it is none, or gives a key twice."""
    return yaml.load(text, Loader=_Loader)


def build(cls, values: Any, where: str = ''):
    """
    Return dataclass `cls` filled from a mapping; fields that are dataclasses from mappings in it.

    A tuple of dataclasses is filled from a list of mappings. Raises ConfigError for keys that
    are unknown (naming the nearest valid one) or missing; checks of values are the dataclasses'.
    """
    label = where or 'the configuration'
    if not isinstance(values, Mapping):
        raise ConfigError(f'{label} must be keys with values, not {values!r:.80}.')
    types = typing.get_type_hints(cls)
    check_keys(values, types, where)
    missing = [item.name for item in fields(cls) if item.name not in values
               and item.default is MISSING and item.default_factory is MISSING]
    if missing:
        raise ConfigError(f'{label} lacks {", ".join(_path(where, name) for name in missing)}.')
    built = {name: _value(types[name], value, _path(where, name))
             for name, value in values.items()}
    try:
        return cls(**built)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f'{where}: {error}' if where else str(error)) from error


def check_keys(values: Mapping, known: Iterable[str], where: str = '') -> None:
    """Raise ConfigError for the first key that is not among the known ones."""
    known = list(known)
    for name in values:
        if name in known:
            continue
        near = difflib.get_close_matches(str(name), known, 1, 0.5)
        advice = f'did you mean {_path(where, near[0])}?' if near \
            else f'known are {", ".join(_path(where, key) for key in known)}.'
        raise ConfigError(f'There is no key {_path(where, str(name))}: {advice}')


def override(values: dict, assignments: Iterable[str]) -> dict:
    """
    Return a copy of nested values with assignments such as `stages.0.steps=100` made.

    The right side is YAML. Items of lists are named by number. Raises ConfigError.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition('=')
        if not equals or not path:
            raise ConfigError(f'{assignment!r} is no assignment; expected key=value, as in '
                              'optimizer.weight_decay=0.1.')
        try:
            value = load_yaml(text)
        except yaml.YAMLError as error:
            raise ConfigError(f'The value of {assignment!r} is no YAML: {error}') from error
        values = _assigned(values, path.split('.'), value, path)
    return values


def _assigned(values, keys: list[str], value, path: str):
    key, rest = keys[0], keys[1:]
    if isinstance(values, list):
        if not key.isdecimal() or int(key) >= len(values):
            raise ConfigError(f'{path} does not fit: {key!r} is no item of a list of '
                              f'{len(values)}, which are counted from 0.')
        key = int(key)
        inner = values[key]
        changed = list(values)
    elif isinstance(values, dict):
        inner = values.get(key, {})
        changed = dict(values)
    else:
        raise ConfigError(f'{path} does not fit: there are no keys below a single value.')
    changed[key] = _assigned(inner, rest, value, path) if rest else value
    return changed


def _value(kind, value, where: str):
    if is_dataclass(kind):
        return build(kind, value, where)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and arguments and is_dataclass(arguments[0]):
        if not isinstance(value, (list, tuple)) or not value:
            raise ConfigError(f'{where} must be a list with one item or more, not {value!r:.80}.')
        return tuple(build(arguments[0], item, f'{where}.{index}')
                     for index, item in enumerate(value))
    if float in (kind, *arguments):
        return [_number(item) for item in value] if isinstance(value, list) else _number(value)
    return value


def _number(value):
    """Return the number in a text; YAML 1.1, as PyYAML reads it, takes 1e-3 for one."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def _path(where: str, name: str) -> str:
    return f'{where}.{name}' if where else name
