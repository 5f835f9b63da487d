# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Build event_camera_msgs for rclpy and rmw_fastrtps with pip and gcc, without CMake.

Generated C, C++ and Python code is compiled into one extension module. AMENT_PREFIX_PATH has to
name the prefix of a ROS 2 (Jazzy or newer) that has the generators and std_msgs.
"""

import os
from pathlib import Path

from ament_index_python import get_package_prefix
import numpy
from rosidl_generator_c.cli import GenerateC
from rosidl_generator_py.cli import GeneratePython
from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NAME = 'event_camera_msgs'
HERE = Path(__file__).resolve().parent
GENERATED = HERE / 'build' / 'generated'
PREFIXES = sorted({Path(get_package_prefix(package)) for package in (
    'std_msgs', 'builtin_interfaces', 'rosidl_runtime_c', 'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_introspection_c', 'rcutils')})


def generate():
    """Write the sources of each type support into a folder of its own, named as its includes."""
    generators = {
        'c': GenerateC('c'),
        'py': GeneratePython('py', typesupport_implementations=['rosidl_typesupport_c']),
        'fastrtps_c': GenerateFastRTPSCTypesupport('fastrtps_c'),
        # The file names of this one are those of GenerateC.
        'introspection_c': GenerateIntrospectionCTypesupport('introspection_c'),
    }
    for folder, generator in generators.items():
        output = GENERATED / folder / NAME
        output.mkdir(parents=True, exist_ok=True)
        generator.generate(
            NAME, [f'{HERE}:msg/EventPacket.idl'], [str(p / 'share') for p in PREFIXES],
            output_path=output)


def include_folders():
    """List the generated folders and, of each ROS prefix, include and include/PACKAGE."""
    folders = [GENERATED / name for name in ('c', 'fastrtps_c', 'introspection_c')]
    for prefix in PREFIXES:
        folders += [prefix / 'include', *sorted((prefix / 'include').glob('*/'))]
    return [str(folder) for folder in folders] + [numpy.get_include()]


def libraries():
    """List what the generated code calls: the libraries of the nested messages and the runtime."""
    nested = [
        f'{package}__{part}'
        for package in ('std_msgs', 'builtin_interfaces')
        for part in ('rosidl_generator_c', 'rosidl_generator_py', 'rosidl_typesupport_c',
                     'rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')]
    return nested + [
        'rosidl_runtime_c', 'rosidl_typesupport_c', 'rosidl_typesupport_fastrtps_c',
        'rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_introspection_c', 'rcutils',
        'fastcdr']


class BuildExtension(build_ext):
    """Compile the C++ sources with a standard that the C sources must not be given."""

    def build_extension(self, ext):
        cpp = [source for source in ext.sources if source.endswith('.cpp')]
        ext.sources = [source for source in ext.sources if source not in cpp]
        ext.extra_objects = self.compiler.compile(
            cpp, output_dir=self.build_temp, include_dirs=ext.include_dirs,
            extra_postargs=['-std=c++17'])
        super().build_extension(ext)


generate()
sources = [
    source for suffix in ('*.c', '*.cpp') for source in sorted(GENERATED.rglob(suffix))]
extension = Extension(
    f'{NAME}.{NAME}_s__rosidl_typesupport_c',
    sources=[os.path.relpath(source, HERE) for source in sources] + ['src/type_support.c'],
    include_dirs=include_folders(),
    library_dirs=[str(prefix / 'lib') for prefix in PREFIXES],
    libraries=libraries(),
    # In a virtual environment of wheels the module lies three folders below the libraries.
    runtime_library_dirs=['$ORIGIN/../../..'] + [str(prefix / 'lib') for prefix in PREFIXES],
    language='c++')

package = GENERATED / 'py' / NAME
(package / '__init__.py').touch()
setup(
    name=NAME,
    version='0.1.0',
    description='event_camera_msgs/EventPacket for a ROS 2 from wheels',
    license='Apache-2.0',
    packages=[NAME, f'{NAME}.msg'],
    package_dir={NAME: os.path.relpath(package, HERE)},
    ext_modules=[extension],
    cmdclass={'build_ext': BuildExtension},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        ('share/ament_index/resource_index/rosidl_interfaces',
         [f'resource/rosidl_interfaces/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/msg', [
            'msg/EventPacket.msg', 'msg/EventPacket.idl',
            os.path.relpath(GENERATED / 'c' / NAME / 'msg' / 'EventPacket.json', HERE)]),
    ],
    zip_safe=False,
)
