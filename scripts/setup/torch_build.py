# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which build of torch to install: never gigabytes of CUDA where nothing can use them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

from environment import (
    BUILD_TOOLS, Environment, last_lines, REQUIREMENTS, say, SetupError)

ADVICE = (
    'Set TORCH_INDEX_URL to an index of CPU builds and source scripts/env.sh again, or install '
    'torch yourself with {python} -m pip install.')


def pinned(name: str) -> str:
    """Return the one requirement of a file such as torch.txt."""
    lines = (REQUIREMENTS / name).read_text(encoding='utf-8').splitlines()
    return next(line for line in lines if line and not line.startswith('#'))


def sees_nvidia_gpu() -> bool:
    """Tell whether the NVIDIA driver lists a GPU."""
    if shutil.which('nvidia-smi') is None:
        return False
    result = subprocess.run(
        ['nvidia-smi', '-L'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, check=False)
    return result.returncode == 0 and 'GPU' in result.stdout


def install_torch(env: Environment, again: list[str]) -> None:
    """Install the pinned torch as this machine needs it; `again` holds pip's repair options."""
    torch = pinned('torch.txt')
    index = os.environ.get('TORCH_INDEX_URL')
    if index:
        say(f'Installing {torch} from TORCH_INDEX_URL ...')
        failed = _pip_failure(env, '--requirement', str(REQUIREMENTS / 'torch-needs.txt'))
        failed = failed or _pip_failure(env, *again, '--index-url', index, torch)
    elif sees_nvidia_gpu():
        say(f'Installing {torch} for the NVIDIA GPU (some gigabytes) ...')
        failed = _pip_failure(env, *again, torch)
    elif platform.system() == 'Darwin':
        say(f'Installing {torch} ...')
        failed = _pip_failure(env, *again, torch)
    else:
        say(f'Installing {torch} (CPU) ...')
        failed = _cpu_failure(env, torch, again)
    if failed:
        raise SetupError(f'{torch} could not be installed:\n{failed}\n'
                         + ADVICE.format(python=env.python))


def _pip_failure(env: Environment, *arguments: str) -> str:
    """Run pip; return the end of its output if it failed, else nothing."""
    result = env.pip(*arguments)
    return last_lines(result.stdout) if result.returncode else ''


def _cpu_failure(env: Environment, torch: str, again: list[str]) -> str:
    """Install the CPU build; return what went wrong, or nothing.

    The plain Linux wheels of x86_64 and of aarch64 both bring CUDA. A CPU build has a version of
    its own, which a mirror or a folder of wheels may hold; uv knows where the others are.
    """
    failed = _pip_failure(env, *again, f'{torch}+cpu')
    if not failed:
        return ''
    uv_failed = _pip_failure(env, pinned('uv.txt'))
    if uv_failed:
        return f'{failed}\n{uv_failed}'
    repair = ['--reinstall'] if again else []
    result = env.run([
        str(env.venv / 'bin' / 'uv'), 'pip', 'install', '--quiet', '--python', str(env.python),
        '--torch-backend=cpu', '--constraint', BUILD_TOOLS, *repair, torch])
    return f'{failed}\n{last_lines(result.stdout)}' if result.returncode else ''
