# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Error against light: several checkpoints over sequences from day to night."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from depth_anyevent_ros.evaluation.pictures import save_figure
from depth_anyevent_ros.evaluation.report import overall, report
from depth_anyevent_ros.evaluation.scoring import SequenceScores


def by_level(models: dict[str, list[SequenceScores]], headline: str = 'metrics') -> dict:
    """
    Return the error of each model at each level of light, and where two of them cross.

    models: the scores by the model's name. headline: which mean the errors are, see `report`.
    Only sequences that every model could be scored on count, and only those whose `level` is
    known (1 is day, 1e-4 a dark street). Returns
    {levels: [{level, sequences, frames, abs_rel: {name}, delta1: {name}, mean_map, constant}],
    crossings}, the last two of a level being abs_rel.
    """
    common = set.intersection(*({(s.name, s.level) for s in scores} for scores in
                                models.values()))
    levels = sorted({level for _, level in common if level is not None}, reverse=True)
    rows = []
    for level in levels:
        reports = {name: report([s for s in scores if s.level == level
                                 and (s.name, level) in common], headline=headline)
                   for name, scores in models.items()}
        count = len(next(iter(reports.values()))['sequences'])
        found = {name: overall(result)[0][1] for name, result in reports.items()}
        first = next(iter(found.values()))
        rows.append({
            'level': level, 'sequences': count, 'frames': first['frames'],
            'abs_rel': {name: figures['abs_rel'] for name, figures in found.items()},
            'delta1': {name: figures['delta1'] for name, figures in found.items()},
            'mean_map': (first['baselines']['mean_map'] or {}).get('abs_rel'),
            'constant': first['baselines']['constant']['abs_rel']})
    names = list(models)
    return {'levels': rows, 'crossings': [
        {'models': [a, b], 'levels': crossings([row['level'] for row in rows],
                                               [row['abs_rel'][a] for row in rows],
                                               [row['abs_rel'][b] for row in rows])}
        for i, a in enumerate(names) for b in names[i + 1:]]}


def crossings(levels: list[float], a: list[float], b: list[float]) -> list[float]:
    """
    Return the levels where a and b change places, linear in the logarithm of the level.

    Where they are only equal, and then in the same order as before, they do not cross; where they
    are equal from one level to another in between, the middle of these counts.
    """
    logs, gap = np.log(levels), np.subtract(a, b)
    found, apart = [], np.flatnonzero(gap)
    for i, j in zip(apart[:-1], apart[1:]):
        if gap[i] * gap[j] < 0:
            share = gap[i] / (gap[i] - gap[j])
            found.append(float(np.exp(logs[i] + share * (logs[j] - logs[i]) if j == i + 1
                                      else (logs[i + 1] + logs[j - 1]) / 2)))
    return found


def plot(path: str | Path, light: dict) -> None:
    """Draw what `by_level` returns; raises ValueError without two levels."""
    from matplotlib.figure import Figure  # imported here, since only pictures need it
    rows = light['levels']
    if len(rows) < 2:
        raise ValueError('a plot against light needs sequences of two levels of light or more, '
                         f'that every checkpoint can see; found {len(rows)}: simulate them with '
                         'different levels')
    levels = [row['level'] for row in rows]
    figure = Figure(figsize=(6.4, 3.8), facecolor='white', layout='constrained')
    axes = figure.add_subplot()
    for name in rows[0]['abs_rel']:
        axes.plot(levels, [row['abs_rel'][name] for row in rows], marker='o', label=name)
    for baseline, label in (('mean_map', 'mean map'), ('constant', 'constant')):
        if all(row[baseline] is not None for row in rows):
            axes.plot(levels, [row[baseline] for row in rows], color='#888888', linewidth=1,
                      linestyle='--' if baseline == 'mean_map' else ':', label=label)
    for crossing in light['crossings']:
        for level in crossing['levels']:
            axes.axvline(level, color='#444444', linewidth=0.8)
            axes.annotate(f'{level:.2g}', (level, 1), xycoords=('data', 'axes fraction'),
                          xytext=(3, -10), textcoords='offset points', fontsize=8)
    axes.set_xscale('log')
    axes.invert_xaxis()
    axes.set_ylim(bottom=0)
    axes.set_xlabel('light, as a share of day (day on the left, night on the right)')
    axes.set_ylabel('mean relative error of depth')
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    save_figure(figure, path, 150)
