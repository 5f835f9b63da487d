# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `train`: what it prints and refuses."""
import json

import pytest
from tiny_sequences import write_sequence
import yaml

from depth_anyevent_ros.cli.main import execute

CONFIG = {'name': 'tiny', 'threads': 1, 'network': {'preset': 'tiny-r', 'features': 16},
          'stages': [{'height': 70, 'width': 84, 'steps': 2, 'lanes': 1, 'clip': 2}],
          'validation': {'frames': 2}}


@pytest.fixture
def config(tmp_path, torch_settings):
    """Return a configuration file whose sequences lie beside it."""
    write_sequence(tmp_path / 'data' / 's', 0, labels=6)
    path = tmp_path / 'config.yaml'
    path.write_text(yaml.safe_dump({
        **CONFIG, 'output': str(tmp_path / 'run'),
        'data': {'train': [str(tmp_path / 'data')], 'validation': [str(tmp_path / 'data')]}}))
    return str(path)


def test_train_makes_a_checkpoint_and_says_what_was_reached(config, tmp_path, capsys):
    assert execute(['train', config, '--json', str(tmp_path / 'result.json')]) == 0
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['steps'] == 2 and result['validation']['abs_rel'] > 0
    assert result['checkpoint'] == str(tmp_path / 'run' / 'tiny.safetensors')
    assert 'tiny.safetensors: 2 steps' in capsys.readouterr().out
    assert execute(['train', config]) == 1
    assert '--resume' in capsys.readouterr().err
    assert execute(['train', config, '--resume']) == 0


@pytest.mark.parametrize('arguments, words', [
    (['stages.0.height=71'], 'use 70 or 84'),
    (['lerning_rate=1'], 'There is no key lerning_rate'),
    (['data.train=[nowhere]'], 'nowhere does not exist'),
    (['stages.0.clip=20', 'augmentation.strides=[1]'], 'the longest has 6'),
    (['input.representation=rgb', 'input.placement=rows'], 'grid, resize'),
    (['--resume'], 'nothing to resume'),
    (['init=nothing.safetensors'], 'does not exist'),
])
def test_mistakes_are_told_in_a_sentence(config, arguments, words, capsys):
    assert execute(['train', config, *arguments]) == 1
    said = capsys.readouterr().err
    assert words in said and 'Traceback' not in said


@pytest.mark.parametrize('words', [
    ['--resume', 'output={}/new', 'seed=1'], ['output={}/new', '--resume', 'seed=1'],
    ['--json', '{}/o.json', 'output={}/new', '--resume', 'seed=1']])
def test_assignments_may_come_after_options(config, tmp_path, words, capsys):
    assert execute(['train', config, *(word.format(tmp_path) for word in words)]) == 1
    assert 'new/state.safetensors does not exist' in capsys.readouterr().err


def test_an_unknown_option_is_told_with_the_usage_of_the_command(config, capsys):
    with pytest.raises(SystemExit) as end:
        execute(['train', config, '--resumed', 'seed=1'])
    said = capsys.readouterr().err
    assert end.value.code == 2 and 'unrecognized arguments: --resumed' in said
    assert said.startswith('usage: depth_anyevent train') and 'CONFIG [key=value ...]' in said


def test_an_ablation_is_one_command(config, tmp_path, capsys):
    values = yaml.safe_load((tmp_path / 'config.yaml').read_text())
    values['ablation'] = {'axes': {
        'memory': {'vanilla': {'network.recurrent_levels': []}, 'recurrent': None}}}
    (tmp_path / 'config.yaml').write_text(yaml.safe_dump(values))
    assert execute(['train', config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in lines[-2:]} == {'vanilla', 'recurrent'}
    assert (tmp_path / 'run' / 'table.md').exists()
    assert execute(['train', config, '--resume']) == 0
    assert execute(['train', config, 'seed=1', '--resume']) == 1
    assert 'another seed' in capsys.readouterr().err
    assert execute(['train', config, 'precision=fp32', '--resume']) == 1
    assert 'another precision' in capsys.readouterr().err
