# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""scripts/env.sh where it fails, and what scripts/setup remembers; nothing is installed here."""
from __future__ import annotations

import os
from pathlib import Path
import shlex
import shutil
import subprocess
import sys
import time

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHELLS = [shell for shell in ('bash', 'zsh') if shutil.which(shell)]
CHOICES = ('ROS_DISTRO', 'PYTHON', 'DEPTH_ANYEVENT_ROS_DISTRO')
OURS = (*CHOICES, 'LD_LIBRARY_PATH', 'VIRTUAL_ENV', 'PYTHONPATH', 'AMENT_PREFIX_PATH',
        'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE',
        'FASTRTPS_DEFAULT_PROFILES_FILE')


@pytest.fixture
def checkout(tmp_path):
    """Return a folder that has scripts/ and nothing else."""
    shutil.copytree(ROOT / 'scripts', tmp_path / 'repository' / 'scripts',
                    ignore=shutil.ignore_patterns('__pycache__'))
    return tmp_path / 'repository'


@pytest.fixture(params=SHELLS)
def source(request, checkout):
    """Return a function that sources env.sh in a shell and returns status, stdout and stderr."""
    def run(after: str = '', before: str = '', **variables: str):
        clean = {key: value for key, value in os.environ.items() if key not in OURS}
        script = f'{before}\n. {checkout}/scripts/env.sh; code=$?\n{after}\nexit $code'
        result = subprocess.run(
            [request.param, '-c', script], env={**clean, **variables}, cwd=checkout.parent,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return result.returncode, result.stdout, result.stderr
    return run


@pytest.mark.parametrize('variables, sentence', [
    ({'DEPTH_ANYEVENT_ROS_DISTRO': 'foxy'}, 'there are wheels of kilted and jazzy'),
    ({'PYTHON': 'no-such-python'}, 'Python 3.10 to 3.13 is needed, and no-such-python is not'),
    ({'ROS_DISTRO': 'humble', 'PYTHON': 'no-such-python'}, 'rclpy does not import'),
    ({'ROS_DISTRO': 'humble', 'DEPTH_ANYEVENT_ROS_DISTRO': 'jazzy'}, 'Unset one of'),
])
def test_a_failure_is_a_sentence_and_a_status(source, variables, sentence):
    code, output, errors = source(**variables)
    assert code == 1 and output == ''
    assert errors.startswith('depth_anyevent_ros: ') and errors.count('\n') == 1
    assert sentence in errors


def test_a_failure_leaves_the_shell_as_it_was(source):
    """The shell goes on, with its options, variables and functions."""
    state = 'set +o; env | grep -v ^_=; typeset -f | grep -c depth_anyevent; pwd'
    code, output, _ = source(
        before=f'set -u; {state}; echo --', after=state, DEPTH_ANYEVENT_ROS_DISTRO='foxy',
        LD_LIBRARY_PATH=f'{sys.prefix}/lib', PYTHONPATH='somewhere')
    before, after = output.split('--\n')
    assert code == 1
    assert after == before


def test_running_it_says_to_source_it(checkout):
    result = subprocess.run(['bash', str(checkout / 'scripts' / 'env.sh')], text=True,
                            stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1 and 'source this file' in result.stderr


@pytest.mark.parametrize('shell', SHELLS)
def test_sourcing_again_does_nothing(shell):
    """Where the set-up is done, sourcing is quick and silent, also out of this environment."""
    venv = ROOT / '.venv'
    check = subprocess.run(
        [sys.executable, '-S', str(ROOT / 'scripts' / 'setup' / 'install.py'), '--venv', str(venv),
         '--distro', 'kilted', '--check'], check=False)
    if check.returncode:
        pytest.skip('this checkout was not set up by scripts/env.sh, or has changed since')
    clean = {key: value for key, value in os.environ.items() if key not in OURS}
    # This process has what the wheels leave behind, and the variables of the distribution it runs.
    used = {key: value for key, value in os.environ.items() if key not in CHOICES}
    script = f'. {shlex.quote(str(ROOT))}/scripts/env.sh && env'
    start = time.monotonic()
    first, second = (subprocess.run(
        [shell, '-c', script], env=environment, cwd='/', text=True, check=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE) for environment in (clean, used))
    assert time.monotonic() - start < 4
    assert first.stderr == second.stderr == ''
    variables = [dict(line.split('=', 1) for line in result.stdout.splitlines() if '=' in line)
                 for result in (first, second)]
    assert variables[0]['VIRTUAL_ENV'] == str(venv)
    assert variables[0]['AMENT_PREFIX_PATH'] == str(venv)
    assert variables[0]['PATH'].startswith(f'{venv}/bin:')
    assert Path(variables[0]['FASTDDS_DEFAULT_PROFILES_FILE']).is_file()
    assert variables[1]['PATH'].count(f'{venv}/bin') == 1
    assert '_ROS_WHEELS_BOOTSTRAP_COMPLETE' not in variables[1]
    libraries = variables[1].get('LD_LIBRARY_PATH', '').split(':')
    assert not [entry for entry in libraries if entry == f'{venv}/lib' or '/ros_' in entry]


@pytest.fixture
def setup_modules(monkeypatch):
    """Return the modules of scripts/setup by name."""
    monkeypatch.syspath_prepend(str(ROOT / 'scripts' / 'setup'))
    import environment
    import stamp
    import steps
    import torch_build
    return {'environment': environment, 'stamp': stamp, 'steps': steps,
            'torch_build': torch_build}


def test_fingerprint_follows_names_contents_and_modes_of_sources(setup_modules, tmp_path):
    fingerprint = setup_modules['stamp'].fingerprint
    (tmp_path / 'sub').mkdir()
    file = tmp_path / 'sub' / 'a.py'
    file.write_text('one')
    seen = [fingerprint(tmp_path)]

    file.write_text('three')
    seen.append(fingerprint(tmp_path))
    file.chmod(0o755)
    seen.append(fingerprint(tmp_path))
    (tmp_path / 'b').write_text('')
    seen.append(fingerprint(tmp_path))
    file.unlink()
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == 5

    (tmp_path / '__pycache__').mkdir()
    (tmp_path / '__pycache__' / 'a.pyc').write_text('')
    assert fingerprint(tmp_path) == seen[-1]
    assert fingerprint(tmp_path / 'absent') == fingerprint()


def test_stamp_knows_an_interrupted_step(setup_modules, tmp_path):
    Stamp = setup_modules['stamp'].Stamp
    stamp = Stamp(tmp_path)
    assert not stamp.exists
    assert not stamp.begin('ros')
    stamp.finish('ros', 'inputs')
    assert Stamp(tmp_path).done('ros', 'inputs') and not Stamp(tmp_path).done('ros', 'others')

    stamp.begin('ros')
    later = Stamp(tmp_path)
    assert not later.done('ros', 'inputs')
    assert later.begin('ros') and not later.begin('torch')


def test_an_unreadable_stamp_counts_as_none(setup_modules, tmp_path):
    stamp = setup_modules['stamp']
    (tmp_path / stamp.FILE_NAME).write_text('{"steps"')
    assert not stamp.Stamp(tmp_path).exists


def test_steps_name_files_that_exist(setup_modules, tmp_path):
    environment, steps = setup_modules['environment'], setup_modules['steps']
    for sourced in (False, True):
        for distro in ('kilted', 'jazzy'):
            env = environment.Environment(ROOT, tmp_path, distro, sourced)
            files = [file for step in steps.steps(env) if step.name != 'package'
                     for file in step.inputs]
            assert all(file.exists() for file in files)


def test_every_requirement_is_pinned():
    for file in (ROOT / 'scripts' / 'setup' / 'requirements').iterdir():
        for line in file.read_text().splitlines():
            assert not line or line.startswith('#') or '==' in line, f'{file.name}: {line}'


@pytest.mark.parametrize('listed, status, seen', [
    ('GPU 0: a name (UUID: GPU-0)', 0, True), ('', 0, False), ('no driver', 9, False)])
def test_a_gpu_is_seen_through_nvidia_smi(
        setup_modules, tmp_path, monkeypatch, listed, status, seen):
    command = tmp_path / 'nvidia-smi'
    command.write_text(f'#!/bin/sh\necho "{listed}"\nexit {status}\n')
    command.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert setup_modules['torch_build'].sees_nvidia_gpu() is seen
