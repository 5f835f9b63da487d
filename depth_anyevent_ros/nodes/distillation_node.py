# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node that labels events by a teacher that sees the colour camera, and trains on them."""
from __future__ import annotations

from functools import partial
from pathlib import Path
import sys
import threading

from rclpy.task import Future
from std_srvs.srv import Trigger

from depth_anyevent_ros.depth_estimator import event_input, warm_up_loops
from depth_anyevent_ros.distillation.label_stream import LabelStream
from depth_anyevent_ros.distillation.labelling import Labeller, ProxyLabel
from depth_anyevent_ros.distillation.online import where_to_learn
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.distillation.picture_quality import PictureQuality, QualityLimits
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher, ForeignTeacher
from depth_anyevent_ros.distillation.trainer_client import TrainerClient
from depth_anyevent_ros.distillation.trainer_process import ProcessSettings
from depth_anyevent_ros.geometry.calibration_choice import CalibrationChoice
from depth_anyevent_ros.geometry.calibration_file import calibration_from_url
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.geometry.rectification import Rectification, rectification_of
from depth_anyevent_ros.geometry.rig import Rig
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.hot_pixel_memory import HotPixelMemory, state_folder
from depth_anyevent_ros.model_downloads import cache_folder
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.checkpoint import Checkpoint
from depth_anyevent_ros.networks.input_size import representation_for
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.calibration_subscription import CalibrationSubscription
from depth_anyevent_ros.nodes.conversions import to_packet
from depth_anyevent_ros.nodes.diagnostics import Diagnostics
from depth_anyevent_ros.nodes.distillation_report import DistillationReport
from depth_anyevent_ros.nodes.event_subscription import EventSubscription
from depth_anyevent_ros.nodes.extrinsics import extrinsics_from_values, ExtrinsicsFromTf
from depth_anyevent_ros.nodes.image_subscription import ImageSubscription
from depth_anyevent_ros.nodes.label_publisher import LabelPublisher
from depth_anyevent_ros.nodes.lifecycle import AutostartNode, run
from depth_anyevent_ros.nodes.parameters import DISTILLATION_PARAMETERS
from depth_anyevent_ros.nodes.silence_warning import SilenceWarning
from depth_anyevent_ros.nodes.steady_timer import create_steady_timer

SENSOR_SIZE_AT_WARM_UP = (346, 260)  # DAVIS346; the loops are compiled for every size
ADAPT_PERIOD_S = 0.2


class DistillationNode(AutostartNode):
    """
    Pictures and events in, labels and promoted weights out.

    Callbacks only hand on; a LabelStream labels on a thread, a TrainerClient trains in a
    process. topics.py and parameters.py name its ends.
    """

    def __init__(self, **kwargs):
        super().__init__('distillation', DISTILLATION_PARAMETERS, **kwargs)
        self._student: Checkpoint | None = None
        self._teacher: CheckpointTeacher | ForeignTeacher | None = None
        self._publisher: LabelPublisher | None = None
        self._stream: LabelStream | None = None
        self._trainer: TrainerClient | None = None
        self._events: EventSubscription | None = None
        self._images: ImageSubscription | None = None
        self._infos: list[CalibrationSubscription] = []
        self._silence: list[SilenceWarning] = []
        self._files: dict[str, CameraModel | None] = {}
        self._calibrations: dict[str, CalibrationChoice] = {}
        self._tf: ExtrinsicsFromTf | None = None
        self._extrinsics: Transform | None = None
        self._event_frame = ''
        self._paused = False
        self._warned: set[str] = set()
        self._facts: dict = {}
        self._trains_on = ''
        self._report = DistillationReport()
        self._commands = [
            self.create_service(Trigger, topics.SAVE, self._on_save),
            self.create_service(Trigger, topics.PAUSE, lambda q, r: self._on_pause(True, r)),
            self.create_service(Trigger, topics.RESUME, lambda q, r: self._on_pause(False, r))]
        self._diagnostics = Diagnostics(self, 'distillation', self._report.collect)
        self._adapt_timer = create_steady_timer(self, ADAPT_PERIOD_S, self._adapt)

    def configure(self) -> None:
        """Load the teacher and the student's settings."""
        urls = {topics.CAMERA_INFO: 'camera_info_url', topics.IMAGE_INFO: 'image.camera_info_url'}
        self._files = {name: calibration_from_url(self.value(url)) for name, url in urls.items()}
        self._student = load_student(self.value('checkpoint'))
        event_input(self._student.config.input)  # refuses one that windows cannot be drawn for
        if self.value('mode') == 'distill':
            # Where the process is going to train; here, so that what cannot be had is refused now.
            placement = where_to_learn(self.value('train.device'), self.value('train.precision'))
            if placement.fallback:
                self.get_logger().warning(placement.fallback)
            self._trains_on = f'{placement.device} in {placement.precision}'
        if self.value('teacher.source') == 'topic':
            self._teacher = ForeignTeacher()
        else:
            self._teacher = CheckpointTeacher.from_file(
                self.value('teacher.checkpoint'), self.value('teacher.device'),
                self.value('teacher.precision'))
            self._teacher.warm_up(*SENSOR_SIZE_AT_WARM_UP)
        warm_up_loops(*SENSOR_SIZE_AT_WARM_UP)
        if self.value('extrinsics.source') == 'tf':
            self._tf = ExtrinsicsFromTf(self)
        else:
            self._extrinsics = extrinsics_from_values(
                self.value('extrinsics.translation'), self.value('extrinsics.rotation'))
        self._publisher = LabelPublisher(self, self.value('frame_id'))
        self._facts = {'teacher': self._teacher.name, 'teacher_sha256': self._teacher.sha256,
                       'alignment': 'relative'}
        self.get_logger().info(f'Teacher: {self._teacher.name}; student: {self._student.name}, '
                               f'trained on {self._student.trained_on}.')

    def activate(self) -> None:
        """Start the threads and the process, then subscribe."""
        self._warned.clear()
        self._calibrations = {name: CalibrationChoice(file) for name, file in self._files.items()}
        quality = None if isinstance(self._teacher, ForeignTeacher) else PictureQuality(
            QualityLimits(dark=self.value('quality.dark'), bright=self.value('quality.bright'),
                          noisy=self.value('quality.noisy'),
                          blurred=self.value('quality.blurred')))
        rate = self.value('label.rate_hz')
        self._stream = LabelStream(
            self._pairing(), Labeller(self._teacher, quality, self._registration),
            round(1e9 / rate) if rate else 0, self._wanted, self._on_label, self._on_problem,
            self.value('events.queue_mb') << 20)
        if self.value('mode') == 'distill':
            self._trainer = TrainerClient(self._settings(), self._on_trainer)
            self._trainer.start()
        self._report.watch(self._stream, self._trainer, {
            'mode': self.value('mode'), 'teacher': self._teacher.name,
            'teacher sha256': self._teacher.sha256[:12], 'student': self._student.name,
            **({'trains on': self._trains_on} if self._trains_on else {})})
        self._rectify()
        self._stream.start()
        sizes = {topics.CAMERA_INFO: lambda: self._stream.pairing.pipeline.size,
                 topics.IMAGE_INFO: lambda: None}
        self._infos = [CalibrationSubscription(
            self, choice, sizes[name], partial(self._calibrate, name), self._warn_once, name)
            for name, choice in self._calibrations.items()]
        self._images = ImageSubscription(self, self.value('teacher.source'),
                                         self.value('image.transport'), self._stream.put)
        self._events = EventSubscription(self, self._on_events, self.value('events.reliability'))
        what = 'map' if self.value('teacher.source') == 'topic' else 'picture'
        self._silence = [SilenceWarning(self, self._events, 'event packet'),
                         SilenceWarning(self, self._images, what)]
        self.get_logger().info(f'Listening to {self._events.topic} and {self._images.topic}.')

    def deactivate(self) -> None:
        """Unsubscribe, then end threads and process."""
        for part in (self._events, self._images, *self._infos):
            if part is not None:
                part.destroy()
        if self._stream is not None:
            self._stream.stop()
        if self._trainer is not None:
            self._trainer.stop()
        self._report.forget()
        self._events = self._images = self._stream = self._trainer = None
        self._infos, self._silence, self._paused = [], [], False

    def release(self) -> None:
        """Free teacher and publishers."""
        if self._publisher is not None:
            self._publisher.destroy()
        if isinstance(self._teacher, CheckpointTeacher):
            self._teacher.runtime.release()
        if self._tf is not None:
            self._tf.destroy()
        self._publisher = self._teacher = self._student = self._tf = self._extrinsics = None

    def _hot_pixels(self) -> HotPixelMemory:
        """Return what is known of the sensor; inference_node keeps it, this one only reads."""
        return HotPixelMemory(Path(self.value('state_dir') or state_folder()).expanduser(),
                              self.value('sensor_name'), self.value('hot_pixels'),
                              self.get_logger().info)

    def _pairing(self) -> FramePairing:
        config = event_input(self._student.config.input)
        return FramePairing(
            lambda width, height: representation_for(config, width, height),
            round(config.window_ms * 1e6), round(self.value('events.max_gap_ms') * 1e6),
            self.value('image.clock'), self.value('events.queue_mb') << 20,
            self._hot_pixels().health_of)

    def _settings(self) -> ProcessSettings:
        work = Path(self.value('work_dir') or cache_folder()).expanduser()
        weights = Path(self.value('weights_dir') or work / 'weights').expanduser()
        return ProcessSettings(
            student=self.value('checkpoint'), teacher=self._teacher.name,
            state_dir=str(work), weights_dir=str(weights), anchor_dir=str(work / 'anchor'),
            keep=self.value('weights_keep'), duty=self.value('train.duty'),
            decide_every=self.value('train.decide_every'), threads=self.value('train.threads'),
            device=self.value('train.device'), precision=self.value('train.precision'),
            buffer_mb=self.value('train.buffer_mb'),
            anchor_scenes=self.value('train.anchor_scenes'),
            learning_rate=self.value('train.learning_rate'), seed=self.value('train.seed'))

    def _wanted(self) -> bool:
        return self._publisher.wanted() or (self._trainer is not None and not self._paused)

    def _registration(self, picture_size: tuple[int, int], map_size: tuple[int, int]):
        """Return the registration for pictures of this size; CalibrationError."""
        rig = self._rig()
        registration = rig.registration(self._stream.pairing.pipeline.size, picture_size,
                                        map_size)
        caution = rig.caution()
        if caution:
            self._warn_once(f'{caution}.')
        self._facts |= {'registration': rig.settled(), 'calibration_sha256': rig.sha256()}
        return registration

    def _rig(self) -> Rig:
        if self._tf is not None and self._extrinsics is None:
            self._extrinsics = self._tf.lookup(self._images.frame_id, self._event_frame)
        scale = self.value('registration.scale')
        return Rig(self.value('registration.mode'), self._calibrations[topics.CAMERA_INFO].camera,
                   self._calibrations[topics.IMAGE_INFO].camera, self._extrinsics,
                   MetricScale(scale, self.value('registration.shift')) if scale else None)

    def _on_events(self, msg) -> None:
        self._event_frame = msg.header.frame_id
        self._stream.put(to_packet(msg))

    def _calibrate(self, name: str, _camera: CameraModel) -> None:
        """Put another calibration of one of the cameras to use."""
        self._stream.labeller.forget_registration()
        if name == topics.CAMERA_INFO:
            self._rectify()

    def _rectify(self) -> None:
        """Draw windows and labels without distortion, where that is known and wanted."""
        camera = self._calibrations[topics.CAMERA_INFO].camera if self.value('rectify') else None
        self._stream.rectify(partial(self._rectification, camera))

    def _rectification(self, camera: CameraModel | None) -> Rectification | None:
        """Return how the camera is rectified, None for not; on the thread of the labels."""
        try:
            return rectification_of(camera)
        except CalibrationError as error:
            self._warn_once(f'Events and labels are not rectified: {error}.')
            return None

    def _on_label(self, label: ProxyLabel) -> None:
        """Take a label; on the thread of the labels."""
        rectification = self._stream.labeller.rectification
        camera = rectification.camera if rectification else \
            self._calibrations[topics.CAMERA_INFO].camera
        self._publisher.label(label, camera, self._event_frame,
                              {**self._facts, 'doubt': label.doubt})
        if label.doubt:
            self._on_problem(f'Labels do not teach at present: {label.doubt}.')
            to_forget = self._stream.labeller.check.to_forget
            if self._trainer is not None and to_forget is not None:
                self._trainer.forget(*to_forget)
        elif self._trainer is not None and not self._paused:
            self._trainer.add(label.frame)

    def _on_trainer(self, kind: str, values: dict) -> None:
        """Take a message of the training process; on a thread of its own."""
        self._report.hear(kind, values)
        if kind == 'weights':
            self._publisher.weights(values['announcement'])
        elif kind == 'verdict':
            what = 'Promoted' if values['promote'] else \
                'Kept back' if values['decided'] else 'Not decided yet'
            self.get_logger().info(f'{what}: {values["reason"]}.')
        elif kind == 'log':
            self.get_logger().info(values['what'])
        elif kind in ('problem', 'failed'):
            self._on_problem(values['what'])

    async def _on_save(self, _request, response):
        trainer, answer = self._trainer, Future(executor=self.executor)
        if trainer is None:
            response.success, response.message = False, 'Nothing is trained.'
            return response
        # The process answers when its step ends; meanwhile packets have to be taken.
        threading.Thread(target=lambda: answer.set_result(trainer.save()), name='save',
                         daemon=True).start()
        problem = await answer
        response.success, response.message = not problem, problem or 'The state is saved.'
        return response

    def _on_pause(self, paused: bool, response):
        if self._trainer is None:
            response.success, response.message = False, 'Nothing is trained.'
        else:
            self._paused = paused
            self._trainer.pause(paused)
            response.success = True
            response.message = 'Training rests.' if paused else 'Training goes on.'
        return response

    def _adapt(self) -> None:
        if self._events is not None:
            self._events.adapt()
        for part in (*self._infos, *self._silence):
            part.adapt()

    def _on_problem(self, sentence: str) -> None:
        self._report.problem(sentence)
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self.get_logger().warning(sentence)


def main(args=None) -> None:
    """Run the node."""
    sys.exit(run(DistillationNode, args))


if __name__ == '__main__':
    main()
