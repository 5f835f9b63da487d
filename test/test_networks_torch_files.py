# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that torch wrote: official weights, and how each kind of bad file is refused."""

import hashlib
import io
import os
import pickle
import zipfile

from checkpoint_refusal import refusal
import pytest
import torch

from depth_anyevent_ros.networks.checkpoint import load_checkpoint, load_checkpoint_bytes
from depth_anyevent_ros.networks.config import NETWORKS
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    """Return a state dict with the names and shapes of Depth Anything V2's vits."""
    network = DepthNetwork(NETWORKS['vits'])
    initialize_weights(network)
    return network.state_dict()


def saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize('wrap', [
    lambda weights: weights, lambda weights: {'state_dict': weights, 'epoch': 3},
    lambda weights: {'model': weights}], ids=['bare', 'state_dict', 'model'])
def test_official_weights_are_recognised(official, wrap, tmp_path):
    path = tmp_path / 'depth_anything_v2_vits.pth'
    path.write_bytes(saved(wrap(official)))
    checkpoint = load_checkpoint(path)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.config.network == NETWORKS['vits']
    assert checkpoint.config.input.representation == 'rgb'
    assert checkpoint.config.provenance['licence_as_published'] == 'Apache-2.0'
    for key, tensor in checkpoint.network.state_dict().items():
        assert torch.equal(tensor, official[key])


def test_tensors_that_share_memory_in_the_file_do_not_afterwards(official):
    weights, shared = dict(official), torch.ones(1).expand(384)
    weights['pretrained.norm.weight'] = weights['pretrained.norm.bias'] = shared
    norm = load_checkpoint_bytes(saved(weights), 'a.pth').network.pretrained.norm
    with torch.no_grad():
        norm.weight[0] = 5
        assert norm.weight[1] == norm.bias[0] == 1


def test_official_weights_in_torchs_old_format(official):
    data = saved(official, _use_new_zipfile_serialization=False)
    assert load_checkpoint_bytes(data, 'old.pth').config.network == NETWORKS['vits']


def test_official_weights_with_wrong_keys(official):
    weights = dict(official)
    del weights['depth_head.scratch.layer4_rn.weight']
    weights['depth_head.projects.0.weight'] = torch.zeros(48, 384)
    message = refusal(saved(weights))
    assert '1 missing (depth_head.scratch.layer4_rn.weight)' in message
    assert ('1 mis-shaped (depth_head.projects.0.weight is (48, 384) instead of '
            '(48, 384, 1, 1))') in message
    weights = {f'net.{key}': tensor for key, tensor in official.items()}
    assert 'it has no such key; the first of its 239 keys is net.' in refusal(saved(weights))


def test_official_weights_that_are_not_finite(official):
    weights = dict(official)
    weights['pretrained.norm.bias'] = torch.full((384,), float('nan'))
    assert 'pretrained.norm.bias' in refusal(saved(weights))


def test_metric_variants_need_their_range(official):
    data = saved(official)
    name = 'depth_anything_v2_metric_hypersim_vits.pth'
    for other, range_m in ((name, 20.0), (name.replace('hypersim', 'vkitti'), 80.0)):
        config = load_checkpoint_bytes(data, other).config
        assert (config.network.activation, config.network.max_depth) == ('sigmoid', range_m)
    assert 'keep the name that it was published with' in refusal(data, 'my_metric.pth')
    assert load_checkpoint_bytes(data, name, max_depth=10.0).config.network.max_depth == 10.0
    assert 'max_depth must be a number' in refusal(data, name, max_depth=-1)


def test_weights_that_were_trained_on_several_gpus(official):
    weights = {f'module.{key}': tensor for key, tensor in official.items()}
    assert load_checkpoint_bytes(saved(weights), 'a.pth').config.network == NETWORKS['vits']


class Malicious:
    """Creates a folder when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('write', [
    lambda content: saved(content),
    lambda content: saved(content, _use_new_zipfile_serialization=False),
    lambda content: pickle.dumps(content)], ids=['zip', 'old', 'pickle'])
def test_pickled_code_is_never_run(write, tmp_path):
    data = write({'pretrained.cls_token': torch.zeros(1, 1, 384),
                  'extra': Malicious(tmp_path / 'ran')})
    message = refusal(data)
    assert 'code, which are never loaded' in message
    assert 'it asks for posix.mkdir' in message or 'UnpicklingError' in message
    assert not (tmp_path / 'ran').exists()
    with pytest.raises(Exception):  # the object itself does what the test is about
        pickle.loads(pickle.dumps(Malicious(tmp_path / 'absent' / 'ran')))
    pickle.loads(pickle.dumps(Malicious(tmp_path / 'ran')))
    assert (tmp_path / 'ran').exists()


@pytest.mark.parametrize('content', [
    [1, 2], {}, {'a': 1}, {1: torch.zeros(1)}, torch.zeros(3), {'state_dict': {}},
    {'a': torch.zeros(3, dtype=torch.int64)}, {'a': torch.zeros(3, device='meta')},
    {'a': torch.zeros(3).to(torch.float8_e4m3fn)}])
def test_torch_files_without_a_state_dict(content):
    assert 'state dict' in refusal(saved(content))


@pytest.mark.parametrize('part', [0.001, 0.5, 0.999])
def test_truncated_torch_file(official, part):
    data = saved({'pretrained.cls_token': official['pretrained.cls_token']})
    refusal(data[:max(8, int(part * len(data)))])


def test_a_torch_file_that_unpacks_to_far_more_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('archive/data.pkl', b'x')
    data = bytearray(buffer.getvalue())
    entry = data.index(b'PK\x01\x02')
    data[entry + 24:entry + 28] = (0xFFFFFFF0).to_bytes(4, 'little')  # the announced size
    second = bytes(data[entry:data.index(b'PK\x05\x06')])
    end = bytearray(data[data.index(b'PK\x05\x06'):])
    end[8:10] = end[10:12] = (2).to_bytes(2, 'little')
    end[12:16] = (2 * len(second)).to_bytes(4, 'little')
    assert 'unpacks to' in refusal(bytes(data[:entry]) + 2 * second + bytes(end))
