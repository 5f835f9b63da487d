# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights that are listed, fetched from a server, verified, and refused."""
import functools
import hashlib
import http.server
import json
import re
import threading

import pytest

from depth_anyevent_ros import models
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.models import load_teacher
from depth_anyevent_ros.networks.checkpoint import CheckpointError


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, *_arguments):
        """Print nothing."""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serve a folder; the manifest names weights.pth in it; return the folder and the cache."""
    folder = tmp_path / 'served'
    folder.mkdir()
    (folder / 'weights.pth').write_bytes(b'weights' * 1000)
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    entry = {'url': f'http://127.0.0.1:{server.server_port}/weights.pth', 'bytes': 7000,
             'sha256': hashlib.sha256(b'weights' * 1000).hexdigest(), 'licence': 'Apache-2.0'}
    manifest = {**models.read_manifest(), 'downloads': {'other': entry}}
    monkeypatch.setattr(models, 'read_manifest', lambda: manifest)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    yield folder, tmp_path / 'cache' / 'depth_anyevent_ros' / 'models', entry
    server.shutdown()


def fetch(tmp_path):
    status = execute(['models', 'fetch', 'other', '--json', str(tmp_path / 'result.json')])
    return status, json.loads((tmp_path / 'result.json').read_text()) if not status else None


def test_what_is_fetched_is_verified_ever_after(served, tmp_path, capsys):
    folder, cache, entry = served
    status, first = fetch(tmp_path)
    assert status == 0 and (first['bytes'], first['sha256']) == (7000, entry['sha256'])
    assert (cache / 'other.pth').read_bytes() == (folder / 'weights.pth').read_bytes()
    assert fetch(tmp_path)[1] == first

    (cache / 'other.pth').write_bytes(b'changed')
    assert fetch(tmp_path)[0] == 1
    assert 'was changed or is damaged' in capsys.readouterr().err


@pytest.mark.parametrize('content, words', [
    (b'trained' * 1000, 'is expected: it is not kept'),
    (b'weights' * 1001, 'gives more than the 7000 bytes'),
    (b'weights' * 999, 'broke off after 6993 of 7000 bytes')])
def test_another_file_is_not_kept(served, tmp_path, capsys, content, words):
    folder, cache, _ = served
    (folder / 'weights.pth').write_bytes(content)
    assert fetch(tmp_path)[0] == 1
    assert words in capsys.readouterr().err and not list(cache.iterdir())


def test_without_a_network_it_says_what_to_put_where(served, tmp_path, capsys):
    folder, cache, entry = served
    entry['url'] = 'http://127.0.0.1:1/weights.pth'
    assert fetch(tmp_path)[0] == 1
    words = capsys.readouterr().err
    assert 'could not be downloaded' in words and str(cache / 'other.pth') in words
    (cache / 'other.pth').write_bytes(b'something else')
    assert fetch(tmp_path)[0] == 1
    (cache / 'other.pth').write_bytes((folder / 'weights.pth').read_bytes())
    assert fetch(tmp_path)[0] == 0


def test_all_that_the_package_fetches_is_pinned():
    for name, entry in models.read_manifest()['downloads'].items():
        assert re.fullmatch('[0-9a-f]{64}', entry['sha256']) and entry['bytes'] > 0, name
        assert re.search('/[0-9a-f]{40}/', entry['url']), name  # a revision that stays


def test_what_is_missing_on_the_server_is_told(served, tmp_path, capsys):
    served[2]['url'] += '.not'
    assert fetch(tmp_path)[0] == 1
    assert 'File not found' in capsys.readouterr().err


def test_a_teacher_by_its_name(served, tmp_path):
    with pytest.raises(CheckpointError, match='models fetch other'):
        load_teacher('other')
    fetch(tmp_path)
    with pytest.raises(CheckpointError, match='neither safetensors nor a torch file'):
        load_teacher('other')


def test_list_says_what_is_there(capsys):
    assert execute(['models', 'list']) == 0
    words = capsys.readouterr().out
    assert 'trained on simulated scenes' in words and 'depth_anything_v2_vits' in words
    assert 'CC-BY-NC-4.0' in words


@pytest.mark.parametrize('arguments', [('fetch',), ('fetch', 'nothing'), ('list', 'x')])
def test_other_words_are_refused(arguments, capsys):
    assert execute(['models', *arguments]) == 1
    assert 'models:' in capsys.readouterr().err
