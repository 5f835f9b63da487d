# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Install the package into the shape that ros2 run and ros2 launch need, by colcon or by pip."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'depth_anyevent_ros'
# setuptools wants relative paths; colcon and pip both run this file in its folder.
LAUNCHERS = ('inference_node', 'distillation_node', 'replay_node', 'simulator_node',
             'label_recorder_node', 'depth_anyevent')


def share_files(folder):
    """List (target, files) for each folder below this one, so that sub folders are kept."""
    found = {}
    for file in sorted(Path(folder).rglob('*')):
        hidden = any(part.startswith('.') or part == '__pycache__' for part in file.parts)
        if file.is_file() and not hidden:
            found.setdefault(file.parent, []).append(str(file))
    return [(f'share/{NAME}/{parent}', files) for parent, files in found.items()]


setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'lib/{NAME}', [f'scripts/launchers/{name}' for name in LAUNCHERS]),
        *share_files('launch'),
        *share_files('config'),
        *share_files('models'),
    ],
    python_requires='>=3.10',
    # The others are in package.xml, under their rosdep keys, and pinned in
    # scripts/setup/requirements. torch is in neither list of pip's: which of its builds to take
    # is not for pip to decide. The ones here have no rosdep key.
    install_requires=['setuptools', 'lz4', 'safetensors', 'zstandard'],
    extras_require={'test': ['pytest']},
    zip_safe=False,
    author='depth_anyevent_ros contributors',
    maintainer='depth_anyevent_ros contributors',
    maintainer_email='depth-anyevent-ros@users.noreply.example',
    description='Dense depth from event cameras, taught by a vision foundation model',
    license='Apache-2.0',
    entry_points={'console_scripts': [f'depth_anyevent = {NAME}.cli.entry:main']},
)
