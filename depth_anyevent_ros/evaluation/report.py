# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scores of sequences to the figures of a report, as plain values for JSON."""
from __future__ import annotations

import math

import numpy as np

from depth_anyevent_ros.evaluation.intervals import expanded_tail
from depth_anyevent_ros.evaluation.metrics import METRICS, SCORES
from depth_anyevent_ros.evaluation.scoring import (
    CANDIDATES, FEW_EVENTS_PER_PIXEL, PARTS, SequenceScores)

BASELINES = CANDIDATES[1:]
RESAMPLES = 10000
CONFIDENCE = 0.95
LEAST_SEQUENCES = 6  # below it the tails of the draws are known too badly


def report(sequences: list[SequenceScores], main: str = 'abs_rel',
           headline: str = 'metrics') -> dict:
    """
    Return all figures of one checkpoint; the keys are those of DESIGN.md and more.

    main: the metric that ratios are of; a frame without it does not count. headline: which of
    the means stands for the whole, `metrics` or `sequence_mean`.

    Means are over frames, each frame counting the same; `sequence_mean` is the mean over
    sequences of those. What has no frame has null metrics and frames 0. `unaligned` is null
    unless the model predicts metres and the protocol is clean.
    """
    frames = _Frames(sequences, main)
    whole = frames.figures()
    ranges = {name: frames.figures(part=name, error_m=True) for name in ('lt10', 'lt20', 'lt30')}
    names = [sequence.name for sequence in sequences]
    return {
        'frames': whole['frames'],
        'main_metric': main,
        'headline': headline,
        'metrics': {name: whole[name] for name in METRICS},
        'baselines': whole['baselines'],
        'ratio_to_mean_map': {**ratio_interval(sequences, main),
                              'definition': RATIO_DEFINITION.format(main)},
        'sequence_mean': _sequence_mean(sequences, main),
        'per_sequence_alignment': frames.fixed(),
        'unaligned': frames.unaligned(),
        'few_events': {**frames.figures(frames.few),
                       'threshold_events_per_pixel': FEW_EVENTS_PER_PIXEL},
        'pauses': frames.figures(frames.paused),
        'range': ranges,
        'moving': frames.figures(part='moving'),
        'boundary': {**frames.figures(part='boundary'), 'f1': frames.by_candidate(frames.f1)},
        'rank_correlation': _rank(sequences, frames),
        'negative_scale_fraction': _mean(frames.negative),
        'worlds': {world: _group([s for s in sequences if s.world == world], main)
                   for world in sorted({s.world for s in sequences})},
        'sequences': {_unique(names, i): _group([s], main, interval=False)
                      for i, s in enumerate(sequences)},
        'non_finite_pixels': sum(s.non_finite for s in sequences),
        'unknown_truth_pixels': sum(s.unknown for s in sequences),
    }


RATIO_DEFINITION = ('mean {} of the model over that of the mean map, on the same frames; '
                    f'{CONFIDENCE:.0%} interval by bootstrap over sequences')


class _Frames:
    """The frames of several sequences in one row."""

    def __init__(self, sequences: list[SequenceScores], main: str):
        self._main = main
        for name in ('scores', 'fixed_scores', 'rank', 'f1', 'negative', 'metric', 'few',
                     'paused'):
            source = 'fixed' if name == 'fixed_scores' else name
            setattr(self, name, np.concatenate([getattr(s, source) for s in sequences]))

    def figures(self, which: np.ndarray | None = None, part: str = 'all',
                error_m: bool = False) -> dict:
        """Return metrics of the model and the baselines over some frames and a part of each."""
        scores = self.scores[:, :, PARTS.index(part)]
        return _figures(scores if which is None else scores[which], self._main, error_m)

    def fixed(self) -> dict:
        """Return metrics with one alignment for each sequence."""
        return _figures(self.fixed_scores, self._main)

    def unaligned(self) -> dict | None:
        """Return the model's metrics without any alignment."""
        if not np.isfinite(self.metric[:, 0]).any():
            return None
        return {name: _mean(self.metric[:, SCORES.index(name)]) for name in METRICS}

    @staticmethod
    def by_candidate(values: np.ndarray) -> dict:
        """Return means of (F, candidates) by the candidates' names."""
        return {name: _mean(values[:, c]) for c, name in enumerate(CANDIDATES)}


def _figures(scores: np.ndarray, main: str, error_m: bool = False) -> dict:
    """Return what (F, candidates, SCORES) say; frames whose model has no score do not count."""
    scores = scores[np.isfinite(scores[:, 0, SCORES.index(main)])]
    names = SCORES if error_m else METRICS
    sets = {name: {m: _mean(scores[:, c, SCORES.index(m)]) for m in names}
            for c, name in enumerate(CANDIDATES)}
    if sets['mean_map'][main] is None:
        sets['mean_map'] = None
    return {'frames': len(scores), **sets['model'],
            'baselines': {name: sets[name] for name in BASELINES},
            'ratio_to_mean_map': _ratio(sets['model'], sets['mean_map'], main)}


def _group(sequences: list[SequenceScores], main: str, interval: bool = True) -> dict:
    frames = _Frames(sequences, main)
    result = {**frames.figures(), 'per_sequence_alignment': frames.fixed(),
              'rank_correlation': _mean(frames.rank[:, 0]),
              'pauses': frames.figures(frames.paused), 'few_events': frames.figures(frames.few)}
    if interval:
        return {**result, 'ratio_interval': ratio_interval(sequences, main)}
    return {**result, 'world': sequences[0].world, 'level': sequences[0].level,
            'skipped': dict(sequences[0].skipped)}


def _sequence_mean(sequences: list[SequenceScores], main: str) -> dict:
    with np.errstate(invalid='ignore'):
        means = np.stack([_nanmean(s.scores[:, :, 0]) for s in sequences])
    result = _figures(means, main)
    return {'sequences': result.pop('frames'), **result}


def _rank(sequences: list[SequenceScores], frames: _Frames) -> dict:
    means = np.stack([_nanmean(s.rank) for s in sequences])
    by_frame, by_sequence = frames.by_candidate(frames.rank), frames.by_candidate(means)
    return {'frame_mean': by_frame.pop('model'), 'sequence_mean': by_sequence.pop('model'),
            'baselines': {name: by_frame[name] for name in ('mean_map', 'hold_last')}}


def ratio_interval(sequences: list[SequenceScores], main: str = 'abs_rel') -> dict:
    """
    Return the ratio of the mean of a metric, model to mean map, with its bootstrap interval.

    Frames of a sequence are alike, so whole sequences are drawn (Efron, 1979). Of few sequences
    that gives too narrow an interval, so its percentiles are further out (the expanded percentile
    interval of Hesterberg, 2015, arXiv 1411.5279): it holds the true ratio in 93, 94 and 95 % of
    simulated sets of 6, 12 and 24 sequences (docs/training.md). With fewer than six it is null.
    The draws are the same every time.
    """
    metric = SCORES.index(main)
    sums = np.array([_sum_of_common(s.scores[:, (0, 2), 0, metric]) for s in sequences])
    result = {main: None, 'low': None, 'high': None, 'sequences': len(sequences)}
    if not (sums[:, 1].sum() > 0):
        return result
    result[main] = float(sums[:, 0].sum() / sums[:, 1].sum())
    if len(sequences) >= LEAST_SEQUENCES:
        draws = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
        drawn = sums[draws].sum(axis=1)
        tail = expanded_tail(len(sums), CONFIDENCE)
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (tail, 1 - tail))
        result.update(low=float(low), high=float(high))
    return result


def _sum_of_common(errors: np.ndarray) -> np.ndarray:
    """Return the sums (2,) over the frames where both errors, (F, 2), are known."""
    return errors[np.isfinite(errors).all(axis=1)].sum(axis=0)


def _ratio(model: dict, other: dict | None, main: str) -> float | None:
    if not other or not other[main] or model[main] is None:
        return None
    return model[main] / other[main]


def _mean(values: np.ndarray) -> float | None:
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def _nanmean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    with np.errstate(invalid='ignore'):
        return np.where(finite, values, 0).sum(axis=0) / finite.sum(axis=0)


def _unique(names: list[str], index: int) -> str:
    """Return the name of a sequence, with a number where an earlier one is called the same."""
    before = names[:index].count(names[index])
    return f'{names[index]}#{before + 1}' if before else names[index]


def overall(result: dict) -> list[tuple[str, dict]]:
    """Return the mean over frames and that over sequences, the report's headline first."""
    frames = {**result['metrics'], 'frames': result['frames'], 'baselines': result['baselines'],
              'ratio_to_mean_map': result['ratio_to_mean_map'][result['main_metric']]}
    sequences = {**result['sequence_mean'], 'frames': result['frames']}
    rows = [('all frames', frames), ('mean of sequences', sequences)]
    return rows if result['headline'] == 'metrics' else rows[::-1]


def table(result: dict) -> str:
    """Return the report as a table for a terminal."""
    main = result['main_metric']
    rows = [*overall(result), ('one alignment a sequence', result['per_sequence_alignment']),
            ('few events', result['few_events']), ('pauses', result['pauses']),
            *((f'under {name[2:]} m', figures) for name, figures in result['range'].items()),
            ('moving things', result['moving']), ('near edges', result['boundary']),
            *((f'world {name}', figures) for name, figures in result['worlds'].items())]
    lines = [f'{"":26}{"frames":>7}{main:>9}{"delta1":>8}   {"constant":>9}{"mean map":>9}'
             f'{"hold last":>10}   {"to mean map":>11}']
    for name, figures in [row for row in rows if row[1]['frames']]:
        baselines = [(figures['baselines'][b] or {}).get(main) for b in BASELINES]
        lines.append(
            f'{name:26}{figures["frames"]:7d}{_number(figures[main], 9)}'
            f'{_number(figures["delta1"], 8)}   {_number(baselines[0], 9)}'
            f'{_number(baselines[1], 9)}{_number(baselines[2], 10)}   '
            f'{_number(figures["ratio_to_mean_map"], 11)}')
    return '\n'.join(lines)


def _number(value: float | None, width: int) -> str:
    text = '-' if value is None or math.isnan(value) else f'{value:.3f}'
    return f'{text:>{width}}'
