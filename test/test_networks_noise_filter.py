# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Events without a neighbour are not seen, and nothing else changes."""
from dataclasses import replace
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
import torch

from depth_anyevent_ros.events.noise_filter import supported as in_numpy
from depth_anyevent_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from depth_anyevent_ros.networks.config import InputConfig, model_preset, ModelConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.half_weights import in_half
from depth_anyevent_ros.networks.initialization import initialize_weights
from depth_anyevent_ros.networks.noise_filter import supported
from depth_anyevent_ros.networks.step import Step

ROOT = Path(__file__).resolve().parents[1]
WITHIN = 0.3
STD = 0.35


def random_tencode(seed, share, size=(20, 31)):
    """Return float32 (3, *size) with events in a share of the cells."""
    rng = np.random.default_rng(seed)
    seen, on = rng.random(size) < share, rng.random(size) < 0.5
    return (np.stack([on, rng.random(size), ~on]) * seen).astype(np.float32)


def by_formula(image):
    """Look at each cell and its eight neighbours in turn."""
    seen, age = image[0] + image[2] > 0, image[1]
    result = np.zeros_like(image)
    for y, x in zip(*np.nonzero(seen)):
        for v in range(max(y - 1, 0), min(y + 2, seen.shape[0])):
            for u in range(max(x - 1, 0), min(x + 2, seen.shape[1])):
                if (v, u) != (y, x) and seen[v, u] and abs(age[v, u] - age[y, x]) < WITHIN:
                    result[:, y, x] = image[:, y, x]
    return result


@pytest.mark.parametrize('share', [0.02, 0.2, 0.9])
@pytest.mark.parametrize('std', [1.0, STD])
def test_what_stays_has_a_neighbour_of_about_its_age(share, std):
    image = random_tencode(0, share)
    expected = by_formula(image)
    found = supported(torch.from_numpy(image)[None] / std, WITHIN)[0] * std
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(in_numpy(image / np.float32(std), WITHIN) * std, expected,
                               atol=1e-6)
    kept = np.count_nonzero(expected.max(0)) / np.count_nonzero(image.max(0))
    assert kept < 0.3 if share == 0.02 else kept > 0.3


def test_a_pair_stays_and_one_alone_does_not():
    image = np.zeros((1, 3, 6, 6), np.float32)
    image[0, 0, 0, 0] = 1  # alone, in the corner, of age 0
    image[0, 2, 4, 4], image[0, 0, 5, 5] = 1, 1  # side by side
    image[0, 1, 5, 5] = 0.2
    image[0, 0, 0, 4], image[0, 0, 1, 4] = 1, 1  # side by side, but 0.5 of the window apart
    image[0, 1, 1, 4] = 0.5
    found = supported(torch.from_numpy(image), WITHIN)
    assert torch.nonzero(found[0, [0, 2]].sum(0)).tolist() == [[4, 4], [5, 5]]


def students(name='tiny-r'):
    """Return a network with the filter, and the same without it."""
    config = model_preset(name).network
    made = []
    for within in (WITHIN, 0.0):
        made.append(DepthNetwork(replace(config, noise_filter=within)).eval())
        initialize_weights(made[-1], 0)
    return made


def test_the_network_sees_what_the_filter_leaves():
    filtered, plain = students()
    noisy = torch.from_numpy(random_tencode(1, 0.1, (42, 56)))[None] / STD
    with torch.no_grad():
        expected = plain(supported(noisy, WITHIN))[0]
        assert torch.equal(filtered(noisy)[0], expected)
        assert not torch.equal(plain(noisy)[0], expected)


def test_half_precision_takes_the_same_events_for_noise():
    filtered, plain = students()
    # Pairs on either side of the limit, nearer to it than half precision can tell.
    image = torch.zeros(1, 3, 42, 56)
    image[0, 0, ::3, :] = 1
    image[0, 1, ::3, ::4] = 0.9
    image[0, 1, ::3, 1::4] = 0.9 - WITHIN + 1e-5 * torch.linspace(-3, 3, 14)
    image[0, :, :, 2::4] = image[0, :, :, 3::4] = 0
    mean, std = torch.zeros(3, 1, 1), torch.full((3, 1, 1), STD)
    seen = supported(image / std, WITHIN)
    assert not torch.equal(supported((image / std).half(), WITHIN) > 0, seen > 0)
    maps = []
    for network, given in ((filtered, image), (plain, seen * std)):
        step = in_half(Step(network, mean, std), torch.float16, (42, 56))
        with torch.no_grad():
            maps.append(step.network.pretrained((given - mean) / std)[0].float())
    assert torch.allclose(*maps, atol=1e-2 * maps[1].abs().max().item())


def test_it_is_part_of_the_checkpoint(tmp_path):
    filtered, plain = students()
    config = model_preset('tiny-r')
    save_checkpoint(tmp_path / 'a.safetensors', filtered, replace(config, network=filtered.config))
    again = load_checkpoint(tmp_path / 'a.safetensors')
    assert again.config.network.noise_filter == WITHIN
    plain.load_state_dict(again.network.state_dict())
    image = torch.from_numpy(random_tencode(3, 0.1, (42, 56)))[None] / STD
    with torch.no_grad():
        assert torch.equal(again.network(image)[0], plain(supported(image, WITHIN))[0])


@pytest.mark.parametrize('given', [
    {'representation': 'rgb', 'placement': 'resize'}, {'placement': 'resize'},
    {'background': 'white'}, {'mean': (0.1, 0.0, 0.0)}, {'std': (0.3, 0.4, 0.3)},
    {'time_normalization': 'first_last'}])
def test_inputs_that_it_could_not_read_are_refused(given):
    usual = {'mean': (0.0,) * 3, 'std': (STD,) * 3}
    network = replace(model_preset('tiny-r').network, noise_filter=WITHIN)
    ModelConfig('x', network, InputConfig(**usual))
    with pytest.raises(ValueError, match='noise_filter needs a Tencode on a black grid'):
        ModelConfig('x', network, InputConfig(**{**usual, **given}))


@pytest.mark.parametrize('within', [-0.1, 1.5, float('nan'), 'much'])
def test_its_range(within):
    with pytest.raises(ValueError, match='noise_filter'):
        replace(model_preset('tiny-r').network, noise_filter=within)


def test_a_student_is_shown_its_events_otherwise_by_a_script(tmp_path):
    _, plain = students()
    usual = model_preset('tiny-r')
    save_checkpoint(tmp_path / 'plain.safetensors', plain, replace(
        usual, provenance={'trained_on': 'events of tests'}))
    made = tmp_path / 'filtered.safetensors'
    assert change_input(tmp_path / 'plain.safetensors', made, '--noise-filter', 0.3) == 0
    before, after = load_checkpoint(tmp_path / 'plain.safetensors'), load_checkpoint(made)
    assert after.config.network == replace(usual.network, noise_filter=0.3)
    assert after.config.provenance == {'trained_on': 'events of tests',
                                       'noise_filter': '0.3, set after training'}
    weights = after.network.state_dict()
    assert all(torch.equal(weights[name], weight)
               for name, weight in before.network.state_dict().items())
    both = tmp_path / 'both.safetensors'
    assert change_input(made, both, '--cell-threshold', 0.5, '--noise-filter', 0) == 0
    config = load_checkpoint(both).config
    assert (config.network.noise_filter, config.input.cell_threshold) == (0, 0.5)
    assert config.provenance['cell_threshold'] == '0.5, set after training'
    assert change_input(made, tmp_path / 'none.safetensors', '--cell-threshold', -1) == 1
    assert change_input(made, tmp_path / 'none.safetensors') == 1
    teacher = replace(model_preset('tiny'), input=InputConfig('rgb', placement='resize'))
    save_checkpoint(tmp_path / 'rgb.safetensors', DepthNetwork(teacher.network), teacher)
    for option in '--noise-filter', '--cell-threshold':
        assert change_input(tmp_path / 'rgb.safetensors', tmp_path / 'none.safetensors', option,
                            0.3) == 1
    assert not (tmp_path / 'none.safetensors').exists()


def change_input(*arguments):
    return subprocess.run([sys.executable, str(ROOT / 'scripts' / 'change_input.py'),
                           *map(str, arguments)], cwd=ROOT).returncode
