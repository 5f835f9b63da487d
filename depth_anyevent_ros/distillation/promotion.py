# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether newly learned weights may take the place of those that run."""
from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from depth_anyevent_ros.evaluation.intervals import student_quantile

# What looks at more and more of the same blocks err in together is less than the sum of it.
OVERLAP = 1.2


@dataclass(frozen=True)
class PromotionConfig:
    """
    When a candidate is promoted.

    confidence: of a decision on the interval of its error over the running student's, all looks
    of it together. least_blocks: held-out blocks without which nothing is decided, 2 or more.
    most_blocks: with so many it is kept back where they still cannot tell. anchor_step,
    anchor_total: by how much its error against the truth of the anchor set may exceed that of the
    running student, and that of the student at the beginning. shares: of the way from the running
    student to what was learned, of which the first that the anchor set allows is the candidate.
    """

    confidence: float = 0.95
    least_blocks: int = 6
    most_blocks: int = 18
    anchor_step: float = 1.05
    anchor_total: float = 1.15
    shares: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Verdict:
    """
    promote: whether. decided: whether at all; else more held-out blocks have to tell. reason: a
    sentence why. ratio: mean error of the candidate over that of the running student on the
    held-out blocks, low and high its interval. anchor_step, anchor_total: as in PromotionConfig,
    what was found. share: of the way from the running student to what was learned.
    """

    promote: bool
    decided: bool
    reason: str
    ratio: float
    low: float
    high: float
    anchor_step: float
    anchor_total: float
    share: float = 1.0


def judge(running: np.ndarray, candidate: np.ndarray, anchor_running: float,
          anchor_candidate: float, anchor_first: float,
          config: PromotionConfig = PromotionConfig(), before: int = 0) -> Verdict:
    """
    Compare two students on the same held-out blocks, and on the anchor set.

    running, candidate: mean disagreement with the teacher, one value a block. anchor_*: errors
    against truth. before: blocks at the last look of this decision, see `tail`. Blocks and not
    frames are what is counted, since frames of a block are alike; neighbouring blocks are taken
    for independent. The interval is that of a ratio of means by Student's distribution, at the
    level that `tail` says. An error that is no finite number keeps the candidate back.
    """
    running, candidate = np.asarray(running, float), np.asarray(candidate, float)
    step = anchor_candidate / anchor_running if anchor_running > 0 else np.inf
    total = anchor_candidate / anchor_first if anchor_first > 0 else np.inf
    if len(running) < config.least_blocks:
        return Verdict(False, False, f'{len(running)} held-out blocks are too few to decide; '
                       f'{config.least_blocks} are needed', np.nan, np.nan, np.nan, step, total)
    if len(running) <= before:
        return Verdict(False, False, f'no more held-out blocks tell than the {before} before',
                       np.nan, np.nan, np.nan, step, total)
    ratio = candidate.sum() / running.sum()
    deviation = (candidate - ratio * running).std(ddof=1) / math.sqrt(len(running))
    half = student_quantile(1 - tail(len(running), before, config), len(running) - 1) \
        * deviation / running.mean()
    low, high = ratio - half, ratio + half
    found = f'{ratio:.3f} of the error ({low:.3f} to {high:.3f}) on {len(running)} blocks'
    promote, decided = False, True
    if not np.isfinite([ratio, low, high, step, total]).all():
        reason = 'an error of the candidate is not a finite number'
    elif low > 1:
        reason = f'it agrees worse with the teacher: {found}'
    elif not high < 1:
        decided = len(running) >= config.most_blocks
        reason = f'it does not agree better with the teacher: {found}' if decided \
            else f'more blocks have to tell: {found}'
    elif not step <= config.anchor_step:
        reason = (f'on the anchor set its error is {step:.3f} times that of the running student, '
                  f'more than {config.anchor_step}')
    elif not total <= config.anchor_total:
        reason = (f'on the anchor set its error is {total:.3f} times that of the first student, '
                  f'more than {config.anchor_total}')
    else:
        promote, reason = True, f'it agrees better with the teacher: {found}'
    return Verdict(promote, decided, reason, ratio, low, high, step, total)


def tail(blocks: int, before: int = 0, config: PromotionConfig = PromotionConfig()) -> float:
    """
    Return how likely a look at so many blocks may see a better candidate where there is none.

    A decision looks several times, at more blocks each time, and may err at each. What it may err
    in grows with the square of the blocks, so that most is left for the last look, which sees
    most; early ones tell large gains. before: blocks at the last look; fewer than least_blocks
    were none.
    """
    spent = before if before >= config.least_blocks else 0
    now, then = (min(count / config.most_blocks, 1) for count in (blocks, spent))
    return OVERLAP * (1 - config.confidence) / 2 * (now ** 2 - then ** 2)
