# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which files make up a recording, told by their first bytes and not by their names."""
from __future__ import annotations

from pathlib import Path, PurePosixPath

import zstandard

from depth_anyevent_ros.datasets.bag_types import BagError
from depth_anyevent_ros.datasets.mcap_records import MCAP_MAGIC
from depth_anyevent_ros.datasets.sqlite_storage import SQLITE_MAGIC

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
KIND_OF_MAGIC = {SQLITE_MAGIC: 'sqlite3', MCAP_MAGIC: 'mcap', ZSTD_MAGIC: 'zstd',
                 b'#ROSBAG V': 'rosbag1'}
SUFFIXES = ('.db3', '.mcap', '.db3.zstd', '.mcap.zstd')
EXPECTED = ('expected a rosbag2 folder (metadata.yaml beside .db3 or .mcap files), or a .db3 or '
            '.mcap file')


def storage_kind(path: Path) -> str | None:
    """Return sqlite3, mcap, zstd (compressed), rosbag1, or None for any other file."""
    with path.open('rb') as file:
        head = file.read(max(len(magic) for magic in KIND_OF_MAGIC))
    return next((kind for magic, kind in KIND_OF_MAGIC.items() if head.startswith(magic)), None)


def single_file(path: Path) -> Path:
    """Return path if it is a file that can be read alone; raise BagError with what it is."""
    kind = storage_kind(path)
    if kind == 'rosbag1':
        raise BagError(f'{path} is a bag of ROS 1; {EXPECTED}. rosbags-convert turns it into a '
                       'rosbag2 folder.')
    if kind is None:
        size = path.stat().st_size
        what = 'is empty' if size == 0 else 'is neither SQLite nor MCAP by its first bytes'
        raise BagError(f'{path} {what}; {EXPECTED}.')
    return path


def folder_files(folder: Path, listed: list[str], warnings: list[str]) -> list[Path]:
    """
    Choose the files of a rosbag2 folder; say in warnings what does not fit together.

    listed: the file names of metadata.yaml. Those that exist are taken, and if some do not,
    every other storage file of the folder as well, since they may have been renamed.
    """
    found = [path for path in sorted(folder.iterdir()) if _is_storage(path, warnings)]
    if not found:
        raise BagError(f'{folder} holds no file of a recording{_hint(folder)}; {EXPECTED}.')
    by_name = {path.name: path for path in found}
    chosen = [by_name[name] for name in dict.fromkeys(listed) if name in by_name]
    missing = [name for name in dict.fromkeys(listed) if not (folder / name).exists()]
    others = [path for path in found if path not in chosen]
    if missing:
        warnings.append(f'metadata.yaml lists {_names(missing)}, which the folder does not hold.')
    if missing or not listed:
        if missing and others:
            warnings.append(f'{_names(path.name for path in others)} is read in addition, as '
                            'files may have been renamed.')
        chosen += others
    elif others:
        warnings.append(f'{_names(path.name for path in others)} is not listed in '
                        'metadata.yaml and is left out.')
    if not chosen:
        raise BagError(f'None of the files that {folder / "metadata.yaml"} lists can be read '
                       f'({_names(listed)}); {EXPECTED}.')
    return _without_doubles(chosen, warnings)


def unpack(path: Path, folder: Path, warnings: list[str]) -> Path:
    """Decompress a .zstd file into folder as far as it reaches, and return the new file."""
    target = folder / path.name.removesuffix('.zstd')
    with path.open('rb') as source, target.open('wb') as sink:
        reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
        try:
            while block := reader.read(1 << 20):
                sink.write(block)
        except zstandard.ZstdError as error:
            warnings.append(f'{path.name} is damaged: decompression stopped with "{error}".')
    return target


def _is_storage(path: Path, warnings: list[str]) -> bool:
    if not path.is_file():
        return False
    if storage_kind(path) in ('sqlite3', 'mcap'):
        return True
    if not path.name.endswith(SUFFIXES):
        return False
    if storage_kind(path) == 'zstd':
        return True
    what = 'is empty' if path.stat().st_size == 0 else 'does not begin like such a file'
    warnings.append(f'{path.name} {what} and is left out.')
    return False


def _without_doubles(paths: list[Path], warnings: list[str]) -> list[Path]:
    names = {path.name for path in paths}
    doubles = [path for path in paths
               if path.suffix == '.zstd' and path.name.removesuffix('.zstd') in names]
    if doubles:
        warnings.append(f'{_names(path.name for path in doubles)} is left out, as the same file '
                        'is there uncompressed.')
    return [path for path in paths if path not in doubles]


def _hint(folder: Path) -> str:
    inside = sorted(path.parent.name for path in folder.glob('*/metadata.yaml'))
    return f' itself (recordings lie in its folders {", ".join(inside)})' if inside else ''


def _names(names) -> str:
    return ', '.join(PurePosixPath(name).name for name in names)
