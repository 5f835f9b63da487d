# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is promoted: a clear gain that costs nothing elsewhere, and nothing else."""
import numpy as np
import pytest

from depth_anyevent_ros.distillation.promotion import judge, PromotionConfig, tail

GENERATOR = np.random.default_rng(0)
RUNNING = GENERATOR.uniform(0.2, 0.5, 12)


@pytest.mark.parametrize('gain, step, total, promote, words', [
    (0.8, 1.0, 1.0, True, 'agrees better'), (0.8, 1.04, 1.14, True, 'agrees better'),
    (1.0, 1.0, 1.0, False, 'more blocks have to tell'), (1.2, 0.9, 0.9, False, 'agrees worse'),
    (0.8, 1.06, 1.06, False, '1.060 times that of the running'),
    (0.8, 1.01, 1.16, False, '1.160 times that of the first'),
    (np.nan, 1.0, 1.0, False, 'not a finite number'),
    (0.8, np.nan, 1.0, False, 'not a finite number')])
def test_verdicts(gain, step, total, promote, words):
    noise = np.random.default_rng(1).normal(1, 0.03, len(RUNNING))
    verdict = judge(RUNNING, gain * noise * RUNNING, total / step, total, 1.0)
    assert verdict.promote is promote and words in verdict.reason
    assert verdict.decided is (gain != 1)
    if np.isfinite(gain):
        assert verdict.low < verdict.ratio < verdict.high
        assert verdict.ratio == pytest.approx(gain, rel=0.05)


def test_a_gain_in_one_block_alone_is_no_gain():
    candidate = RUNNING.copy()
    candidate[0] *= 0.2
    assert not judge(RUNNING, candidate, 1, 1, 1).promote


def test_in_the_end_no_gain_is_a_decision():
    verdict = judge(RUNNING, RUNNING, 1, 1, 1, PromotionConfig(most_blocks=len(RUNNING)))
    assert verdict.decided and not verdict.promote and 'does not agree better' in verdict.reason


def decision(rng, gain, spread, looks=(6, 12, 18)):
    """Return the end of a decision that looks at so many blocks, one after the other."""
    running = rng.lognormal(-1, 0.4, 18)
    candidate = gain * running * np.exp(spread * rng.normal(size=18) - spread ** 2 / 2)
    for before, count in zip((0, *looks), looks):
        verdict = judge(running[:count], candidate[:count], 1, 1, 1, before=before)
        if verdict.decided:
            break
    return verdict


@pytest.mark.parametrize('looks', [(6, 12, 18), (3, 6, 9, 12, 15, 18)])
def test_chance_is_rarely_promoted_however_often_it_is_looked_at(looks):
    rng = np.random.default_rng(0)
    for spread, most in ((0.05, 0.045), (0.1, 0.05), (0.2, 0.06)):
        found = [decision(rng, 1.0, spread, looks) for _ in range(1500)]
        assert np.mean([verdict.promote for verdict in found]) <= most
        assert np.mean(['agrees worse' in verdict.reason for verdict in found]) <= most


def test_what_is_better_by_a_tenth_is_mostly_promoted():
    rng = np.random.default_rng(0)
    assert np.mean([decision(rng, 0.9, 0.1).promote for _ in range(300)]) > 0.93


def test_what_looks_may_err_in_is_kept_for_the_last():
    spent = [tail(blocks, before) for before, blocks in ((0, 6), (6, 12), (12, 18))]
    assert spent == pytest.approx([0.025 * 1.2 * share / 9 for share in (1, 3, 5)])
    assert tail(40, 12) == tail(18, 12) and tail(13, 6) < spent[2]
    assert tail(4, 0, PromotionConfig(least_blocks=4, most_blocks=4)) == pytest.approx(0.03)


@pytest.mark.parametrize('looks', [(6, 12, 18), (5, 9, 15, 22), (3, 6, 9, 12, 15, 18)])
def test_all_looks_together_may_err_in_what_is_stated(looks):
    seen = [count for count in looks if count >= 6]
    assert sum(tail(count, before) for before, count in zip((0, *looks), looks)
               if count in seen) == pytest.approx(0.03)


def test_blocks_that_tell_nothing_more_are_no_look():
    verdict = judge(RUNNING, 0.5 * RUNNING, 1, 1, 1, before=len(RUNNING))
    assert not verdict.promote and not verdict.decided
    assert 'no more held-out blocks tell than the 12 before' in verdict.reason


def test_few_blocks_decide_nothing():
    verdict = judge(RUNNING[:5], 0.1 * RUNNING[:5], 1, 1, 1, PromotionConfig(least_blocks=6))
    assert not verdict.promote and not verdict.decided
    assert '5 held-out blocks are too few' in verdict.reason
