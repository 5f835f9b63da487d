# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What came of labelling bags: figures, a picture, and a page around both."""
from __future__ import annotations

import base64
from collections import Counter
from dataclasses import asdict
from html import escape
import json
from pathlib import Path

import cv2
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.bag_labels.labelling import BagLabelling
from depth_anyevent_ros.bag_labels.offsets import best_offsets
from depth_anyevent_ros.distillation.teacher_check import LEAST, MARGIN
from depth_anyevent_ros.images import load_picture

MOST_ROWS = 6  # examples of a bag
ENOUGH_FRAMES = 20  # for a verdict on edges
LITTLE_COVERED = 0.3
SUMS = ('pictures', 'labels', 'events', 'packets', 'bad_packets', 'calibration_changes',
        'out_of_order', 'offset_pairs')


def bag_report(labelling: BagLabelling, records: list[dict]) -> dict:
    """Return the figures of a bag from the records of its shards that are done."""
    plan = labelling.plan
    totals = {name: sum(record[name] for record in records) for name in SUMS}
    refused = sum((Counter(record['refused']) for record in records), Counter())
    offsets = best_offsets(labelling.volumes(), totals['offset_pairs'], plan.camera.width)
    coverage = _coverage(records)
    result = {
        **totals, 'refused': dict(refused),
        'shards': {'done': len(records), 'all': len(plan.shards)},
        'bag_seconds': sum(record['end_ns'] - record['begin_ns'] for record in records) / 1e9,
        'events_topic': plan.events, 'image_topic': plan.image,
        'labels_per_second': [count for record in records
                              for count in record['labels_per_second']],
        'coverage': None if coverage is None else round(float(coverage.mean()), 3),
        'edges': _edges(records), 'offsets': asdict(offsets), 'notes': list(plan.notes),
        'bag_warnings': list(plan.reader.warnings), **labelling.facts}
    first = {name: next((record[name] for record in records if record.get(name)), '')
             for name in ('problem', 'unreadable')}
    result['problems'] = _problems(result, first['problem'], first['unreadable'])
    return result


def write_report(output: Path, labellings: list[BagLabelling], reports: dict[str, dict]) -> None:
    """Write report.json, report.png and report.html; OSError."""
    text = json.dumps({'bags': reports}, indent=2) + '\n'
    replace_file(output / 'report.json', text.encode())
    pictures = {labelling.plan.name: _sheet(labelling, reports[labelling.plan.name])
                for labelling in labellings}
    width = max(picture.shape[1] for picture in pictures.values())
    whole = np.vstack([np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)),
                              constant_values=255) for picture in pictures.values()])
    replace_file(output / 'report.png', _png(whole))
    replace_file(output / 'report.html', _page(reports, pictures).encode())


def summary(name: str, report: dict) -> str:
    """Return what is said of a bag on the terminal."""
    refused = ', '.join(f'{count} {why}' for why, count in sorted(report['refused'].items()))
    offsets = report['offsets']
    lines = [f'{name}: {report["labels"]} labels of {report["pictures"]} pictures'
             + (f' ({refused})' if refused else '')
             + (f'; {report["coverage"]:.0%} of the image covered' if report['coverage'] else '')]
    if offsets['time_ms'] is not None:
        lines.append(f'  events against pictures: {offsets["time_ms"]:+.1f} ms, '
                     f'{offsets["right_px"]:+.1f} pixels to the right, '
                     f'{offsets["down_px"]:+.1f} down (correlation {offsets["likeness"]:.2f} of '
                     f'{offsets["pairs"]} pairs of pictures)')
    lines += [f'  PROBLEM: {problem}.' for problem in report['problems']]
    return '\n'.join(lines)


def _edges(records: list[dict]) -> dict:
    """Return the mean correlation of labels' and events' edges, by how labels were moved."""
    frames = sum(record['edges']['frames'] for record in records)
    sums = {name: sum(record['edges']['sums'].get(name, 0) for record in records)
            for record in records for name in record['edges']['sums']}
    return {'frames': frames, 'correlation': {name: round(value / frames, 4)
                                              for name, value in sums.items()}}


def _coverage(records: list[dict]) -> np.ndarray | None:
    """Return which share of the labels knows each place, float (h, w)."""
    known = [record for record in records if record['coverage'] is not None]
    if not known:
        return None
    labels = sum(record['labels'] for record in known)
    return sum(np.array(record['coverage']) * record['labels'] for record in known) / labels


def _problems(report: dict, bad_packet: str, unreadable: str) -> list[str]:
    """Return sentences, without their full stop, on what is wrong."""
    found = [report['offsets']['problem']]
    edges = report['edges']['correlation']
    if report['edges']['frames'] >= ENOUGH_FRAMES:
        best = max(edges, key=edges.get)
        if edges[best] > edges['as it is'] + MARGIN:
            found.append('edges of the labels fit those of the events better when they are '
                         f'{best} ({edges[best]:.2f}, and {edges["as it is"]:.2f} as they are)')
        elif edges['as it is'] < LEAST:
            found.append('edges of the labels have nothing to do with those of the events '
                         f'(correlation {edges["as it is"]:.3f})')
    if report['coverage'] is not None and report['coverage'] < LITTLE_COVERED:
        found.append(f'labels cover {report["coverage"]:.0%} of the image only')
    if report['pictures'] and not report['labels']:
        why = max(report['refused'], key=report['refused'].get)
        found.append(f'none of {report["pictures"]} pictures has a label; most are {why}')
        if why == 'unpaired':
            found.append('no events at the times that the pictures are stamped with: are the '
                         'stamps of both in ROS time, or both in sensor time (--clock)')
    if unreadable:
        found.append(f'{report["refused"]["unreadable"]} pictures could not be read '
                     f'({unreadable.rstrip(".")})')
    if report['calibration_changes']:
        found.append(f'a calibration changes {report["calibration_changes"]} times; its first '
                     'message was used throughout')
    if report['bad_packets']:
        found.append(f'{report["bad_packets"]} packets of events could not be used ({bad_packet})')
    return [problem.rstrip('.') for problem in found if problem]


def _sheet(labelling: BagLabelling, report: dict) -> np.ndarray:
    """Return the examples of a bag, and below them coverage and rate, bgr8."""
    paths = labelling.examples()
    chosen = [paths[k] for k in np.linspace(0, len(paths) - 1, min(MOST_ROWS, len(paths)))
              .round().astype(int)] if paths else []
    rows = [load_picture(path) for path in chosen]
    plots = _plots(labelling, report)
    width = max([row.shape[1] for row in rows] + [plots.shape[1]])
    return np.vstack([np.pad(row, ((0, 6), (0, width - row.shape[1]), (0, 0)),
                             constant_values=255) for row in [*rows, plots]])


def _plots(labelling: BagLabelling, report: dict) -> np.ndarray:
    figure = Figure(figsize=(8, 2.4), dpi=90, layout='constrained')
    rate, covered, time = figure.subplots(1, 3)
    rate.plot(report['labels_per_second'], linewidth=0.8)
    rate.set(title='labels a second', xlabel='seconds of the bag', ylim=(0, None))
    records = labelling.finish()
    coverage = _coverage(records)
    if coverage is not None:
        covered.imshow(coverage, vmin=0, vmax=1, cmap='viridis')
    covered.set(title='share of labels that know a place', xticks=(), yticks=())
    volumes = labelling.volumes()
    if volumes:
        curve = np.sum(volumes, 0).max((1, 2)) / max(report['offset_pairs'], 1)
        steps = (np.arange(len(curve)) - len(curve) // 2) * 5
        time.plot(steps, curve)
        time.axvline(0, color='gray', linewidth=0.6)
    time.set(title='pictures and events alike', xlabel='events later by ms')
    for axes in (rate, covered, time):
        axes.title.set_fontsize(8)
        axes.xaxis.label.set_fontsize(7)
        axes.tick_params(labelsize=6)
    figure.suptitle(f'{labelling.plan.name}: {report["labels"]} labels by {report["teacher"]}',
                    fontsize=9)
    canvas = _canvas(figure)
    return np.ascontiguousarray(canvas[..., 2::-1])


def _canvas(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode('.png', picture)[1].tobytes()


def _page(reports: dict[str, dict], pictures: dict[str, np.ndarray]) -> str:
    """Return a page that needs no other file."""
    parts = []
    for name, report in reports.items():
        image = base64.b64encode(_png(pictures[name])).decode()
        problems = ''.join(f'<li>{escape(problem)}.</li>' for problem in report['problems'])
        figures = ''.join(f'<tr><th>{escape(key)}</th><td>{escape(_plain(value))}</td></tr>'
                          for key, value in report.items() if key != 'labels_per_second')
        parts.append(
            f'<h2>{escape(name)}</h2>'
            + (f'<ul class="problems">{problems}</ul>' if problems else '<p>No problem found.</p>')
            + f'<p>Picture, events, and label, inverse depth; bright is near.</p>'
              f'<img alt="examples" src="data:image/png;base64,{image}">'
              f'<table>{figures}</table>')
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Labels from bags'
            '</title><style>body{font-family:sans-serif;max-width:62em;margin:2em auto;padding:0 '
            '1em}th{text-align:left;vertical-align:top;padding-right:1em;font-weight:normal;color:'
            '#555}td{word-break:break-word}img{max-width:100%}.problems{background:#fdd;padding:'
            '.6em 2em}</style></head><body><h1>Labels from bags</h1>' + ''.join(parts)
            + '</body></html>\n')


def _plain(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)
