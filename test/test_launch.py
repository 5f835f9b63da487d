# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Launch files, their configuration and RViz's name only what exists.

Almost all of these read the files without importing launch, which no wheel has.
"""
from __future__ import annotations

import ast
import json
from pathlib import Path
import runpy
import subprocess
import sys
from unittest.mock import MagicMock
from xml.etree import ElementTree

import pytest
import yaml

from depth_anyevent_ros.malloc import KEEP_BELOW, TRIM_ABOVE
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.parameters import (
    DISTILLATION_PARAMETERS, INFERENCE_PARAMETERS, REPLAY_PARAMETERS)

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
TREES = {file.name: ast.parse(file.read_text(encoding='utf-8')) for file in FILES}
SHARED = ast.parse((ROOT / 'launch' / 'shared_arguments.py').read_text(encoding='utf-8'))
RVIZ_PLUGINS = {f'rviz_default_plugins/{name}' for name in (
    'Grid', 'Image', 'PointCloud2', 'TF', 'Orbit', 'Interact', 'MoveCamera', 'Select',
    'FocusCamera', 'Measure')} | {f'rviz_common/{name}' for name in ('Displays', 'Views', 'Time')}


@pytest.fixture(scope='module')
def installed() -> set[str]:
    """Return the files that setup.py installs, relative to the prefix."""
    # In a process of its own, as setuptools takes no distutils that was there before it.
    ask = ('import json, setuptools; from distutils.core import run_setup; '
           'print(json.dumps(run_setup("setup.py", stop_after="init").data_files))')
    printed = subprocess.run([sys.executable, '-c', ask], cwd=ROOT, check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    return {f'{target}/{Path(file).name}' for target, files in json.loads(printed.splitlines()[-1])
            for file in files}


def calls(tree: ast.AST, *names: str):
    """Yield the calls of functions with these names, each with its keywords as a dict."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) \
                and node.func.id in names:
            yield node, {keyword.arg: keyword.value for keyword in node.keywords}


def nodes_of(tree: ast.AST):
    """Yield the keywords of the calls that start an executable."""
    for _, keywords in calls(tree, 'Node', 'LifecycleNode', '_node'):
        if 'executable' in keywords:
            yield keywords


def arguments_of(tree: ast.AST) -> dict[str, dict]:
    """Return the keywords of the declared launch arguments by name, shared ones among them."""
    called = {node.func.slice.value for node in ast.walk(tree) if isinstance(node, ast.Call)
              and isinstance(node.func, ast.Subscript) and node.func.value.id == 'shared'}
    parts = [tree, *(part for part in SHARED.body
                     if isinstance(part, ast.FunctionDef) and part.name in called)]
    return {node.args[0].value: keywords for part in parts
            for node, keywords in calls(part, 'DeclareLaunchArgument')}


def constant(tree: ast.Module, name: str):
    """Return the literal that a module assigns to a name."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == name:
            return ast.literal_eval(statement.value)
    raise LookupError(name)


def overrides(tree: ast.Module) -> dict:
    """Return OVERRIDES of a launch file, with the names of types for types."""
    value = next(statement.value for statement in tree.body if isinstance(statement, ast.Assign)
                 and statement.targets[0].id == 'OVERRIDES')
    return _read(value)


def _read(value: ast.AST):
    if isinstance(value, ast.Dict):
        found = {}
        for key, item in zip(value.keys, value.values):  # without a key: **shared['OVERRIDES']
            found |= overrides(SHARED) if key is None else {key.value: _read(item)}
        return found
    return [_read(item) for item in value.elts] if isinstance(value, ast.Tuple) else \
        getattr(value, 'value', None) or value.id


def flatten(section: dict, prefix: str = '') -> dict[str, object]:
    """Return nested parameters under their dotted names."""
    flat = {}
    for name, value in section.items():
        flat |= flatten(value, f'{prefix}{name}.') if isinstance(value, dict) \
            else {prefix + name: value}
    return flat


def test_there_are_launch_files():
    assert {'infer.launch.py', 'distill.launch.py', 'drone.launch.py', 'car.launch.py',
            'demo.launch.py', 'label.launch.py', 'visualize.launch.py',
            'transport.launch.py'} <= set(TREES)


@pytest.mark.parametrize('tree', [*TREES.values(), SHARED], ids=[*TREES, 'shared'])
def test_launch_files_import_only_launch(tree):
    imported = {alias.name.split('.')[0] for node in ast.walk(tree)
                if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.split('.')[0] for node in ast.walk(tree)
                 if isinstance(node, ast.ImportFrom)}
    assert imported <= {'__future__', 'os', 'runpy', 'ament_index_python', 'launch', 'launch_ros'}


@pytest.mark.parametrize('name', TREES)
def test_arguments_are_described_and_have_defaults(name):
    for argument, keywords in arguments_of(TREES[name]).items():
        assert 'default_value' in keywords, argument
        assert keywords['description'].value.endswith('.'), argument


@pytest.mark.parametrize('name', TREES)
def test_arguments_that_are_read_are_declared(name):
    read = {node.args[0].value for node, _ in calls(TREES[name], 'LaunchConfiguration')
            if isinstance(node.args[0], ast.Constant)}
    declared = set(arguments_of(TREES[name]))
    if name in ('distill.launch.py', 'demo.launch.py'):  # which includes the other
        declared |= set(arguments_of(TREES['infer.launch.py']))
    assert read <= declared


def test_arguments_of_the_contract():
    assert set(arguments_of(TREES['infer.launch.py'])) >= {
        'namespace', 'events', 'camera_info', 'checkpoint', 'device', 'params_file',
        'use_sim_time', 'autostart', 'log_level', 'rviz', 'bag'}
    assert constant(SHARED, 'EVENTS') == '/event_camera/events'
    assert constant(SHARED, 'CAMERA_INFO') == '/event_camera/camera_info'


@pytest.mark.parametrize('name', TREES)
def test_executables_are_installed(name, installed):
    for keywords in nodes_of(TREES[name]):
        executable, package = keywords['executable'].value, keywords.get('package')
        if package is None or getattr(package, 'id', '') == 'PACKAGE':
            launcher = ROOT / 'scripts' / 'launchers' / executable
            assert f'lib/depth_anyevent_ros/{executable}' in installed
            assert launcher.stat().st_mode & 0o111, f'{launcher} is not executable'
        else:
            assert (package.value, executable) == ('rviz2', 'rviz2')


@pytest.mark.parametrize('name', TREES)
def test_files_are_installed(name, installed):
    used = {'/'.join(part.value for part in node.args[1:])
            for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)
            and ast.unparse(node).startswith('os.path.join(SHARE,')
            and all(isinstance(part, ast.Constant) for part in node.args[1:])}
    used |= {f'launch/{node.args[0].value}' for node, _ in calls(TREES[name], '_include')}
    for file in used | {f'launch/{name}'}:
        path = f'share/depth_anyevent_ros/{file}'
        assert path in installed or any(other.startswith(f'{path}/') for other in installed)


def test_parameters_exist():
    tree = TREES['infer.launch.py']
    tables = {'inference': INFERENCE_PARAMETERS, 'replay': REPLAY_PARAMETERS}
    assert {keywords['name'].value for keywords in nodes_of(tree)} == set(tables)
    assert set(overrides(tree)) == set(tables)
    declared = arguments_of(tree)
    for node, kinds in overrides(tree).items():
        table = {parameter.name: parameter for parameter in tables[node]}
        for name, kind in kinds.items():
            assert type(table[name].default).__name__ == kind
            # Not empty by default, it would hide what params_file says.
            assert declared[name]['default_value'].value == ''
    # Any other parameter that is set here is one that every node has.
    set_here = {key.value for keywords in nodes_of(tree)
                if isinstance(keywords['parameters'], ast.Dict)
                for key in keywords['parameters'].keys if key is not None}
    assert set_here == {'use_sim_time'}


@pytest.mark.parametrize('name, set_by_itself', [
    ('distill.launch.py', {'work_dir', 'weights_dir'}),
    ('label.launch.py', {'mode', 'label.rate_hz'})])
def test_parameters_of_the_distillation_node_exist(name, set_by_itself):
    tree = TREES[name]
    table = {parameter.name: parameter for parameter in DISTILLATION_PARAMETERS}
    declared = arguments_of(tree)
    if name == 'distill.launch.py':
        declared |= arguments_of(TREES['infer.launch.py'])
    found = overrides(tree)
    assert set(found) >= {'camera_info_url', 'teacher', 'teacher_device', 'registration'}
    for argument, (parameter, kind) in found.items():
        assert type(table[parameter].default).__name__ == kind
        assert declared[argument]['default_value'].value == ''
    node = next(keywords for keywords in nodes_of(tree)
                if keywords['executable'].value == 'distillation_node')
    set_here = {key.value for key in node['parameters'].elts[-1].keys if key is not None}
    assert set_here - {'use_sim_time'} == set_by_itself <= set(table)
    remapped = [pair.elts[0].value for pair in node['remappings'].elts]
    assert set(remapped) == set(topics.DISTILLATION_INPUTS) - {topics.TEACHER}


@pytest.mark.parametrize('given, in_file, expected', [
    ('', '', '2'), ('', '{wait_for_subscribers: 3}', '3'),
    ('4', '{wait_for_subscribers: 3}', '4')])
def test_a_bag_begins_when_both_nodes_of_distill_launch_listen(monkeypatch, tmp_path, given,
                                                               in_file, expected):
    # Stand for launch, which only has to carry what the file settles.
    for name in ('ament_index_python.packages', 'launch', 'launch.actions',
                 'launch.launch_description_sources', 'launch.substitutions', 'launch_ros.actions',
                 'launch_ros.parameter_descriptions'):
        for module in (name.split('.')[0], name):
            monkeypatch.setitem(sys.modules, module, MagicMock())
    sys.modules['ament_index_python.packages'].get_package_share_directory.return_value = str(ROOT)
    sys.modules['launch.actions'].SetLaunchConfiguration = lambda name, value: (name, value)
    settle = runpy.run_path(str(ROOT / 'launch' / 'distill.launch.py'))['_settle']
    file = tmp_path / 'parameters.yaml'
    file.write_text(f'/robot1/replay: {{ros__parameters: {in_file}}}\n' if in_file else '')
    context = MagicMock(launch_configurations={
        'params_file': str(file), 'work_dir': '', 'weights_dir': '', 'namespace': 'robot1',
        **({'wait_for_subscribers': given} if given else {})})
    assert dict(settle(context))['wait_for_subscribers'] == expected


@pytest.mark.parametrize('file, node, table', [
    ('inference', 'inference', INFERENCE_PARAMETERS), ('inference', 'replay', REPLAY_PARAMETERS),
    ('distillation', 'distillation', DISTILLATION_PARAMETERS)])
def test_parameter_files_list_every_parameter_with_its_default(file, node, table):
    config = yaml.safe_load((ROOT / 'config' / f'{file}.yaml').read_text(encoding='utf-8'))
    values = flatten(config[f'/**/{node}']['ros__parameters'])
    expected = {p.name: list(p.default) if isinstance(p.default, tuple) else p.default
                for p in table}
    assert values == expected
    # rclpy refuses an integer for a float, and 10 == 10.0 here.
    assert {k: type(v) for k, v in values.items()} == {k: type(v) for k, v in expected.items()}


@pytest.mark.parametrize('file, nodes', [('inference', {'/**/inference', '/**/replay'}),
                                         ('distillation', {'/**/distillation'})])
def test_parameter_files_have_no_other_nodes_and_comments_on_every_parameter(file, nodes):
    text = (ROOT / 'config' / f'{file}.yaml').read_text(encoding='utf-8')
    assert set(yaml.safe_load(text)) == nodes
    before = ''
    for line in text.splitlines():
        if line.startswith('    ') and not line.endswith(':') and '#' not in line:
            assert before.lstrip().startswith('#'), f'no comment above: {line}'
        before = line


@pytest.mark.parametrize('file', sorted((ROOT / 'config' / 'platforms').glob('*.yaml')),
                         ids=lambda file: file.stem)
def test_platforms_set_parameters_that_exist_to_something_else(file):
    tables = {'/**/inference': INFERENCE_PARAMETERS, '/**/distillation': DISTILLATION_PARAMETERS}
    text = file.read_text(encoding='utf-8')
    others = [flatten(yaml.safe_load(other.read_text(encoding='utf-8')))
              for other in file.parent.glob('*.yaml') if other != file]
    for node, section in yaml.safe_load(text).items():
        table = {parameter.name: parameter for parameter in tables[node]}
        for name, value in flatten(section['ros__parameters']).items():
            assert type(value) is type(table[name].default), name
            low, high = table[name].bounds or (value, value)
            assert low <= value <= high
            # Else it need not stand there.
            assert value != table[name].default or any(
                other.get(f'{node}.ros__parameters.{name}', value) != value for other in others)


def test_platforms_have_a_launch_file_each():
    for file in (ROOT / 'config' / 'platforms').glob('*.yaml'):
        assert f"'platform': '{file.stem}'" in (
            ROOT / 'launch' / f'{file.stem}.launch.py').read_text(encoding='utf-8')


def test_remapped_topics_exist():
    pairs = {keywords['name'].value: [(ast.unparse(pair.elts[0]), pair.elts[1].id)
                                      for pair in keywords['remappings'].elts]
             for keywords in nodes_of(TREES['infer.launch.py'])}
    inputs = [topics.EVENTS, topics.CAMERA_INFO]
    assert set(inputs) <= set(topics.INFERENCE_INPUTS)
    # The arguments, and the variables that hold their values, are named as the topics are.
    assert pairs['inference'] == list(zip(map(repr, inputs), inputs))
    assert pairs['replay'] == list(zip(["shared['EVENTS']", "shared['CAMERA_INFO']"], inputs))


def test_transport_settings():
    malloc = constant(TREES['transport.launch.py'], 'MALLOC')
    # mallopt is not called where these are set, so they must say the same.
    assert int(malloc['MALLOC_MMAP_THRESHOLD_']) == KEEP_BELOW
    assert int(malloc['MALLOC_TRIM_THRESHOLD_']) == TRIM_ABOVE


def test_transport_profile_holds_large_messages_and_reaches_other_machines():
    profiles = ElementTree.parse(ROOT / 'config' / 'fastdds.xml').getroot()
    text = {part.tag.split('}')[1]: part.text for part in profiles.iter()}
    kinds = {part.text for part in profiles.iter() if part.tag.endswith('}type')}
    assert kinds == {'SHM', 'UDPv4'}
    assert int(text['segment_size']) > 2 * 1280 * 720 * 4  # two depth images of an HD sensor
    participant = next(part for part in profiles.iter() if part.tag.endswith('}participant'))
    assert participant.get('is_default_profile') == 'true'


def rviz(name: str) -> dict:
    """Return a configuration of RViz."""
    return yaml.safe_load((ROOT / 'config' / 'rviz' / name).read_text(encoding='utf-8'))


@pytest.mark.parametrize('name', ['depth.rviz', 'distill.rviz'])
def test_rviz_uses_only_its_default_plugins(name):
    manager = rviz(name)['Visualization Manager']
    used = {part['Class'] for part in [*rviz(name)['Panels'], *manager['Displays'],
                                       *manager['Tools'], manager['Views']['Current']]}
    assert used <= RVIZ_PLUGINS


@pytest.mark.parametrize('name, shown', [
    ('depth.rviz', [topics.VISUALIZATION, topics.POINTS]),
    ('distill.rviz', [topics.IMAGE, topics.PROXY_LABEL, topics.VISUALIZATION,
                      topics.EVENTS_PICTURE, topics.POINTS])])
def test_rviz_shows_topics_of_the_nodes(name, shown):
    found = [display['Topic'] for display in rviz(name)['Visualization Manager']['Displays']
             if 'Topic' in display]
    assert [topic['Value'] for topic in found] == shown
    outputs = {*topics.INFERENCE_OUTPUTS, *topics.DISTILLATION_OUTPUTS}
    for topic in found:
        # Best effort hears cameras of either kind.
        assert topic['Reliability Policy'] == (
            'Reliable' if topic['Value'] in outputs else 'Best Effort')


@pytest.mark.parametrize('name', ['depth.rviz', 'distill.rviz'])
def test_rviz_frame_and_colours_are_steady(name):
    manager = rviz(name)['Visualization Manager']
    frame = arguments_of(TREES['visualize.launch.py'])['fixed_frame']['default_value'].value
    assert manager['Global Options']['Fixed Frame'] == frame
    cloud = next(d for d in manager['Displays'] if d['Name'] == 'Points')
    assert cloud['Autocompute Value Bounds']['Value'] is False


@pytest.mark.parametrize('name', TREES)
def test_launch_reads_every_file(name):
    pytest.importorskip('launch_ros', reason='comes with a ROS 2, not with wheels')
    from ament_index_python.packages import get_package_share_directory
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    installed = Path(get_package_share_directory('depth_anyevent_ros')) / 'launch' / name
    description = get_launch_description_from_python_launch_file(str(installed))
    own = {argument.name for argument in description.get_launch_arguments()}
    assert set(arguments_of(TREES[name])) <= own
