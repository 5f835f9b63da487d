# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Parameter files as launch files need them, before there is a node.

Run by path: ros2 launch may be of a Python that knows ROS, but not the packages of this one.
"""
from __future__ import annotations

from collections.abc import Iterator
import os
import re

import yaml

# The parser of rcl, where it is there; text alone, since rcl's types are not those of YAML.
LOADER = getattr(yaml, 'CBaseLoader', yaml.BaseLoader)


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


def value_for(node: str, name: str, files: list[str], given: str = '') -> str:
    """
    Return the value that parameter files give a node, '' for none.

    node: its name with the namespace. name: of the parameter, without dots. files: each goes
    before the one in front of it; '' is no file. given: what a launch argument says, which launch
    puts into a last file under the node's very name. As rcl does it: sections count in the order
    in which they first appear in all files together, and the last that is meant for the node
    wins, be it a pattern or the node's very name. Raises ValueError for a file that is no YAML,
    and where a section overrules the argument.
    """
    sections: dict[str, str | None] = {}  # None where the parameter is not named
    for file in filter(None, files):
        try:
            with open(file, encoding='utf-8') as text:
                for document in yaml.compose_all(text, Loader=LOADER):
                    for section, found in _sections(document, name):
                        sections[section] = sections.get(section) if found is None else found
        except yaml.YAMLError as error:
            raise ValueError(f'{file} cannot be read: {error}') from error
    if given:
        sections[node] = given
    value = ''
    for section, found in sections.items():
        if found is not None and re.fullmatch(_pattern(section), node):
            value = found
    if given and value != given:
        raise ValueError(f'{name}:={given} is overruled by {value}, which a later section of '
                         f'{" or ".join(filter(None, files))} says: put that for {node} last')
    return value


def _sections(document: yaml.Node | None, name: str,
              inside: str = '') -> Iterator[tuple[str, str | None]]:
    """Yield (names of nodes, value of the parameter) of a file; namespaces may be nested."""
    for key, value in document.value if isinstance(document, yaml.MappingNode) else ():
        if key.value != 'ros__parameters':
            yield from _sections(value, name, f'{inside}/{key.value}' if inside else key.value)
            continue
        yield inside, None
        for parameter, text in value.value if isinstance(value, yaml.MappingNode) else ():
            if parameter.value == name and isinstance(text, yaml.ScalarNode):
                yield inside, text.value


def _pattern(section: str) -> str:
    """Return the regular expression of a section: * is one name, ** any number of them."""
    return ''.join({'*': '/[^/]+', '**': '(/[^/]+)*'}.get(part, f'/{re.escape(part)}')
                   for part in section.strip('/').split('/'))
