# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is said of the package, and the shape that it is installed into."""
from __future__ import annotations

import ast
from importlib.metadata import version
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAME = 'depth_anyevent_ros'
PACKAGE = ROOT / NAME
EXECUTABLES = ('inference_node', 'distillation_node', 'replay_node', 'simulator_node',
               'label_recorder_node', 'depth_anyevent')
INSTALLED_FOLDERS = ('launch', 'config', 'models')
# Modules whose dependency has another name than the module.
KEYS = {
    'cv2': 'python3-opencv', 'yaml': 'python3-yaml', 'torch': 'python3-pytorch-pip',
    'rosbags': 'python3-rosbags-pip', 'mcap': 'mcap-ros2-support', 'numpy': 'python3-numpy',
    'h5py': 'python3-h5py', 'numba': 'python3-numba', 'tqdm': 'python3-tqdm',
    'matplotlib': 'python3-matplotlib', 'tf2_ros': 'tf2_ros_py'}


@pytest.fixture(scope='module')
def manifest():
    """Return the root element of package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def dependencies(manifest) -> list[str]:
    """Return the keys of package.xml that a user of the package needs."""
    return [item.text for tag in ('depend', 'exec_depend') for item in manifest.findall(tag)]


def imports(path: Path) -> set[str]:
    """Return the top-level modules that a file imports by their full name."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.partition('.')[0])
    return modules


def setup_py(option: str) -> str:
    """Return what setup.py answers to an option such as --version."""
    return subprocess.run(
        [sys.executable, 'setup.py', '-q', option], cwd=ROOT, check=True, text=True,
        stdout=subprocess.PIPE).stdout.split()[-1]


def test_manifest(manifest):
    assert manifest.tag == 'package' and manifest.get('format') == '3'
    assert manifest.findtext('name') == NAME
    assert manifest.findtext('license') == 'Apache-2.0'
    assert manifest.findtext('export/build_type') == 'ament_python'
    assert (ROOT / manifest.find('license').get('file')).is_file()
    every = [(item.tag, item.text) for item in manifest if item.tag.endswith('depend')]
    assert len(set(every)) == len(every)
    tests = {text for tag, text in every if tag == 'test_depend'}
    assert {'ament_copyright', 'ament_flake8', 'ament_pep257', 'ament_xmllint',
            'python3-pytest'} <= tests


def test_license_is_the_whole_text():
    text = (ROOT / 'LICENSE').read_text(encoding='utf-8')
    assert 'Apache License\n                           Version 2.0, January 2004' in text
    assert 'APPENDIX: How to apply the Apache License to your work.' in text


def test_versions_agree(manifest):
    wanted = manifest.findtext('version')
    assert re.fullmatch(r'\d+\.\d+\.\d+', wanted)
    assert setup_py('--version') == wanted
    init = (PACKAGE / '__init__.py').read_text(encoding='utf-8')
    assert re.findall(r"^__version__ = '(.*)'$", init, re.MULTILINE) == [wanted]
    # REP 132: the newest version comes first; what is not released yet stands under Forthcoming.
    titles = re.findall(r'^(Forthcoming|\d+\.\d+\.\d+).*\n-+$',
                        (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8'), re.MULTILINE)
    assert titles
    assert [title for title in titles if title != 'Forthcoming'][:1] in ([], [wanted])


def test_every_import_is_a_declared_dependency(manifest):
    declared = set(dependencies(manifest))
    setup_source = (ROOT / 'setup.py').read_text(encoding='utf-8')
    declared |= set(re.search(r'install_requires=\[(.*)\]', setup_source)[1]
                    .replace("'", '').split(', '))
    missing = {
        f'{module} (in {path.relative_to(ROOT)})'
        for path in PACKAGE.rglob('*.py') for module in imports(path)
        if module not in sys.stdlib_module_names and module != NAME
        and KEYS.get(module, module) not in declared}
    # An optional runtime is imported where it is used, and its absence is told there.
    optional = ('onnxruntime', 'onnxscript', 'openvino')
    assert not {name for name in missing if name.split()[0] not in optional}


def test_setup_and_launch_import_no_torch():
    files = [ROOT / 'setup.py', *(ROOT / 'launch').glob('*.py')]
    for path in files:
        assert not imports(path) & {'torch', NAME}, path


def test_launchers_start_functions_that_exist():
    launchers = ROOT / 'scripts' / 'launchers'
    assert sorted(path.name for path in launchers.iterdir() if path.is_file()) \
        == sorted(EXECUTABLES)
    for name in EXECUTABLES:
        source = (launchers / name).read_text(encoding='utf-8')
        assert source.startswith('#!/usr/bin/env python3\n')
        module = re.search(r'^from (\S+) import main\b', source, re.MULTILINE)[1]
        tree = ast.parse((ROOT / module.replace('.', '/')).with_suffix('.py').read_text())
        assert 'main' in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize('name', [
    '.ci/run', 'scripts/test.sh', 'scripts/demo.sh',
    *(f'scripts/launchers/{executable}' for executable in EXECUTABLES)])
def test_script_is_executable(name):
    assert os.access(ROOT / name, os.X_OK)


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    """Install the package with pip into an empty prefix, from a copy of its sources."""
    pytest.importorskip('pip')
    if tuple(map(int, version('setuptools').split('.')[:2])) < (70, 1):
        pytest.importorskip('wheel')
    copy = tmp_path_factory.mktemp('source')
    for name in ('setup.py', 'setup.cfg', 'package.xml', 'LICENSE'):
        shutil.copy2(ROOT / name, copy)
    for name in (NAME, 'resource', 'scripts/launchers', *INSTALLED_FOLDERS):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name,
                            ignore=shutil.ignore_patterns('__pycache__'))
    prefix = tmp_path_factory.mktemp('prefix')
    result = subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--use-pep517',
         '--no-build-isolation', '--ignore-installed', '--no-warn-script-location',
         '--disable-pip-version-check', '--no-cache-dir', '--prefix', str(prefix), str(copy)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert result.returncode == 0, result.stdout
    return prefix


def test_executables_are_where_ros2_run_looks(prefix):
    installed = prefix / 'lib' / NAME
    assert sorted(path.name for path in installed.iterdir()) == sorted(EXECUTABLES)
    assert all(os.access(path, os.X_OK) for path in installed.iterdir())


def test_command_is_on_path(prefix):
    assert os.access(prefix / 'bin' / 'depth_anyevent', os.X_OK)


def test_package_is_in_the_ament_index(prefix):
    assert (prefix / 'share/ament_index/resource_index/packages' / NAME).is_file()
    assert (prefix / 'share' / NAME / 'package.xml').read_bytes() \
        == (ROOT / 'package.xml').read_bytes()


@pytest.mark.parametrize('folder', INSTALLED_FOLDERS)
def test_share_keeps_the_folders(prefix, folder):
    def files(root):
        return sorted(path.relative_to(root) for path in root.rglob('*')
                      if path.is_file() and '__pycache__' not in path.parts)
    assert files(prefix / 'share' / NAME / folder) == files(ROOT / folder)


def test_every_module_is_installed(prefix):
    installed = next(prefix.glob(f'lib*/python*/site-packages/{NAME}'))
    modules = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob('*.py'))
    assert modules == sorted(path.relative_to(installed) for path in installed.rglob('*.py'))


def tracked_files() -> list[Path]:
    """List the files that git tracks, or would track."""
    if shutil.which('git') is None or not (ROOT / '.git').exists():
        pytest.skip('not a checkout by git')
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT,
        check=True, stdout=subprocess.PIPE).stdout.decode().split('\0')
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_no_file_names_a_machine_or_a_registry():
    hosts = [re.escape('.'.join(parts)) for parts in (
        ('pypi', 'org'), ('pythonhosted', 'org'), ('npmjs', 'org'), ('deb', 'debian', 'org'),
        ('download', 'pytorch', 'org'))]
    folders = [rf'(?<![\w.$}}~-])/{name}/' for name in ('work', 'tmp', 'root', r'home/\w+')]
    # A ROS 2 installation has the same place everywhere.
    pattern = re.compile('|'.join([*hosts, *folders, r'/opt/(?!ros\b)\w']).encode())
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b'\0' not in content[:8192]:
            found += [f'{path.relative_to(ROOT)}: {match[0].decode()}'
                      for match in pattern.finditer(content)]
    assert not found
