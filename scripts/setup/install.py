# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Set up the virtual environment of this repository; scripts/env.sh calls this.

Needs only the standard library. Does nothing that an earlier run has done, and goes on where an
interrupted run stopped. Exit status: 0 ready, 1 failed, 3 the ROS 2 wheels could not be had,
130 interrupted; with --check 0 ready, 1 something is to be done.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
from pathlib import Path
import shutil
import subprocess
import sys

from environment import (
    check_compiler, Environment, KilledError, last_lines, say, SetupError)
from stamp import Stamp
from steps import steps


def main() -> int:
    """Parse the arguments and set up or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--venv', type=Path, required=True)
    parser.add_argument('--distro', required=True)
    parser.add_argument('--sourced', action='store_true', help='on top of a sourced ROS 2')
    parser.add_argument('--check', action='store_true', help='only tell whether all is done')
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    env = Environment(root, arguments.venv, arguments.distro, arguments.sourced)
    if arguments.check:
        return 0 if is_ready(env) else 1
    try:
        set_up(env)
    except SetupError as error:
        say(f'depth_anyevent_ros: {error}')
        return error.exit_code
    except OSError as error:
        say(f'depth_anyevent_ros: the set-up of {env.venv} failed: {error}. Check that the '
            'folder can be written and that the disk is not full.')
        return 1
    except KeyboardInterrupt:
        say('depth_anyevent_ros: interrupted; source scripts/env.sh again to go on.')
        return 130
    return 0


def is_ready(env: Environment) -> bool:
    """Tell whether the virtual environment is usable and every step is done."""
    stamp = Stamp(env.venv)
    return is_usable(env, stamp) and all(
        stamp.done(step.name, step.fingerprint()) for step in steps(env))


def is_usable(env: Environment, stamp: Stamp) -> bool:
    """Tell whether the folder was made here, completely, and by the Python that is asked for."""
    version = wanted_version()
    return (stamp.values.get('venv') == str(env.venv)
            and stamp.values.get('running') != 'venv'
            and version in (None, stamp.values.get('python'))
            and env.python.exists())


def wanted_version() -> str | None:
    """Return the version of the Python named by the variable PYTHON, or None if it is unset."""
    if not os.environ.get('PYTHON'):
        return None
    command = [os.environ['PYTHON'], '-S', '-c', 'import sys; print(sys.version.split()[0])']
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'none'


def set_up(env: Environment) -> None:
    """Do what is to be done, one shell at a time."""
    with locked(env.root / '.venv-setup.lock'):
        stamp = Stamp(env.venv)
        if not is_usable(env, stamp):
            if not env.sourced:
                # event_camera_msgs will have to be built; better told before the downloads.
                check_compiler()
            make_venv(env, stamp)
        changed = False
        for step in steps(env):
            inputs = step.fingerprint()
            if stamp.done(step.name, inputs):
                continue
            again = ['--force-reinstall'] if stamp.begin(step.name) else []
            try:
                step.action(env, stamp, again)
            except KilledError:
                raise
            except SetupError:
                stamp.update(running=None)
                raise
            stamp.finish(step.name, inputs)
            changed = True
        if changed:
            say(f'depth_anyevent_ros is ready in {env.venv.name} '
                f'(Python {stamp.values["python"]}).')


@contextlib.contextmanager
def locked(path: Path):
    """Hold the lock of this repository, waiting for another shell that is setting up."""
    with open(path, 'w', encoding='utf-8') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('Waiting for another shell that is setting up this repository ...')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_venv(env: Environment, stamp: Stamp) -> None:
    """Make the virtual environment anew; a folder that is not ours is left alone."""
    if env.venv.exists() and any(env.venv.iterdir()):
        if not stamp.exists:
            raise SetupError(
                f'{env.venv} exists and was not made by scripts/env.sh. Move or remove it, and '
                'source scripts/env.sh again.')
        shutil.rmtree(env.venv)
    say(f'Making {env.venv.name} with Python {sys.version.split()[0]} ...')
    stamp.values = {}
    stamp.update(venv=str(env.venv), python=sys.version.split()[0], running='venv')
    site = ['--system-site-packages'] if env.sourced else []
    result = env.run([sys.executable, '-m', 'venv', *site, str(env.venv)])
    if result.returncode:
        raise SetupError(
            f'{sys.executable} -m venv failed:\n{last_lines(result.stdout)}\n'
            'Install the venv module (Debian and Ubuntu: apt install python3-venv), or choose '
            'another Python with PYTHON=/path/to/python3.')
    stamp.update(running=None)


if __name__ == '__main__':
    sys.exit(main())
