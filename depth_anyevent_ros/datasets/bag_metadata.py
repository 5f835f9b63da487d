# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The metadata.yaml of a rosbag2 folder, read as a hint: what is in the files decides."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from depth_anyevent_ros.datasets.bag_types import TopicInfo

LATEST_VERSION = 9
FIELDS = ('version', 'storage_identifier', 'duration', 'starting_time', 'message_count',
          'topics_with_message_count', 'relative_file_paths')


@dataclass(frozen=True)
class BagMetadata:
    """What metadata.yaml says, as far as it can be understood; types and counts may be absent."""

    file_names: list[str] = field(default_factory=list)
    storage_identifier: str | None = None
    message_count: int | None = None
    topics: dict[str, TopicInfo] = field(default_factory=dict)


def read_metadata(path: Path, warnings: list[str]) -> BagMetadata:
    """Read metadata.yaml; say what is odd about it in warnings, and never raise for it."""
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        warnings.append(f'There is no {path.name}; the files in the folder are read without it.')
        return BagMetadata()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        warnings.append(f'{path.name} cannot be read ({reason}); it is left aside.')
        return BagMetadata()
    information = _get(document, 'rosbag2_bagfile_information')
    if not isinstance(information, dict):
        warnings.append(f'{path.name} lacks the key rosbag2_bagfile_information with the fields '
                        'of a rosbag2 recording; it is left aside.')
        return BagMetadata()
    _check_fields(path.name, information, warnings)
    return BagMetadata(
        file_names=[name for name in _list(information, 'relative_file_paths')
                    if isinstance(name, str)],
        storage_identifier=_text(information, 'storage_identifier'),
        message_count=_count(information, 'message_count'),
        topics=_topics(path.name, information, warnings))


def base_names(metadata: BagMetadata) -> list[str]:
    """Return the names of the files listed; before version 4 they begin with the folder's."""
    return [PurePosixPath(name.replace('\\', '/')).name for name in metadata.file_names]


def compare_with_metadata(metadata: BagMetadata, topics: dict[str, TopicInfo],
                          kinds: set[str], warnings: list[str]) -> None:
    """Say in warnings where metadata.yaml and the files (topics, kinds of storage) disagree."""
    if metadata.storage_identifier is not None and {metadata.storage_identifier} != kinds:
        warnings.append(f'metadata.yaml names the storage {metadata.storage_identifier!r}, the '
                        f'files are {" and ".join(sorted(kinds))}.')
    total = sum(topic.count for topic in topics.values())
    if metadata.message_count not in (None, total):
        warnings.append(f'metadata.yaml counts {metadata.message_count} messages, the files hold '
                        f'{total}.')
    for name, said in metadata.topics.items():
        topic = topics.get(name)
        if topic is None:
            warnings.append(f'metadata.yaml names topic {name}, which no file holds.')
            continue
        if said.type != topic.type:
            warnings.append(f'metadata.yaml gives {name} the type {said.type!r}, the files say '
                            f'{topic.type!r}.')
        if said.count not in (None, topic.count):
            warnings.append(f'metadata.yaml counts {said.count} messages on {name}, the files '
                            f'hold {topic.count}.')
    if metadata.topics:
        unnamed = [name for name in topics if name not in metadata.topics]
        if unnamed:
            warnings.append(f'metadata.yaml does not name {", ".join(unnamed)}.')


def _check_fields(name: str, information: dict[str, Any], warnings: list[str]) -> None:
    missing = [key for key in FIELDS if information.get(key) is None]
    if missing:
        warnings.append(f'{name} lacks {", ".join(missing)}.')
    version = information.get('version')
    if version is not None and not (isinstance(version, int) and 1 <= version <= LATEST_VERSION):
        warnings.append(f'{name} has version {version!r}, expected 1 to {LATEST_VERSION}; it is '
                        'read all the same.')


def _topics(name: str, information: dict[str, Any],
            warnings: list[str]) -> dict[str, TopicInfo]:
    topics = {}
    for entry in _list(information, 'topics_with_message_count'):
        description = _get(entry, 'topic_metadata')
        topic, message_type = _text(description, 'name'), _text(description, 'type')
        if not topic:
            warnings.append(f'{name} has an entry in topics_with_message_count without a name.')
            continue
        serialization = _get(description, 'serialization_format')
        if serialization != 'cdr':
            warnings.append(f'{name} gives the serialization format {serialization!r} for '
                            f'{topic}, expected cdr; it is read as cdr.')
        topics[topic] = TopicInfo(topic, message_type or '', _count(entry, 'message_count'))
    return topics


def _get(mapping: Any, key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, dict) else None


def _list(mapping: Any, key: str) -> list[Any]:
    value = _get(mapping, key)
    return value if isinstance(value, list) else []


def _text(mapping: Any, key: str) -> str | None:
    value = _get(mapping, key)
    return value if isinstance(value, str) else None


def _count(mapping: Any, key: str) -> int | None:
    value = _get(mapping, key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
