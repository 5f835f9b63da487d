# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a state of training that is in the way of another student's."""
from dataclasses import replace
import io
import os
from pathlib import Path

import pytest

from depth_anyevent_ros.distillation.trainer_process import (
    FORMER, ProcessSettings, STATE, TrainerProcess)
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student


@pytest.fixture
def begin(tmp_path, anchor_dir):
    """Return a function that begins with a student of a number, and what it says."""
    settings = ProcessSettings(
        student='', teacher='the truth', state_dir=str(tmp_path / 'state'),
        weights_dir=str(tmp_path / 'weights'), anchor_dir=str(anchor_dir), anchor_scenes=4,
        precision='fp32')

    def run(number):
        file = tmp_path / f'{number}.safetensors'
        if not file.exists():
            student = untrained_student('tiny-r', seed=number)
            save_checkpoint(file, student.network, replace(student.config, input=replace(
                student.config.input, height=56, width=70)))
        process = TrainerProcess(replace(settings, student=str(file)), io.BytesIO(), io.BytesIO())
        return process, process._sink.getvalue().decode(errors='replace')
    return run


def learned(process, steps):
    """Have a process save a state of so many steps."""
    process._learner.steps = steps
    assert process._save() == ''


def test_a_wrong_checkpoint_costs_nothing_that_was_learned(begin, tmp_path):
    state, former = (tmp_path / 'state' / name for name in (STATE, FORMER))
    process, told = begin(1)
    learned(process, 4000)
    hours = state.read_bytes()
    process, told = begin(2)
    assert 'Beginning anew' in told and 'another student' in told and str(former) in told
    assert process._status()['begun_anew'] == 1 and process._status()['steps'] == 0
    assert former.read_bytes() == hours and not state.exists()
    learned(process, 7)
    minutes = state.read_bytes()
    process, told = begin(1)
    assert 'Going on from step 4000' in told and 'changed places' in told
    assert process._status()['begun_anew'] == 0 and process._learner.steps == 4000
    assert state.read_bytes() == hours and former.read_bytes() == minutes
    assert sorted(path.name for path in state.parent.iterdir()) == [FORMER, STATE]


@pytest.mark.parametrize('renames', [1, 2])
def test_an_exchange_that_was_cut_short_is_finished(begin, tmp_path, monkeypatch, renames):
    state, former = (tmp_path / 'state' / name for name in (STATE, FORMER))
    for number, steps in ((1, 4000), (2, 7)):
        learned(begin(number)[0], steps)
    begin_files = state.read_bytes(), former.read_bytes()
    replace_file, left = os.replace, [renames]

    def killed(*paths):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        replace_file(*paths)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', killed)
        with pytest.raises(KeyboardInterrupt):
            begin(1)
    assert 'Going on from step 4000' in begin(1)[1]
    assert (former.read_bytes(), state.read_bytes()) == begin_files
    assert sorted(path.name for path in state.parent.iterdir()) == [FORMER, STATE]


def test_one_state_is_kept_and_a_damaged_one_too(begin, tmp_path):
    state, former = (tmp_path / 'state' / name for name in (STATE, FORMER))
    for number in (1, 2):
        learned(begin(number)[0], number)
    second = state.read_bytes()
    begin(3)
    assert former.read_bytes() == second
    state.write_bytes(b'half of it')
    process, told = begin(1)
    assert 'is damaged' in told and former.read_bytes() == b'half of it'


def test_a_state_that_cannot_be_put_aside_is_not_written_over(begin, tmp_path):
    learned(begin(1)[0], 4000)
    state = Path(tmp_path / 'state' / STATE)
    hours = state.read_bytes()
    (tmp_path / 'state' / FORMER).mkdir()
    with pytest.raises(OSError, match=FORMER):
        begin(2)
    assert state.read_bytes() == hours
