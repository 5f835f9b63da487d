# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compiled loops: cached, also for a read-only install, and never stale."""
import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'depth_anyevent_ros'
DECODE = """
import numpy as np
from depth_anyevent_ros.events.records import MonoDecoder
from depth_anyevent_ros.events.types import Packet
decoder = MonoDecoder(64, 48)
decoder.feed(Packet(np.array([5, 2 << 16 | 1], '<u4').view(np.uint8), 'mono', 64, 48))
print(decoder.flush().x.tolist())
"""


def decode(folder, **environment):
    """Decode one event with the package in a folder; return (output, errors)."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ('NUMBA_CACHE_DIR', 'XDG_CACHE_HOME', 'PYTHONPATH')}
    done = subprocess.run([sys.executable, '-c', DECODE], cwd=folder, text=True,
                          env={**kept, **environment}, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / 'depth_anyevent_ros',
                    ignore=shutil.ignore_patterns('__pycache__'))
    return tmp_path


def test_cache_lies_outside_of_the_package_and_is_never_stale(copy, tmp_path):
    cache = tmp_path / 'cache'
    assert decode(copy, NUMBA_CACHE_DIR=str(cache)) == ('[1]', '')
    assert not list((copy / 'depth_anyevent_ros').rglob('*.nbi'))
    before = {path: path.stat().st_mtime_ns for path in cache.rglob('*.nbc')}
    assert before
    assert decode(copy, NUMBA_CACHE_DIR=str(cache)) == ('[1]', '')
    assert {path: path.stat().st_mtime_ns for path in cache.rglob('*.nbc')} == before
    # A helper in another file than the loop.
    helper = copy / 'depth_anyevent_ros' / 'events' / 'packet_decoder.py'
    before = helper.read_text()
    helper.write_text(before.replace('believed = not known or t > now', 'believed = False'))
    assert helper.read_text() != before
    assert decode(copy, NUMBA_CACHE_DIR=str(cache))[0] == '[]'


def test_without_a_place_for_the_cache_it_works_and_says_so(copy):
    output, errors = decode(copy, HOME='/dev/null')
    assert output == '[1]'
    assert 'NUMBA_CACHE_DIR' in errors and errors.count('RuntimeWarning') == 1
