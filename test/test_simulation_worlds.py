# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The worlds of a car, a drone and a desk: held-out factors, repeatability, pauses, free ways."""
from dataclasses import fields, replace
import itertools
import json

import numpy as np
import pytest

from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.geometry.registration import Displaced, Rotated
from depth_anyevent_ros.simulation.factors import draw, FACTORS, SPLITS, vary
from depth_anyevent_ros.simulation.layouts_clearance import Clearance
from depth_anyevent_ros.simulation.layouts_street import GRAMMARS, LENGTHS
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.rendering import View
from depth_anyevent_ros.simulation.scene import Ellipsoid
from depth_anyevent_ros.simulation.texture_families import TEXTURE_FAMILIES
from depth_anyevent_ros.simulation.trajectory import Mounted, twist
from depth_anyevent_ros.simulation.worlds import make_simulation, make_world, World, WORLDS

SECOND = 1_000_000_000


@pytest.fixture(scope='module')
def worlds() -> dict[tuple[str, str], World]:
    return {(world, split): make_world(world, 5, 12 * SECOND, split=split)
            for world in WORLDS for split in SPLITS}


def names(split: str, kinds: tuple[str, ...]) -> set[str]:
    return {name for world in WORLDS for kind in kinds
            for name in getattr(getattr(FACTORS[split], world), kind, ())}


def ranges(split: str) -> dict[str, tuple]:
    """Return every range of numbers by its path; lights and speeds of each world apart."""
    found = {}
    for prefix, part in (('', FACTORS[split]), *(
            (f'{world}.', getattr(FACTORS[split], world)) for world in WORLDS)):
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, tuple) and isinstance(value[0], tuple):
                found[prefix + field.name] = value
    return found


@pytest.mark.parametrize('one, other', list(itertools.combinations(SPLITS, 2)))
def test_splits_share_nothing(one, other):
    for kinds in (('facades', 'walls', 'grounds', 'objects'), ('layouts',),
                  ('flights', 'vibrations', 'handlings')):
        assert names(one, kinds) and not names(one, kinds) & names(other, kinds)
    assert ranges(one).keys() == ranges(other).keys() and len(ranges(one)) == 23
    for name, spans in ranges(one).items():
        for (a, b), (c, d) in itertools.product(spans, ranges(other)[name]):
            assert a < b and c < d and (b < c or d < a), name


def test_families_exist():
    used = set().union(*(names(split, ('facades', 'walls', 'grounds', 'objects'))
                         for split in SPLITS))
    assert used <= set(TEXTURE_FAMILIES)


def test_what_is_drawn_lies_in_the_split(worlds):
    for (world, split), made in worlds.items():
        own = {name.removeprefix(f'{world}.'): spans for name, spans in ranges(split).items()}
        checked = 0
        for name, value in made.factors.items():
            name = name.removeprefix('camera_')
            if name in own and value:
                value = abs(value) if name == 'yaw_deg' else value
                assert any(low <= value <= high for low, high in own[name]), (split, name)
                checked += 1
        assert checked >= (8 if world == 'desk' else 10)
        view = 2 * np.degrees(np.arctan(173 / made.simulation.camera.k[0, 0]))
        assert view == pytest.approx(made.factors['field_of_view_deg'])
        sensor = made.simulation.sensor
        assert sensor.threshold_on / sensor.threshold_off == pytest.approx(
            made.factors['threshold_ratio'])
        assert np.sqrt(sensor.threshold_on * sensor.threshold_off) == pytest.approx(
            made.factors['threshold'])


@pytest.mark.parametrize('split', SPLITS)
def test_thresholds_and_mismatch_follow_the_sensor(split):
    made = {name: make_world('car', 5, SECOND, sensor=name, split=split, binning=4)
            for name in ('davis346', 'vga', 'evk4')}
    generator = np.random.default_rng([5, 0, SPLITS.index(split), 101])
    drawn = [draw(generator, FACTORS[split].threshold, logarithmic=True),
             draw(generator, FACTORS[split].threshold_ratio, logarithmic=True),
             draw(generator, FACTORS[split].mismatch)]
    keys = 'threshold', 'threshold_ratio', 'mismatch'
    # To the last bit: recordings of a davis346 can be made again.
    assert [made['davis346'].factors[name] for name in keys] == drawn
    lower = (0.15 * 0.35 / (0.18 * 0.4)) ** 0.5
    calmer = (0.01 * 0.04 / (0.02 * 0.06)) ** 0.5
    for sensor, scales in (('davis346', (1, 1, 1)), ('vga', (lower, 1, 1)),
                           ('evk4', (lower, 1, calmer))):
        expected = np.array(drawn) * scales
        assert [made[sensor].factors[name] for name in keys] == pytest.approx(expected)
        pixels = made[sensor].simulation.sensor
        assert pixels.mismatch == pytest.approx(expected[2])
        assert (pixels.threshold_on * pixels.threshold_off) ** 0.5 == pytest.approx(expected[0])
        assert pixels.threshold_on / pixels.threshold_off == pytest.approx(expected[1])


def test_draw_takes_every_range():
    generator = np.random.default_rng(0)
    values = np.array([draw(generator, ((0.0, 1.0), (5.0, 8.0))) for _ in range(400)])
    assert np.all((values <= 1) | ((values >= 5) & (values <= 8)))
    assert np.mean(values <= 1) == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize('world', WORLDS)
def test_a_world_comes_by_seed(worlds, world):
    again = make_world(world, 5, 12 * SECOND)
    one, other = worlds[world, 'train'].simulation, again.simulation
    assert again.factors == worlds[world, 'train'].factors
    assert json.loads(json.dumps(again.factors)) == again.factors
    assert one.scene.boxes == other.scene.boxes and one.scene.light == other.scene.light
    assert one.scene.ellipsoids == other.scene.ellipsoids and one.sensor == other.sensor
    for a, b in zip(one.scene.textures, other.scene.textures):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.trajectory.motion.rows, other.trajectory.motion.rows)
    for a, b in zip(one.scene.bodies, other.scene.bodies):
        np.testing.assert_array_equal(a.motion.rows, b.motion.rows)
    # Neither another seed nor the same of another split gives the same.
    assert one.scene.boxes != make_simulation(world, 6, SECOND).scene.boxes
    assert one.scene.boxes != worlds[world, 'test'].simulation.scene.boxes


@pytest.mark.parametrize('world', WORLDS)
def test_pauses_are_still_and_the_rest_moves(world):
    made = make_world(world, 3, 8 * SECOND, pauses=[(2.0, 1.5), (5.0, 0.5)], level=0.01)
    assert made.pauses == ((2 * SECOND, 3_500_000_000), (5 * SECOND, 5_500_000_000))
    assert made.pauses == made.simulation.trajectory.pauses
    assert made.simulation.scene.light.level == made.factors['level'] == 0.01
    path = made.simulation.trajectory
    for time in np.arange(2.05, 3.45, 0.1):
        velocity, turn = twist(path, time)
        if made.factors.get('hovers') == 'drifting':
            assert np.linalg.norm(velocity) < 0.15 and np.linalg.norm(turn) < 0.1
        else:
            assert not velocity.any() and not turn.any()
    speeds = [np.linalg.norm(np.concatenate(twist(path, t))) for t in np.arange(0.1, 1.0, 0.1)]
    assert np.median(speeds) > 0.1


def test_paths_are_smooth(worlds):
    for (world, split), made in worlds.items():
        path = made.simulation.trajectory
        for time in (-0.1, 0.0, 6.0, 12.1):
            rotation = path.pose(time).rotation
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) == pytest.approx(1)
        times = np.arange(-0.1, 12.1, 0.01)
        twists = np.array([np.concatenate(twist(path, time)) for time in times])
        # What changes within 10 ms: no more than 40 m/s^2, and 60 rad/s^2.
        steps = np.abs(np.diff(twists, axis=0)) / 0.01
        assert steps[:, :3].max() < 40 and steps[:, 3:].max() < 60, (world, split)


@pytest.mark.parametrize('world', ['drone', 'desk'])
def test_the_camera_keeps_clear(worlds, world):
    for split in SPLITS:
        simulation = worlds[world, split].simulation
        scene = simulation.scene
        still = [[thing for thing in things if not thing.body]
                 for things in (scene.rectangles, scene.boxes, scene.ellipsoids)]
        points = np.array([simulation.trajectory.pose(t).position
                           for t in np.arange(0, 12, 0.05)])
        # Above a table, which may be nearer than what stands before the camera.
        assert Clearance(*still)(points).min() > (0.1 if world == 'desk' else 0.2)


def test_nothing_is_in_front_of_the_lens(worlds):
    for (world, split), made in worlds.items():
        simulation = made.simulation
        camera = simulation.camera.scaled(86, 65)
        caster = RayCaster(simulation.scene, camera)
        for time in np.linspace(0.5, 11.5, 6):
            depth = caster.render(simulation.trajectory.pose(time), time).depth
            seen = depth[np.isfinite(depth)]
            assert seen.min() > 0.15 and len(seen) > 0.3 * depth.size, (world, split, time)
            assert np.percentile(seen, 95) > 1.1 * np.percentile(seen, 5), (world, split, time)


def has_room_to_move_and_something_to_see(made: World) -> bool:
    """Return whether a camera moves and sees, in the middle of three seconds."""
    path, camera = made.simulation.trajectory, made.simulation.camera.scaled(86, 65)
    depth = RayCaster(made.simulation.scene, camera).render(path.pose(1.5), 1.5).depth
    seen = depth[np.isfinite(depth)]
    away = [np.linalg.norm(path.pose(t).position - path.pose(0).position) for t in (1, 2, 3)]
    return seen.min() > 0.15 and len(seen) > 0.3 * depth.size and max(away) > 0.1


@pytest.mark.parametrize('split', SPLITS)
def test_every_layout_leaves_room_to_move_and_something_to_see(split, monkeypatch):
    factors = FACTORS[split]
    for world in WORLDS:
        own = getattr(factors, world)
        for layout in own.layouts:
            monkeypatch.setitem(FACTORS, split, replace(
                factors, **{world: replace(own, layouts=(layout,), crossed=0.0)}))
            made = make_world(world, 1, 3 * SECOND, split=split)
            assert made.factors['layout'] == layout
            assert has_room_to_move_and_something_to_see(made), layout


@pytest.mark.parametrize('world', WORLDS)
def test_crossed_layouts_do_so_too(world, monkeypatch):
    factors = FACTORS['train']
    own = replace(getattr(factors, world), crossed=1.0)
    monkeypatch.setitem(FACTORS, 'train', replace(factors, **{world: own}))
    for seed in range(4):
        made = make_world(world, seed, 3 * SECOND, pauses=())
        assert made.factors['layout'] == 'crossed'
        assert has_room_to_move_and_something_to_see(made), seed


def test_lengths_are_varied_each_by_its_own_factor_and_nothing_else():
    own = GRAMMARS['park']
    ratios = []
    for seed in range(200):
        varied = vary(np.random.default_rng(seed), own, 1.6, LENGTHS)
        assert replace(varied, **{name: getattr(own, name) for names in LENGTHS
                                  for name in names}) == own
        assert varied.front[0] / own.front[0] == pytest.approx(varied.depth[1] / own.depth[1])
        ratios.append((varied.front[1] / own.front[1], varied.height[0] / own.height[0],
                       varied.spacing / own.spacing))
    ratios = np.log(ratios)
    assert np.abs(ratios).max() <= np.log(1.6) and np.all(ratios.std(0) > 0.2)
    assert np.all(np.abs(np.corrcoef(ratios.T)[np.triu_indices(3, 1)]) < 0.25)
    assert vary(np.random.default_rng(0), own, 1.0, LENGTHS) == own


def test_only_the_training_split_is_varied():
    for split, factors in FACTORS.items():
        varied = {factors.car.varied, factors.drone.varied} - {1.0}
        assert bool(varied) == (split == 'train')


def test_clearance_of_an_ellipsoid_is_a_lower_bound():
    generator = np.random.default_rng(1)
    radii, center = np.array([0.4, 1.0, 0.7]), np.array([1.0, -2.0, 0.5])
    thing = Ellipsoid(tuple(center), tuple(radii), yaw=0.6)
    angle = np.array([[np.cos(0.6), -np.sin(0.6), 0], [np.sin(0.6), np.cos(0.6), 0], [0, 0, 1]])
    sphere = generator.normal(size=(20000, 3))
    surface = center + (sphere / np.linalg.norm(sphere, axis=1, keepdims=True) * radii) @ angle.T
    points = center + generator.uniform(-3, 3, (50, 3))
    true = np.sqrt(((points[:, None] - surface) ** 2).sum(-1)).min(1)
    found = Clearance([], [], [thing])(points)
    assert np.all(found <= true + 1e-9)
    assert np.mean(found > 0.5 * true) > 0.8


@pytest.mark.parametrize('change', [
    {'world': 'boat'}, {'split': 'train2'}, {'sensor': 'eye'}, {'seed': -1}, {'duration_ns': 0},
    {'pauses': [(-1.0, 2.0)]}, {'pauses': [(0.1, 0.0)]}, {'pauses': [(2.0, 1.0)]},
    {'pauses': [(0.1, 0.3), (0.2, 0.3)]}])
def test_bad_arguments_are_refused(change):
    arguments = {'world': 'car', 'seed': 1, 'duration_ns': SECOND, **change}
    with pytest.raises(ValueError):
        make_world(**arguments)


@pytest.mark.parametrize('baseline_m', [0.0, 0.2])
def test_registration_knows_where_a_turned_camera_looks(baseline_m):
    made = make_world('car', 3, 10 ** 9, binning=2, turn_deg=(20.0, 10.0, -5.0),
                      baseline_m=baseline_m).simulation
    color = View(made.scene, Mounted(made.trajectory, made.rgb.to_event), made.camera)
    event = View(made.scene, made.trajectory, made.camera)
    # The colour camera is where the world has it, whatever is done to the event camera.
    straight = make_simulation('car', 3, 10 ** 9, binning=2)
    usual = View(straight.scene, straight.trajectory, straight.camera)
    seen, wanted, truth = (1 / view.render(0).depth for view in (color, usual, event))
    np.testing.assert_allclose(seen, wanted, rtol=1e-3, atol=1e-4)
    way = Displaced(made.camera, made.camera, made.rgb.to_event, seen.shape, MetricScale(1, 0)) \
        if baseline_m else Rotated(made.camera, made.camera, made.rgb.to_event, seen.shape)
    label = way.register(seen.astype(np.float32))
    known = np.isfinite(label) & (truth > 0)
    assert known.mean() > 0.4
    assert np.median(np.abs(label[known] / truth[known] - 1)) < 0.01
