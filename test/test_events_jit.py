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
from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Packet
words = np.array([0x8000, 0x6005, 2, 0x2001, 0x8000], '<u2').view(np.uint8)
print(Evt3Decoder(64, 48).decode(Packet(words, 'evt3', 64, 48)).x.tolist())
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
    sinks = copy / 'depth_anyevent_ros' / 'events' / 'sinks.py'
    sinks.write_text(sinks.read_text().replace('sink.x[n] = x', 'sink.x[n] = x + 40'))
    assert decode(copy, NUMBA_CACHE_DIR=str(cache))[0] == '[41]'


def test_without_a_place_for_the_cache_it_works_and_says_so(copy):
    output, errors = decode(copy, HOME='/dev/null')
    assert output == '[1]'
    assert 'NUMBA_CACHE_DIR' in errors and errors.count('RuntimeWarning') == 1
