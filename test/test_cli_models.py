# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights that are listed, fetched from a server, verified, and refused."""
import functools
import http.server
import json
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
    entry = {'url': f'http://127.0.0.1:{server.server_port}/weights.pth', 'revision': 'main',
             'sha256': None, 'bytes': None, 'licence': 'Apache-2.0'}
    manifest = {**models.read_manifest(), 'downloads': {'other': entry}}
    monkeypatch.setattr(models, 'read_manifest', lambda: manifest)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    yield folder, tmp_path / 'cache' / 'depth_anyevent_ros' / 'models', entry
    server.shutdown()


def fetch(tmp_path):
    status = execute(['models', 'fetch', 'other', '--json', str(tmp_path / 'result.json')])
    return status, json.loads((tmp_path / 'result.json').read_text()) if not status else None


def test_the_first_download_is_written_down_and_verified_ever_after(served, tmp_path, capsys):
    folder, cache, _ = served
    status, first = fetch(tmp_path)
    assert status == 0 and not first['verified'] and first['bytes'] == 7000
    assert (cache / 'other.pth').read_bytes() == (folder / 'weights.pth').read_bytes()
    assert fetch(tmp_path)[1] == {**first, 'verified': True}

    (cache / 'other.pth').write_bytes(b'changed')
    assert fetch(tmp_path)[0] == 1
    assert 'was changed or is damaged' in capsys.readouterr().err
    # Also when the server has another file now.
    (cache / 'other.pth').unlink()
    (folder / 'weights.pth').write_bytes(b'another')
    assert fetch(tmp_path)[0] == 1
    assert 'it is not kept' in capsys.readouterr().err
    assert [path.name for path in cache.iterdir()] == ['other.json']


def test_a_known_hash_is_expected_of_the_first_download(served, tmp_path, capsys):
    served[2]['sha256'] = '0' * 64
    assert fetch(tmp_path)[0] == 1
    assert '0000... is expected' in capsys.readouterr().err
    assert not list(served[1].iterdir())


def test_without_a_network_it_says_what_to_put_where(served, tmp_path, capsys):
    served[2]['url'] = 'http://127.0.0.1:1/weights.pth'
    assert fetch(tmp_path)[0] == 1
    words = capsys.readouterr().err
    assert 'could not be downloaded' in words and str(served[1] / 'other.pth') in words
    # By hand then; the hash is written down.
    (served[1] / 'other.pth').write_bytes(b'by hand')
    assert fetch(tmp_path)[0] == 0


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
