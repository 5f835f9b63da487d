# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Training of teachers and students, recurrent or not, on sequences in memory.

A step takes the next clip of every lane, runs all but the ConvLSTM cells on all frames at once,
and carries the recurrent state, cut from its graph, on to the next step.

On a GPU the frames of a stage lie there too, and a step is one CUDA graph but in fp16:
`TrainingStep`.
"""
from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
import time

import torch
from torch import Tensor
from tqdm import tqdm

from depth_anyevent_ros.datasets.samples import Samples
from depth_anyevent_ros.distillation.clips import Clip, ClipMaker
from depth_anyevent_ros.distillation.data import (
    changed_sequences, find_run_sequences, load_stage, RunSequences, StageData)
from depth_anyevent_ros.distillation.lanes import Lanes
from depth_anyevent_ros.distillation.memory import keep_all_blocks
from depth_anyevent_ros.distillation.optimizer import new_optimizer
from depth_anyevent_ros.distillation.positions import spread_positions
from depth_anyevent_ros.distillation.provenance import provenance
from depth_anyevent_ros.distillation.run_folder import RunFolder
from depth_anyevent_ros.distillation.schedule import average_share, learning_rate
from depth_anyevent_ros.distillation.start import start_from, train_only
from depth_anyevent_ros.distillation.training_config import (
    BUNDLED, changed_keys, TrainingConfig)
from depth_anyevent_ros.distillation.training_state import (
    load_network, load_optimizer, load_recurrent, load_state, network_tensors,
    optimizer_tensors, recurrent_tensors, save_state, TrainingError, write_atomically,
    writing)
from depth_anyevent_ros.distillation.training_step import (
    placement_to_train, ready_to_train, TrainingStep)
from depth_anyevent_ros.models import load_student
from depth_anyevent_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from depth_anyevent_ros.networks.config import ModelConfig
from depth_anyevent_ros.networks.depth_network import DepthNetwork
from depth_anyevent_ros.networks.initialization import initialize_weights
from depth_anyevent_ros.networks.runtime import autocast
from depth_anyevent_ros.networks.state import RecurrentState

LOG_EVERY = 10  # steps
MOST_OF_FREE_MEMORY = 0.6  # of a GPU, for frames
MOST_BAD_STEPS = 10  # one after another with a gradient that is not finite


class Trainer:
    """A run from its configuration to the checkpoint; `train` does it all."""

    def __init__(self, config: TrainingConfig, command: str = '', resume: bool = False):
        self.config, self._command = config, command
        self._threads()
        self._place()
        self.network = self._new_network()
        self._average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self._optimizer = new_optimizer(self.network, config, self._device, self._precision)
        self._scaler = torch.amp.GradScaler('cuda', enabled=self._precision == 'fp16')
        self._step = 0  # steps done
        self._former_seconds = 0.0  # of training, before the run was resumed
        self._saved_step = 0  # of the state in the folder
        self._saved_recurrent: RecurrentState | None = None  # that a resumed stage begins with
        self._size: tuple[int, int] | None = None  # of the input in the last step
        self._best: dict | None = None
        self._saved_lanes: dict | None = None
        # Which the saved lanes number, and on which the best was found.
        self._saved_sequences: dict[str, list | None] = {}
        self._folder, self._to_resume = RunFolder(config.output, config.name), resume

    def train(self) -> dict:
        """Train, or go on; return what was reached, as JSON values. Raises TrainingError."""
        sequences = find_run_sequences(self.config.data)
        with self._folder.hold(self._to_resume):
            if self._to_resume:
                self._resume()
            self._folder.create(self.config, self._to_resume)
            return self._train(sequences)

    def _train(self, sequences: RunSequences) -> dict:
        self._began, first_step, frames, skipped = time.monotonic(), self._step, 0, {}
        stage_end = 0
        for index, stage in enumerate(self.config.stages):
            stage_begin, stage_end = stage_end, stage_end + stage.steps
            if self._step >= stage_end and index < len(self.config.stages) - 1:
                continue
            data = None  # the frames of the stage before make room for those to come
            data = load_stage(self.config, stage, sequences, self._folder)
            skipped = dict(data.skipped)
            self._check_sequences(data)
            if self._step == stage_begin:
                self._begin_stage(data)
            frames += self._run_stage(index, stage_end, data)
        now = time.monotonic() - self._began
        return {**self._finish(data), 'steps': self._step,
                'seconds': round(self._former_seconds + now, 1),
                'frames_per_second': round(frames / now, 1),
                'resumed_at': first_step, 'skipped': skipped}

    def _run_stage(self, index: int, end: int, data: StageData) -> int:
        """Train to the end of a stage; return the number of frames that were looked at."""
        stage = self.config.stages[index]
        augmentation = self.config.augmentation
        if stage.visit_frames is not None:
            augmentation = replace(augmentation, visit_frames=stage.visit_frames)
        samples = data.train.samples
        lanes = Lanes([len(item) for item in samples], stage.lanes, stage.clip, augmentation,
                      self.config.seed + 7919 * index)
        clips = ClipMaker(samples, self._device if self._fits(samples) else 'cpu')
        step = TrainingStep(self.network, self._average, self._optimizer, self._scaler,
                            self.config, self._precision,
                            (stage.clip, stage.lanes, *samples[0].image.shape[1:]))
        if self._saved_lanes is not None:
            lanes.restore(self._saved_lanes)
            step.restore(self._saved_recurrent)
            self._saved_lanes = self._saved_recurrent = None
        frames, first, began = 0, self._step, time.monotonic()
        size = '{}x{}'.format(*data.train.size)
        with tqdm(total=end, initial=self._step, desc=f'training {size}', unit=' steps',
                  disable=None) as bar:
            try:
                while self._step < end:
                    self._one_step(step, clips.make(lanes.next()))
                    bar.update()
                    frames = (self._step - first) * stage.lanes * stage.clip
                    if self._step % LOG_EVERY == 0 or self._step == end:
                        self._look(step, frames / (time.monotonic() - began), bar)
                    self._now_and_then(lanes, step, end, data, bar)
            except KeyboardInterrupt:
                # Between steps or within one: what is saved is the last state that was whole.
                tqdm.write(f'Interrupted after step {self._step}. ' + (
                    f'--resume goes on from step {self._saved_step}.' if self._saved_step else
                    'No state was saved yet: begin anew, without --resume.'))
                raise
        return frames

    def _one_step(self, step: TrainingStep, clip: Clip) -> None:
        step.images.copy_(self._prepare(clip.image, clip.gain))
        step.target.copy_(clip.inverse_depth)
        step.starts.copy_(clip.starts)
        step(learning_rate(self.config, self._step),
             average_share(self.config.optimizer.ema_decay, self._step))
        self._step += 1

    def _now_and_then(self, lanes: Lanes, step: TrainingStep, end: int, data: StageData,
                      bar) -> None:
        """Validate and save where it is time to."""
        last = self._step == end
        if data.validator and (self._step % self.config.validation.every == 0 or last):
            self._validate(data, bar)
        if self._step % self.config.save_every == 0 or last:
            # Else a resumed run might begin where nothing can be learned; a stage that has ended
            # is not gone on with.
            if last or not step.bad_steps:
                self._save(lanes, step, data, last)
            self._folder.plot()

    def _validate(self, data: StageData, bar) -> None:
        with autocast(self._precision, device=self._device):
            result = data.validator.run(self._export(data), self._prepare)
        self._folder.log({'step': self._step, 'validation': result.metrics,
                          'mean_map': data.validator.mean_map})
        self._folder.write_picture(data.validator.picture(result.predictions))
        main = data.validator.main
        bar.write(f'step {self._step}: validation {main} {result.metrics[main]:.3f}, '
                  f'{result.metrics["ratio"]:.3f}x the mean map')
        size = list(data.train.size)
        # Errors at different sizes cannot be compared; the last size is the one that counts.
        if self._best is None or self._best['size'] != size \
                or result.metrics[main] < self._best[main]:
            self._best = {'step': self._step, 'size': size, **result.metrics}
            self._write_checkpoint(self._folder.best, data)

    def _finish(self, data: StageData) -> dict:
        """Write the checkpoint: the best by validation, or the last where there is none."""
        if self._best is not None:
            write_atomically(self._folder.final, self._folder.best.read_bytes())
        else:
            self._write_checkpoint(self._folder.final, data)
        return {'checkpoint': str(self._folder.final), 'validation': self._best,
                'sha256': load_checkpoint(self._folder.final).sha256}

    def _write_checkpoint(self, path: Path, data: StageData) -> None:
        with writing(path):
            save_checkpoint(path, self._export(data), self._model(data, self._best))

    def _export(self, data: StageData) -> DepthNetwork:
        """Return the average of the weights as it is used, also at other sizes."""
        network = copy.deepcopy(self._average)
        if self._trains_positions():
            spread_positions(network, *data.train.size)
        return network

    def _trains_positions(self) -> bool:
        """Return whether positions between those of the size in training are left behind."""
        return self.network.pretrained.pos_embed.requires_grad

    def _model(self, data: StageData, metrics: dict | None) -> ModelConfig:
        height, width = data.train.size
        return ModelConfig(self.config.name, self.config.network,
                           replace(self.config.input, height=height, width=width),
                           provenance(self.config, data, self._command, self._step, metrics,
                                      self._start))

    def _look(self, step: TrainingStep, rate: float, bar) -> None:
        """Log what the last steps came to; raise TrainingError where they lead nowhere."""
        bad = step.bad_steps
        if bad > MOST_BAD_STEPS:
            raise TrainingError(
                f'The gradient was not finite in {bad} steps one after another, '
                f'up to step {self._step}: {self._way_out()}.')
        means = {name: round(value, 6) for name, value in step.means().items()}
        self._folder.log({'step': self._step, **means, 'frames_per_second': round(rate, 1),
                          'learning_rate': learning_rate(self.config, self._step - 1)})
        bar.set_postfix_str(f'loss {means["loss"]:.4f}, {rate:.0f} frames/s')

    def _way_out(self) -> str:
        """Return what to do where the gradient is not finite any more."""
        anew = 'begin anew with a lower learning rate and another output='
        if self._best is not None:
            anew += f', from init={self._folder.best}'
        if self._precision == 'fp32' or not self._saved_step:
            return anew
        return f'go on from step {self._saved_step} by --resume precision=fp32, or {anew}'

    def _save(self, lanes: Lanes, step: TrainingStep, data: StageData,
              stage_done: bool) -> None:
        """Write all that a resumed run needs; a stage that is done leaves no lanes behind."""
        tensors = {**network_tensors('network', self.network),
                   **network_tensors('average', self._average),
                   **optimizer_tensors(self._optimizer, self.network),
                   **({} if stage_done else recurrent_tensors(step.state))}
        save_state(self._folder.state, tensors, {
            'step': self._step, 'seconds': self._former_seconds + time.monotonic() - self._began,
            'config': self.config.to_dict(), 'best': self._best,
            'size': self._size, 'scaler': self._scaler.state_dict(),
            'lanes': None if stage_done else lanes.state(),
            'sequences': None if stage_done else data.sequences,
            'validation_sequences': data.validator and data.validator.sequences})
        self._saved_step = self._step

    def _resume(self) -> None:
        tensors, facts = load_state(self._folder.state)
        changed = changed_keys(self.config, facts['config'])
        if changed:
            raise TrainingError(f'The run in {self.config.output} was begun with another '
                                f'{", ".join(changed)}: resume with its own config.yaml, or name '
                                'another output=.')
        load_network('network', self.network, tensors)
        load_network('average', self._average, tensors)
        load_optimizer(self._optimizer, self.network, tensors)
        self._saved_recurrent = load_recurrent(tensors, self._device)
        self._step, self._best = facts['step'], facts['best']
        self._saved_step = self._step
        self._former_seconds = facts.get('seconds', 0.0)  # which earlier versions did not save
        self._saved_lanes = facts['lanes']
        self._saved_sequences = {'training': facts['sequences'],
                                 # Which earlier versions did not save.
                                 'validation': facts.get('validation_sequences')}
        self._size = tuple(facts['size'])
        if facts['scaler']:  # none where the run was in another precision, on another device
            self._scaler.load_state_dict(facts['scaler'])
        self._folder.cut_log(self._step)

    def _check_sequences(self, data: StageData) -> None:
        """Raise TrainingError where lanes would go on in others, or others say what is best."""
        now = {'training': data.sequences,
               'validation': data.validator.sequences if data.validator else []}
        saved, self._saved_sequences = self._saved_sequences, {}
        for kind, before in saved.items():
            changed = before and changed_sequences(before, now[kind])
            if changed:
                raise TrainingError(
                    f'The run in {self.config.output} cannot go on from step {self._step}, since '
                    f'its {kind} sequences changed: {changed}. Put back what was there, or begin '
                    'anew with another output=; init= a checkpoint takes its weights over.')

    def _begin_stage(self, data: StageData) -> None:
        """Carry the weights over to another size of the input."""
        if self._size not in (None, data.train.size) and self._trains_positions():
            for network in (self.network, self._average):
                spread_positions(network, *self._size)
        self._size = data.train.size

    def _new_network(self) -> DepthNetwork:
        network = DepthNetwork(self.config.network)
        self._start = None
        if self.config.init:
            start = load_student() if self.config.init == BUNDLED else \
                load_checkpoint(self.config.init)
            self._start = start.trained_on
            start_from(network, self.config.input, start, self.config.init, self.config.seed)
        else:
            initialize_weights(network, self.config.seed)
        train_only(network, self.config.optimizer.only)
        return ready_to_train(network, self._device)

    def _fits(self, samples: tuple[Samples, ...]) -> bool:
        """Return whether the device has room for the frames of a stage beside the training."""
        if self._device == 'cpu':
            return True
        needed = sum(item.image.nbytes + item.inverse_depth.nbytes for item in samples)
        free, _ = torch.cuda.mem_get_info(self._device)
        if needed > MOST_OF_FREE_MEMORY * free:
            tqdm.write(f'The frames of this stage take {needed / 1e9:.1f} GB, of which '
                       f'{self._device} has {free / 1e9:.1f} free: they stay with the CPU, which '
                       'is slower.')
            return False
        return True

    def _threads(self) -> None:
        keep_all_blocks()
        # Weights and moments decay into denormal numbers, which made a step 20 times slower.
        torch.set_flush_denormal(True)
        if self.config.threads:
            torch.set_num_threads(self.config.threads)

    def _place(self) -> None:
        self._device, self._precision, fallback = placement_to_train(
            self.config.device, self.config.precision)
        if fallback:
            tqdm.write(fallback)
        inputs = self.config.input
        mean, std = (torch.tensor(values, device=self._device)[:, None, None]
                     for values in (inputs.mean, inputs.std))
        # Samples keep Tencode and pictures as 255 times the value.
        self._factor = 1 / std if inputs.representation == 'voxel' else 1 / (255 * std)
        self._offset = -mean / std

    def _prepare(self, images: Tensor, gain: Tensor | None = None) -> Tensor:
        """Return images (T, N, C, h, w) of samples as the network takes them."""
        x = images.to(self._device).float()
        if gain is not None and self.config.augmentation.gain:
            x = (x * gain.to(self._device)[:, None, None, None]).clamp(0, 255)
        return x * self._factor + self._offset
