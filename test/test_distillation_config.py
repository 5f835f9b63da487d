# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Configurations of training: what is read, what is refused, and in which words."""
from pathlib import Path
import subprocess
import sys

import pytest
import yaml

from depth_anyevent_ros.distillation.ablation import ablation_runs, is_ablation, run_ablation
from depth_anyevent_ros.distillation.strict_mapping import ConfigError, load_yaml, override
from depth_anyevent_ros.distillation.training_config import (
    changed_keys, read_training_config, training_config, with_assignments)

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / 'config' / 'training'
CONFIGS = sorted(path for path in FOLDER.glob('*.yaml') if not is_ablation(path))
LEAST = {'name': 'x', 'data': {'train': ['a']}, 'network': {'preset': 'tiny-r'},
         'stages': [{'height': 70, 'width': 84, 'steps': 10}]}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.name)
def test_every_file_is_read_and_read_back(path):
    config = read_training_config(path)
    assert training_config(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def test_the_input_is_that_of_the_last_stage_and_channels_follow_it():
    config = training_config({**LEAST, 'input': {'representation': 'voxel'}, 'stages': [
        {'height': 70, 'width': 84, 'steps': 10}, {'height': 140, 'width': 182, 'steps': 5}]})
    assert (config.input.height, config.input.width) == (140, 182)
    assert config.network.channels == 5 and config.input.mean == (0,) * 5
    assert config.steps == 15


def test_a_size_of_the_input_that_no_stage_has_is_refused(tmp_path):
    sized = {**LEAST, 'input': {'height': 70, 'width': 84}}
    assert training_config(sized) == training_config(LEAST)
    with pytest.raises(ConfigError, match='input.width is 98, but the last of the stages says 84'):
        training_config({**LEAST, 'input': {'width': 98}})
    with pytest.raises(ConfigError, match='input.height is 140'):
        training_config(with_assignments(LEAST, ['input.height=140']))
    # The config.yaml of a run has both.
    again = with_assignments(sized, ['stages.0.height=98'])
    assert training_config(again).input.height == 98
    sized = {**sized, 'data': {'train': ['a'], 'validation': ['b']}, 'ablation': {'axes': {
        'size': {'given': {}, 'large': {'stages.0.height': 98}}}}}
    (tmp_path / 'ablation.yaml').write_text(yaml.safe_dump(sized))
    assert [config.input.height for _, config in ablation_runs(tmp_path / 'ablation.yaml', [])] \
        == [70, 98]


def test_a_run_of_an_earlier_version_is_not_another_one():
    config = training_config(LEAST)
    former = config.to_dict()
    del former['network']['noise_filter'], former['augmentation']['standstill_frames']
    assert changed_keys(config, former) == []
    assert changed_keys(config, {**former, 'precision': 'bf16'}) == []
    former['network']['features'] = 16
    assert changed_keys(config, {**former, 'output': 'elsewhere'}) == ['network.features']


def test_a_run_may_go_on_with_another_number_of_processes_that_load():
    former = training_config(LEAST).to_dict()
    data = {**LEAST['data'], 'processes': 4}
    assert changed_keys(training_config({**LEAST, 'data': data}), former) == []
    data['validation'] = ['more']
    assert changed_keys(training_config({**LEAST, 'data': data}), former) == ['data.validation']


def test_assignments_go_before_the_file():
    path = FOLDER / 'student.yaml'
    config = read_training_config(path, ['seed=7', 'stages.0.steps=3', 'network.features=16',
                                         'data.train=[x, y]'])
    assert config.seed == 7 and config.stages[0].steps == 3
    assert config.network.features == 16 and config.data.train == ('x', 'y')


@pytest.mark.parametrize('assignments', [
    ['network.preset=tiny', 'network.features=16'],
    ['network.features=16', 'network.preset=tiny']])
def test_a_preset_that_is_assigned_goes_before_every_key_of_the_file(tmp_path, assignments):
    path, values = tmp_path / 'config.yaml', training_config(LEAST).to_dict()
    assert values['network']['recurrent_levels']
    path.write_text(yaml.safe_dump(values))
    expected = training_config({**LEAST, 'network': {'preset': 'tiny', 'features': 16}})
    assert read_training_config(path, assignments) == expected
    # In a file keys change what its preset says.
    path.write_text(yaml.safe_dump({**values, 'network': {'preset': 'tiny', 'features': 16}}))
    assert read_training_config(path) == expected


@pytest.mark.parametrize('assignments, words', [
    (['optimiser.weight_decay=0.1'], 'optimiser.*did you mean optimizer'),
    (['optimizer.weight_decai=0.1'], 'did you mean optimizer.weight_decay'),
    (['stages.0.heigth=70'], 'stages.0.heigth.*did you mean stages.0.height'),
    (['stages.0.height=72'], 'multiple of 14 pixels, not 72: use 70 or 84'),
    (['stages.9.steps=1'], 'no item of a list of 1'),
    (['seed'], 'expected key=value'),
    (['seed=[1'], 'no YAML'),
    (['loss={log: 0, gradient: 1, log: 1}'], 'the key log is given twice'),
    (['seed=-1'], 'seed must be an integer'),
    (['name.x=1'], 'no keys below a single value'),
    (['network.preset=huge'], 'preset must be one of'),
    (['network.features=31'], 'features must be even'),
    (['network.channels=5'], 'set network.channels to 3'),
    (['loss.alignment=median'], 'loss.alignment must be one of frame, clip'),
    (['data.labels=teacher='], "'teacher=FILE'"),
    (['data.train=[]'], 'data.train must name one'),
    (['stages=[]'], 'one stage'),
    (['name=a/b'], 'letters, digits'),
    (['augmentation.flip=1'], 'true or false'),
    (['input={representation: rgb}', 'augmentation.polarity_swap=true'], 'for events'),
    (['input={representation: rgb}', 'augmentation.event_dropout=0.2'], 'for events'),
    (['input={representation: rgb}', 'augmentation.event_noise=0.2'], 'for events'),
    (['augmentation.event_noise=1'], 'augmentation.event_noise'),
    (['augmentation.gain=0.3'], 'for pictures, but the input is tencode'),
    (['input={representation: voxel}', 'augmentation.gain=0.3'], 'the input is voxel'),
    (['input={background: white}'], 'background must be black for training, not white'),
    (['augmentation.zoom=0.5'], 'augmentation.zoom'),
    (['augmentation.zoom=much'], "must be a number from 1 to 4, not 'much'"),
    (['augmentation.zoom=nan'], 'must be a number from 1 to 4, not nan'),
    (['loss.sky_below=0.0125', 'data.labels=teacher=t.safetensors'], 'labels have no unit'),
    (['loss.log=1'], 'needs loss.sky_below'),
    (['network={preset: vits, max_depth: 80.0, activation: sigmoid}'], 'max_depth'),
    (['precision=int8'], 'precision must be'),
])
def test_what_is_wrong_is_said(assignments, words):
    with pytest.raises(ConfigError, match=words):
        training_config(override(LEAST, assignments))


def test_numbers_need_no_point():
    config = training_config(override(LEAST, [
        'stages.0.learning_rate=1e-3', 'loss.gradient=5e-1', 'network.depth_scale=3e-1',
        'input.std=[0.1, 2e-1, 0.3]']))
    assert config.input.std == (0.1, 0.2, 0.3)
    assert config.stages[0].learning_rate == 1e-3
    assert (config.loss.gradient, config.network.depth_scale) == (0.5, 0.3)


def test_a_key_that_is_given_twice_is_told_with_its_line(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text(yaml.safe_dump({**LEAST, 'seed': 4}) + 'seed: 5\n')
    line = len(path.read_text().splitlines())
    with pytest.raises(ConfigError, match=f'(?s)config.yaml .*key seed is given twice.* {line},'):
        read_training_config(path)
    merged = load_yaml('a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}')
    assert (merged['b'], merged['c']) == ({'x': 3, 'y': 2}, {'x': 3, 'y': 4})


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match='lacks name'):
        training_config({key: LEAST[key] for key in LEAST if key != 'name'})


def test_a_configuration_is_read_without_torch():
    code = ('import sys; from depth_anyevent_ros.distillation.training_config import '
            'read_training_config as r; r(sys.argv[1]); sys.exit("torch" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', code, str(CONFIGS[0])], cwd=ROOT).returncode == 0


def test_the_ablation_is_every_combination_after_its_teacher(tmp_path):
    path = FOLDER / 'ablation.yaml'
    runs = ablation_runs(path, ['output=o', 'seed=3'])
    names = [config.name for _, config in runs]
    assert names[0] == 'teacher' and len(set(names)) == len(runs) == 9
    by_name = {config.name: config for _, config in runs}
    config = by_name['recurrent-voxel-proxy']
    assert config.data.teacher == str(Path(by_name['teacher'].output, 'teacher.safetensors'))
    assert config.network.recurrent and config.network.channels == 5 and config.seed == 3
    assert not by_name['vanilla-tencode-truth'].network.recurrent

    def train(config, resume):
        trained.append(config.name)
        Path(config.output).mkdir(parents=True, exist_ok=True)
        Path(config.output, 'config.yaml').write_text(yaml.safe_dump(config.to_dict()))
        validation = dict.fromkeys(('abs_rel', 'ratio', 'rmse_log', 'delta1'), 0.5)
        return {'validation': validation, 'seconds': 1.0}

    trained = []
    result = run_ablation(path, [f'output={tmp_path}'], False, train)
    assert trained == names and len(result['rows']) == 8
    assert (tmp_path / 'table.md').read_text() == result['table']
    assert 'vanilla | tencode | truth | 0.500' in result['table']
    (tmp_path / names[3] / 'result.json').unlink()
    trained.clear()
    assert run_ablation(path, [f'output={tmp_path}'], True, train)['rows'] == result['rows']
    assert trained == [names[3]]


def test_an_ablation_on_labels_of_a_teacher_has_their_only_metric(tmp_path):
    def train(config, resume):
        Path(config.output).mkdir(parents=True, exist_ok=True)
        return {'validation': {'rmse': 0.25}, 'seconds': 1.0}

    result = run_ablation(FOLDER / 'memory.yaml', [f'output={tmp_path}'], False, train)
    assert result['table'].startswith('| memory | seeds | rmse | seconds |')


def test_what_is_assigned_counts_in_every_run_of_an_ablation(tmp_path):
    path = tmp_path / 'ablation.yaml'
    path.write_text(yaml.safe_dump({
        **LEAST, 'data': {'train': ['a'], 'validation': ['b']}, 'network': {
            'preset': 'tiny', 'features': 16, 'depth_scale': 2.0}, 'ablation': {'axes': {
                'memory': {'none': {'network.preset': 'tiny'}, 'some': {
                    'network.preset': 'tiny-r'}}, 'seeds': {'a': {'seed': 1}}}}}))
    found = [config.network for _, config in ablation_runs(path, ['network.features=8'])]
    assert [(one.recurrent, one.features, one.depth_scale) for one in found] == [
        (False, 8, 2.0), (True, 8, 2.0)]


def test_folders_may_begin_with_the_users_own(monkeypatch):
    monkeypatch.setenv('HOME', '/own')
    data = {'train': ['~/a', 'b'], 'validation': '~/c'}
    config = training_config({**LEAST, 'output': '~/run', 'data': data})
    assert config.output == '/own/run' and config.data.validation == ('/own/c',)
    assert config.data.train == ('/own/a', 'b')
    teacher, *others = (config for _, config in ablation_runs(FOLDER / 'ablation.yaml',
                                                              ['output=~/run']))
    assert teacher.output == '/own/run/teacher'
    assert others[1].data.teacher == '/own/run/teacher/teacher.safetensors'


@pytest.mark.parametrize('output', ['', '""', '5'])
def test_the_folder_of_an_ablation_is_a_text(output):
    with pytest.raises(ConfigError, match='output must name a folder'):
        ablation_runs(FOLDER / 'memory.yaml', [f'output={output}'])


def test_values_of_an_axis_have_names(tmp_path):
    values = yaml.safe_load((FOLDER / 'memory.yaml').read_text())
    values['ablation']['axes']['flip'] = {True: {}, False: {'augmentation.flip': False}}
    path = tmp_path / 'ablation.yaml'
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match='axes.flip must have names.*quotation marks'):
        ablation_runs(path)


@pytest.mark.parametrize('plan, words', [
    ({'axes': None}, 'axes must have names'),
    ({'axes': {}}, 'must have axes'),
    ({'axes': {'a': {}}}, 'must have axes'),
    ({'axes': {'a': ['x']}}, 'axes.a must have names'),
    ({'axes': {True: {'x': None}}}, 'axes must have names'),
    ({'axes': {'a': {'x': 1}}}, r'axes.a.x must be the keys .*, not 1\.'),
    ({'axes': {'a': {'x': 'seed=1'}}}, "not 'seed=1'"),
    ({'axes': {'a': {'x': None}}, 'before': [{'seed': 1}]}, 'before must have names'),
    ({'axes': {'a': {'x': None}}, 'before': {'y': 3}}, 'before.y must be the keys'),
    ({'axes': {'a': {'x': None}}, 'before': {'x': None}}, 'Two runs .* are called x:'),
    ({'axes': {'a': {'x-y': None, 'x': None}, 'b': {'z': None, 'y-z': None}}}, 'called x-y-z:'),
    ({'axes': {'a': {'x': None, 'y': {'seed': 1}}, 'b': {'z': {'seed': 2}}}},
     'axes.a sets seed and ablation.axes.b seed'),
    ({'axes': {'a': {'x': {'loss': {}}}, 'b': {'z': {'loss.temporal': 2}}}},
     'axes.a sets loss and ablation.axes.b loss.temporal'),
    ({'axes': {'ratio': {'x': None}}}, 'axes.ratio is called like a column'),
    ({'axes': {'seconds': {'x': None}}}, 'axes.seconds is called like a column'),
    ({'axes': {'a': {'x': {'name': 'y'}}}}, 'axes.a.x sets name'),
    ({'axes': {'a': {'x': None}}, 'before': {'y': {'output': 'z'}}}, 'before.y sets output'),
])
def test_an_ablation_that_cannot_be_one_is_refused(tmp_path, plan, words):
    path = tmp_path / 'ablation.yaml'
    path.write_text(yaml.safe_dump({
        **LEAST, 'data': {'train': ['a'], 'validation': ['b']}, 'ablation': plan}))
    with pytest.raises(ConfigError, match=words):
        ablation_runs(path)


def test_axes_may_set_keys_side_by_side(tmp_path):
    path, data = tmp_path / 'ablation.yaml', {'train': ['a'], 'validation': ['b']}
    axes = {'a': {'x': {'loss.gradient': 1.0}}, 'b': {'y': {'loss.temporal': 0.2}, 'z': None}}
    path.write_text(yaml.safe_dump({
        **LEAST, 'data': data, 'ablation': {'before': None, 'axes': axes}}))
    losses = [config.loss for _, config in ablation_runs(path)]
    assert [(loss.gradient, loss.temporal) for loss in losses] == [(1.0, 0.2), (1.0, 0.0)]


def test_what_a_memory_is_worth_is_asked_of_three_seeds():
    runs = ablation_runs(FOLDER / 'memory.yaml')
    assert sorted((chosen['memory'], config.seed) for chosen, config in runs) == [
        (name, seed) for name in ('recurrent', 'vanilla') for seed in range(3)]
    for chosen, config in runs:
        assert config.network.recurrent == (chosen['memory'] == 'recurrent')


def test_an_ablation_is_checked_before_it_begins():
    with pytest.raises(ConfigError, match='did you mean ablation.axes'):
        ablation_runs(FOLDER / 'ablation.yaml', ['ablation.axis={}'])
    with pytest.raises(ConfigError, match='data.validation'):
        ablation_runs(FOLDER / 'ablation.yaml', ['data.validation=[]'])
