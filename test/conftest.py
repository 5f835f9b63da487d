# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tests use, and how tests are shared between processes."""
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if 'PYTEST_XDIST_WORKER' in os.environ:
    # Threads of one process would wait for a core that another has.
    os.environ.setdefault('OMP_NUM_THREADS', '1')


def pytest_addoption(parser):
    """Add what is run by hand."""
    parser.addoption('--all-seeds', action='store_true',
                     help='train with three seeds instead of one in test_training_learns.py')
    parser.addoption('--fuzz-packets', type=int, default=100_000, metavar='N',
                     help='damaged packets of each encoding in test_events_fuzz.py')
    parser.addoption('--event-camera-py', type=Path, metavar='DIR',
                     help='a checkout of github.com/ros-event-camera/event_camera_py, whose '
                          'recordings test_more_recordings.py decodes')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """
    Keep tests together that pytest-xdist should give to one process, the longest groups first.

    Those of a file share what its fixtures made, and those that talk over ROS would take each
    other's time.
    """
    if not config.pluginmanager.hasplugin('xdist'):
        return
    for item in items:
        ros = item.get_closest_marker('ros') is not None
        item.add_marker(pytest.mark.xdist_group('ros' if ros else item.path.name))
    items.sort(key=lambda item: (item.get_closest_marker('ros') is None,
                                 item.path.name != 'test_training_learns.py'))


def made_once(tmp_path_factory, name, make) -> Path:
    """Return a folder that make(folder) filled, in whichever process of the run came first."""
    if 'PYTEST_XDIST_WORKER' not in os.environ:
        folder = tmp_path_factory.mktemp(name)
        make(folder)
        return folder
    from filelock import FileLock  # which torch brings
    folder = tmp_path_factory.getbasetemp().parent / name
    with FileLock(f'{folder}.lock'):
        if not folder.exists():
            part = tmp_path_factory.mktemp(name)
            make(part)
            part.rename(folder)
    return folder


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real recordings beside the checkout; they are not ours to ship."""
    folder = ROOT.parent / 'shared' / 'data'
    if not folder.is_dir():
        pytest.skip('the recordings of ../shared/data are not here')
    return folder


@pytest.fixture
def own_recording() -> Path:
    """Return the bag that scripts/make_recording.py made."""
    return ROOT / 'test' / 'data' / 'boxes_evt3'


@pytest.fixture(scope='session')
def flight(tmp_path_factory) -> Path:
    """Return a bag of six seconds: a drone whose event camera is turned, 10 pictures a second."""
    from depth_anyevent_ros.simulation.production import produce, Recording
    recording = Recording('drone', seed=3, duration_s=6.0, rate_hz=10.0, binning=2,
                          max_motion_px=2.0, max_step_ms=10.0, turn_deg=(8.0, 4.0, 0.0))
    folder = made_once(tmp_path_factory, 'bags',
                       lambda folder: produce(recording, folder / 'flight'))
    return folder / 'flight'


@pytest.fixture(scope='session')
def untrained_file(tmp_path_factory) -> Path:
    """Return the checkpoint of an untrained student, so that no test hangs on what ships."""
    from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student
    path = tmp_path_factory.mktemp('weights') / 'untrained.safetensors'
    student = untrained_student()
    save_checkpoint(path, student.network, student.config)
    return path


@pytest.fixture(scope='session')
def trained_file(tmp_path_factory) -> Path:
    """Return a checkpoint that says it was trained, which leaves nothing to warn of."""
    from dataclasses import replace

    from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student
    path = tmp_path_factory.mktemp('trained') / 'trained.safetensors'
    student = untrained_student()
    config = replace(student.config, name='trained', provenance={'trained_on': 'events of tests'})
    save_checkpoint(path, student.network, config)
    return path


@pytest.fixture(scope='session')
def untrained_teacher(tmp_path_factory) -> Path:
    """Return the checkpoint of an untrained network on RGB."""
    from dataclasses import replace

    from depth_anyevent_ros.networks.checkpoint import save_checkpoint
    from depth_anyevent_ros.networks.config import InputConfig, model_preset
    from depth_anyevent_ros.networks.depth_network import DepthNetwork
    from depth_anyevent_ros.networks.initialization import initialize_weights
    path = tmp_path_factory.mktemp('teacher') / 'teacher.safetensors'
    config = model_preset('tiny')
    config = replace(config, name='colour', input=InputConfig('rgb', height=70, width=98))
    network = DepthNetwork(config.network)
    initialize_weights(network, 0)
    save_checkpoint(path, network, config)
    return path


@pytest.fixture(scope='session')
def anchor_dir(tmp_path_factory) -> Path:
    """Return the folder of an anchor set, which takes half a minute to make."""
    from depth_anyevent_ros.distillation.anchor import anchor_sequences
    return made_once(tmp_path_factory, 'anchor', anchor_sequences)


@pytest.fixture
def client():
    """Return a ROS node that publishes, listens and calls in a test's own domain."""
    from ros_graph import Client
    made = Client()
    yield made
    made.close()


@pytest.fixture
def torch_settings():
    """Leave torch's threads and its handling of denormal numbers as they were."""
    import torch
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
