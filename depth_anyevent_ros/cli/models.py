# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent models: which weights are there, and fetch others."""
from __future__ import annotations

from tqdm import tqdm

from depth_anyevent_ros.model_downloads import Download, DownloadError
from depth_anyevent_ros.models import fetched, read_manifest

HELP = """\
List the weights that ship with the package and those that can be fetched, or fetch one. Fetched
weights are verified by their sha256, whenever they are loaded too. Mind the licences: of Depth
Anything V2 only vits may be used commercially."""
EXAMPLES = """\
  depth_anyevent models list
  depth_anyevent models fetch depth_anything_v2_vits
  ros2 launch depth_anyevent_ros distill.launch.py teacher:=depth_anything_v2_vits"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('action', choices=('list', 'fetch'))
    parser.add_argument('name', nargs='?', help='of what is to be fetched')


def run(arguments) -> tuple[int, dict]:
    """List or fetch."""
    if arguments.action == 'list':
        if arguments.name:
            raise ValueError(f'list takes no name, but {arguments.name!r} came')
        return _list()
    known = fetched()
    if arguments.name not in known:
        raise DownloadError(f'fetch takes one of {", ".join(known)}; not {arguments.name!r}')
    return _fetch(known[arguments.name])


def _list() -> tuple[int, dict]:
    manifest = read_manifest() or {}
    bundled = {name: {'role': entry['role'], 'bytes': entry['bytes'], 'sha256': entry['sha256'],
                      'licence': entry['licence'],
                      'trained_on': entry.get('provenance', {}).get('trained_on')}
               for name, entry in manifest.get('files', {}).items()}
    others = {name: {'licence': item.licence, 'url': item.url, 'path': str(item.path),
                     'fetched': item.path.is_file()} for name, item in fetched().items()}
    for name, item in bundled.items():
        trained = f', trained on {item["trained_on"]}' if item['trained_on'] else ''
        print(f'{name}: {item["role"]}, {item["bytes"] / 1e6:.1f} MB, {item["licence"]}, ships '
              f'with the package{trained}')
    for name, item in others.items():
        state = f'fetched, {item["path"]}' if item['fetched'] else 'can be fetched'
        print(f'{name}: teacher, {item["licence"]}, {state}')
    return 0, {'bundled': bundled, 'downloads': others}


def _fetch(download: Download) -> tuple[int, dict]:
    there = download.path.is_file()
    with tqdm(unit='B', unit_scale=True, desc=download.name, disable=None) as bar:
        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
        sha256 = download.fetch(progress)
    print(f'{download.name}: {"was there already" if there else "fetched"}, {download.path}, '
          f'licence {download.licence}')
    print(f'sha256 {sha256}, as expected')
    return 0, {'path': str(download.path), 'sha256': sha256, 'bytes': download.nbytes,
               'licence': download.licence}
