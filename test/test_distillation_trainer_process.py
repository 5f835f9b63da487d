# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The process that learns: fed through a pipe, killed, started again."""
from dataclasses import asdict, replace
import io
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.depth_estimator import EVENTS_FOR_RGB
from depth_anyevent_ros.distillation import anchor, trainer_client
from depth_anyevent_ros.distillation.replay_buffer import LabelledFrame
from depth_anyevent_ros.distillation.trainer_client import (
    LONGEST_WAIT_S, pause_after, TrainerClient)
from depth_anyevent_ros.distillation.trainer_process import (
    ProcessSettings, run, STATE, TrainerProcess)
from depth_anyevent_ros.distillation.training_state import load_state, save_state
from depth_anyevent_ros.distillation.wire import send
from depth_anyevent_ros.networks.checkpoint import (
    load_checkpoint, save_checkpoint, untrained_student)
from depth_anyevent_ros.networks.config import model_preset
from depth_anyevent_ros.networks.handover import hand_over, read_announced

ROOT = Path(__file__).resolve().parents[1]


def test_an_anchor_set_is_made_once(anchor_dir):
    before = {path: path.stat().st_mtime_ns for path in anchor_dir.glob('*/*')}
    told = []
    sequences = anchor.anchor_sequences(anchor_dir, progress=told.append)
    assert not told and len(sequences) == 32
    assert {path: path.stat().st_mtime_ns for path in anchor_dir.glob('*/*')} == before
    assert {sequence.info['world'] for sequence in sequences} == {'car', 'drone'}
    assert all(sequence.image(0) is not None for sequence in sequences)


def test_a_student_made_for_pictures_is_anchored_by_events_too(anchor_dir):
    sequences = [Sequence(path) for path in sorted(anchor_dir.iterdir())[:1]]
    samples, = anchor.anchor_samples(sequences, replace(
        model_preset('vits').input, height=56, width=70))
    # Of an event one of red and blue is full; a picture has no such pixels.
    red, _, blue = samples.image.astype(np.float32).swapaxes(0, 1)
    assert samples.image.shape[1:] == (3, EVENTS_FOR_RGB.height, EVENTS_FOR_RGB.width)
    assert 0.3 < np.mean(np.minimum(abs(red + blue), abs(red + blue - 255)) < 10)


def test_an_anchor_set_of_what_another_student_knew_is_made_anew(tmp_path):
    made, = anchor.anchor_sequences(tmp_path, 1)
    file = made.path / 'sequence.json'
    now = file.read_text()
    file.write_text(now.replace(json.loads(now)['factors'], 'f' * 16))
    told = []
    anchor.anchor_sequences(tmp_path, 1, told.append)
    assert told == ['Simulating sequence 1 of 1 of the anchor set.'] and file.read_text() == now


class Trainer:
    """A client with what it heard."""

    def __init__(self, settings):
        self.heard = []
        self.client = TrainerClient(settings, lambda kind, values: self.heard.append(
            (kind, values)))
        self.client.start()

    def wait_for(self, condition, timeout=120.0):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.heard[-3:]
            time.sleep(0.02)

    def of(self, kind):
        return [values for name, values in self.heard if name == kind]


@pytest.fixture
def settings(tmp_path, anchor_dir):
    student = untrained_student('tiny-r')
    config = replace(student.config, input=replace(student.config.input, height=56, width=70))
    save_checkpoint(tmp_path / 'student.safetensors', student.network, config)
    return ProcessSettings(
        student=str(tmp_path / 'student.safetensors'), teacher='the truth',
        state_dir=str(tmp_path / 'state'), weights_dir=str(tmp_path / 'weights'),
        anchor_dir=str(anchor_dir), decide_every=5, learning_rate=1e-3, precision='fp32')


def frames(anchor_dir, config):
    """Return labelled frames of the anchor's own scenes, which are quick to learn."""
    found = []
    for stretch, path in enumerate(sorted(anchor_dir.iterdir())):
        samples, = anchor.anchor_samples([Sequence(path)], config)
        for i in range(len(samples)):
            found.append(LabelledFrame(samples.image[i], samples.inverse_depth[i],
                                       len(found) * 50_000_000, int(samples.events[i]), stretch))
    return found


def test_it_learns_promotes_and_goes_on_after_a_kill(settings, anchor_dir, tmp_path):
    config = untrained_student('tiny-r').config.input
    config = replace(config, height=56, width=70)
    stream = frames(anchor_dir, config)
    trainer = Trainer(settings)
    trainer.wait_for(lambda: trainer.of('ready'))
    for _ in range(3):
        for frame in stream:
            trainer.client.add(frame)
            time.sleep(0.001)
    trainer.wait_for(lambda: trainer.of('weights'))
    announcement = trainer.of('weights')[0]['announcement']
    student = read_announced(announcement, settings.weights_dir)
    assert json.loads(announcement)['version'] == 1
    assert 'labels by the truth' in student.trained_on
    trainer.wait_for(lambda: trainer.of('status')[-1]['steps'] > 20)
    assert trainer.client.save(20.0) == ''
    steps = trainer.of('status')[-1]['steps']

    os.kill(trainer.client._process.pid, signal.SIGKILL)
    trainer.wait_for(lambda: len(trainer.of('ready')) == 2)
    assert trainer.client.counts['restarts'] == 1
    assert trainer.of('ready')[1]['steps'] >= steps
    # Whoever subscribes now has to hear of the newest weights again.
    trainer.wait_for(lambda: trainer.of('weights')[-1] and trainer.heard[-1][0] != 'ready')
    trainer.client.stop()
    assert (tmp_path / 'state' / STATE).is_file()


def test_where_weights_cannot_be_written_promotion_waits(settings, anchor_dir, tmp_path):
    config = replace(untrained_student('tiny-r').config.input, height=56, width=70)
    stream = frames(anchor_dir, config)
    (tmp_path / 'weights').write_text('in the way')
    trainer = Trainer(settings)
    trainer.wait_for(lambda: trainer.of('ready'))
    for frame in stream * 2:
        trainer.client.add(frame)
        time.sleep(0.001)
    trainer.wait_for(lambda: trainer.of('problem'))
    assert 'promoted weights could not be written' in trainer.of('problem')[0]['what']
    steps = trainer.of('status')[-1]['steps'] if trainer.of('status') else 0
    trainer.wait_for(lambda: trainer.of('status')[-1]['steps'] > steps + 3)
    assert not trainer.of('weights')
    trainer.client.stop()
    (tmp_path / 'weights').unlink()
    # A run that could not write them leaves that to the next one, which has no frames yet.
    trainer = Trainer(settings)
    trainer.wait_for(lambda: trainer.of('weights'))
    announcement = trainer.of('weights')[-1]['announcement']
    read_announced(announcement, settings.weights_dir)
    trainer.client.stop()
    # And what another weights_dir does not have is written there.
    elsewhere = replace(settings, weights_dir=str(tmp_path / 'elsewhere'))
    trainer = Trainer(elsewhere)
    trainer.wait_for(lambda: trainer.of('weights'))
    read_announced(trainer.of('weights')[-1]['announcement'], elsewhere.weights_dir)
    trainer.client.stop()


def test_former_weights_go_by_their_age_not_by_their_version(tmp_path):
    network, config = (student := untrained_student('tiny-r')).network, student.config
    for age, version in enumerate((7, 8, 1, 2)):
        name = json.loads(hand_over(tmp_path, network, config, version, 2))['file']
        os.utime(tmp_path / name, ns=(age, age))
    assert sorted(path.name[:6] for path in tmp_path.iterdir()) == ['000001', '000002']


def test_a_folder_is_for_one_process(settings):
    trainer = Trainer(settings)
    trainer.wait_for(lambda: trainer.of('ready'))
    other = Trainer(settings)
    other.wait_for(lambda: other.of('failed'))
    assert 'another process trains in' in other.of('failed')[0]['what']
    assert 'at present' in other.client.save(5.0)
    other.client.stop()
    assert trainer.client.save(20.0) == ''
    trainer.client.stop()


def test_it_stops_before_its_anchor_set_is_made(settings, tmp_path):
    settings = replace(settings, anchor_dir=str(tmp_path / 'anchor'))
    trainer = Trainer(settings)
    trainer.wait_for(lambda: trainer.of('log'))
    trainer.client.stop()
    assert not trainer.of('ready') and len(trainer.of('log')) < 10
    trainer = Trainer(settings)
    trainer.client.stop()  # at once
    assert not trainer.heard


def test_a_student_that_cannot_be_loaded_is_told(settings, tmp_path):
    trainer = Trainer(replace(settings, student=str(tmp_path / 'none.safetensors')))
    trainer.wait_for(lambda: trainer.of('failed'))
    assert 'none.safetensors' in trainer.of('failed')[0]['what']
    trainer.client.stop()


def test_what_a_kill_while_writing_left_is_removed_and_nothing_else(settings):
    state, weights = Path(settings.state_dir), Path(settings.weights_dir)
    stay = [state / '.other.safetensors.a.part', state / f'.{STATE}.a', weights / 'a.part']
    go = [state / f'.{STATE}.a.part', weights / '.000001-a.safetensors.b.part']
    for path in (*stay, *go):
        path.parent.mkdir(exist_ok=True)
        path.write_text('half')
    begin = io.BytesIO()
    send(begin, 'begin', asdict(settings))
    begin.seek(0)
    run(begin, io.BytesIO())
    assert [path.exists() for path in (*stay, *go)] == [True] * 3 + [False] * 2


def test_a_state_that_fits_in_part_changes_no_weight(settings):
    tensors, facts = TrainerProcess(settings, io.BytesIO(), io.BytesIO())._learner.state()
    tensors = {name: tensor + 1 for name, tensor in tensors.items()}
    tensors.pop('running/depth_head.scratch.output_conv2.2.bias')
    Path(settings.state_dir).mkdir()
    save_state(Path(settings.state_dir, STATE), tensors,
               {**facts, 'announcement': '', 'to_hand_over': False})
    told = io.BytesIO()
    learner = TrainerProcess(settings, io.BytesIO(), told)._learner
    assert b'Beginning anew' in told.getvalue()
    student = load_checkpoint(settings.student).network
    for network in (learner._network, learner._average, learner.running):
        for weight, first in zip(network.parameters(), student.parameters()):
            assert torch.equal(weight, first)


def test_a_state_that_is_as_it_was_is_not_written_again(settings):
    process = TrainerProcess(settings, io.BytesIO(), io.BytesIO())
    file = Path(settings.state_dir, STATE)

    def written():
        before = file.stat().st_ino if file.exists() else 0  # each state is another file
        assert process._save() == ''
        return file.stat().st_ino != before
    assert written() and not written()
    process._learner.steps += 1
    assert written() and not written()
    process._take(('forget', {'stretch': 0, 'since_ns': 0, 'number': 0}, {}))
    assert b'forgotten' in process._sink.getvalue() and not written()
    process._take(('forget', {'stretch': 0, 'since_ns': 0, 'number': 1}, {}))
    assert process._sink.getvalue().count(b'forgotten') == 2
    file.unlink()
    assert written()


def test_a_process_that_never_becomes_ready_is_started_less_and_less_often(
        settings, anchor_dir, tmp_path, monkeypatch):
    assert [pause_after(k) for k in (1, 2, 3, 9999)] == [5.0, 10.0, 20.0, LONGEST_WAIT_S]
    asked = []
    monkeypatch.setattr(trainer_client, 'pause_after', lambda k: asked.append(k) or 0.01)
    student = tmp_path / 'student.safetensors'
    student.rename(tmp_path / 'away')
    trainer = Trainer(settings)
    trainer.wait_for(lambda: len(asked) == 2)
    (tmp_path / 'away').rename(student)
    trainer.wait_for(lambda: trainer.of('ready'))
    os.kill(trainer.client._process.pid, signal.SIGKILL)
    trainer.wait_for(lambda: len(trainer.of('ready')) == 2)
    assert asked[:2] == [1, 2] and asked[-1] == 1
    trainer.client.stop()


def test_a_process_that_cannot_be_started_is_tried_again(settings, monkeypatch):
    start, starts, reasons = subprocess.Popen, [], []

    def popen(arguments, **options):
        starts.append(1)
        if len(starts) == 1:
            raise BlockingIOError(11, 'Resource temporarily unavailable')
        process = start([sys.executable, '-c', 'exit(3)'], **options)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it ends before it is told
        return process
    monkeypatch.setattr(trainer_client.subprocess, 'Popen', popen)
    client = TrainerClient(settings, lambda *_: None)
    monkeypatch.setattr(trainer_client, 'pause_after',
                        lambda _: reasons.append(client.problem) or 0.01)
    client.start()
    end = time.monotonic() + 20
    while len(reasons) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    client.stop()
    assert 'could not be started' in reasons[0] and 'temporarily unavailable' in reasons[0]
    assert reasons[1:3] == ['the training process ended with status 3'] * 2


def test_what_was_not_started_stops(settings):
    TrainerClient(settings, lambda *_: None).stop()


def learning(settings, anchor_dir):
    """Return a trainer in the midst of steps that no decision follows, and its frames."""
    config = replace(untrained_student('tiny-r').config.input, height=56, width=70)
    trainer, stream = Trainer(replace(settings, decide_every=10 ** 6)), frames(anchor_dir, config)
    trainer.wait_for(lambda: trainer.of('ready'))
    for frame in stream:
        trainer.client.add(frame)
        time.sleep(0.001)
    trainer.wait_for(lambda: trainer.of('status') and trainer.of('status')[-1]['steps'] > 3)
    return trainer, stream


def learned(settings):
    """Return by how much the weights that learn differ from those that run, in the state."""
    tensors, _ = load_state(Path(settings.state_dir, STATE))
    return max(float((tensors[name] - tensors[name.replace('network/', 'running/')]).abs().max())
               for name in tensors if name.startswith('network/'))


def test_all_is_forgotten_in_the_midst_of_learning_and_for_good(settings, anchor_dir):
    trainer, _ = learning(settings, anchor_dir)
    assert trainer.client.save(20.0) == '' and learned(settings) > 0
    trainer.client.forget(0, 0)
    trainer.wait_for(lambda: trainer.of('forgotten'))
    assert learned(settings) == 0
    trainer.wait_for(lambda: trainer.of('status')[-1]['blocks'] == 0)
    os.kill(trainer.client._process.pid, signal.SIGKILL)  # before another state is saved
    trainer.wait_for(lambda: len(trainer.of('ready')) == 2)
    assert trainer.client.save(20.0) == '' and learned(settings) == 0
    assert trainer.client.counts['restarts'] == 1 and len(trainer.of('forgotten')) == 1
    trainer.client.stop()


def test_a_frame_of_another_size_in_the_midst_of_learning(settings, anchor_dir):
    trainer, _ = learning(settings, anchor_dir)
    label = np.tile(np.linspace(0.1, 1, 84, dtype=np.float16), (70, 1))
    others = [LabelledFrame(np.zeros((3, 70, 84), np.uint8), label, 10 ** 12 + 50_000_000 * k, 1,
                            stretch=99) for k in range(12)]
    trainer.client.add(others[0])  # one alone is nothing to learn from
    trainer.wait_for(lambda: trainer.of('status')[-1]['buffer_size_changes']
                     or trainer.client.problem)
    for frame in others[1:]:
        trainer.client.add(frame)
    steps = trainer.of('status')[-1]['steps']
    trainer.wait_for(lambda: trainer.of('status')[-1]['steps'] > steps)
    assert trainer.client.counts['restarts'] == 0
    trainer.client.stop()


def test_what_a_process_that_dies_was_told_to_forget_is_said_to_the_next(settings, anchor_dir):
    trainer, _ = learning(settings, anchor_dir)
    assert trainer.client.save(20.0) == '' and learned(settings) > 0
    process = trainer.client._process
    os.kill(process.pid, signal.SIGSTOP)  # it takes in nothing any more
    trainer.client.forget(0, 5)
    trainer.wait_for(lambda: not trainer.client._waiting)
    os.kill(process.pid, signal.SIGKILL)
    trainer.wait_for(lambda: trainer.client.problem)
    trainer.client.forget(0, 0)  # while there is none
    trainer.wait_for(lambda: not trainer.client._waiting and not trainer.client._to_forget)
    assert trainer.of('forgotten') and learned(settings) == 0
    trainer.client.stop()


def test_an_error_in_the_process_ends_it_with_a_status_and_what_it_was(settings):
    with subprocess.Popen([sys.executable, '-m', TrainerProcess.__module__], cwd=ROOT,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        send(process.stdin, 'begin', asdict(settings))
        send(process.stdin, 'frame', {})  # of which all is missing
        assert process.wait(60) == 1  # with its standard input still open
        told = process.stderr.read().decode()
    assert "KeyError: 'image'" in told and 'Fatal' not in told


def test_whoever_fails_to_hear_a_message_hears_the_next(settings, capfd):
    heard = []

    def hear(kind, values):
        heard.append(kind)
        if kind == 'ready':
            raise RuntimeError('of the listener')
    client = TrainerClient(settings, hear)
    client.start()
    end = time.monotonic() + 60
    while 'status' not in heard and time.monotonic() < end:
        time.sleep(0.02)
    assert heard[-1] == 'status' and client.problem == ''
    assert client.save(20.0) == ''
    client.stop()
    assert 'RuntimeError: of the listener' in capfd.readouterr().err
