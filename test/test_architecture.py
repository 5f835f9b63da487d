# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The walls between the parts: the core knows no ROS, and torch stays where it is needed."""
import ast
from pathlib import Path
import subprocess
import sys

PACKAGE = Path(__file__).resolve().parents[1] / 'depth_anyevent_ros'
ROS = {'rclpy', 'launch', 'launch_ros', 'ament_index_python', 'cv_bridge', 'message_filters',
       'tf2_ros', 'image_geometry', 'diagnostic_updater', 'rcl_interfaces'}


def imports(path):
    """Return the top-level names of all modules that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split('.')[0])
            if node.module.startswith('depth_anyevent_ros.nodes'):
                names.add('nodes')
    return names


def is_ros(name):
    return name in ROS or name.endswith('_msgs') or name.endswith('_srvs') \
        or name.endswith('_interfaces')


def test_only_the_nodes_import_ros():
    found = {str(path.relative_to(PACKAGE)): sorted(filter(is_ros, imports(path)))
             for path in PACKAGE.rglob('*.py') if 'nodes' not in path.relative_to(PACKAGE).parts}
    # doctor asks whether rclpy is there; that is its purpose.
    assert {path: names for path, names in found.items() if names} == {
        'cli/doctor.py': ['rclpy']}


def test_only_doctor_reaches_from_the_core_into_the_nodes():
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob('*.py')
             if 'nodes' not in path.relative_to(PACKAGE).parts and 'nodes' in imports(path)}
    assert found == {'cli/doctor.py'}


def test_help_waits_for_no_torch():
    code = ('import sys; from depth_anyevent_ros.cli.main import execute\n'
            'try: execute(["--help"])\nexcept SystemExit: pass\n'
            'sys.exit(any(n in sys.modules for n in ("torch", "numba", "rclpy")))')
    assert subprocess.run([sys.executable, '-c', code], cwd=PACKAGE.parent,
                          stdout=subprocess.DEVNULL).returncode == 0


def test_docs_list_every_parameter_and_topic():
    from depth_anyevent_ros.nodes import topics
    from depth_anyevent_ros.nodes.parameters import (
        DISTILLATION_PARAMETERS, INFERENCE_PARAMETERS, LABEL_RECORDER_PARAMETERS,
        REPLAY_PARAMETERS)
    text = (PACKAGE.parent / 'docs' / 'nodes.md').read_text()
    for parameter in (INFERENCE_PARAMETERS + DISTILLATION_PARAMETERS + REPLAY_PARAMETERS
                      + LABEL_RECORDER_PARAMETERS):
        assert f'`{parameter.name}`' in text and parameter.description in text, parameter.name
    for topic in (topics.INFERENCE_INPUTS + topics.INFERENCE_OUTPUTS
                  + topics.DISTILLATION_INPUTS + topics.DISTILLATION_OUTPUTS
                  + topics.LABEL_RECORDER_INPUTS):
        assert f'`{topic}`' in text, topic
