# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node that stands for a rig: an event camera and a colour camera in a simulated world."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
import itertools
import sys
import time

from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image

from depth_anyevent_ros.datasets.messages import encode_event_packet
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.nodes.conversions import to_camera_info, to_header, to_image
from depth_anyevent_ros.nodes.delivery import wait_until_delivered
from depth_anyevent_ros.nodes.diagnostics import Diagnostics, Report
from depth_anyevent_ros.nodes.lifecycle import AutostartNode, run
from depth_anyevent_ros.nodes.parameters import SIMULATOR_PARAMETERS
from depth_anyevent_ros.nodes.simulation_player import IN_REAL_TIME, SimulationPlayer
from depth_anyevent_ros.nodes.topics import CLOCK
from depth_anyevent_ros.simulation import output
from depth_anyevent_ros.simulation.output import Counts, driver_messages, Message, observed
from depth_anyevent_ros.simulation.recording import DriverConfig, IN_ROS_TIME
from depth_anyevent_ros.simulation.worlds import make_world, World

# Deep enough for a burst of packets while a subscriber's Python is busy.
EVENTS_DEPTH, OTHERS_DEPTH = 1000, 10
TYPES = {output.EVENTS: EventPacket, output.CAMERA_INFO: CameraInfo, output.IMAGE: Image,
         output.IMAGE_INFO: CameraInfo, output.TRUTH: Image, output.TRUTH_INFO: CameraInfo}


class SimulatorNode(AutostartNode):
    """
    Publishes events, pictures, calibrations and true inverse depth of a simulated world.

    A SimulationPlayer simulates ahead on one thread and publishes on another. Stamps begin with
    the time at which the first message goes out.
    """

    def __init__(self, **kwargs):
        super().__init__('simulator', SIMULATOR_PARAMETERS, **kwargs)
        self._world: World | None = None
        self._outputs = {}
        self._clock_output = None
        self._player: SimulationPlayer | None = None
        self._late_ns: int | None = None  # how long the first message has waited
        self._counts = Counts()
        self._diagnostics = Diagnostics(self, 'simulator', self._collect)

    @property
    def done(self) -> bool:
        """Whether the process may end."""
        return (self.value('exit_when_done') and self._player is not None
                and self._player.finished)

    @property
    def failed(self) -> bool:
        """Whether the simulation ended early."""
        return self._player is not None and self._player.failed

    def configure(self) -> None:
        """Build the world and make the publishers."""
        self._world = self._make_world(self.value('seed'))
        self.get_logger().info(
            f'World {self.value("world")}, split {self.value("split")}, seed '
            f'{self.value("seed")}, {self.value("sensor")}: {self._world.factors}')
        overrides = QoSOverridingOptions.with_default_policies()
        for name, kind in TYPES.items():
            depth = EVENTS_DEPTH if name == output.EVENTS else OTHERS_DEPTH
            self._outputs[name] = self.create_lifecycle_publisher(
                kind, name, QoSProfile(depth=depth), qos_overriding_options=overrides)
        if self.value('publish_clock'):
            self._clock_output = self.create_lifecycle_publisher(
                ClockMessage, CLOCK, QoSProfile(depth=10))

    def activate(self) -> None:
        """Simulate from the beginning."""
        self._counts, self._late_ns = Counts(), None
        self._player = SimulationPlayer(self._messages(time.time_ns()), self._publish,
                                        self._tick, self._heard, self.get_logger(),
                                        self._settle)
        self._player.start()

    def deactivate(self) -> None:
        """Stop."""
        if self._player is not None:
            self._player.stop()
            self._player = None

    def release(self) -> None:
        """Give the publishers back."""
        for publisher in [*self._outputs.values(), self._clock_output]:
            if publisher is not None:
                self.destroy_lifecycle_publisher(publisher)
        self._outputs, self._clock_output, self._world = {}, None, None

    def _make_world(self, seed: int) -> World:
        level = self.value('level')
        world = make_world(
            self.value('world'), seed, round(self.value('duration') * 1e6) * 1000,
            sensor=self.value('sensor'), split=self.value('split'),
            level=level if level > 0 else None, max_motion_px=self.value('max_motion_px'))
        return replace(world, simulation=observed(
            world.simulation, self.value('rate_hz'), self.value('images')))

    def _messages(self, start_ns: int) -> Iterator[Message]:
        """Yield the messages of the world, and with loop those of the next seeds."""
        world = self._world
        for index in itertools.count():
            passed_ns = index * world.simulation.duration_ns
            driver = DriverConfig(
                sensor_start_ns=passed_ns, ros_start_ns=start_ns + passed_ns,
                frame_id=self.value('frame_id'), seed=self.value('seed') + index,
                encoding=self.value('encoding'))
            yield from driver_messages(world.simulation, driver, self._counts)
            if not self.value('loop'):
                return
            world = self._make_world(self.value('seed') + index + 1)

    def _heard(self) -> bool:
        return (self._outputs[output.EVENTS].get_subscription_count()
                >= self.value('wait_for_subscribers'))

    def _settle(self, stopped: Callable[[], bool]) -> None:
        wait_until_delivered(self._outputs.values(), stopped)

    def _publish(self, message: Message) -> None:
        publisher, value = self._outputs[message.topic], message.value
        if not publisher.get_subscription_count():
            return
        late_ns = self._late(message.received_ns)
        if isinstance(value, Packet):
            in_ros_time = value.encoding in IN_ROS_TIME
            publisher.publish(encode_event_packet(replace(
                value, stamp_ns=value.stamp_ns + late_ns,
                time_base=value.time_base + in_ros_time * late_ns)))
            return
        header = to_header(message.stamp_ns + late_ns, message.frame_id)
        publisher.publish(to_camera_info(value, header) if isinstance(value, CameraModel)
                          else to_image(value, message.encoding, header))

    def _late(self, time_ns: int) -> int:
        """Return by how much stamps are put off, so that they begin with the present time."""
        if self._late_ns is None:
            self._late_ns = max(time.time_ns() - time_ns, 0)
        return self._late_ns

    def _tick(self, time_ns: int) -> None:
        time_ns += self._late(time_ns)
        if self._clock_output is not None:
            stamp = Time(sec=time_ns // 10**9, nanosec=time_ns % 10**9)
            self._clock_output.publish(ClockMessage(clock=stamp))

    def _collect(self) -> Report:
        """Return the state for /diagnostics."""
        player = self._player
        if player is None:
            return Report('ok', 'not active', {})
        share = player.share_of_real_time
        values = {'share of real time': '' if share is None else round(share, 3),
                  'messages': player.messages, 'messages ahead': player.ahead,
                  'labels': self._counts.frames,
                  'events': self._counts.events}
        if player.failed:
            return Report('error', 'the simulation ended early, see the log', values)
        if player.finished:
            return Report('ok', 'the simulation has ended', values)
        if share is not None and share < IN_REAL_TIME:
            return Report('warn', f'slower than real time: {share:.2f} of it', values)
        return Report('ok', 'simulating', values)


def main(args=None) -> None:
    """Run the node."""
    sys.exit(run(SimulatorNode, args))


if __name__ == '__main__':
    main()
