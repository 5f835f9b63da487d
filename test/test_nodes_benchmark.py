# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the nodes at small size: three processes over DDS."""
import json
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.ros
def test_benchmark_node(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_DOMAIN_ID', '18')
    from depth_anyevent_ros.cli.main import execute
    from depth_anyevent_ros.nodes import node_benchmark
    monkeypatch.setattr(node_benchmark, 'LOAD', (173, 130, 1e6, 5.0, 2.0))
    monkeypatch.setattr(node_benchmark, 'LATENCIES', ((64, 48, 1e5, 5.0, 4.0, 'torch'),))
    monkeypatch.setattr(node_benchmark, 'SETTLE_S', 1.0)
    monkeypatch.setattr(node_benchmark, 'SILENCE_S', 1.5)
    file = tmp_path / 'benchmark.json'
    assert execute(['benchmark', 'node', '--json', str(file)]) == 0
    load, latency = json.loads(file.read_text())['cases']
    assert '2000 of 2000 packets, gaps 0' in load['name']
    # All but what waits for the end of the stream.
    assert load['unit'] == 'Mev/s' and 0.99 < load['ratio'] <= 1.0
    assert latency['unit'] == 'ms' and latency['min'] <= latency['median'] <= latency['max']
    page = tmp_path / 'performance.md'
    subprocess.run([sys.executable, ROOT / 'scripts' / 'performance.py', file, '--output', page],
                   check=True)
    text = page.read_text()
    assert '`scripts/performance.py`' in text and 'depth_anyevent benchmark node' in text
    assert text.count('| node: ') == 2


def test_the_page_is_what_the_kept_files_make(tmp_path):
    page = tmp_path / 'performance.md'
    subprocess.run([sys.executable, ROOT / 'scripts' / 'performance.py', '--output', page],
                   check=True)
    assert page.read_text() == (ROOT / 'docs' / 'performance.md').read_text()
