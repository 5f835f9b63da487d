# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Makes docs/performance.md from what `depth_anyevent benchmark --json` wrote.

  depth_anyevent benchmark inference --json docs/performance/inference.json
  python scripts/performance.py

Each file in docs/performance, or each that is named, makes a chapter. Nothing in the tables is
written by hand; a `remark` that is put into a file, anew each time it is written, stands above its
table. Files with four digits were read back from the page, on which alone their figures had been
kept.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = sorted((ROOT / 'docs' / 'performance').glob('*.json'))
BEGINNING = """\
# Performance

Made by `scripts/performance.py` from what the commands below wrote. Each case was timed by turns
with its baseline in the same run, but where the baseline is a rate that has to be held, and in
`node`, where a case tells what was counted; `times` is the median rate over the baseline's: above
1 is faster. The program behind the chapter of the C++ decoder is not kept. Made-up streams put
events anywhere, which is the worst for caches; recordings have fewer events in a window, so that
writing the picture weighs more. Baselines in numpy are frozen, whole programs with decoders of
their own (`benchmarks/numpy_events.py`); those that decode "as here" have the decoders of this
package, and tell what it brings beyond them that a window is never held in arrays. Numpy that
takes all packets at once has no cost of a packet, of which there are some microseconds here. A
picture of every pixel is what no network is given of a large sensor: with few events the time is
that of writing it. Cells as large pixels (`cell_threshold`) are what the bundled student is given;
their baseline is the Tencode without them.
"""
NO_GPU = ('No figure of a GPU: none was there. On a machine with one, `depth_anyevent benchmark '
          'inference` adds its cases, the CUDA graph beside plain torch among them.')


def chapter(found: dict, remark: str) -> str:
    """Return a chapter for one run; remarks, its own first, stand above the table."""
    gpu = found['gpu'] or 'no GPU was there'
    cut = ' It was interrupted: cases are missing.' if found.get('interrupted') else ''
    lines = [f'## {found["processor"]}, {found["cpus"]} cores, {gpu}', '',
             f'{found["system"]}, {found["machine"]}, Python {found["python"]}, torch '
             f'{found["torch"]}; {found["repeats"]} repeats.{cut}', '', '```sh', found['command'],
             '```', '',
             *(line for text in (found.get('remark'), remark) if text for line in (text, '')),
             '| case | median | from | to | unit | times | baseline |',
             '|---|---|---|---|---|---|---|']
    for case in found['cases']:
        lines.append(f'| {case["name"]} | {case["median"]:.4g} | {case["min"]:.4g} | '
                     f'{case["max"]:.4g} | {case["unit"]} | {case["ratio"]:.3g} | '
                     f'{case["baseline"]} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='*', type=Path, metavar='JSON', default=KEPT,
                        help='default: all in docs/performance')
    parser.add_argument('--output', type=Path, default=ROOT / 'docs' / 'performance.md')
    arguments = parser.parse_args()
    runs = [json.loads(path.read_text()) for path in arguments.files]
    remark = '' if any(found['gpu'] for found in runs) else NO_GPU
    chapters = [chapter(found, remark) for found in runs]
    arguments.output.write_text('\n'.join([BEGINNING, *chapters]))


if __name__ == '__main__':
    main()
