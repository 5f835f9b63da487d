# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run: its log, what is in the way, and what a kill leaves."""
from dataclasses import replace
import json

import pytest
from tiny_sequences import write_sequence
import torch
import yaml

from depth_anyevent_ros.distillation.run_folder import RunFolder
from depth_anyevent_ros.distillation.trainer import Trainer
from depth_anyevent_ros.distillation.training_config import training_config
from depth_anyevent_ros.distillation.training_state import load_state, TrainingError

CONFIG = training_config({
    'name': 'student', 'data': {'train': ['.']}, 'network': {'preset': 'tiny'},
    'stages': [{'height': 70, 'width': 84, 'steps': 1}]})


@pytest.mark.parametrize('name, text', [
    ('config.yaml', '# why this rate\n' + yaml.safe_dump(CONFIG.to_dict(), sort_keys=False)),
    ('config.yaml', 'robot: one'), ('mean_map.npz', ''), ('log.jsonl', '')])
def test_what_no_run_left_in_the_folder_is_not_replaced(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(TrainingError, match=f'holds {name}, which no training run left there'):
        RunFolder(tmp_path, 'student').create(CONFIG, False)
    assert (tmp_path / name).read_text() == text


def test_a_run_that_ended_before_its_first_state_makes_room_for_another(tmp_path):
    folder = RunFolder(tmp_path, 'student')
    folder.create(CONFIG, False)
    folder.log({'step': 1})
    folder.mean_map.touch()
    folder.create(replace(CONFIG, seed=1), False)
    assert not folder.entries() and not folder.mean_map.exists()
    assert 'seed: 1' in (tmp_path / 'config.yaml').read_text()


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    folder = RunFolder(tmp_path, 'student')
    (tmp_path / 'log.jsonl').symlink_to('/dev/full')
    with pytest.raises(TrainingError, match='log.jsonl.*No space left on device.*--resume'):
        folder.log({'step': 1})


def test_the_log_is_json_whatever_the_numbers(tmp_path):
    folder = RunFolder(tmp_path, 'student')
    folder.log({'step': 1, 'loss': float('nan'), 'validation': {'ratio': float('inf')}})
    folder.log({'step': 2, 'loss': 0.5})
    for _ in range(2):
        lines = (tmp_path / 'log.jsonl').read_text().splitlines()
        assert [json.loads(line, parse_constant=pytest.fail) for line in lines] == [
            {'step': 1, 'loss': None, 'validation': {'ratio': None}}, {'step': 2, 'loss': 0.5}]
        folder.cut_log(2)
    folder.plot()
    assert (tmp_path / 'loss.png').stat().st_size > 0


def test_a_new_run_keeps_nothing_of_one_that_was_never_saved(tmp_path):
    folder = RunFolder(tmp_path / 'run', CONFIG.name)
    folder.create(CONFIG, False)
    folder.log({'step': 1})
    folder.mean_map.write_bytes(b'of other data')
    folder.create(CONFIG, False)
    assert not folder.entries() and not folder.mean_map.exists()


def test_what_a_kill_left_while_saving_goes_with_the_next_run(tmp_path):
    (tmp_path / '.state.safetensors.x1y2.part').write_bytes(b'half')
    with RunFolder(tmp_path, 'student').hold(False):
        assert [path.name for path in tmp_path.iterdir()] == ['lock']


def test_a_run_whose_last_step_was_skipped_is_whole(tmp_path, monkeypatch, torch_settings):
    write_sequence(tmp_path / 'data')
    config = training_config({
        'name': 'student', 'output': str(tmp_path / 'run'), 'network': {
            'preset': 'tiny', 'features': 16}, 'data': {'train': [str(tmp_path / 'data')]},
        'stages': [{'height': 56, 'width': 70, 'steps': 3, 'lanes': 1, 'clip': 1}]})
    real = Trainer._one_step

    def blind_at_last(self, step, clip):
        real(self, step, replace(clip, image=clip.image * (torch.nan if self._step == 2 else 1)))
    monkeypatch.setattr(Trainer, '_one_step', blind_at_last)
    Trainer(config).train()
    assert load_state(tmp_path / 'run' / 'state.safetensors')[1]['step'] == 3
