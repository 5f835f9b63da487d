# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Weights of others that are fetched, not shipped: Depth Anything V2.

models/manifest.json says from where, in which revision, and which size and sha256 they have;
nothing else is kept or loaded under their name.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
import tempfile
import urllib.error
import urllib.request

BLOCK = 1 << 20
TIMEOUT_S = 30


class DownloadError(ValueError):
    """Weights that could not be fetched, or are not those that they were; says what to do."""


@dataclass(frozen=True)
class Download:
    """Weights that can be fetched. path: where they are kept."""

    name: str
    url: str
    licence: str
    sha256: str
    nbytes: int
    path: Path

    def verified(self) -> str:
        """Return the sha256 of the file that is there; DownloadError where it is another one."""
        found = sha256_of(self.path)
        if found != self.sha256:
            raise DownloadError(f'{self.path} has the sha256 {found[:16]}..., but '
                                f'{self.sha256[:16]}... is expected: it is another file, was '
                                'changed or is damaged. Remove it and fetch it again.')
        return found

    def fetch(self, progress: Callable[[int, int], None] = lambda done, total: None) -> str:
        """
        Download the file unless it is there; return its sha256.

        progress(bytes so far, bytes in all). Raises DownloadError.
        """
        if self.path.is_file():
            return self.verified()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f'.{self.path.name}.', suffix='.part',
                                             dir=self.path.parent)
        try:
            with os.fdopen(handle, 'wb') as file:
                found = self._copy(file, progress)
            if found != self.sha256:
                raise DownloadError(f'{self.url} gave a file of sha256 {found[:16]}..., but '
                                    f'{self.sha256[:16]}... is expected: it is not kept.')
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        return found

    def _copy(self, file, progress: Callable[[int, int], None]) -> str:
        digest, done = hashlib.sha256(), 0
        try:
            with urllib.request.urlopen(self.url, timeout=TIMEOUT_S) as source:
                while block := source.read(BLOCK):
                    done += len(block)
                    if done > self.nbytes:
                        raise DownloadError(f'{self.url} gives more than the {self.nbytes} bytes '
                                            'that are expected: it is not kept.')
                    digest.update(block)
                    file.write(block)
                    progress(done, self.nbytes)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, 'reason', error)
            raise DownloadError(
                f'{self.url} could not be downloaded ({reason}). Get that file by other means, '
                f'put it at {self.path}, and run the command again, which verifies it.') from error
        if done < self.nbytes:
            raise DownloadError(f'{self.url} broke off after {done} of {self.nbytes} bytes: try '
                                'again.')
        return digest.hexdigest()


def cache_folder() -> Path:
    """Return the folder for what is fetched or made once: in $XDG_CACHE_HOME or ~/.cache."""
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache, 'depth_anyevent_ros')


def downloads(manifest: dict, folder: Path | None = None) -> dict[str, Download]:
    """Return what the manifest says can be fetched, by name; kept in folder."""
    folder = folder or cache_folder() / 'models'
    return {name: Download(name, entry['url'], entry['licence'], entry['sha256'], entry['bytes'],
                           folder / (name + Path(entry['url']).suffix))
            for name, entry in manifest.get('downloads', {}).items()}


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
