# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Kill `depth_anyevent label` again and again, and see that the same bytes come in the end.

A bag is labelled in one go, and once more with SIGKILL at random moments, in both formats.
Options behind -- go to the command. Prints a line for each run; one that was done before its
moment has exit status 0. This script's own is 1 where anything differs.
"""
from __future__ import annotations

import argparse
import filecmp
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys
import time

COMMAND = [sys.executable, '-c', 'from depth_anyevent_ros.cli.main import main; main()', 'label']
MARK = 'made_by_kill_labelling'


def label(bag: Path, output: Path, options: list[str]) -> subprocess.Popen:
    """Start the command, on one thread of torch, since sums of several differ in last bits."""
    return subprocess.Popen([*COMMAND, str(bag), '--output', str(output), *options],
                            env={**os.environ, 'OMP_NUM_THREADS': '1'},
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def files(folder: Path) -> list[str]:
    """Return the files below a folder but the reports, which tell seconds."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*')
                  if path.is_file() and not path.name.startswith('report.'))


def killed_run(bag: Path, output: Path, options: list[str], kills: int, seconds: float) -> None:
    """Label, with so many kills in the time that it takes."""
    for number in range(kills):
        process = label(bag, output, options)
        begin, wait_s = time.monotonic(), random.uniform(0.15, 0.6) * seconds
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        ended = process.wait()
        done = len(list((output / 'progress').glob('*_[0-9][0-9][0-9][0-9].json')))
        print(f'  run {number + 1}: ended after {time.monotonic() - begin:.1f} s, exit status '
              f'{ended}, {done} shards done', flush=True)
    if label(bag, output, options).wait():
        sys.exit('the last run failed')


def main() -> None:
    """Compare both formats."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bag', type=Path)
    parser.add_argument('--output', type=Path, default=Path('out/kill_labelling'))
    parser.add_argument('--kills', type=int, default=5)
    parser.add_argument('--seed', type=int, default=0)
    words = sys.argv[1:]
    split = words.index('--') if '--' in words else len(words)
    arguments = parser.parse_args(words[:split])
    random.seed(arguments.seed)
    if arguments.output.exists() and not (arguments.output / MARK).exists():
        sys.exit(f'{arguments.output} is not a folder of this script, which would empty it: give '
                 'another --output')
    shutil.rmtree(arguments.output, ignore_errors=True)
    arguments.output.mkdir(parents=True)
    (arguments.output / MARK).touch()
    same = True
    for kind in ('mcap', 'sequence'):
        options = ['--format', kind, *words[split + 1:]]
        whole, broken = (arguments.output / kind / name for name in ('whole', 'killed'))
        begin = time.monotonic()
        if label(arguments.bag, whole, options).wait():
            sys.exit('the run in one go failed')
        seconds = time.monotonic() - begin
        print(f'{kind}: in one go {seconds:.1f} s', flush=True)
        killed_run(arguments.bag, broken, options, arguments.kills, seconds)
        names = files(whole)
        differ = names != files(broken) or any(filecmp.cmpfiles(whole, broken, names, False)[1:])
        print(f'  {len(names)} files: {"THEY DIFFER" if differ else "the same bytes"}', flush=True)
        same = same and not differ
    sys.exit(not same)


if __name__ == '__main__':
    main()
