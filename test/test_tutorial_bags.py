# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/tutorial_bags.md, on six seconds instead of two minutes."""
import json
from pathlib import Path
import re
import shlex

import pytest

from depth_anyevent_ros.cli.main import execute

ROOT = Path(__file__).resolve().parents[1]
SHORTER = {'80': '3', '90': '4.5'}  # seconds
LITTLE = ['threads=1', 'stages.0.steps=4', 'stages.0.height=56', 'stages.0.width=70',
          'validation.every=2']


@pytest.mark.usefixtures('torch_settings')
def test_from_a_bag_to_a_better_student(flight, tmp_path, monkeypatch):
    (tmp_path / 'drive').symlink_to(flight)
    (tmp_path / 'config').symlink_to(ROOT / 'config')
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r'```bash\n(.*?)```', (ROOT / 'docs' / 'tutorial_bags.md').read_text(),
                        re.DOTALL)
    results = []
    for line in ''.join(blocks).splitlines():
        name, command, *words = shlex.split(line)
        assert name == 'depth_anyevent'
        words = [SHORTER.get(word, word) for word in words]
        extra = LITTLE if command == 'train' else []
        result = tmp_path / f'{len(results)}.json'
        assert execute([command, *words, *extra, '--json', str(result)]) == 0, line
        results.append((command, json.loads(result.read_text())))
    assert [command for command, _ in results] == [
        'inspect', 'label', 'label', 'label', 'train', 'evaluate', 'evaluate', 'infer']
    labels = [result['labels_made'] for command, result in results if command == 'label']
    assert sum(labels) == 60 and min(labels) > 10
    assert results[4][1]['validation']['rmse'] < 1
    assert [result['frames'] for _, result in results[5:7]] == [labels[2]] * 2
    assert results[4][1]['sha256'].startswith(results[5][1]['checkpoint']['sha256'])
    assert results[7][1]['windows'] > 50
