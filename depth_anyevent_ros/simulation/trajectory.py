# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera is at which time."""
from __future__ import annotations

from dataclasses import dataclass
import math
from typing import NamedTuple, Protocol

import numpy as np

from depth_anyevent_ros.geometry.transform import Transform

# Columns: the optical frame's axes (x right, y down, z forward) in a body frame (x forward,
# y left, z up). REP 103.
BODY_FROM_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
TWIST_STEP_S = 1e-4


class Pose(NamedTuple):
    """position: float64 (3,), metres in the world. rotation: (3, 3), world from optical."""

    position: np.ndarray
    rotation: np.ndarray


class Trajectory(Protocol):
    """Anything that knows the camera's pose at a time in seconds."""

    def pose(self, time_s: float) -> Pose:
        """Return the pose of the optical frame in the world."""


@dataclass(frozen=True)
class Sway:
    """
    A steady motion with swaying added to it, smooth in all derivatives.

    start, velocity: position (x, y, z; metres, metres a second) and angles (yaw, pitch, roll;
    radians, radians a second) in one row of six. amplitude, frequency_hz, phase: of the sine
    that is added to each of the six. Pitch is positive downward, yaw to the left.
    """

    start: tuple[float, ...]
    velocity: tuple[float, ...] = (0.0,) * 6
    amplitude: tuple[float, ...] = (0.0,) * 6
    frequency_hz: tuple[float, ...] = (1.0,) * 6
    phase: tuple[float, ...] = (0.0,) * 6

    def pose(self, time_s: float) -> Pose:
        """Return the pose of the optical frame in the world."""
        state = np.array(self.start) + np.array(self.velocity) * time_s
        state += np.array(self.amplitude) * np.sin(
            2 * math.pi * np.array(self.frequency_hz) * time_s + np.array(self.phase))
        return Pose(state[:3], body_rotation(*state[3:]) @ BODY_FROM_OPTICAL)


@dataclass(frozen=True)
class Mounted:
    """
    Another camera, fixed to the one on a trajectory.

    transform: takes points of its optical frame to that of the one on the trajectory.
    """

    trajectory: Trajectory
    transform: Transform

    def pose(self, time_s: float) -> Pose:
        """Return the pose of its optical frame in the world."""
        position, rotation = self.trajectory.pose(time_s)
        return Pose(position + rotation @ self.transform.translation,
                    rotation @ self.transform.rotation)


def body_rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Return world from body, (3, 3): yaw about z, then pitch about y, then roll about x."""
    cy, sy = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    return (np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
            @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
            @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]]))


def twist(trajectory: Trajectory, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return velocity (m/s) and angular velocity (rad/s) in the optical frame, (3,) each."""
    before = trajectory.pose(time_s - TWIST_STEP_S)
    here = trajectory.pose(time_s)
    after = trajectory.pose(time_s + TWIST_STEP_S)
    velocity = here.rotation.T @ (after.position - before.position) / (2 * TWIST_STEP_S)
    # R^T dR/dt is the skew matrix of the angular velocity in the moving frame.
    skew = here.rotation.T @ (after.rotation - before.rotation) / (2 * TWIST_STEP_S)
    return velocity, np.array([skew[2, 1] - skew[1, 2], skew[0, 2] - skew[2, 0],
                               skew[1, 0] - skew[0, 1]]) / 2
