# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth of a recording on a slider, of which the truth is known: two planes that pass by."""
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import pytest

from depth_anyevent_ros.datasets.sequences import Sequence

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT, FOCAL = 160, 120, 200.0
NEAR_M, FAR_M = 0.8, 2.0
COUNT, STEP_S, SPEED = 16, 0.04, 0.4


def picture(way_m: float) -> np.ndarray:
    """Return what a camera sees: a plane, and before it in the middle rows a nearer one."""
    rng = np.random.default_rng(0)
    columns = np.arange(WIDTH)
    seen = np.zeros((HEIGHT, WIDTH), np.float32)
    for depth_m, rows in ((FAR_M, slice(0, HEIGHT)), (NEAR_M, slice(40, 80))):
        texture = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, 600)).astype(np.float32),
                                   None, 1.2)
        places = np.broadcast_to(columns + 100 + FOCAL * way_m / depth_m, seen.shape)
        lines = np.broadcast_to(np.arange(HEIGHT)[:, None], seen.shape)
        seen[rows] = cv2.remap(texture, places.astype(np.float32), lines.astype(np.float32),
                               cv2.INTER_LINEAR)[rows]
    return np.clip((seen - 127) * 3 + 127, 0, 255).astype(np.uint8)


def recording(folder: Path, turn: float = 0.0) -> Path:
    """Write such a recording as the Event Camera Dataset has them; its events are noise."""
    (folder / 'images').mkdir(parents=True)
    times = np.arange(COUNT) * STEP_S
    names = [f'images/{index:08d}.png' for index in range(COUNT)]
    for name, time in zip(names, times):
        cv2.imwrite(str(folder / name), picture(SPEED * time))
    (folder / 'images.txt').write_text(''.join(
        f'{time:.6f} {name}\n' for name, time in zip(names, times)))
    (folder / 'calib.txt').write_text(f'{FOCAL} {FOCAL} 80 60 0 0 0 0 0\n')
    (folder / 'groundtruth.txt').write_text(''.join(
        f'{time:.6f} {SPEED * time} 0 0 {turn * time} 0 0 1\n' for time in times))
    rng = np.random.default_rng(1)
    (folder / 'events.txt').write_text(''.join(
        f'{time:.6f} {rng.integers(WIDTH)} {rng.integers(HEIGHT)} {rng.integers(2)}\n'
        for time in np.sort(rng.uniform(0, times[-1], 2000))))
    return folder


def run(folder: Path, output: Path) -> subprocess.CompletedProcess:
    """Run the script."""
    return subprocess.run([sys.executable, ROOT / 'scripts' / 'slider_sequence.py', folder,
                           '--output', output], capture_output=True, text=True)


def test_the_pictures_tell_the_depth(tmp_path):
    done = run(recording(tmp_path / 'slider'), tmp_path / 'sequence')
    assert done.returncode == 0, done.stderr
    sequence = Sequence(tmp_path / 'sequence')
    # The first two windows are not whole.
    assert sequence.times_ns.tolist() == [round(i * STEP_S * 1e9) for i in range(2, COUNT)]
    assert sequence.event_count == 2000 and sequence.image(3).shape == (HEIGHT, WIDTH, 3)
    for index in range(len(sequence)):
        depth_m = 1 / sequence.inverse_depth(index)
        far, near = np.r_[depth_m[5:35].ravel(), depth_m[85:115].ravel()], depth_m[45:75]
        for values, truth in ((far, FAR_M), (near, NEAR_M)):
            known = values[np.isfinite(values)]
            assert len(known) > 0.6 * values.size
            assert np.mean(np.abs(known / truth - 1) < 0.04) > 0.97


def test_a_camera_that_turns_is_refused(tmp_path):
    done = run(recording(tmp_path / 'slider', turn=0.1), tmp_path / 'sequence')
    assert done.returncode == 1 and 'is no slider' in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'sequence').exists()


@pytest.mark.parametrize('name, words', [
    ('images.txt', 'names no picture'), ('events.txt', 'has no picture whose depth others tell')])
def test_recordings_that_tell_nothing_are_refused(tmp_path, name, words):
    folder = recording(tmp_path / 'slider')
    (folder / name).write_text('' if name == 'images.txt' else '0.59 1 1 1\n')
    done = run(folder, tmp_path / 'sequence')
    assert done.returncode == 1 and words in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'sequence').exists()


@pytest.mark.parametrize('name', ['events.txt', 'images/00000003.png'])
def test_missing_files_are_named(tmp_path, name):
    folder = recording(tmp_path / 'slider')
    (folder / name).unlink()
    done = run(folder, tmp_path / 'sequence')
    assert done.returncode == 1 and str(folder) in done.stderr
    assert 'Traceback' not in done.stderr
