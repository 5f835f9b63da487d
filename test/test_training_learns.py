# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A minute of training on one core beats what one knows without looking, on held-out scenes."""
import json

import yaml

from depth_anyevent_ros.cli.main import execute

SCENES = {'train': 32, 'validation': 8}
# Small pictures and few renders, which take a second a scene.
QUICK = ('--world', 'drone', '--duration', '1.5', '--binning', '4', '--max-motion-px', '4',
         '--max-step-ms', '25', '--no-images', '--format', 'sequence')
CONFIG = {
    'name': 'tiny', 'threads': 1, 'save_every': 1000, 'network': {'preset': 'tiny-r'},
    'input': {'window_ms': 50, 'mean': [0, 0, 0], 'std': [0.35, 0.35, 0.35]},
    'stages': [{'height': 70, 'width': 70, 'steps': 110, 'lanes': 24, 'clip': 1,
                'learning_rate': 1.5e-3}],
    'optimizer': {'warmup_steps': 20, 'ema_decay': 0.98},
    'augmentation': {'polarity_swap': True, 'visit_frames': 8},
    'validation': {'every': 1000, 'frames': 10, 'stride': 3}}


def test_a_minute_of_training_beats_the_mean_map_on_held_out_scenes(tmp_path, torch_settings,
                                                                    pytestconfig):
    for split, count in SCENES.items():
        assert execute(['simulate', *QUICK, '--split', split, '--count', str(count),
                        '--output', str(tmp_path / split)]) == 0
    ratios = []
    for seed in range(3 if pytestconfig.getoption('--all-seeds') else 1):
        file, result = tmp_path / f'{seed}.yaml', tmp_path / f'{seed}.json'
        file.write_text(yaml.safe_dump({
            **CONFIG, 'seed': seed, 'output': str(tmp_path / f'run{seed}'),
            'data': {split: [str(tmp_path / split)] for split in SCENES}}))
        assert execute(['train', str(file), '--json', str(result)]) == 0
        # Of the last step: no step was chosen by these scenes.
        ratios.append(json.loads(result.read_text())['validation']['ratio'])
    print('AbsRel over the mean map:', *(f'{ratio:.3f}' for ratio in ratios))
    assert max(ratios) < 0.95
