# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The colour camera: its curve, its noise, its exposure."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.simulation.rgb_camera import RgbCamera, RgbCameraConfig, srgb_curve

MS = 1_000_000
PLAIN = RgbCameraConfig(vignetting=0.0)


def gray(luminance, shape=(200, 300)):
    return np.full((*shape, 3), luminance, np.float32)


def camera(config=PLAIN, exposure_ns=MS, gain=1.0):
    made = RgbCamera(config, 200, 300, 50 * MS)
    made.exposure_ns, made.gain = exposure_ns, gain
    return made


def linear(picture):
    """Return the share of white by the inverse of the curve of IEC 61966-2-1."""
    value = picture / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def test_the_curve():
    curve = srgb_curve(4096)
    assert curve[0] == 0 and curve[-1] == 255 and np.all(np.diff(curve.astype(int)) >= 0)
    # A grey card of 18 % is at 118 in sRGB, one of 50 % at 188.
    assert curve[round(0.18 * 4095)] == 118 and curve[round(0.5 * 4095)] == 188


@pytest.mark.parametrize('exposure_ns, gain', [(MS, 1.0), (MS // 4, 1.0), (MS // 8, 4.0)])
def test_a_picture_has_the_light_of_its_exposure(exposure_ns, gain):
    picture = camera(exposure_ns=exposure_ns, gain=gain).develop(gray(0.4))
    assert picture.shape == (200, 300, 3) and picture.dtype == np.uint8
    assert linear(picture).mean() == pytest.approx(0.4 * exposure_ns / MS * gain, rel=0.01)


def test_channels_are_blue_green_red():
    light = gray(0.0) + np.array([0.6, 0.3, 0.1], np.float32)
    blue, green, red = linear(camera().develop(light)).mean((0, 1))
    assert (red, green, blue) == pytest.approx((0.6, 0.3, 0.1), rel=0.02)


@pytest.mark.parametrize('luminance, gain', [(0.3, 1.0), (0.03, 8.0), (0.01, 16.0)])
def test_noise_has_the_variance_of_its_electrons(luminance, gain):
    config = replace(PLAIN, full_well=2000.0, read_noise=10.0)
    picture = linear(camera(config, gain=gain).develop(gray(luminance)))
    electrons = luminance * 2000
    expected = np.sqrt(electrons + 100) * gain / 2000
    # 8 bits add a little: a step of the curve, as an even distribution.
    step = 1.055 * 2.4 / 255 * (luminance * gain) ** (1.4 / 2.4) / 1.055
    assert picture.std() == pytest.approx(np.hypot(expected, step / 12 ** 0.5), rel=0.04)


def test_exposure_then_gain_follow_the_light():
    made = RgbCamera(PLAIN, 20, 30, 50 * MS)
    settings = {}
    for level in (1.0, 0.1, 1e-2, 1e-3, 1e-4):
        made.meter(0.3 * level)
        for _ in range(12):
            made.develop(gray(0.3 * level, (20, 30)))
        settings[level] = made.exposure_ns, made.gain
    # target_mean is reached by time alone as long as 30 ms are enough, then by gain up to 16.
    wanted_ns = 0.25 / 0.3 * MS
    assert settings[1.0] == (pytest.approx(wanted_ns, rel=0.01), 1.0)
    assert settings[0.1] == (pytest.approx(10 * wanted_ns, rel=0.01), 1.0)
    assert settings[1e-2] == (30 * MS, pytest.approx(wanted_ns / MS * 100 / 30, rel=0.01))
    assert settings[1e-3] == settings[1e-4] == (30 * MS, pytest.approx(16.0, rel=0.01))


def test_exposure_takes_some_pictures_to_follow():
    made = RgbCamera(PLAIN, 20, 30, 50 * MS)
    made.meter(0.02)
    means = [linear(made.develop(gray(0.2, (20, 30)))).mean() for _ in range(8)]
    assert means[0] > 0.98 and means[-1] == pytest.approx(0.25, rel=0.05)
    assert np.all(np.diff(means) < 0.01)


def test_exposure_ends_before_the_next_picture():
    made = RgbCamera(replace(PLAIN, max_exposure_ns=100 * MS), 20, 30, 20 * MS)
    made.meter(1e-6)
    assert made.exposure_ns == 20 * MS and made.gain == pytest.approx(16.0)


def test_night_is_darker_and_noisier():
    pictures = {}
    scene = np.tile(np.array([0.1, 0.4], np.float32)[:, None, None, None],
                    (1, 100, 300, 3)).reshape(200, 300, 3)
    for level in (1.0, 1e-4):
        made = RgbCamera(PLAIN, 200, 300, 50 * MS)
        made.meter(0.25 * level)
        pictures[level] = linear(made.develop(scene * np.float32(level)))
    day, night = pictures[1.0], pictures[1e-4]
    assert night.mean() < 0.3 * day.mean()

    def noise(picture):
        return np.mean([picture[:100].std(), picture[100:].std()]) / picture.mean()

    assert noise(night) > 5 * noise(day)


def test_corners_get_less_light():
    made = RgbCamera(replace(PLAIN, vignetting=0.4, full_well=1e8, read_noise=0.0),
                     201, 301, 50 * MS)
    made.exposure_ns = MS
    picture = linear(made.develop(gray(0.5, (201, 301))))
    assert picture[100, 150, 0] == pytest.approx(0.5, rel=0.01)
    assert picture[0, 0, 0] == pytest.approx(0.3, rel=0.02)


def test_the_seed_decides():
    one, same, other = (camera(replace(PLAIN, seed=seed)).develop(gray(0.2)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_refuses():
    with pytest.raises(ValueError, match='min_exposure_ns at most'):
        RgbCameraConfig(min_exposure_ns=10, max_exposure_ns=5)
    with pytest.raises(ValueError, match='max_gain'):
        RgbCameraConfig(max_gain=0.5)
    with pytest.raises(ValueError, match='full_well'):
        RgbCameraConfig(full_well=0.0)
