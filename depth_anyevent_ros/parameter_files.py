# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files of ROS 2 as launch files need them, before there is a node. Knows no ROS."""
from __future__ import annotations

from collections.abc import Iterator
import os
import re

import yaml


def parameter_file(argument: str, value: str, named_in: str = '') -> str:
    """
    Return the file that a launch argument stands for, '' for none.

    named_in: folder whose files may be named without it and without `.yaml`, '' for none. Raises
    FileNotFoundError where there is no such file, as launch would go on without it.
    """
    if not value:
        return ''
    named = named_in and os.sep not in value and not value.endswith('.yaml')
    path = os.path.join(named_in, f'{value}.yaml') if named else os.path.expanduser(value)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{argument}:={value} is not a file')
    return path


def value_for(node: str, name: str, files: list[str]) -> object:
    """
    Return the value that parameter files give a node, None for none.

    node: its name with the namespace. name: of the parameter, without dots. files: each goes
    before the one in front of it; '' is no file. As rcl does it: sections count in the order in
    which they first appear in all files together, and the last that is meant for the node wins,
    be it a pattern or the node's very name.
    """
    sections: dict[str, dict] = {}
    for file in filter(None, files):
        with open(file, encoding='utf-8') as text:
            for section, values in _sections(yaml.safe_load(text)):
                sections.setdefault(section, {}).update(values)
    found = None
    for section, values in sections.items():
        if name in values and re.fullmatch(_pattern(section), node):
            found = values[name]
    return found


def _sections(content: object, inside: str = '') -> Iterator[tuple[str, dict]]:
    """Yield (names of nodes, parameters) of what a file holds; namespaces may be nested."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == 'ros__parameters':
            yield inside, value if isinstance(value, dict) else {}
        else:
            yield from _sections(value, f'{inside}/{str(key).strip("/")}')


def _pattern(section: str) -> str:
    """Return the regular expression of a section: * is one name, ** any number of them."""
    return ''.join({'*': '/[^/]+', '**': '(/[^/]+)*'}.get(part, f'/{re.escape(part)}')
                   for part in section.strip('/').split('/'))
