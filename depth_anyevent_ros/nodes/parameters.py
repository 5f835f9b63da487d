# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the nodes as tables: type, default, description, range. Imports no ROS."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """
    A ROS parameter. Its type is that of the default (bool, int, float, str, list of str or float).

    bounds: least and greatest value. choices: the values of a string. live: may change while
    the node is active; the others are read when the node is configured.
    """

    name: str
    default: bool | int | float | str | tuple[str, ...] | tuple[float, ...]
    description: str
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] | None = None
    live: bool = False

    def problem(self, value) -> str | None:
        """Return why a value of the right type cannot be taken, None where it can."""
        if self.bounds and not self.bounds[0] <= value <= self.bounds[1]:
            return (f'{self.name} must be from {self.bounds[0]:g} to {self.bounds[1]:g}, '
                    f'not {value:g}')
        if self.choices and value not in self.choices:
            return f'{self.name} must be one of {", ".join(self.choices)}; not {value!r}'
        return None


AUTOSTART = Parameter(
    'autostart', True,
    'Configure and activate the node by itself; false leaves the transitions to a manager.')

CAMERA_INFO_URL = Parameter(
    'camera_info_url', '',
    'Calibration of the event camera as a file of camera_calibration: a path, file:///path or '
    'package://PACKAGE/path. It is used whatever `camera_info` says, which metavision_driver does '
    'not publish. Empty: that of `camera_info`.')

OTHER_CALIBRATION = ('{} has another calibration than the file that is used. Empty the '
                     'camera_info_url, or publish what the file says.')

HOT_PIXELS = (
    Parameter('hot_pixels', True,
              'Leave out pixels that fire whatever they see. They are learned while the camera '
              'moves, from those that are known in state_dir on, where inference_node keeps '
              'them. At most 1 % of the pixels are left out.'),
    Parameter('sensor_name', '',
              'Name or serial of the sensor, under which its hot pixels are kept; one of '
              'digits needs quotes of its own, as "\'0042\'". Empty: the frame_id of the event '
              'packets.'),
    Parameter('state_dir', '',
              'Folder of what is learned of sensors. Empty: depth_anyevent_ros in '
              '$XDG_STATE_HOME or ~/.local/state.'),
)

INFERENCE_PARAMETERS = (
    AUTOSTART,
    Parameter('checkpoint', '',
              'File of the student: a safetensors file of this package, a .pth of the authors of '
              'DepthAnyEvent with its settings, or of Depth Anything V2 (docs/checkpoints.md). '
              'Empty: the student in models/, or an untrained one if there is none yet, which is '
              'said in log and diagnostics.'),
    Parameter('weights_dir', '',
              'Folder of the weight files that the topic `weights` may name. Empty: weights '
              'that arrive on the topic are refused.'),
    Parameter('device', 'auto',
              'Where the student runs: auto (the first GPU, else the CPU), cpu, cuda, cuda:N.'),
    Parameter('precision', 'auto',
              'Arithmetic of the student; auto is fp32 on a CPU, and on a GPU the first of fp16, '
              'bf16 and fp32 that comes close to fp32 at the start. bf16 on a CPU needs a '
              'processor that computes in it, and is fastest with the runtime openvino.',
              choices=('auto', 'fp32', 'bf16', 'fp16')),
    Parameter('runtime', 'torch',
              'What runs the student: torch; openvino or onnxruntime, where they are installed, '
              'faster on a CPU and compared with torch at the start; auto: openvino where it can '
              'be had, else torch.', choices=('torch', 'openvino', 'onnxruntime', 'auto')),
    Parameter('rectify', True,
              'Remove the distortion of the lens from the events, as students are trained on '
              'pictures without; the outputs then show the rectified picture.'),
    Parameter('window.mode', 'time',
              'Windows end at multiples of 1 / rate_hz of sensor time (time), or with every '
              'window.count events (count).', choices=('time', 'count')),
    Parameter('window.duration_ms', 0.0,
              'Length of a window of time in ms. 0: as the checkpoint was trained.',
              bounds=(0.0, 10000.0)),
    Parameter('window.count', 0, 'Events of a window of count.', bounds=(0, 1000000000)),
    Parameter('rate_hz', 10.0, 'Windows of time per second of sensor time.',
              bounds=(0.1, 1000.0)),
    Parameter('metric.source', 'none',
              'Where metres come from: none (no depth topic is published) or fixed (1 / depth '
              '= metric.scale * inverse depth + metric.shift).',
              choices=('none', 'fixed'), live=True),
    Parameter('metric.scale', 1.0, 'Scale of metric.source fixed, 1/m per unit.',
              bounds=(1e-9, 1e9), live=True),
    Parameter('metric.shift', 0.0, 'Shift of metric.source fixed, 1/m.',
              bounds=(-1e3, 1e3), live=True),
    Parameter('metric.min_range', 0.1, 'Nearer depth is published as -Inf, m.',
              bounds=(1e-3, 1e4), live=True),
    Parameter('metric.max_range', 80.0, 'Farther depth is published as +Inf, m.',
              bounds=(1e-3, 1e5), live=True),
    Parameter('events.reliability', 'auto',
              'QoS of the event subscription: auto follows the publisher (both camera drivers '
              'publish best effort).', choices=('auto', 'reliable', 'best_effort')),
    Parameter('events.queue_mb', 64,
              'Encoded events that may wait for the student, MB. Beyond it the oldest packets '
              'are dropped and counted.', bounds=(1, 4096)),
    Parameter('events.max_gap_ms', 200.0,
              'A longer leap of sensor time resets the recurrent state. For windows of time it is '
              'measured from the next end or begin of one, and is a period at least.',
              bounds=(1.0, 1e6)),
    *HOT_PIXELS,
    CAMERA_INFO_URL,
    Parameter('frame_id', '',
              'Frame of the outputs. Empty: that of the event packets, which should be the '
              'optical frame of the event camera.'),
)

REPLAY_PARAMETERS = (
    AUTOSTART,
    Parameter('bag', '', 'Bag to replay: a rosbag2 folder, a .db3 or an .mcap file.'),
    Parameter('rate', 1.0, 'Speed: 2.0 is twice as fast as recorded.', bounds=(0.001, 1000.0)),
    Parameter('loop', False, 'Begin again at the end.'),
    Parameter('start', 0.0, 'Seconds of the bag to leave out at its beginning.',
              bounds=(0.0, 1e9)),
    Parameter('clock', True, 'Publish /clock, in the time at which the bag was recorded.'),
    Parameter('wait_for_subscribers', 1,
              'Begin when every event topic has this many subscribers; 0 begins at once.',
              bounds=(0, 100)),
    Parameter('exit_when_done', False, 'End the process when the bag has been replayed.'),
)

SIMULATOR_PARAMETERS = (
    AUTOSTART,
    Parameter('world', 'car', 'What is simulated: a street seen from a car, a building '
              'seen from a drone, or a table.', choices=('car', 'drone', 'desk')),
    Parameter('seed', 1, 'The same seed gives the same world.', bounds=(0, 1000000000)),
    Parameter('split', 'train', 'Which worlds: those to train on, or those held out.',
              choices=('train', 'validation', 'test')),
    Parameter('sensor', 'davis346', 'The event camera.', choices=('davis346', 'vga', 'evk4')),
    Parameter('encoding', 'evt3', 'How event packets are encoded: as metavision_driver does '
              '(evt3), as libcaer_driver does (libcaer, libcaer_cmp), or mono.',
              choices=('evt3', 'libcaer', 'libcaer_cmp', 'mono')),
    Parameter('level', 0.0,
              'Brightness of the world: 1 is day, 0.0001 a dark street at night. 0: as the seed '
              'has it.', bounds=(0.0, 10.0)),
    Parameter('rate_hz', 20.0, 'Pictures and true depth per second.', bounds=(0.1, 1000.0)),
    Parameter('images', True, 'Simulate the colour camera too.'),
    Parameter('duration', 60.0, 'Seconds of a world.', bounds=(0.1, 3600.0)),
    Parameter('loop', False,
              'At the end go on with the world of the next seed; the event stream begins anew.'),
    Parameter('max_motion_px', 0.7,
              'No pixel moves further than about this between two renders; more is faster and '
              'less exact.',
              bounds=(0.1, 20.0)),
    Parameter('publish_clock', False, 'Publish /clock, in the time of the simulation.'),
    Parameter('wait_for_subscribers', 0,
              'Begin when `events` has this many subscribers.', bounds=(0, 100)),
    Parameter('exit_when_done', False, 'End the process when the simulation has ended.'),
    Parameter('frame_id', 'event_camera_optical_frame',
              'Optical frame of the event camera.'),
)

DISTILLATION_PARAMETERS = (
    AUTOSTART,
    Parameter('mode', 'distill',
              'label: publish labels only. distill: also train the student on them.',
              choices=('label', 'distill')),
    Parameter('checkpoint', '',
              'File of the student that is trained on. Empty: the one in models/.'),
    Parameter('teacher.source', 'checkpoint',
              'checkpoint: a network looks at `image`. topic: another node publishes '
              '`teacher/inverse_depth`.', choices=('checkpoint', 'topic')),
    Parameter('teacher.checkpoint', '',
              'Teacher: a safetensors file of this package, an official Depth Anything V2 .pth, '
              'or the name of one that was fetched, as depth_anyevent models lists them. Empty: '
              'the tiny teacher in models/.'),
    Parameter('teacher.device', 'auto',
              'Where the teacher runs: auto (the first GPU, else the CPU), cpu, cuda, cuda:N.'),
    Parameter('teacher.precision', 'auto',
              'Arithmetic of the teacher; auto is bf16 on a GPU and fp32 on a CPU. bf16 on a CPU '
              'needs one that computes in it (avx512_bf16).',
              choices=('auto', 'fp32', 'bf16', 'fp16')),
    Parameter('image.transport', 'raw',
              'raw: `image` is sensor_msgs/Image. compressed: `image/compressed` is '
              'sensor_msgs/CompressedImage, JPEG or PNG.', choices=('raw', 'compressed')),
    Parameter('image.camera_info_url', '',
              'The same of the camera of `image`. Empty: that of `image/camera_info`.'),
    CAMERA_INFO_URL,
    Parameter('rectify', True,
              'Remove the distortion of the lens from events and labels, as inference_node does: '
              'set it as there.'),
    *HOT_PIXELS,
    Parameter('image.clock', 'auto',
              'What the stamps of pictures count: sensor (the time of the events, as with '
              'libcaer_driver), ros, or auto: in which of the two they are nearer to the '
              'newest packet, which cannot tell clocks apart that differ by less than the '
              'pictures come late: set it where you know it.',
              choices=('auto', 'sensor', 'ros')),
    Parameter('label.rate_hz', 10.0, 'Labels a second at most; 0: one of every picture.',
              bounds=(0.0, 1000.0)),
    Parameter('registration.mode', 'auto',
              'How labels come into the view of the event camera. same: both cameras see the '
              'same picture (one sensor, a beam splitter). rotation: they look another way from '
              'about the same place. depth: they stand apart, and registration.scale is known. '
              'auto: depth or rotation, as the calibrations and the extrinsics allow.',
              choices=('auto', 'same', 'rotation', 'depth')),
    Parameter('registration.scale', 0.0,
              'From the teacher to 1/m, 1/m per unit, for the mode depth. 0: not known.',
              bounds=(0.0, 1e9)),
    Parameter('registration.shift', 0.0, 'Shift from the teacher to 1/m, 1/m.',
              bounds=(-1e3, 1e3)),
    Parameter('extrinsics.source', 'parameter',
              'Where the pose of the colour camera in the optical frame of the event camera '
              'comes from: parameter, or tf (needs tf2_ros).', choices=('parameter', 'tf')),
    Parameter('extrinsics.translation', (0.0, 0.0, 0.0), 'x, y, z in metres.'),
    Parameter('extrinsics.rotation', (0.0, 0.0, 0.0, 1.0), 'Quaternion x, y, z, w.'),
    Parameter('quality.dark', 40.0,
              'A picture is too dark where its brightest hundredth lies below; white is 255.',
              bounds=(0.0, 255.0)),
    Parameter('quality.bright', 0.4, 'It is too bright where this share of it is white.',
              bounds=(0.0, 1.0)),
    Parameter('quality.noisy', 0.35,
              'It is too noisy where noise over the deviation of what it shows is above.',
              bounds=(0.0, 100.0)),
    Parameter('quality.blurred', 0.45,
              'It is too blurred where a blur over 11 pixels leaves this share of its edges.',
              bounds=(0.0, 1.0)),
    Parameter('work_dir', '',
              'Folder of the state of training and of the anchor set. Empty: '
              'depth_anyevent_ros in $XDG_CACHE_HOME or ~/.cache.'),
    Parameter('weights_dir', '',
              'Folder that promoted weights are written to, which the inference node has to '
              'name too. Empty: weights in work_dir.'),
    Parameter('weights_keep', 5, 'So many of the promoted files stay.', bounds=(1, 1000)),
    Parameter('train.learning_rate', 3e-4, 'Of AdamW at the start.', bounds=(1e-7, 0.1)),
    Parameter('train.duty', 1.0, 'Share of the time in which the process trains.',
              bounds=(0.01, 1.0)),
    Parameter('train.threads', 1, 'Threads of the training process.', bounds=(1, 256)),
    Parameter('train.device', 'cpu',
              'Where the student is trained: cpu, or auto (the first GPU, else the CPU), cuda, '
              'cuda:N, which were not tried on a GPU yet.'),
    Parameter('train.precision', 'auto',
              'Arithmetic of the steps; auto is bf16 on a GPU and on a CPU that computes in it '
              '(avx512_bf16), else fp32.', choices=('auto', 'fp32', 'bf16')),
    Parameter('train.buffer_mb', 512, 'Labelled frames that are remembered, MB.',
              bounds=(1, 65536)),
    Parameter('train.decide_every', 60, 'Steps between two decisions at least.',
              bounds=(1, 1000000)),
    Parameter('train.anchor_scenes', 32,
              'Simulated scenes, half of them streets and half buildings, none desks, on half of '
              'which the student keeps training so that it forgets less, while the others show '
              'what it forgets. With more it forgets less; each takes a second or two at the '
              'first start, and time at each decision.', bounds=(4, 1000)),
    Parameter('train.seed', 0, 'Of what is drawn at random.', bounds=(0, 1000000000)),
    Parameter('events.reliability', 'auto',
              'QoS of the event subscription: auto follows the publisher (both camera drivers '
              'publish best effort).', choices=('auto', 'reliable', 'best_effort')),
    Parameter('events.queue_mb', 64,
              'Encoded events that may wait for a picture, MB. Beyond it the oldest packets are '
              'dropped and counted.', bounds=(1, 4096)),
    Parameter('events.max_gap_ms', 200.0,
              'A longer leap of sensor time begins a new stretch of training.',
              bounds=(1.0, 1e6)),
    Parameter('frame_id', '',
              'Frame of the labels. Empty: that of the event packets.'),
)

LABEL_RECORDER_PARAMETERS = (
    AUTOSTART,
    Parameter('output', '', 'Folder of the new bag, which must not exist.'),
    Parameter('quiet_s', 5.0,
              'It ends when the publisher of events has gone and nothing has come for so long, s.',
              bounds=(0.1, 3600.0), live=True),
)
