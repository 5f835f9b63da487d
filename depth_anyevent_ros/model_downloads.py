# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Weights of others that are fetched, not shipped: Depth Anything V2.

models/manifest.json says from where, and the sha256 where that is known from a source that can be
trusted. Where it is not, that of the first download is written down beside the file, and from
then on nothing else is loaded under this name.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import tempfile
import urllib.error
import urllib.request

from depth_anyevent_ros.atomic_file import replace_file

BLOCK = 1 << 20
TIMEOUT_S = 30
LARGEST = 4 << 30


class DownloadError(ValueError):
    """Weights that could not be fetched, or are not those that they were; says what to do."""


@dataclass(frozen=True)
class Download:
    """
    Weights that can be fetched.

    sha256, nbytes: None where they are not known. path: where they are kept.
    """

    name: str
    url: str
    revision: str
    licence: str
    sha256: str | None
    nbytes: int | None
    path: Path

    @property
    def record(self) -> Path:
        """Where the hash of the first download is written down."""
        return self.path.with_suffix('.json')

    def expected_sha256(self) -> str | None:
        """Return the hash that the file has to have, None before the first download."""
        if self.sha256:
            return self.sha256
        try:
            return str(json.loads(self.record.read_text(encoding='utf-8'))['sha256'])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DownloadError(f'{self.record} is damaged, so {self.path.name} cannot be '
                                'verified: remove both and fetch again.') from error

    def verified(self) -> str:
        """Return the sha256 of the file that is there; DownloadError where it is another one."""
        found, expected = sha256_of(self.path), self.expected_sha256()
        if expected is None:
            self._write_down(found)
        elif found != expected:
            raise DownloadError(f'{self.path} has the sha256 {found[:16]}..., but {expected[:16]}'
                                '... is expected: it was changed or is damaged. Remove it and '
                                'fetch it again.')
        return found

    def fetch(self, progress: Callable[[int, int | None], None] = lambda done, total: None) -> str:
        """
        Download the file unless it is there; return its sha256.

        progress(bytes so far, bytes in all or None). Raises DownloadError.
        """
        if self.path.is_file():
            return self.verified()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f'.{self.path.name}.', suffix='.part',
                                             dir=self.path.parent)
        try:
            with os.fdopen(handle, 'wb') as file:
                found = self._copy(file, progress)
            expected = self.expected_sha256()
            if expected and found != expected:
                raise DownloadError(f'{self.url} gave a file of sha256 {found[:16]}..., but '
                                    f'{expected[:16]}... is expected: it is not kept.')
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        if not expected:
            self._write_down(found)
        return found

    def _copy(self, file, progress: Callable[[int, int | None], None]) -> str:
        digest, done = hashlib.sha256(), 0
        try:
            with urllib.request.urlopen(self.url, timeout=TIMEOUT_S) as source:
                length = source.headers.get('Content-Length')
                total = int(length) if length else None
                while block := source.read(BLOCK):
                    done += len(block)
                    if done > LARGEST:
                        raise DownloadError(f'{self.url} gives more than {LARGEST} bytes.')
                    digest.update(block)
                    file.write(block)
                    progress(done, total)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, 'reason', error)
            raise DownloadError(
                f'{self.url} could not be downloaded ({reason}). Get that file by other means, '
                f'put it at {self.path}, and run the command again, which verifies it.') from error
        if total is not None and done != total:
            raise DownloadError(f'{self.url} broke off after {done} of {total} bytes: try again.')
        return digest.hexdigest()

    def _write_down(self, found: str) -> None:
        replace_file(self.record, (json.dumps(
            {'sha256': found, 'url': self.url, 'revision': self.revision}, indent=2)
            + '\n').encode())


def cache_folder() -> Path:
    """Return the folder for what is fetched or made once: in $XDG_CACHE_HOME or ~/.cache."""
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache, 'depth_anyevent_ros')


def downloads(manifest: dict, folder: Path | None = None) -> dict[str, Download]:
    """Return what the manifest says can be fetched, by name; kept in folder."""
    folder = folder or cache_folder() / 'models'
    return {name: Download(name, entry['url'], entry['revision'], entry['licence'],
                           entry['sha256'], entry['bytes'],
                           folder / (name + Path(entry['url']).suffix))
            for name, entry in manifest.get('downloads', {}).items()}


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
