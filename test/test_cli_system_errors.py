# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What commands say where the operating system refuses."""
import errno
import os
import resource
import signal

import pytest

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.cli import models
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.cli.system_errors import explain


@pytest.fixture
def small_files():
    """Let files have 10 bytes, which stands for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize('name, words', [
    ('a.json', '/a.json: File too large: make less of it, or name a place on another disk'),
    (300 * 'x', 'xxx: File name too long: give it a shorter name.')])
def test_a_result_that_the_system_refuses(tmp_path, capsys, small_files, name, words):
    assert execute(['models', 'list', '--json', str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1 and '[Errno' not in said


def test_where_the_system_names_no_file_the_outputs_are(tmp_path, monkeypatch, capsys):
    def refuse(_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(models, 'run', refuse)
    assert execute(['models', 'list', '--json', str(tmp_path / 'a.json')]) == 1
    assert f'{tmp_path}/a.json: No space left on device: make room' in capsys.readouterr().err


@pytest.mark.parametrize('number, remedy', [
    (errno.ENOSPC, 'make room there'), (errno.EEXIST, 'name another'),
    (errno.EACCES, 'its owner'), (errno.EROFS, 'another disk')])
def test_a_remedy_is_told_with_the_path(monkeypatch, capsys, number, remedy):
    def refuse(_arguments):
        raise OSError(number, os.strerror(number), '/a/b')
    monkeypatch.setattr(models, 'run', refuse)
    assert execute(['models', 'list']) == 1
    said = capsys.readouterr().err
    assert said.startswith(f'depth_anyevent models: /a/b: {os.strerror(number)}: ')
    assert remedy in said and '[Errno' not in said


def test_words_of_ours_get_the_remedy_of_what_the_system_said():
    error = OSError('the bag could not be written')
    error.__cause__ = OSError(errno.ENOSPC, 'No space left on device')
    assert explain(error) == 'the bag could not be written: make room there, or name a place ' \
        'on another disk.'
    error.__cause__ = None
    assert explain(error) == 'the bag could not be written'
    assert explain(OSError(errno.ENOTTY, 'no remedy', 'x')) == f"[Errno {errno.ENOTTY}] " \
        "no remedy: 'x'"


def test_a_file_that_is_replaced_is_named_and_not_the_temporary_one(tmp_path, small_files):
    with pytest.raises(OSError) as raised:
        replace_file(tmp_path / 'file', bytes(100))
    assert raised.value.filename == str(tmp_path / 'file') and not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match=f"'{tmp_path}/no/file'$"):
        replace_file(tmp_path / 'no' / 'file', b'')
