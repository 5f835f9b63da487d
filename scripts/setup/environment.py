# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The virtual environment to set up, and how commands are run in it."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

REQUIREMENTS = Path(__file__).resolve().parent / 'requirements'
BUILD_TOOLS = str(REQUIREMENTS / 'build.txt')
SHOWN_LINES = 12


class SetupError(Exception):
    """A step failed; the message says what, why and what to do."""

    exit_code = 1


class NotObtainableError(SetupError):
    """The ROS 2 wheels could not be had from pip's sources."""

    exit_code = 3


class KilledError(SetupError):
    """A command was ended by a signal, and may have left half an installation."""


def say(message: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(message, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Environment:
    """Where the repository and its virtual environment are, and which ROS 2 it holds."""

    root: Path
    venv: Path
    distro: str
    sourced: bool

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.venv / 'bin' / 'python'

    @property
    def log(self) -> Path:
        """The file that keeps the whole output of the commands that were run."""
        return self.venv / 'setup.log'

    def variables(self) -> dict[str, str]:
        """Return the environment variables that commands in this environment run with."""
        # Settings that would send packages elsewhere than into the virtual environment.
        elsewhere = ('PIP_USER', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PYTHONHOME')
        values = {key: value for key, value in os.environ.items() if key not in elsewhere}
        prefixes = [str(self.venv)]
        if self.sourced and values.get('AMENT_PREFIX_PATH'):
            prefixes.append(values['AMENT_PREFIX_PATH'])
        values['AMENT_PREFIX_PATH'] = os.pathsep.join(prefixes)
        values['VIRTUAL_ENV'] = str(self.venv)
        return values

    def run(self, command: list[str]) -> subprocess.CompletedProcess:
        """Run a command and log it; its stdout holds stdout and stderr as they came.

        Raises KilledError if a signal ended it.
        """
        result = subprocess.run(
            command, env=self.variables(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
        with open(self.log, 'a', encoding='utf-8') as log:
            log.write(f'$ {" ".join(command)}\n{result.stdout}\n')
        if result.returncode < 0:
            raise KilledError(
                f'{" ".join(command[:4])} was ended by signal {-result.returncode}, perhaps for '
                'want of memory. Source scripts/env.sh again to go on.')
        return result

    def runs(self, code: str) -> bool:
        """Tell whether a line of Python runs without an error in this environment."""
        return self.run([str(self.python), '-c', code]).returncode == 0

    def pip(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run `pip install` quietly with these arguments; the build tools keep their versions."""
        return self.run([
            str(self.python), '-m', 'pip', 'install', '--quiet', '--no-input',
            '--disable-pip-version-check', '--constraint', BUILD_TOOLS, *arguments])


def last_lines(output: str) -> str:
    """Return the end of a command's output, indented, to stand in an error message."""
    lines = [line for line in output.splitlines()
             if line.strip() and not line.startswith('WARNING: Location')]
    return '\n'.join(f'  | {line}' for line in lines[-SHOWN_LINES:])


def check_compiler() -> None:
    """Raise SetupError unless gcc, g++ and Python's headers are there."""
    for variable, usual in (('CC', 'gcc'), ('CXX', 'g++')):
        command = os.environ.get(variable) or sysconfig.get_config_var(variable) or usual
        if shutil.which(command.split()[0]) is None:
            raise SetupError(
                f'Building event_camera_msgs needs a C and a C++ compiler, and '
                f'{command.split()[0]} is not on PATH. Install gcc and g++ (Debian and Ubuntu: '
                'apt install gcc g++), or set CC and CXX.')
    header = Path(sysconfig.get_path('include')) / 'Python.h'
    if not header.exists():
        raise SetupError(
            f'Building event_camera_msgs needs the headers of Python, and {header} does not '
            'exist. Install them (Debian and Ubuntu: apt install python3-dev), or choose '
            'another Python with PYTHON=/path/to/python3.')
