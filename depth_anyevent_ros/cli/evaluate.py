# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""depth_anyevent evaluate: how right the depth of a checkpoint is, beside simple baselines."""
from __future__ import annotations

from collections import Counter
from pathlib import Path
import sys
import time

import numpy as np
from tqdm import tqdm

from depth_anyevent_ros.cli.system_errors import explain
from depth_anyevent_ros.cli.writable import check_writable
from depth_anyevent_ros.datasets.sequences import find_sequences
from depth_anyevent_ros.evaluation import light
from depth_anyevent_ros.evaluation.baselines import load_mean_maps
from depth_anyevent_ros.evaluation.contact_sheet import choose_sequences, ContactSheet
from depth_anyevent_ros.evaluation.evaluator import (
    evaluate_sequence, EvaluationSettings, frame_count, UnusableSequence)
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.evaluation.report import overall, report, table
from depth_anyevent_ros.evaluation.scoring import SequenceScores
from depth_anyevent_ros.models import bundled_file, load_student
from depth_anyevent_ros.networks.runtime import PRECISIONS, TorchRuntime
from depth_anyevent_ros.networks.runtimes import make_runtime, RUNTIMES

HELP = """\
Compare the depth of a checkpoint with the truth of sequences, at the sensor's resolution. A
student sees the events, a teacher the images. Beside it stand, with the same freedom of
alignment, a constant, the mean of the training labels, and the model's own last prediction."""
EXAMPLES = """\
  depth_anyevent evaluate --data sequences/test
  depth_anyevent evaluate --data test --checkpoint student.safetensors --picture sheet.png
  depth_anyevent evaluate --data labels --protocol teacher --compare mine.safetensors
  depth_anyevent evaluate --data dusk --checkpoint student.safetensors \\
      --compare teacher.safetensors --light-plot light.png --json light.json
  depth_anyevent evaluate --data test --runtime openvino --precision bf16"""


def add_arguments(parser) -> None:
    """Add the options of this command."""
    parser.add_argument('--data', required=True, nargs='+', action='extend', metavar='PATH',
                        help='sequences, or folders of sequences')
    parser.add_argument('--checkpoint', default='', metavar='FILE',
                        help='student or teacher (default: the bundled student)')
    parser.add_argument('--compare', nargs='+', action='extend', default=[], metavar='FILE',
                        help='more checkpoints to evaluate on the same sequences')
    parser.add_argument('--mean-map', metavar='FILE',
                        help='mean_map.npz of a training run (default: the bundled one)')
    parser.add_argument('--protocol', choices=sorted(PROTOCOLS), default='clean',
                        help='clean: alignment in inverse depth, scale not negative; paper: as '
                        'the released code of Depth AnyEvent; teacher: labels without a unit, '
                        'as label makes them (default: %(default)s)')
    parser.add_argument('--rate', type=float, default=10.0, metavar='HZ',
                        help='frames per second of a sequence (default: %(default)s)')
    parser.add_argument('--limit', type=int, default=0, metavar='N',
                        help='only the first N frames of each sequence (default: all)')
    parser.add_argument('--without-memory', action='store_true',
                        help='empty the memory of a recurrent student before every frame, which '
                        'shows what it is worth')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--precision', default='auto', choices=PRECISIONS,
                        help='arithmetic: auto is fp16 on a GPU where that comes close to fp32, '
                        'fp32 on a CPU')
    parser.add_argument('--runtime', default='torch', choices=RUNTIMES,
                        help='what runs the checkpoint, as in infer (default: %(default)s)')
    parser.add_argument('--picture', metavar='FILE',
                        help='write a contact sheet: events, image, truth, prediction, error')
    parser.add_argument('--rows', type=int, default=6, metavar='N',
                        help='frames on the contact sheet (default: %(default)s)')
    parser.add_argument('--light-plot', metavar='FILE',
                        help='write a plot of error against light, for sequences of several '
                        'levels')


def run(arguments) -> tuple[int, dict]:
    """Evaluate, print the table, write the pictures."""
    settings = EvaluationSettings(arguments.protocol, arguments.rate, arguments.limit,
                                  not arguments.without_memory)
    if not PROTOCOLS[settings.protocol].metric and (arguments.picture or arguments.light_plot):
        raise ValueError('--picture and --light-plot draw metres, which the labels of the '
                         'protocol teacher do not have: leave them out.')
    if arguments.rows < 1:
        raise ValueError(f'--rows must be 1 or above, not {arguments.rows}')
    paths = find_sequences(arguments.data)
    for file in (arguments.picture, arguments.light_plot):
        if file:
            _check_ending(Path(file))
            check_writable(Path(file))
    maps = _mean_maps(arguments.mean_map)
    runtimes = {}
    for path in (arguments.checkpoint, *arguments.compare):
        runtime = make_runtime(load_student(path), arguments.device, arguments.precision,
                               arguments.runtime)
        runtimes[_name(path or runtime.name, runtimes)] = runtime
    results, models, unwritten = {}, {}, False
    for index, (name, runtime) in enumerate(runtimes.items()):
        sheet = None
        if arguments.picture and index == 0:
            sheet = ContactSheet(choose_sequences(paths, arguments.rows),
                                 runtime.config.input.window_ms)
        results[name], models[name] = _evaluate(name, runtime, paths, settings, maps, sheet)
        if sheet and models[name]:
            unwritten = not _written(sheet, arguments.picture, _heading(runtime, results[name]))
    result = next(iter(results.values()))
    if arguments.compare:
        result['compared'] = {name: results[name] for name in list(results)[1:]}
    if unwritten or not all(models.values()):
        return 1, result
    if arguments.light_plot:
        result['light'] = light.by_level(models, PROTOCOLS[settings.protocol].headline)
        try:
            light.plot(arguments.light_plot, result['light'])
        except (ValueError, OSError) as error:  # nor here
            print(f'depth_anyevent evaluate: {explain(error)}', file=sys.stderr)
            return 1, result
    return 0, result


def _check_ending(picture: Path) -> None:
    """Raise ValueError where it names no kind of picture; without one it is a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # only pictures need it
    known = FigureCanvasAgg.get_supported_filetypes()
    if picture.suffix and picture.suffix[1:].lower() not in known:
        raise ValueError(f'{picture} cannot be drawn: its ending must be one of '
                         f'{", ".join("." + kind for kind in sorted(known))}.')


def _evaluate(name: str, runtime: TorchRuntime, paths: list[Path], settings: EvaluationSettings,
              maps: dict[str, np.ndarray] | None,
              sheet: ContactSheet | None) -> tuple[dict, list[SequenceScores]]:
    """Evaluate one checkpoint; return its figures, and its scores (none where all is unusable)."""
    begin = time.monotonic()
    said = [] if runtime.config.trained else [
        f'{name} is UNTRAINED: its output has nothing to do with depth.']
    if not settings.memory and not runtime.config.network.recurrent:
        said.append(f'{name} has no memory: --without-memory changes nothing.')
    scores, unusable = [], Counter()
    with tqdm(total=sum(frame_count(path, settings) for path in paths), unit=' frames', desc=name,
              disable=None) as bar:
        for index, path in enumerate(paths):
            try:
                scores.append(evaluate_sequence(path, runtime, settings, maps,
                                                sheet and sheet.see, bar.update))
            except UnusableSequence as error:
                unusable[error.reason] += 1
                said.append(f'skipped: {error}')
                if sheet:
                    sheet.replace(path, paths[index + 1:])
    for sentence in [*said, *filter(None, [runtime.fallback])]:
        print(f'note: {sentence}', file=sys.stderr)
    skipped = {'sequences': dict(unusable),
               'frames': dict(sum((s.skipped for s in scores), Counter()))}
    result = {'protocol': settings.protocol, 'memory': settings.memory, 'skipped': skipped,
              'checkpoint': {**runtime.describe(), 'state_resets': runtime.state_resets},
              'seconds': round(time.monotonic() - begin, 3)}
    if not scores:
        print(f'depth_anyevent evaluate: none of the {len(paths)} sequences can be used for '
              f'{name}; see the notes above.', file=sys.stderr)
        return {'frames': 0, **result}, scores
    protocol = PROTOCOLS[settings.protocol]
    result = {**report(scores, protocol.main, protocol.headline), **result}
    without = '' if settings.memory else ', without memory'
    print(f'{name}{without}, protocol {settings.protocol}, {len(scores)} sequences, '
          f'{result["seconds"]:.0f} s', table(result), sep='\n')
    if not protocol.metric:
        print('rmse is the share of the labels\' deviation that stays unexplained: 0 is the label '
              'itself, 1 is no better than a constant.')
    if protocol.in_depth and maps:
        print('The mean map is left out: it is a mean of inverse depth, and this protocol aligns '
              'depth.')
    _print_rest(result)
    return result, scores


def _written(sheet: ContactSheet, path: str, heading: str) -> bool:
    """Write the sheet; return whether it could be, as the figures are not lost by it."""
    try:
        reason = '' if sheet.write(path, heading) else 'none of the sequences chosen for the ' \
            'contact sheet could be scored, so that it is not written: give more --rows.'
    except OSError as error:
        print(f'depth_anyevent evaluate: {explain(error)}', file=sys.stderr)
        return False
    except ValueError as error:
        reason = str(error)
    if reason:
        print(f'depth_anyevent evaluate: {path}: {reason}', file=sys.stderr)
    return not reason


def _heading(runtime: TorchRuntime, result: dict) -> str:
    _, figures = overall(result)[0]
    mean_map = figures['baselines']['mean_map']
    beside = f' (mean of the training labels: {mean_map["abs_rel"]:.3f})' if mean_map else ''
    without = '' if result['memory'] else ' without memory'
    by = '' if result['headline'] == 'metrics' else ', each sequence counting the same'
    return (f'{runtime.config.name}{without}: mean relative error '
            f'{figures["abs_rel"]:.3f}{beside} over {result["frames"]} frames{by}')


def _print_rest(result: dict) -> None:
    rank, ratio = result['rank_correlation'], result['ratio_to_mean_map']
    main = result['main_metric']
    if ratio['low'] is not None:
        print(f'{main} against the mean map: {ratio[main]:.3f}, 95 % interval '
              f'{ratio["low"]:.3f} to {ratio["high"]:.3f} over {ratio["sequences"]} sequences')
    if rank['frame_mean'] is not None:
        print(f'rank correlation {rank["frame_mean"]:.3f}; scale of the alignment below 0 in '
              f'{result["negative_scale_fraction"]:.1%} of the frames')
    for kind, counts in result['skipped'].items():
        if counts:
            print(f'skipped {kind}: '
                  + ', '.join(f'{count} {reason}' for reason, count in counts.items()))
    if result['non_finite_pixels']:
        print(f'{result["non_finite_pixels"]} pixels of the prediction were no number')


def _mean_maps(path: str | None) -> dict[str, np.ndarray] | None:
    if path:
        return load_mean_maps(path)
    bundled = bundled_file('mean_map')
    if bundled:
        return load_mean_maps(bundled[0])
    print('note: no mean map is bundled, so that baseline is left out; --mean-map names one of '
          'a training run', file=sys.stderr)
    return None


def _name(path: str, taken: dict) -> str:
    """Return a short name that is not taken: the file's, with its folder where needed."""
    parts = Path(path).parts
    candidates = (str(Path(*parts[-count:])) for count in range(1, len(parts) + 1))
    return next((name for name in candidates if name not in taken), f'{path} ({len(taken)})')
