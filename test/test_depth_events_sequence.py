# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A recording whose events have a depth becomes a sequence with labels where they are."""
from pathlib import Path
import runpy

import numpy as np
import pytest

from depth_anyevent_ros.datasets.sequences import Sequence

ROOT = Path(__file__).resolve().parents[1]
EVENTS = """\
24.000000 3.2 4.6 2.0 1
24.000001 400.0 4.0 2.0 1
24.030000 3.4 5.4 4.0 0
24.049999 10.0 2.0 1.0 1
24.050000 11.0 2.0 8.0 1
24.119000 12.0 2.0 8.0 0
"""


def recording(folder, events=EVENTS, calib='20 20 8 6 0.1 0\n16 12\n'):
    folder.mkdir()
    (folder / 'events.txt').write_text(events)
    (folder / 'calib.txt').write_text(calib)
    return folder


def run(monkeypatch, folder, output):
    monkeypatch.setattr('sys.argv', ['depth_events_sequence', str(folder), '--output',
                                     str(output)])
    runpy.run_path(str(ROOT / 'scripts' / 'depth_events_sequence.py'))['main']()


def test_a_label_knows_the_depth_where_its_window_has_an_event(tmp_path, monkeypatch, capsys):
    run(monkeypatch, recording(tmp_path / 'flight'), tmp_path / 'sequence')
    assert '2 labels, 5 events' in capsys.readouterr().out  # one event is outside
    sequence = Sequence(tmp_path / 'sequence')
    assert sequence.times_ns.tolist() == [50_000_000, 100_000_000]
    first, second = sequence.inverse_depth(0), sequence.inverse_depth(1)
    events = sequence.events(0, 50_000_000)
    assert first.shape == (12, 16) and np.isfinite(first).sum() == 2
    assert first[5, 3] == pytest.approx(1 / 4) and first[2, 10] == 1  # the last one of a pixel
    assert np.isfinite(second).sum() == 1 and second[2, 11] == pytest.approx(1 / 8)
    assert list(events.x) == [3, 3, 10] and list(events.y) == [5, 5, 2]
    assert list(events.t) == [0, 30_000_000, 49_999_000] and list(events.p) == [1, 0, 1]


@pytest.mark.parametrize('given, told', [
    ({'events': '24 3 4 1\n'}, 'seconds x y metres polarity'),
    ({'events': EVENTS + '24.1 3 4 2 1\n'}, 'in order of time'),
    ({'events': EVENTS + '24.2 3 4 0 1\n'}, 'depths above 0'),
    ({'events': EVENTS + '24.2 3 4 nan 1\n'}, 'depths above 0'),
    ({'events': EVENTS + '24.2 3 4 2 -1\n'}, 'polarities 0 and 1'),
    ({'events': '24.2 99 4 2 1\n'}, 'in a picture of 16x12'),
    ({'events': 'a b\n'}, "'a'"),
    ({'events': '24.0 3 4 2 1\n24.01 3 4 2 1\n'}, 'shorter than a window'),
    ({'calib': '20 20 8 6\n'}, 'width and height'),
])
def test_other_recordings_are_refused(tmp_path, monkeypatch, capsys, given, told):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, recording(tmp_path / 'flight', **given), tmp_path / 'sequence')
    assert ended.value.code == 1 and told in capsys.readouterr().err
    assert not (tmp_path / 'sequence').exists()
