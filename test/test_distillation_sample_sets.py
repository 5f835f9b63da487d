# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The samples of a stage in memory, and the processes that load them."""
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
import weakref

import pytest
from tiny_sequences import write_sequence

from depth_anyevent_ros.datasets.samples import SampleError
from depth_anyevent_ros.distillation import trainer
from depth_anyevent_ros.distillation.sample_sets import load_sample_set, workers
from depth_anyevent_ros.distillation.training_config import training_config
from depth_anyevent_ros.networks.config import InputConfig

# Tasks that take longer than the test waits, and say which process has begun them, in one write
# each: lines of print come apart where Python does not buffer.
PROGRAM = """
from depth_anyevent_ros.distillation.sample_sets import workers
with workers(2) as map_:
    task = 'import os, time; os.write(1, b"%d\\\\n" % os.getpid()); time.sleep(120)'
    list(map_(exec, [task] * 2))
"""

# A shell may have the commands that it runs in the background ignore interrupts.
INTERRUPTED = """
import signal
from depth_anyevent_ros.distillation.sample_sets import workers
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with workers(2) as map_:
        results = map_(exec, ['print("working", flush=True); import time; time.sleep(100)'] * 2)
        print('begun', flush=True)
        list(results)
except KeyboardInterrupt:
    print('interrupted')
"""


def alive(pid):
    try:
        return bool(Path(f'/proc/{pid}/cmdline').read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize('processes', [1, 2])
def test_results_come_in_order(processes):
    with workers(processes) as map_:
        assert list(map_(abs, [-3, 2, -1])) == [3, 2, 1]


def test_a_sensor_smaller_than_a_patch_is_skipped(tmp_path):
    usable = write_sequence(tmp_path / 'usable')
    tiny = write_sequence(tmp_path / 'tiny', 1, size=(24, 10))
    samples = load_sample_set([usable, tiny], InputConfig(height=56, width=70), 'training')
    assert samples.paths == (str(usable),)
    (path, reason), = samples.skipped
    assert path == str(tiny)
    assert 'a sensor of 24x10 pixels is smaller than one patch' in reason


def test_a_process_that_is_ended_from_outside_is_told_in_a_sentence():
    with pytest.raises(SampleError, match='ended from outside.* set data.processes lower'):
        with workers(2) as map_:
            list(map_(exec, ['import os, signal; os.kill(os.getpid(), signal.SIGKILL)']))


def test_processes_end_with_one_that_is_killed():
    process = subprocess.Popen([sys.executable, '-c', PROGRAM], stdout=subprocess.PIPE, text=True)
    found = [int(process.stdout.readline()) for _ in range(2)]
    try:
        assert len({*found, process.pid}) == 3 and all(map(alive, found))
        process.send_signal(signal.SIGKILL)
        process.wait()
        end = time.monotonic() + 20
        while any(map(alive, found)) and time.monotonic() < end:
            time.sleep(0.02)
        assert not any(map(alive, found))
    finally:
        for pid in filter(alive, found):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize('words', [['begun'], ['begun', 'working', 'working']],
                         ids=['while they begin', 'while they work'])
def test_an_interrupt_of_all_processes_is_told_by_the_first_alone(words):
    process = subprocess.Popen([sys.executable, '-c', INTERRUPTED], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert [process.stdout.readline().strip() for _ in words] == words
        time.sleep(0.3)  # in which those that begin are importing
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and errors == ''
    assert output.splitlines()[-1] == 'interrupted'


@pytest.mark.usefixtures('torch_settings')
def test_the_frames_of_a_stage_make_room_for_those_of_the_next(tmp_path, monkeypatch):
    found, load = [], trainer.load_stage

    def load_stage(*given):
        assert not any(image() is not None for image in found)
        data = load(*given)
        found.extend(weakref.ref(item.image) for item in data.train.samples)
        return data

    write_sequence(tmp_path / 's')
    monkeypatch.setattr(trainer, 'load_stage', load_stage)
    trainer.Trainer(training_config({
        'name': 's', 'output': str(tmp_path / 'run'), 'network': {'preset': 'tiny'},
        'data': {'train': [str(tmp_path / 's')], 'validation': [str(tmp_path / 's')]},
        'stages': [{'height': 56, 'width': 70, 'steps': 1, 'lanes': 1, 'clip': 1}] * 2})).train()
    assert len(found) == 2
