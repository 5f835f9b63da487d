# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo over a drive of a few seconds: all its nodes, its table, its picture and its JSON."""
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

import cv2
import pytest
from ros_graph import DOMAIN

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.ros
def test_a_short_demo(anchor_dir, tmp_path):
    shutil.copytree(anchor_dir, tmp_path / 'recordings' / 'anchor')
    run = subprocess.run(
        [sys.executable, ROOT / 'scripts' / 'demo.py', '--seconds', '4', '--output', tmp_path],
        capture_output=True, text=True, timeout=600,
        env=dict(os.environ, ROS_DOMAIN_ID=str(DOMAIN)))
    assert run.returncode == 0, run.stdout + run.stderr
    assert 'Student: tiny-r-sim.safetensors, trained on simulated scenes' in run.stdout
    assert 'Teacher: tiny-teacher-sim.safetensors' in run.stdout
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['stream']['packets'] == 1000 and result['stream']['gaps'] == 0
    assert result['stream']['events'] > 1_000_000
    assert result['inference']['images'] > 0 and result['labels'] > 0 and result['moments'] > 0
    errors = result['accuracy']['new_domain']
    # The teacher looks at pictures of streets such as it knows, the student through a tilted lens.
    assert 0 < errors['teacher'] < errors['frozen'] < 1
    assert cv2.imread(str(tmp_path / 'demo.png')).shape[1] == 1210
