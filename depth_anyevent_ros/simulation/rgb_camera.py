# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A colour camera: exposure, noise, gain that follows the light, and the curve of sRGB."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.transform import Transform

# Of the way to the exposure it wants, in the logarithm, what the camera goes with each picture.
ADAPTATION = 0.5
CONVERTER_STEPS = 4096


@dataclass(frozen=True)
class RgbCameraConfig:
    """
    Settings of the colour camera.

    saturation_ns: exposure in which luminance 1 fills a pixel. min_exposure_ns,
    max_exposure_ns, max_gain: bounds of the auto-exposure, which wants the mean of a picture,
    linear and as a share of white, at target_mean. full_well: electrons of white at gain 1.
    read_noise: electrons. vignetting: share of the light that is missing in the corners.
    camera: optics of a camera of its own, without distortion, None for those of the event
    camera. to_event: takes points of its optical frame to that of the event camera. seed: of
    the noise.
    """

    saturation_ns: int = 1_000_000
    min_exposure_ns: int = 50_000
    max_exposure_ns: int = 30_000_000
    max_gain: float = 16.0
    target_mean: float = 0.25
    full_well: float = 10_000.0
    read_noise: float = 8.0
    vignetting: float = 0.1
    seed: int = 0
    camera: CameraModel | None = None
    to_event: Transform = field(default_factory=Transform.identity)

    def __post_init__(self) -> None:
        if not 0 < self.min_exposure_ns <= self.max_exposure_ns or self.saturation_ns <= 0:
            raise ValueError(
                'exposures have to be positive and min_exposure_ns at most max_exposure_ns, got '
                f'{self.min_exposure_ns}, {self.max_exposure_ns}, {self.saturation_ns} ns')
        if self.max_gain < 1 or not 0 < self.target_mean < 1:
            raise ValueError('max_gain has to be 1 or more and target_mean between 0 and 1, got '
                             f'{self.max_gain} and {self.target_mean}')
        if self.full_well <= 0 or self.read_noise < 0 or not 0 <= self.vignetting < 1:
            raise ValueError('full_well has to be positive, read_noise not negative, vignetting '
                             f'within 0 and 1, got {self.full_well}, {self.read_noise}, '
                             f'{self.vignetting}')

    @property
    def own_view(self) -> bool:
        """Whether it sees another picture than the event camera."""
        return self.camera is not None or not self.to_event.changes_nothing


class RgbCamera:
    """
    From light to pictures; exposure and gain of the next picture follow those before it.

    period_ns: time from picture to picture, the longest exposure there can be.
    exposure_ns, gain: of the next picture.
    """

    def __init__(self, config: RgbCameraConfig, height: int, width: int, period_ns: int) -> None:
        self._config = config
        self._longest_ns = min(config.max_exposure_ns, period_ns)
        self._generator = np.random.default_rng([config.seed, 3])
        self._vignette = _vignette(height, width, config.vignetting)
        self._curve = srgb_curve(CONVERTER_STEPS)
        self._wanted_ns: float | None = None
        self.exposure_ns, self.gain = self._longest_ns, 1.0

    def meter(self, luminance: float) -> None:
        """Choose exposure and gain for the mean luminance of what is seen."""
        config = self._config
        wanted_ns = config.target_mean * config.saturation_ns / max(luminance, 1e-12)
        if self._wanted_ns is not None:
            wanted_ns = self._wanted_ns * (wanted_ns / self._wanted_ns) ** ADAPTATION
        lowest_ns = min(config.min_exposure_ns, self._longest_ns)
        # What cannot be reached must not be aimed at for long after the light has changed.
        self._wanted_ns = float(np.clip(wanted_ns, lowest_ns, self._longest_ns * config.max_gain))
        self.exposure_ns = round(min(self._wanted_ns, self._longest_ns))
        self.gain = max(self._wanted_ns / self._longest_ns, 1.0)

    def develop(self, light: np.ndarray) -> np.ndarray:
        """
        Return the picture, uint8 (height, width, 3), blue, green, red, and meter for the next.

        light: float32 (height, width, 3), red, green, blue, linear, the mean over exposure_ns
        around the picture's time; white in full light is 1. Noise is that of the electrons that
        light frees (Poisson's variance) and of reading them out; gain enlarges both.
        """
        config = self._config
        white = config.full_well / self.gain
        electrons = light * self._vignette * np.float32(
            self.exposure_ns / config.saturation_ns * config.full_well)
        noise = self._generator.standard_normal(light.shape, np.float32)
        noise *= np.sqrt(electrons + np.float32(config.read_noise ** 2))
        counts = (electrons + noise) * np.float32((CONVERTER_STEPS - 1) / white)
        picture = self._curve[np.clip(np.rint(counts), 0, CONVERTER_STEPS - 1).astype(np.uint16)]
        self.meter(float(light.mean()))
        return np.ascontiguousarray(picture[..., ::-1])


def srgb_curve(steps: int) -> np.ndarray:
    """Return the 8 bit value, uint8 (steps,), of linear values 0 to 1, after IEC 61966-2-1."""
    linear = np.linspace(0, 1, steps)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)


def _vignette(height: int, width: int, loss: float) -> np.ndarray:
    """Return what share of the light comes through, float32 (height, width, 1)."""
    rows = (np.arange(height) - (height - 1) / 2)[:, None]
    columns = (np.arange(width) - (width - 1) / 2)[None, :]
    square = (rows ** 2 + columns ** 2) / (height ** 2 / 4 + width ** 2 / 4)
    return (1 - loss * square)[..., None].astype(np.float32)
