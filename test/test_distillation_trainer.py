# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training runs of a few steps: killed and resumed, on a full disk, by a teacher."""
from dataclasses import replace
import errno
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.torch
from tiny_sequences import write_sequence
import torch

from depth_anyevent_ros.distillation import trainer, training_state
from depth_anyevent_ros.distillation.data import changed_sequences
from depth_anyevent_ros.distillation.run_folder import RunFolder
from depth_anyevent_ros.distillation.schedule import learning_rate
from depth_anyevent_ros.distillation.strict_mapping import ConfigError
from depth_anyevent_ros.distillation.trainer import Trainer
from depth_anyevent_ros.distillation.training_config import OPTIMIZERS, training_config
from depth_anyevent_ros.distillation.training_state import TrainingError
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.checkpoint import load_checkpoint

STEPS = 14
pytestmark = pytest.mark.usefixtures('torch_settings')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return a folder with sequences to train and validate on, and some of no use."""
    folder = tmp_path_factory.mktemp('data')
    for seed in range(3):
        write_sequence(folder / 'train' / f's{seed}', seed)
    write_sequence(folder / 'train' / 'silent', events_per_label=0)
    write_sequence(folder / 'train' / 'sky', sky=True)
    write_sequence(folder / 'train' / 'short', labels=2)
    write_sequence(folder / 'validation' / 'v', 50)
    return folder


def values(folder, output, **changes):
    """Return a configuration: two stages of small size."""
    return {
        'name': 'student', 'output': str(output), 'threads': 1, 'save_every': 3,
        'data': {'train': [str(folder / 'train')], 'validation': [str(folder / 'validation')]},
        'network': {'preset': 'tiny-r', 'features': 16, 'hold': True},
        'stages': [{'height': 56, 'width': 70, 'steps': 4, 'lanes': 2, 'clip': 2},
                   {'height': 70, 'width': 84, 'steps': STEPS - 4, 'lanes': 2, 'clip': 3}],
        'loss': {'temporal': 0.1}, 'augmentation': {'polarity_swap': True},
        'validation': {'every': 7, 'frames': 4}, **changes}


def train(folder, output, resume=False, **changes):
    """Train, and return what the command would."""
    config = training_config(values(folder, output, **changes))
    return Trainer(config, 'a command', resume).train()


@pytest.fixture(scope='module')
def whole(data, tmp_path_factory):
    """Return the folder of a run that nothing interrupted, and its result."""
    folder = tmp_path_factory.mktemp('whole') / 'run'
    return folder, train(data, folder)


def tensors(path):
    return safetensors.torch.load((path / 'state.safetensors').read_bytes())


def run_command(data, output, *options, **changes):
    """Start the command line in a process of its own."""
    config = output.parent / 'config.yaml'
    config.write_text(json.dumps(values(data, output, **changes)))  # JSON is YAML
    code = 'from depth_anyevent_ros.cli.main import main; main()'
    return subprocess.Popen([sys.executable, '-c', code, 'train', str(config), *options],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_a_killed_run_that_is_resumed_has_the_same_weights(data, whole, tmp_path, kind):
    changes = {} if kind == 'adamw' else {'optimizer': {'kind': kind}}
    folder = tmp_path / 'whole' if changes else whole[0]
    result = train(data, folder, **changes) if changes else whole[1]
    assert result['steps'] == STEPS and len(result['skipped']) == 3
    killed = tmp_path / 'killed'
    process = run_command(data, killed, **changes)
    state, deadline = killed / 'state.safetensors', time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert state.exists() and not (killed / 'student.safetensors').exists()
    reached = training_state.load_state(state)[1]['step']
    assert 3 <= reached < STEPS
    resumed = train(data, killed, resume=True, **changes)
    assert resumed['resumed_at'] == reached
    expected, again = tensors(folder), tensors(killed)
    assert expected.keys() == again.keys() and len(expected) > 400
    for name, tensor in expected.items():
        assert torch.equal(tensor, again[name]), name
    assert resumed['validation'] == result['validation']
    steps = [line['step'] for line in map(json.loads, (killed / 'log.jsonl').open())]
    assert steps == [line['step'] for line in map(json.loads, (folder / 'log.jsonl').open())]


def test_the_checkpoint_says_where_it_comes_from(data, whole):
    folder, result = whole
    checkpoint = load_checkpoint(folder / 'student.safetensors')
    facts = checkpoint.config.provenance
    assert checkpoint.trained_on == 'simulated scenes (worlds of this package: car)'
    assert facts['command'] == 'a command' and facts['seed'] == 0
    assert facts['data']['sequences'] == 3 and facts['data']['skipped'] == 3
    assert facts['validation']['abs_rel'] == result['validation']['abs_rel']
    assert (checkpoint.config.input.height, checkpoint.config.input.width) == (70, 84)
    for name in ('loss.png', 'validation.png', 'mean_map.npz', 'config.yaml'):
        assert (folder / name).stat().st_size > 0
    with pytest.raises(TrainingError, match='--resume'):
        train(data, folder)
    with pytest.raises(TrainingError, match='another loss.temporal, seed:'):
        train(data, folder, resume=True, seed=1, loss={})


def fill_disk(monkeypatch, name, fits=0):
    """Let the disk be full whenever a file was written so often."""
    real, written = os.fsync, []

    def fsync(handle):
        if Path(os.readlink(f'/proc/self/fd/{handle}')).name.startswith(f'.{name}.'):
            written.append(name)
            if len(written) > fits:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, 'fsync', fsync)


@pytest.mark.parametrize('name, fits, last', [
    ('state.safetensors', 1, 3), ('best.safetensors', 0, 3), ('validation.png', 0, 3),
    ('loss.png', 1, 4), ('mean_map.npz', 0, None)])
def test_a_full_disk_leaves_the_last_state_whole(data, tmp_path, monkeypatch, name, fits, last):
    output = tmp_path / 'run'
    fill_disk(monkeypatch, name, fits)
    with pytest.raises(TrainingError, match=f'run/{name}.*No space left on device.*--resume'):
        train(data, output)
    state = output / 'state.safetensors'
    assert state.exists() == (last is not None)
    assert last is None or training_state.load_state(state)[1]['step'] == last
    assert not list(output.glob('.*part'))
    monkeypatch.undo()


@pytest.mark.parametrize('kind', ['training', 'validation'])
def test_a_stage_does_not_go_on_in_other_sequences(tmp_path, monkeypatch, kind):
    """Lanes know sequences by number, and errors on others say not which weights are best."""
    folder, output = tmp_path / kind, tmp_path / 'run'
    for name in 'abc':
        write_sequence(tmp_path / 'training' / name)
        write_sequence(tmp_path / 'validation' / name)
    small = {'stages': [{'height': 56, 'width': 70, 'steps': 5, 'lanes': 1, 'clip': 2}],
             'data': {'train': [str(tmp_path / 'training')],
                      'validation': [str(tmp_path / 'validation')]}}
    fill_disk(monkeypatch, 'state.safetensors', 1)
    with pytest.raises(TrainingError, match='No space'):
        train(tmp_path, output, **small)
    monkeypatch.undo()
    shutil.move(folder / 'b', tmp_path / 'b')
    write_sequence(folder / 'b', labels=9)
    write_sequence(folder / 'd')
    with pytest.raises(TrainingError, match=f'from step 3.*{kind} .* no longer there: b of 12 lab'
                       'els; new: b of 9 labels, d of 12 labels. Put back.*output='):
        train(tmp_path, output, resume=True, **small)
    shutil.rmtree(folder / 'b')
    shutil.rmtree(folder / 'd')
    shutil.move(tmp_path / 'b', folder / 'b')
    assert train(tmp_path, output, resume=True, **small)['resumed_at'] == 3


@pytest.mark.parametrize('missing', ['train', 'validation'])
def test_data_that_are_missing_are_told_before_anything_is_written(data, tmp_path, missing):
    folders = {'train': [str(data / 'train')], 'validation': [str(data / 'validation')]}
    with pytest.raises(ValueError, match='nowhere does not exist'):
        train(data, tmp_path / 'run', data={**folders, missing: [str(tmp_path / 'nowhere')]})
    assert not list(tmp_path.iterdir())


def test_a_later_stage_that_cannot_run_is_told_before_the_first_one_trains(data, tmp_path):
    first = {'height': 56, 'width': 70, 'steps': 1, 'lanes': 1, 'clip': 1}
    with pytest.raises(ValueError, match='has the 13 frames.*longest has 12'):
        train(data, tmp_path / 'run', stages=[first, {**first, 'clip': 13}])
    assert not (tmp_path / 'run' / 'log.jsonl').exists()


def test_sequences_that_are_too_short_are_known_by_their_path(tmp_path, capsys):
    small = {'stages': [{'height': 56, 'width': 70, 'steps': 1, 'lanes': 1, 'clip': 3}]}
    long = write_sequence(tmp_path / 'a' / 'long', 1)
    short = [write_sequence(tmp_path / place / 'short', seed, labels=2)
             for seed, place in enumerate('bcdefgh')]
    result = train(tmp_path, tmp_path / 'run', **small,
                   data={'train': [str(long), *map(str, short)]})
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith('skipped')]
    why = '2 labels are less than the 3 that a clip spans'
    assert told == [*(f'skipped {path}: {why}' for path in short[:5]), f'skipped 2 more: {why}']
    assert list(result['skipped']) == [str(path) for path in short]
    assert all('2 labels are less than the 3' in why for why in result['skipped'].values())
    # Nor are they in the mean of the training labels.
    train(tmp_path, tmp_path / 'alone', data={'train': [str(long)]}, **small)
    ours, alone = (np.load(tmp_path / name / 'mean_map.npz') for name in ('run', 'alone'))
    np.testing.assert_array_equal(ours['all'], alone['all'])


def test_changed_sequences_are_told_in_words():
    before = [[f's{index}', 10] for index in range(9)]
    assert changed_sequences(before, [list(item) for item in before]) == ''
    assert 'another order' in changed_sequences(before, before[::-1])
    assert changed_sequences(before, before[:1]) == (
        'no longer there: ' + ', '.join(f's{k} of 10 labels' for k in range(1, 6))
        + ' and 3 more')
    # Of two of the same name one is gone.
    assert changed_sequences([['s', 5]] * 2, [['s', 5]]) == 'no longer there: s of 5 labels'


def test_a_teacher_gives_the_labels(data, tmp_path):
    small = {'stages': [{'height': 70, 'width': 84, 'steps': 3, 'lanes': 2, 'clip': 2}]}
    teacher = train(data, tmp_path / 'teacher', network={'preset': 'tiny', 'features': 16},
                    input={'representation': 'rgb'}, augmentation={'gain': 0.2}, **small)
    assert load_checkpoint(teacher['checkpoint']).config.input.representation == 'rgb'
    blind = write_sequence(tmp_path / 'blind', images=False)
    labels = {'train': [str(data / 'train' / 's0'), str(blind)],
              'labels': f'teacher={teacher["checkpoint"]}'}
    result = train(data, tmp_path / 'student', data=labels, **small)
    assert load_checkpoint(result['checkpoint']).config.provenance['labels'] == 'teacher'
    assert result['validation'] is None and 'no pictures' in result['skipped'][str(blind)]
    with pytest.raises(ValueError, match='has to see rgb'):
        train(data, tmp_path / 'x', data={**labels, 'labels': f'teacher={result["checkpoint"]}'},
              **small)


@pytest.mark.parametrize('representation', ['voxel', 'tencode'])
def test_a_student_overfits_one_sequence(tmp_path, representation):
    write_sequence(tmp_path / 's', 3, unknown=False)
    result = train(
        tmp_path, tmp_path / 'run', data={'train': [str(tmp_path / 's')]},
        input={'representation': representation}, augmentation={'flip': False, 'strides': [1]},
        stages=[{'height': 70, 'width': 84, 'steps': 40, 'lanes': 2, 'clip': 3,
                 'learning_rate': 2e-3}], optimizer={'warmup_steps': 5})
    losses = [line['data'] for line in map(json.loads, (tmp_path / 'run' / 'log.jsonl').open())]
    assert losses[-1] < 0.5 * losses[0]
    assert load_checkpoint(result['checkpoint']).config.input.representation == representation


def test_start_from_a_checkpoint(data, tmp_path):
    small = {'stages': [{'height': 70, 'width': 84, 'steps': 1, 'lanes': 1, 'clip': 1,
                         'learning_rate': 1e-8}], 'network': {'preset': 'tiny', 'features': 16}}
    first = train(data, tmp_path / 'a', seed=4, **small)
    second = train(data, tmp_path / 'b', seed=5, init=first['checkpoint'], **small)
    ours, theirs = (load_checkpoint(result['checkpoint']).network.state_dict()
                    for result in (first, second))
    key = 'pretrained.blocks.0.attn.qkv.weight'
    np.testing.assert_allclose(ours[key], theirs[key], atol=1e-4)
    with pytest.raises(ValueError, match='change network'):
        train(data, tmp_path / 'c', **{**small, 'init': first['checkpoint'],
                                       'network': {'preset': 'tiny'}})
    head = train(data, tmp_path / 'd', init=first['checkpoint'], optimizer={'only': 'depth_head.'},
                 **small)
    for name, weight in load_checkpoint(head['checkpoint']).network.state_dict().items():
        assert name.startswith('depth_head.') or torch.equal(weight, ours[name])


def test_the_bundled_student_goes_on_with_labels_of_a_teacher(tmp_path, capsys):
    for name, relative in (('train', True), ('validation', True), ('truth', False)):
        write_sequence(tmp_path / name / 's', relative=relative)
    stages = [{'height': 56, 'width': 70, 'steps': 3, 'lanes': 2, 'clip': 2}]
    network = {'preset': 'tiny-r', 'hold': True, 'noise_filter': 0.3}
    result = train(tmp_path, tmp_path / 'run', init='bundled', network=network, stages=stages,
                   input={'mean': [0.0] * 3, 'std': [0.5] * 3, 'cell_threshold': 0.25})
    assert result['validation']['rmse'] > 0 and 'abs_rel' not in result['validation']
    # Whether noise is filtered is the run's to say, since it is no weight.
    said = capsys.readouterr().out
    assert 'network.noise_filter of bundled is 0.0, of this run 0.3' in said
    assert 'input.cell_threshold of bundled is 0.5, of this run 0.25' in said
    assert 'input.std of bundled is (0.35, 0.35, 0.35), of this run (0.5, 0.5, 0.5)' in said
    assert 'input.mean' not in said and 'input.height' not in said
    assert load_checkpoint(result['checkpoint']).config.network.noise_filter == 0.3
    provenance = load_checkpoint(result['checkpoint']).config.provenance
    assert provenance['trained_on'] == 'sequences of labelled bags, and before that on ' + \
        load_student().trained_on
    assert provenance['labels'] == 'teacher'
    write_sequence(tmp_path / 'train' / 'simulated')
    both = train(tmp_path, tmp_path / 'together', stages=stages)
    assert load_checkpoint(both['checkpoint']).trained_on == \
        'simulated scenes (worlds of this package: car) and sequences of labelled bags'
    with pytest.raises(ConfigError, match='have no unit: leave it'):
        train(tmp_path, tmp_path / 'log', stages=stages, loss={'log': 1.0, 'sky_below': 0.0125})
    with pytest.raises(ValueError, match='sequences of one kind'):
        train(tmp_path, tmp_path / 'both', stages=stages, data={
            'train': [str(tmp_path / 'train')],
            'validation': [str(tmp_path / 'validation'), str(tmp_path / 'truth')]})
    assert not (tmp_path / 'both').exists()  # told before anything is loaded or written


@pytest.mark.parametrize('precision, validation, words', [
    ('fp32', 15, 'begin anew with a lower .*, from init=.*/run/best.safetensors'),
    ('bf16', 99, 'go on from step 5 by --resume precision=fp32, or begin anew .* output=.$')])
def test_where_no_gradient_is_finite_any_more_there_is_a_way_out(
        data, tmp_path, monkeypatch, precision, validation, words):
    stage = {'height': 56, 'width': 70, 'steps': 21, 'lanes': 1, 'clip': 1}
    real = Trainer._one_step

    def blind(self, step, clip):
        if self._step >= 5:
            clip = replace(clip, image=clip.image * torch.nan)
        real(self, step, clip)
    monkeypatch.setattr(Trainer, '_one_step', blind)
    monkeypatch.setattr(trainer, 'placement_to_train', lambda *_: ('cpu', precision, ''))
    with pytest.raises(TrainingError, match=f'in 15 steps .* up to step 20: {words}'):
        train(data, tmp_path / 'run', stages=[stage], save_every=5,
              validation={'every': validation, 'frames': 1})
    # Not of step 10 or 15, from which there would be no way on.
    assert training_state.load_state(tmp_path / 'run' / 'state.safetensors')[1]['step'] == 5


def test_a_state_that_is_none_is_refused(data, tmp_path):
    with pytest.raises(TrainingError, match='nothing to resume'):
        train(data, tmp_path / 'none', resume=True)
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'state.safetensors').write_bytes(b'x' * 100)
    with pytest.raises(TrainingError, match='no state of a training run'):
        train(data, tmp_path / 'bad', resume=True)


def test_moments_and_step_counts_go_where_the_weights_are():
    here, there = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, device='meta')
    optimizer = torch.optim.AdamW(here.parameters(), fused=True)
    here(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    other = torch.optim.AdamW(there.parameters(), fused=False)
    training_state.load_optimizer(other, there,
                                  training_state.optimizer_tensors(optimizer, here))
    for state in other.state.values():
        assert {key: value.device.type for key, value in state.items()} == dict.fromkeys(
            ('step', 'exp_avg', 'exp_avg_sq'), 'meta')


def test_moments_lie_in_memory_as_the_weights_do(tmp_path):
    """The fused AdamW takes them by their place there."""
    layers = [torch.nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    optimizers = [torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True) for layer in layers]
    image = torch.rand(1, 3, 8, 8)

    def step(index):
        optimizers[index].zero_grad()
        layers[index](image).square().sum().backward()
        optimizers[index].step()
    step(0)
    saved = {**training_state.network_tensors('network', layers[0]),
             **training_state.optimizer_tensors(optimizers[0], layers[0])}
    training_state.save_state(tmp_path / 'state', saved, {})
    tensors, _ = training_state.load_state(tmp_path / 'state')
    training_state.load_network('network', layers[1], tensors)
    training_state.load_optimizer(optimizers[1], layers[1], tensors)
    for index in (0, 1):
        step(index)
    assert torch.equal(layers[0].weight, layers[1].weight)


@pytest.mark.parametrize('resume', [False, True])
def test_a_run_has_its_folder_to_itself(data, whole, tmp_path, resume):
    folder = whole[0] if resume else tmp_path / 'run'
    with RunFolder(folder, 'student').hold(resume):
        with pytest.raises(TrainingError, match='Another process trains in .*another folder'):
            train(data, folder, resume)
    assert resume or [path.name for path in folder.iterdir()] == ['lock']


def test_a_run_in_fp32_goes_on_in_fp16(data, whole, monkeypatch):
    scaler = torch.amp.GradScaler('cpu')
    monkeypatch.setattr(torch.amp, 'GradScaler', lambda device, enabled: scaler)
    assert scaler.is_enabled()
    saved = training_state.load_state(whole[0] / 'state.safetensors')[1]['seconds']
    result = train(data, whole[0], resume=True)
    assert result['resumed_at'] == STEPS
    assert result['seconds'] >= round(saved, 1) > 0  # of all of the run


def test_learning_rate_rises_in_every_stage_and_ends_low(data, tmp_path):
    config = training_config(values(data, tmp_path, optimizer={'warmup_steps': 3,
                                                               'final_share': 0.1}))
    rates = [learning_rate(config, step) for step in range(STEPS)]
    assert rates[0] == pytest.approx(5e-4 / 4) and rates[0] < rates[1] < rates[2]
    assert rates[4] < rates[3] and rates[4] < rates[5]  # the second stage starts low again
    assert rates[-1] < 0.15 * max(rates) and min(rates) > 0
