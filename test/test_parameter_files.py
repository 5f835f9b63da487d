# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files as launch files read them, beside rcl itself."""
from pathlib import Path
import runpy

import pytest

FUNCTIONS = runpy.run_path(Path(__file__).resolve().parents[1] / 'launch' / 'parameter_files.py')
parameter_file, value_for = FUNCTIONS['parameter_file'], FUNCTIONS['value_for']
SECTIONS = ('/robot2/distillation', 'robot2/distillation', 'distillation', '/**', '**', '*', '/*',
            '/**/distillation', '**/distillation', '/*/distillation', '/robot2/*', '/robot2/**',
            '/robot2/**/distillation', '/robot1/distillation', '/**/inference')


def section(name, value):
    return f'"{name}": {{ros__parameters: {{work_dir: {value}, mode: label}}}}\n'


# Read since the rcl of Kilted, refused before it: there no node starts with it.
REPEATED = '/**: {ros__parameters: {work_dir: a}, ros__parameters: {mode: label}}\n'
# What the files hold, one text for each.
FILES = [
    *[(section(name, 'x'),) for name in SECTIONS],
    (section('/**/distillation', 'all') + section('/robot2/distillation', 'own'),),
    (section('/robot2/distillation', 'own') + section('/**/distillation', 'all'),),
    (section('/robot2/distillation', 'own'), section('/**', 'platform')),
    (section('/**', 'a') + section('/robot2/distillation', 'own'), section('/**', 'platform')),
    (section('/**', 'a'), section('/robot2/distillation', 'own')),
    ('robot2: {distillation: {ros__parameters: {work_dir: nested}}}\n',),
    ('/**: {distillation: {ros__parameters: {work_dir: nested}}}\n',),
    ('/**: {ros__parameters: {mode: label}}\n',),
    (section('/**', 'a') + '/**: {ros__parameters: {mode: label}}\n',),
    (REPEATED,),
    (section('robot2/distillation', 'a') + section('/**', 'all'),
     section('/robot2/distillation', 'own')),
    ('robot2: {distillation: {ros__parameters: {work_dir: a}}}\n' + section('/**', 'all'),
     section('/robot2/distillation', 'own')),
    *[(section('/**', value),) for value in ('~/rig', '"~"', '"12:30"', "''", '"5"')],
    ('/**:\n  ros__parameters:\n    work_dir: a\t\n',)]


@pytest.mark.ros
@pytest.mark.parametrize('texts', FILES, ids=lambda texts: ' + '.join(texts).replace('\n', ' '))
def test_values_are_those_that_a_node_gets(texts, tmp_path):
    import rclpy
    from ros_graph import DOMAIN
    paths, arguments = [], ['--ros-args']
    for number, text in enumerate(texts):
        paths.append(str(tmp_path / f'{number}.yaml'))
        (tmp_path / f'{number}.yaml').write_text(text)
        arguments += ['--params-file', paths[-1]]
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    try:
        for namespace in '', '/robot2':
            try:
                node = rclpy.create_node(
                    'distillation', namespace=namespace, context=context, cli_args=arguments,
                    automatically_declare_parameters_from_overrides=True,
                    start_parameter_services=False, enable_rosout=False)
            except RuntimeError as error:
                if texts != (REPEATED,) or 'no node names before' not in str(error):
                    raise
                pytest.skip('this rcl refuses ros__parameters twice in one section')
            expected = node.get_parameter('work_dir').value \
                if node.has_parameter('work_dir') else None
            node.destroy_node()
            assert value_for(f'{namespace}/distillation', 'work_dir', paths) == (expected or '')
    finally:
        context.try_shutdown()


@pytest.mark.parametrize('text', ['', '[1, 2]\n', 'a: 3\n', '/**: {ros__parameters: 5}\n'])
def test_a_file_of_something_else_says_nothing(text, tmp_path):
    (tmp_path / 'odd.yaml').write_text(text)
    assert value_for('/distillation', 'work_dir', ['', str(tmp_path / 'odd.yaml')]) == ''


def test_an_argument_wins_or_is_refused(tmp_path):
    file = tmp_path / 'rig.yaml'
    file.write_text(section('/**', 'all') + section('/robot2/distillation', 'own'))
    assert value_for('/robot2/distillation', 'work_dir', [str(file)], 'mine') == 'mine'
    file.write_text(section('/robot2/distillation', 'own') + section('/**', 'all'))
    with pytest.raises(ValueError, match='work_dir:=mine is overruled by all'):
        value_for('/robot2/distillation', 'work_dir', [str(file)], 'mine')


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / 'odd.yaml').write_text('a: [')
    with pytest.raises(ValueError, match='odd.yaml cannot be read'):
        value_for('/distillation', 'work_dir', [str(tmp_path / 'odd.yaml')])


def test_files_are_found_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'car.yaml').write_text('')
    path = str(tmp_path / 'car.yaml')
    assert parameter_file('params_file', '~/car.yaml') == path
    assert parameter_file('platform', 'car', str(tmp_path)) == path
    assert parameter_file('platform', path, '/elsewhere') == path
    assert parameter_file('platform', '', str(tmp_path)) == ''
    for value, folder in (('~', ''), ('car', ''), ('boat', str(tmp_path)), ('~/no.yaml', '')):
        with pytest.raises(FileNotFoundError, match=f'params_file:={value} is not a file'):
            parameter_file('params_file', value, folder)
