# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what is kept, and how each kind of bad file is refused."""

from dataclasses import replace
import hashlib
import json
import os
import resource

from checkpoint_refusal import refusal
import pytest
import safetensors.torch
import torch

from depth_anyevent_ros.networks.checkpoint import (
    CheckpointError, load_checkpoint, load_checkpoint_bytes, METADATA_KEY, save_checkpoint,
    untrained_student)
from depth_anyevent_ros.networks.config import model_preset, NETWORKS
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights

CONFIG = replace(model_preset('tiny-r'), name='small one', provenance={
    'trained_on': 'simulated scenes', 'steps': 12})
KEY = 'pretrained.blocks.3.attn.qkv.weight'


@pytest.fixture(scope='module')
def network():
    network = DepthNetwork(CONFIG.network)
    initialize_weights(network, seed=7)
    return network


@pytest.fixture(scope='module')
def data(network, tmp_path_factory):
    """Return the bytes of a good checkpoint."""
    path = tmp_path_factory.mktemp('checkpoint') / 'student.safetensors'
    save_checkpoint(path, network, CONFIG)
    return path.read_bytes()


def rebuilt(data, change_tensors=None, change_metadata=None):
    """Return the bytes of a checkpoint after a change of its tensors or its metadata."""
    length = int.from_bytes(data[:8], 'little')
    metadata = json.loads(data[8:8 + length])['__metadata__']
    tensors = safetensors.torch.load(data)
    if change_tensors:
        change_tensors(tensors)
    if change_metadata:
        content = json.loads(metadata[METADATA_KEY])
        change_metadata(content)
        metadata = {METADATA_KEY: json.dumps(content)}
    return safetensors.torch.save(tensors, metadata)


def test_round_trip(network, data, tmp_path):
    path = tmp_path / 'student.safetensors'
    digest = save_checkpoint(path, network, CONFIG)
    checkpoint = load_checkpoint(path)
    assert digest == checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_bytes() == data, 'the same weights must give the same file'
    assert checkpoint.config == CONFIG
    assert checkpoint.name == 'student.safetensors'
    assert checkpoint.trained and checkpoint.trained_on == 'simulated scenes'
    assert os.listdir(tmp_path) == ['student.safetensors']
    assert path.stat().st_size < 2.1 * sum(weight.numel() for weight in network.parameters())
    weights = checkpoint.network.state_dict()
    for key, tensor in network.state_dict().items():
        assert weights[key].dtype == torch.float32
        torch.testing.assert_close(weights[key], tensor, rtol=2 ** -11, atol=2 ** -24)
    image = torch.randn(1, 3, 70, 84)
    with torch.inference_mode():
        torch.testing.assert_close(checkpoint.network(image)[0], network(image)[0],
                                   rtol=5e-3, atol=5e-3)


def test_weights_are_the_networks_own(data):
    """Not views of the file's bytes: training writes to them."""
    checkpoint = load_checkpoint_bytes(data, 'student')
    with torch.no_grad():
        for weight in checkpoint.network.parameters():
            assert weight.requires_grad
            weight.add_(1)
    again = load_checkpoint_bytes(data, 'student')
    assert not torch.equal(again.network.pretrained.norm.bias,
                           checkpoint.network.pretrained.norm.bias)


def test_an_untrained_student_says_so():
    one, two, other = untrained_student(), untrained_student(), untrained_student(seed=1)
    assert not one.trained
    assert 'untrained' in one.name and 'untrained' in one.config.name
    assert 'random' in one.trained_on
    assert one.sha256 == two.sha256 != other.sha256
    assert one.config.network == NETWORKS['tiny-r']
    with pytest.raises(ValueError, match='vits is a teacher'):
        untrained_student('vits')


def test_an_untrained_student_stays_untrained_on_disk(tmp_path):
    student = untrained_student()
    digest = save_checkpoint(tmp_path / 'a.safetensors', student.network, student.config)
    assert digest == student.sha256
    assert not load_checkpoint(tmp_path / 'a.safetensors').trained


def test_saving_replaces_in_one_step_and_leaves_nothing_behind(network, tmp_path):
    path = tmp_path / 'student.safetensors'
    path.write_bytes(b'old')
    old = os.open(path, os.O_RDONLY)  # a reader that opened the file before
    save_checkpoint(path, network, CONFIG)
    assert os.read(old, 10) == b'old'
    os.close(old)
    assert load_checkpoint(path).trained
    blocked = tmp_path / 'folder'
    blocked.mkdir()
    with pytest.raises(OSError):
        save_checkpoint(blocked, network, CONFIG)
    assert sorted(os.listdir(tmp_path)) == ['folder', 'student.safetensors']


def test_a_full_disk_leaves_the_old_file_and_nothing_else(network, tmp_path):
    path = tmp_path / 'student.safetensors'
    path.write_bytes(b'old')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OSError):
            save_checkpoint(path, network, CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ['student.safetensors']
    assert path.read_bytes() == b'old'


def test_weights_beyond_half_precision_are_not_saved(network, tmp_path):
    network = untrained_student().network
    with torch.no_grad():
        network.depth_head.scratch.output_conv1.bias[0] = 1e6
    with pytest.raises(CheckpointError, match='output_conv1.bias'):
        save_checkpoint(tmp_path / 'student.safetensors', network,
                        untrained_student().config)
    assert not os.listdir(tmp_path)


def test_a_network_is_not_saved_with_the_configuration_of_another(network, tmp_path):
    with pytest.raises(CheckpointError, match='its own configuration'):
        save_checkpoint(tmp_path / 'a.safetensors', network, model_preset('tiny'))


def test_files_that_are_no_files(tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        load_checkpoint(tmp_path / 'absent.safetensors')
    with pytest.raises(CheckpointError, match='directory'):
        load_checkpoint(tmp_path)
    (tmp_path / 'empty.safetensors').touch()
    with pytest.raises(CheckpointError, match='empty'):
        load_checkpoint(tmp_path / 'empty.safetensors')
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_checkpoint('a\0b')


def test_the_hash_is_checked_before_anything_else(data):
    digest = hashlib.sha256(data).hexdigest()
    assert load_checkpoint_bytes(data, 'student', sha256=digest.upper()).sha256 == digest
    tampered = bytearray(data)
    tampered[-1] ^= 1
    assert 'should have sha256' in refusal(bytes(tampered), sha256=digest)
    assert load_checkpoint_bytes(bytes(tampered), 'student').sha256 != digest


@pytest.mark.parametrize('length', [1, 7, 8, 9, 100, 5_000, 20_000, 100_000, -1])
def test_truncated(data, length):
    refusal(data[:length])


def test_bytes_after_the_end(data):
    assert 'damaged' in refusal(data + b'\0' * 10)


@pytest.mark.parametrize('position', [0, 4, 7, 8, 9, 30, 2_000, 10_000])
def test_damaged_header(data, position):
    damaged = bytearray(data)
    damaged[position] ^= 0x55
    refusal(bytes(damaged))


@pytest.mark.parametrize('header', [
    b'{}', b'[]', b'{"a": 1}', b'{"a": {"dtype": "F16", "shape": "x", "data_offsets": [0, 0]}}',
    b'{"__metadata__": 3}', b'{"__metadata__": {"depth_anyevent_ros": 3}}', b'{' * 10_000,
    b'{"__metadata__": {"depth_anyevent_ros": "[1]"}}'])
def test_headers_that_are_not_ours(header):
    refusal(len(header).to_bytes(8, 'little') + header)


def test_foreign_safetensors():
    data = safetensors.torch.save({'weight': torch.zeros(2, 2)}, {'format': 'pt'})
    assert 'without a configuration of this package' in refusal(data)


def test_other_format_version(data):
    data = rebuilt(data, change_metadata=lambda content: content.update(format_version=2))
    assert 'format_version is 2 and this package reads 1' in refusal(data)


def test_unknown_configuration(data):
    data = rebuilt(data, change_metadata=lambda content: content['config'].update(extra=1))
    assert 'unknown keys extra' in refusal(data)


def test_weights_of_another_architecture(data):
    data = rebuilt(data, change_metadata=lambda content: content['config']['network'].update(
        recurrent_levels=[1, 2, 3, 4]))
    message = refusal(data)
    assert '4 missing (depth_head.gru_layer_1.conv.conv2d' in message
    assert 'unexpected' not in message and 'mis-shaped' not in message


def test_an_absurd_size_is_refused_before_it_is_allocated(data):
    data = rebuilt(data, change_metadata=lambda content: content['config']['network'].update(
        features=10 ** 9))
    assert 'features must be an integer from 2 to 1024' in refusal(data)


def test_announced_shapes_are_compared_before_tensors_are_made():
    config = json.loads(CONFIG.to_json())
    text = json.dumps({'format_version': 1, 'config': config})
    header = json.dumps({'__metadata__': {METADATA_KEY: text}, KEY: {
        'dtype': 'F16', 'shape': [10 ** 9, 10 ** 9], 'data_offsets': [0, 2 * 10 ** 18]}}).encode()
    assert '1 mis-shaped' in refusal(len(header).to_bytes(8, 'little') + header)


def test_missing_unexpected_and_misshaped_keys_are_named_and_counted(data):
    def change(tensors):
        for i in range(5):
            del tensors[f'pretrained.blocks.{i}.ls1.gamma']
        tensors['extra.weight'] = torch.zeros(3, dtype=torch.float16)
        tensors[KEY], tensors['pretrained.cls_token'] = (
            tensors['pretrained.cls_token'], tensors[KEY])  # swapped

    message = refusal(rebuilt(data, change))
    assert '5 missing (pretrained.blocks.0.ls1.gamma, pretrained.blocks.1.ls1.gamma, ' in message
    assert '1 unexpected (extra.weight)' in message
    assert '2 mis-shaped' in message
    assert f'{KEY} is (1, 1, 192) instead of (576, 192)' in message
    assert 'of 175 keys expected and 171 found' in message


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_nan_and_infinite_weights(data, value):
    message = refusal(rebuilt(data, lambda tensors: tensors[KEY][3].fill_(value)))
    assert f'1 of 175 tensors for student hold NaN or infinite values ({KEY})' in message


def test_wrong_type_of_numbers(data):
    def change(tensors):
        tensors[KEY] = tensors[KEY].to(torch.int16)

    assert 'F16, BF16, F32' in refusal(rebuilt(data, change))


def test_max_depth_is_not_for_our_own(data):
    assert 'leave max_depth out' in refusal(data, max_depth=20.0)


@pytest.mark.parametrize('data', [
    b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
    b'<!DOCTYPE html><html></html>', b'x'])
def test_neither_kind_of_file(data):
    assert 'neither safetensors nor a torch file' in refusal(data)
