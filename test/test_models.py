# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ships in models/, and what its manifest says of it."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path
import shutil

import pytest

from depth_anyevent_ros import models
from depth_anyevent_ros.networks.checkpoint import CheckpointError, load_checkpoint
from depth_anyevent_ros.networks.config import ModelConfig

MODELS = Path(__file__).resolve().parents[1] / 'models'
MANIFEST = json.loads((MODELS / 'manifest.json').read_text(encoding='utf-8'))
ROLES = ('student', 'teacher', 'mean_map')


def test_manifest_names_every_file_and_no_other():
    named = {MANIFEST[role] for role in ROLES} - {None}
    assert named == set(MANIFEST['files'])
    assert named == {path.name for path in MODELS.iterdir()} - {'README.md', 'manifest.json'}


@pytest.mark.parametrize('name', sorted(MANIFEST['files']))
def test_file_is_what_the_manifest_says(name):
    entry, data = MANIFEST['files'][name], (MODELS / name).read_bytes()
    assert entry['sha256'] == hashlib.sha256(data).hexdigest()
    assert len(data) == entry['bytes'] <= 12_000_000
    if entry['role'] == 'mean_map':
        return
    config = load_checkpoint(MODELS / name).config
    told = {key: entry[key] for key in json.loads(config.to_json())}
    assert config == ModelConfig.from_json(json.dumps(told))
    assert config.trained_on.startswith('simulated scenes')
    assert {'command', 'seed', 'commit'} <= set(config.provenance)
    assert 0 < entry['evaluation']['metrics']['abs_rel'] \
        < entry['evaluation']['baselines']['mean_map']['abs_rel']
    assert name in (MODELS / 'README.md').read_text(encoding='utf-8')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a copy of models/ that the package takes for its own."""
    copy = tmp_path / 'models'
    shutil.copytree(MODELS, copy)
    monkeypatch.setattr(models, 'share_folder', lambda name: copy)
    return copy


def test_checkpoints_may_be_named_from_the_home_folder(monkeypatch, untrained_file, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    shutil.copy(untrained_file, tmp_path / 'mine.safetensors')
    student = models.load_student('~/mine.safetensors')
    assert student.sha256 == models.load_student(str(untrained_file)).sha256
    with pytest.raises(CheckpointError, match='mine.safetensors sees events'):
        models.load_teacher('~/mine.safetensors')
    with pytest.raises(CheckpointError, match='~no_such_user/here'):
        models.load_student('~no_such_user/here')


def test_the_default_student_sees_events(folder):
    student = models.load_student()
    assert student.trained == bool(MANIFEST['student'])
    assert student.config.input.representation == 'tencode'


def test_a_student_that_was_altered_is_refused(folder, untrained_file):
    shutil.copyfile(untrained_file, folder / 'x.safetensors')
    manifest = {**MANIFEST, 'student': 'x.safetensors',
                'files': {'x.safetensors': {'sha256': '0' * 64}}}
    (folder / 'manifest.json').write_text(json.dumps(manifest), encoding='utf-8')
    with pytest.raises(CheckpointError, match='altered or cut short'):
        models.load_student()


@pytest.mark.parametrize('text', ['', '[]', '{"student": "x.safetensors"}', '{"files": {}}'])
def test_a_damaged_manifest_is_refused(folder, text):
    (folder / 'manifest.json').write_text(text, encoding='utf-8')
    with pytest.raises(CheckpointError, match='is damaged'):
        models.load_student()


def test_a_student_is_no_teacher(untrained_file):
    with pytest.raises(CheckpointError, match='a teacher sees RGB'):
        models.load_teacher(str(untrained_file))
