# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A mean of weights is one, and says what went in."""
from dataclasses import replace
from pathlib import Path
import runpy

from depth_anyevent_ros.distillation.provenance import told_once
from depth_anyevent_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from depth_anyevent_ros.networks.config import model_preset
from depth_anyevent_ros.networks.depth_network import DepthNetwork

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
CARS = 'simulated scenes (worlds of this package: car)'
DESKS = 'simulated scenes (worlds of this package: desk)'


def students(folder, **second):
    """Write two checkpoints of random weights that say they were trained; return their paths."""
    paths = []
    for seed, trained_on in (0, CARS), (1, DESKS):
        torch.manual_seed(seed)
        config = replace(model_preset('tiny'), provenance={
            'trained_on': trained_on, 'seed': seed, 'step': 10 + seed, 'commit': 'c',
            'validation': {'abs_rel': 0.2}}, **(second if seed else {}))
        paths.append(folder / f'{seed}.safetensors')
        save_checkpoint(paths[-1], DepthNetwork(config.network), config)
    return paths


def test_each_weight_is_the_mean_of_all(tmp_path, monkeypatch):
    paths = students(tmp_path)
    assert mean_weights(monkeypatch, tmp_path / 'mean.safetensors', *paths, paths[0]) == 0
    first, second = (load_checkpoint(path) for path in paths)
    made = load_checkpoint(tmp_path / 'mean.safetensors')
    weights = made.network.state_dict()
    other = second.network.state_dict()
    differ = 0
    for name, weight in first.network.state_dict().items():
        expected = ((2 * weight.double() + other[name].double()) / 3).half().float()
        assert torch.equal(weights[name], expected), name
        differ += not torch.equal(expected, weight)
    assert differ > 50  # weights were random, so that a copy of the first would show
    assert (made.config.network, made.config.input) == (first.config.network, first.config.input)
    assert made.config.provenance == {
        'trained_on': 'simulated scenes (worlds of this package: car, desk)', 'mean_of': [
            {'sha256': first.sha256, 'seed': 0, 'commit': 'c', 'step': 10},
            {'sha256': second.sha256, 'seed': 1, 'commit': 'c', 'step': 11},
            {'sha256': first.sha256, 'seed': 0, 'commit': 'c', 'step': 10}]}


def test_weights_that_do_not_fit_are_refused(tmp_path, monkeypatch, capsys):
    before = model_preset('tiny').input
    paths = students(tmp_path, input=replace(before, cell_threshold=0.5))
    random = tmp_path / 'random.safetensors'
    save_checkpoint(random, DepthNetwork(model_preset('tiny').network), model_preset('tiny'))
    made = tmp_path / 'mean.safetensors'
    for files, told in ((paths, 'has another network or input than 0.safetensors'),
                        (paths[:1], 'two files or more'),
                        ([paths[0], random], 'random weights'),
                        ([paths[0], tmp_path / 'none'], 'none')):
        assert mean_weights(monkeypatch, made, *files) == 1
        assert told in capsys.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize('sentences, told', [
    ([CARS], CARS),
    ([DESKS, CARS], 'simulated scenes (worlds of this package: car, desk)'),
    ([f'{CARS}, and before that on simulated scenes (car and drone worlds of this package)'],
     'simulated scenes (worlds of this package: car, drone)'),
    (['bags', 'bags, and before that on ' + CARS], f'bags, and before that on {CARS}'),
    ([CARS, 'bags'], f'{CARS}, and before that on bags'),
])
def test_what_weights_were_trained_on_is_told_once(sentences, told):
    assert told_once(sentences) == told


def test_weights_side_by_side_are_not_told_as_one_after_the_other():
    assert told_once([CARS, 'bags', 'bags'], ' and ') == f'{CARS} and bags'


def mean_weights(monkeypatch, *arguments):
    monkeypatch.setattr('sys.argv', ['mean_weights', *map(str, arguments)])
    return runpy.run_path(str(ROOT / 'scripts' / 'mean_weights.py'))['main']()
