# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels from bags: what is written, that it can be interrupted, and what is said of a bad rig."""
from dataclasses import replace
import filecmp
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import cv2
from depth_anyevent_ros.bag_labels.labelling import BagLabelling, StaleOutput
from depth_anyevent_ros.bag_labels.plan import make_plan
from depth_anyevent_ros.bag_labels.report import bag_report
from depth_anyevent_ros.bag_labels.settings import LabelSettings
from depth_anyevent_ros.bag_labels.shard_reader import stamp_of
from depth_anyevent_ros.bag_labels.topics import read_picture
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import (
    BagError, BagWriter, decode, decode_event_packet, open_bag)
from depth_anyevent_ros.datasets.messages import typestore
from depth_anyevent_ros.datasets.samples import load_samples
from depth_anyevent_ros.datasets.sequences import find_sequences, Sequence
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CalibrationError
from depth_anyevent_ros.hot_pixel_memory import encode_pixels, pixels_of
from depth_anyevent_ros.models import load_student
import numpy as np
import pytest
import torch

EVENTS, IMAGE, INFO = '/event_camera/events', '/camera/image', '/camera/camera_info'
LABEL, LABEL_INFO, FACTS = ('/proxy_label/image', '/proxy_label/camera_info',
                            '/proxy_label/info')
SECONDS, RATE_HZ = 6.0, 10.0  # of the fixture flight


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Sums of several threads may differ in their last bits, here and in other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def bag(flight):
    return flight


@pytest.fixture(scope='module')
def teacher():
    return CheckpointTeacher.from_file()


def label(bag, output, teacher, **settings):
    """Label a bag; return its report."""
    with open_bag(bag) as reader:
        work = BagLabelling(make_plan(reader, LabelSettings(**settings)), output, teacher)
        for shard in work.left():
            work.run(shard)
        return bag_report(work, work.finish())


@pytest.fixture(scope='module')
def labelled(bag, teacher, tmp_path_factory):
    """Return the folder of the labels in both formats, in shards of 2.5 s, and the report."""
    output = tmp_path_factory.mktemp('labels')
    report = label(bag, output / 'mcap', teacher, shard_s=2.5)
    label(bag, output / 'sequence', teacher, shard_s=2.5, format='sequence')
    return output, report


def messages(path, *topics):
    with open_bag(path) as reader:
        found = list(reader.messages(topics or None))
        assert not reader.warnings, reader.warnings
    return found


def rewritten(bag, path, change):
    """Write a bag once more; change(raw) gives each message, or None."""
    with open_bag(bag) as reader, BagWriter(path, 'mcap') as writer:
        for raw in reader.messages():
            raw = change(raw)
            if raw is not None:
                writer.write_raw(raw.topic, raw.type, raw.data, raw.timestamp_ns)
    return path


def same_files(one, other, skip=()):
    """Return whether two folders hold the same files, byte by byte."""
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob('*')
                    if path.is_file() and path.name not in skip) for folder in (one, other)]
    return names[0] == names[1] and names[0] and not any(
        filecmp.cmpfiles(one, other, names[0], shallow=False)[1:])


def test_several_lanes_make_the_labels_of_one(bag, labelled, teacher, tmp_path):
    torch.set_num_threads(2)
    try:
        label(bag, tmp_path, teacher, end_s=2.5)
    finally:
        torch.set_num_threads(1)
    found, expected = (list(map(decode, messages(folder / 'flight', LABEL)))
                       for folder in (tmp_path, labelled[0] / 'mcap'))
    assert len(found) >= 24  # whose pictures come before the end
    for msg, other in zip(found, expected):
        np.testing.assert_allclose(msg.data.view(np.float32), other.data.view(np.float32),
                                   rtol=1e-3, atol=1e-4)


def test_the_new_bag_has_the_packets_and_a_label_for_each_picture(bag, labelled, teacher):
    output, report = labelled
    made = output / 'mcap' / 'flight'
    assert sorted(path.name for path in made.iterdir()) == [
        'flight_0000.mcap', 'flight_0001.mcap', 'flight_0002.mcap', 'metadata.yaml']
    assert [raw[2:] for raw in messages(made, EVENTS)] == \
        [raw[2:] for raw in messages(bag, EVENTS)]
    pictures, found = messages(bag, IMAGE), messages(made, LABEL)
    assert len(found) == report['labels'] == len(pictures) == SECONDS * RATE_HZ
    assert report['refused'] == {}
    assert [raw.timestamp_ns for raw in found] == [raw.timestamp_ns for raw in pictures]
    with open_bag(bag) as reader:
        rig = make_plan(reader, LabelSettings()).rig
    assert rig.settled() == 'rotation'
    for index in (0, 20, len(found) - 1):
        msg = decode(found[index])
        values = msg.data.view(np.float32).reshape(msg.height, msg.width)
        picture = read_picture(pictures[index])
        inverse_depth = teacher(picture)
        expected = rig.registration((msg.width, msg.height), picture.shape[1::-1],
                                    inverse_depth.shape).register(inverse_depth)
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4)
        assert np.isnan(values).any() and np.isfinite(values).mean() > 0.6
        stamp = msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec
        assert abs(stamp - stamp_of(pictures[index])) < 1_000_000
    info = decode(messages(made, LABEL_INFO)[-1])
    assert (info.width, info.height) == (msg.width, msg.height) and info.header == msg.header
    facts = json.loads(decode(messages(made, FACTS)[-1]).data)
    assert facts['teacher_sha256'] == teacher.sha256 and facts['alignment'] == 'relative'
    assert facts['calibration_sha256'] == rig.sha256() and facts['settings']['shard_s'] == 2.5


def test_sequences_hold_the_same_events_and_can_be_learned_from(bag, labelled):
    output, report = labelled
    paths = find_sequences(output / 'sequence')
    assert [path.name for path in paths] == ['flight_0000', 'flight_0001', 'flight_0002']
    sequences = [Sequence(path) for path in paths]
    assert sum(map(len, sequences)) == report['labels']
    decoder = Evt3Decoder(sequences[0].camera.width, sequences[0].camera.height)
    whole = Events.concatenate([decoder.decode(decode_event_packet(raw))
                                for raw in messages(bag, EVENTS)])
    windows = iter(raw for raw in messages(output / 'mcap' / 'flight', LABEL))
    for sequence in sequences:
        ends = [int(time_ns) for time_ns in sequence.times_ns]
        first = sequence.events(ends[0] - 50_000_000, ends[0])
        # Times begin anew in each; the pixels tell by how much.
        start = np.arange(len(whole) - 50)
        for index in range(50):
            start = start[(whole.x[start + index] == first.x[index])
                          & (whole.y[start + index] == first.y[index])]
        shift, = whole.t[start] - first.t[0]
        for index, end_ns in enumerate(ends):
            events = sequence.events(end_ns - 50_000_000, end_ns)
            inside = (whole.t - shift >= end_ns - 50_000_000) & (whole.t - shift < end_ns)
            assert len(events) == np.count_nonzero(inside) > 0
            np.testing.assert_array_equal(events.x, whole.x[inside])
            msg = decode(next(windows))
            np.testing.assert_allclose(
                sequence.inverse_depth(index),
                msg.data.view(np.float32).reshape(msg.height, msg.width), rtol=2e-3, atol=2e-3)
        assert sequence.info['labels']['alignment'] == 'relative'
    samples = load_samples(sequences[1], load_student().config.input, 56, 70)
    assert samples.usable.all() and (samples.events > 100).all()


def test_hot_pixels_are_left_out_of_sequences(bag, labelled, teacher, tmp_path):
    mask = np.zeros((130, 173), bool)
    mask[::10, ::12] = True  # as many as may be
    file = tmp_path / 'hot.json'
    file.write_bytes(encode_pixels(173, 130, pixels_of(mask)))
    part = {'format': 'sequence', 'shard_s': 2.5, 'end_s': 2.5}
    label(bag, tmp_path / 'without', teacher, hot_pixels=str(file), **part)
    one, = find_sequences(tmp_path / 'without')
    found, plain = Sequence(one), Sequence(labelled[0] / 'sequence' / 'flight' / 'flight_0000')
    assert found.info['labels']['hot_pixels'] == pixels_of(mask)
    np.testing.assert_array_equal(found.times_ns, plain.times_ns)
    begin, end = int(found.times_ns[0]), int(found.times_ns[-1])
    events, expected = found.events(begin, end), plain.events(begin, end).outside(mask)
    assert len(plain.events(begin, end)) - len(events) > 100
    for name in 'txyp':
        np.testing.assert_array_equal(getattr(events, name), getattr(expected, name))
    with pytest.raises(StaleOutput, match='hot_pixels'):
        label(bag, tmp_path / 'without', teacher, **part)
    file.write_bytes(encode_pixels(346, 260, []))
    with pytest.raises(ValueError, match='no file of hot pixels of this sensor.*173x130'):
        label(bag, tmp_path / 'other', teacher, hot_pixels=str(file), **part)
    with pytest.raises(ValueError, match='sequences only'):
        LabelSettings(hot_pixels=str(file))


class Failing:
    """A teacher that fails at its n-th batch."""

    def __init__(self, teacher, after):
        self.name, self.sha256, self._teacher, self._left = (teacher.name, teacher.sha256,
                                                             teacher, after)

    def label_batch(self, pictures):
        self._left -= 1
        if self._left < 0:
            raise RuntimeError('the teacher fell over')
        return self._teacher.label_batch(pictures)


@pytest.mark.parametrize('kind', ['mcap', 'sequence'])
def test_what_is_interrupted_goes_on_to_the_same_bytes(bag, labelled, teacher, tmp_path, kind):
    with pytest.raises(RuntimeError, match='fell over'):
        label(bag, tmp_path, Failing(teacher, 5), shard_s=2.5, format=kind)
    made = sorted(path.name for path in (tmp_path / 'flight').iterdir())
    assert len(made) == 1 and made[0].startswith('flight_0000')
    done = (tmp_path / 'progress' / 'flight_0000.json').stat().st_mtime_ns
    label(bag, tmp_path, teacher, shard_s=2.5, format=kind)
    assert (tmp_path / 'progress' / 'flight_0000.json').stat().st_mtime_ns == done
    assert same_files(tmp_path, labelled[0] / kind)


def test_a_process_that_is_killed_goes_on_to_the_same_bytes(bag, labelled, tmp_path):
    words = ['label', str(bag), '--output', str(tmp_path), '--shard-seconds', '2.5']
    code = ('import sys, torch; torch.set_num_threads(1)\n'
            'from depth_anyevent_ros.cli.main import main; main(sys.argv[1:])')
    process = subprocess.Popen([sys.executable, '-c', code, *words], stdout=subprocess.DEVNULL,
                               cwd=Path(__file__).parents[1])
    while not (tmp_path / 'progress' / 'flight_0000.json').exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / 'flight' / 'metadata.yaml').exists()
    assert execute(words) == 0
    assert same_files(tmp_path / 'flight', labelled[0] / 'mcap' / 'flight')
    for name in ('report.json', 'report.html', 'report.png'):
        assert (tmp_path / name).stat().st_size > 1000
    assert cv2.imread(str(tmp_path / 'report.png')).shape[1] > 500
    page = (tmp_path / 'report.html').read_text()
    assert 'data:image/png;base64' in page and 'No problem found' in page


def test_labels_made_otherwise_are_not_mixed(bag, labelled, teacher):
    with pytest.raises(StaleOutput, match='settings.rate_hz was 0.0 and is 5.0'):
        label(bag, labelled[0] / 'mcap', teacher, shard_s=2.5, rate_hz=5.0)


def test_labels_do_not_go_into_the_bag_itself(bag, teacher):
    before = {path: path.read_bytes() for path in bag.iterdir()}
    for output in (bag.parent, bag):
        with pytest.raises(ValueError, match='into the bag itself'):
            label(bag, output, teacher)
    assert {path: path.read_bytes() for path in bag.iterdir()} == before


def test_what_failed_before_its_first_shard_may_be_tried_otherwise(bag, teacher, tmp_path):
    with pytest.raises(RuntimeError, match='fell over'):
        label(bag, tmp_path, Failing(teacher, 0), rate_hz=2.0)
    assert label(bag, tmp_path, teacher, rate_hz=4.0)['labels']


def test_bags_whose_names_are_alike_do_not_meet(bag, teacher, tmp_path):
    other = Path(shutil.copytree(bag, tmp_path / 'flight_0000'))
    for path in (bag, other, bag):
        assert label(path, tmp_path / 'labels', teacher, rate_hz=1.0)['labels'] > 1


def test_pictures_that_cannot_be_read_are_told_of(bag, teacher, tmp_path):
    path = rewritten(bag, tmp_path / 'other', reencoded)
    report = label(path, tmp_path / 'labels', teacher, image=IMAGE)
    assert report['refused']['unreadable'] and not report['labels']
    assert "encoded as 'bayer_rggb8'" in ' '.join(report['problems'])


def shifted_stamps(raw, milliseconds):
    """Return a message whose stamp is later."""
    if raw.topic != IMAGE:
        return raw
    stamp = stamp_of(raw) + milliseconds * 1_000_000
    head = raw.data[:4] + (stamp // 10**9).to_bytes(4, 'little') \
        + (stamp % 10**9).to_bytes(4, 'little')
    return raw._replace(data=head + raw.data[12:])


def test_the_report_tells_a_wrong_clock_from_a_right_one(bag, labelled, teacher, tmp_path):
    right = labelled[1]
    assert right['problems'] == [] and abs(right['offsets']['time_ms']) < 10
    assert right['offsets']['likeness'] > 0.3 and 0.6 < right['coverage'] < 0.95
    for late_ms, word in ((20, 'late'), (-20, 'early')):
        wrong = rewritten(bag, tmp_path / word, lambda raw: shifted_stamps(raw, late_ms))
        report = label(wrong, tmp_path / 'labels', teacher)
        assert report['offsets']['time_ms'] == pytest.approx(
            right['offsets']['time_ms'] - late_ms, abs=3)
        assert f'ms too {word}' in report['problems'][0], report['problems']


def test_the_report_tells_a_wrong_calibration(bag, labelled, teacher, tmp_path):
    camera = decode(messages(bag, INFO)[0])
    path = tmp_path / 'camera.yaml'
    path.write_text(json.dumps({
        'image_width': camera.width, 'image_height': camera.height,
        'distortion_model': camera.distortion_model,
        'distortion_coefficients': {'data': camera.d.tolist()},
        'camera_matrix': {'data': (camera.k + [0, 0, 5, 0, 0, 0, 0, 0, 0]).tolist()}}))
    report = label(bag, tmp_path / 'labels', teacher, image_info=str(path))
    # The event camera is turned by 8 degrees, so that to the right is a little down or up.
    assert report['offsets']['right_px'] == pytest.approx(
        labelled[1]['offsets']['right_px'] + 5, abs=0.5)
    assert 'pixels too far left' in report['problems'][0], report['problems']


def without(*topics):
    return lambda raw: None if raw.topic in topics else raw


def renamed(raw):
    return raw._replace(topic='/second') if raw.topic == IMAGE and \
        raw.timestamp_ns % 2 else raw


def reencoded(raw):
    if raw.topic != IMAGE:
        return raw
    image = replace(decode(raw), encoding='bayer_rggb8')
    return raw._replace(data=bytes(typestore().serialize_cdr(image, image.__msgtype__)))


@pytest.mark.parametrize('change, settings, error, words', [
    (without(IMAGE), {}, BagError, f'has no topic of pictures; its topics are .*{EVENTS}'),
    (reencoded, {}, BagError, "no topic of pictures.*/camera/image is encoded as 'bayer_rggb8'"),
    (renamed, {}, BagError, 'several topics of pictures, /camera/image, /second: .*--image'),
    (without(INFO), {}, CalibrationError, 'without image/camera_info.*--image-info'),
    (without('/tf_static'), {'image': '/nothing'}, BagError, 'has no topic /nothing; its topics'),
    (without(), {'camera_info': '/nowhere'}, BagError, 'neither a topic .* nor a file'),
    (without(), {'start_s': 99.0}, BagError, 'nothing from 99 s on'),
    (without(EVENTS), {}, BagError, 'no topic of event packets'),
])
def test_bags_that_cannot_be_labelled_say_why(bag, tmp_path, change, settings, error, words):
    path = rewritten(bag, tmp_path / 'other', change)
    with open_bag(path) as reader, pytest.raises(error, match=words):
        make_plan(reader, LabelSettings(**settings))


def test_without_tf_the_cameras_are_assumed_to_look_the_same_way_and_that_is_said(
        bag, teacher, tmp_path):
    path = rewritten(bag, tmp_path / 'no_tf', without('/tf_static'))
    report = label(path, tmp_path / 'labels', teacher)
    assert 'same way' in report['notes'][0]
    assert 'fit best is uncertain' in report['problems'][0]  # the cameras do not


def test_pictures_and_events_that_never_meet(bag, teacher, tmp_path):
    path = rewritten(bag, tmp_path / 'apart', lambda raw: shifted_stamps(raw, 3_600_000))
    report = label(path, tmp_path / 'labels', teacher)
    assert report['labels'] == 0 and report['pictures'] == 60
    assert 'none of 60 pictures has a label; most are unpaired' in report['problems'][0]
    assert '--clock' in report['problems'][1]


def test_a_bag_cut_short_gives_what_is_whole(bag, teacher, tmp_path):
    source = rewritten(bag, tmp_path / 'whole', without()) / 'whole.mcap'
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(source.read_bytes()[:int(source.stat().st_size * 0.55)])
    report = label(cut, tmp_path / 'labels', teacher)
    assert 15 < report['labels'] < 50 and 'cut short' in ' '.join(report['bag_warnings'])


def test_maps_of_a_topic_are_taken_as_they_are(bag, teacher, tmp_path):
    assert execute(['label', str(bag), '--output', str(tmp_path), '--format', 'sequence',
                    '--teacher', 'topic:/truth/inverse_depth/image', '--start', '4']) == 0
    sequence, = map(Sequence, find_sequences(tmp_path))
    truth = [decode(raw) for raw in messages(bag, '/truth/inverse_depth/image')][-1]
    np.testing.assert_allclose(
        sequence.inverse_depth(len(sequence) - 1),
        truth.data.view(np.float32).reshape(truth.height, truth.width), rtol=1e-3, atol=1e-4)
    assert sequence.info['labels']['alignment'] == 'as published'


def test_an_output_that_cannot_be_written_is_one_sentence(bag, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert execute(['label', str(bag), '--output', str(tmp_path / 'file' / 'labels')]) == 1
    error = capsys.readouterr().err
    assert 'Not a directory' in error and 'Traceback' not in error
