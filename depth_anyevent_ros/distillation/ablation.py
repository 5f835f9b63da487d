# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Every combination of a few choices, trained alike, in one table.

The configuration is that of a run with a section `ablation` of two parts. `axes` names choices,
their values, and the assignments that each value stands for. `before` names runs that go first,
such as a teacher, by the assignments that make them. {output} in an assignment is the folder of
the whole.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
import itertools
import json
import os
from pathlib import Path

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.distillation.strict_mapping import check_keys, ConfigError
from depth_anyevent_ros.distillation.training_config import (
    assigned, changed_keys, read_yaml, training_config, TrainingConfig, with_assignments)

# Of those that the protocol of the validation has; labels of a teacher have the second only.
COLUMNS = ('abs_rel', 'rmse', 'ratio', 'rmse_log', 'delta1')
SECONDS = 'seconds'
OWN_KEYS = ('name', 'output')  # of each run, made from the names of its values


def is_ablation(path: str | Path) -> bool:
    """Return whether a configuration file is one of an ablation."""
    return 'ablation' in read_yaml(path)


def ablation_runs(path: str | Path, assignments: Iterable[str] = ()
                  ) -> list[tuple[dict[str, str], TrainingConfig]]:
    """
    Return the runs, in order: which value of each axis ({} for a run before), and the whole
    configuration.

    All are checked before any of them begins. Raises ConfigError.
    """
    values = with_assignments(read_yaml(path), assignments)
    before, axes = _plan(values.pop('ablation'))
    output = values.get('output', 'out/ablation')
    if not isinstance(output, str) or not output:
        raise ConfigError(f'output must name a folder, not {output!r:.80}.')
    output = os.path.expanduser(output)
    runs = [({}, _config(values, output, name, changes)) for name, changes in before.items()]
    for choice in itertools.product(*axes.values()):
        chosen = dict(zip(axes, choice))
        changes: dict = {}
        for axis, value in chosen.items():
            changes.update(axes[axis][value])
        runs.append((chosen, _config(values, output, '-'.join(choice), changes)))
    names = Counter(config.name for _, config in runs)
    if max(names.values()) > 1:
        raise ConfigError(f'Two runs of the ablation are called {names.most_common(1)[0][0]}: '
                          'name their values otherwise.')
    return runs


def run_ablation(path: str | Path, assignments: Iterable[str], resume: bool,
                 train: Callable[[TrainingConfig, bool], dict]) -> dict:
    """
    Train all runs and write table.md and table.json into the output folder.

    train: (configuration, whether to resume) -> result. With resume, runs that are complete are
    taken as they are, and one that was interrupted goes on; ConfigError for one of another
    configuration.
    """
    runs = ablation_runs(path, assignments)
    rows = []
    for chosen, config in runs:
        folder = Path(config.output)
        done = folder / 'result.json'
        if resume and done.is_file():
            before = read_yaml(folder / 'config.yaml')
            changed = changed_keys(config, before)
            if before['precision'] != config.precision:  # which a run that goes on may change
                changed.append('precision')
            if changed:
                raise ConfigError(f'{folder} holds a run with another {", ".join(changed)}, which '
                                  'does not belong into the same table: name another output=.')
            result = json.loads(done.read_text())
        else:
            result = train(config, resume and (folder / 'state.safetensors').is_file())
            replace_file(done, _json(result))
        if chosen:
            rows.append({**chosen, **{name: result['validation'][name] for name in COLUMNS
                                      if name in result['validation']},
                         SECONDS: result['seconds']})
            _write(Path(config.output).parent, rows)
    return {'rows': rows, 'table': table(rows)}


def table(rows: list[dict]) -> str:
    """Return rows as a table in Markdown."""
    names = list(rows[0])
    lines = [names, ['---'] * len(names)]
    lines += [[f'{value:.3f}' if isinstance(value, float) else str(value)
               for value in row.values()] for row in rows]
    return ''.join('| ' + ' | '.join(line) + ' |\n' for line in lines)


def _plan(plan) -> tuple[dict[str, Mapping], dict[str, dict[str, Mapping]]]:
    """Return the runs before, and the values of each axis, by the assignments of each."""
    if not isinstance(plan, Mapping):
        raise ConfigError(f'ablation must be keys with values, not {plan!r:.80}.')
    check_keys(plan, ('axes', 'before'), 'ablation')
    axes = {axis: _assignments_by_name(values, f'ablation.axes.{axis}')
            for axis, values in _named(plan.get('axes'), 'ablation.axes').items()}
    if not axes or not all(axes.values()):
        raise ConfigError('ablation must have axes: choices with the values of each.')
    for axis in axes:
        if axis in (*COLUMNS, SECONDS):
            raise ConfigError(f'ablation.axes.{axis} is called like a column of the table, which '
                              'it would hide: name it otherwise.')
    for (one, ours), (other, theirs) in itertools.combinations(axes.items(), 2):
        for key, another in itertools.product(set().union(*ours.values()),
                                              set().union(*theirs.values())):
            if f'{key}.'.startswith(f'{another}.') or f'{another}.'.startswith(f'{key}.'):
                raise ConfigError(f'ablation.axes.{one} sets {key} and ablation.axes.{other} '
                                  f'{another}, of which one would undo the other: let one axis '
                                  'set it.')
    before = {} if plan.get('before') is None else plan['before']
    return _assignments_by_name(before, 'ablation.before'), axes


def _assignments_by_name(values, where: str) -> dict[str, Mapping]:
    for name, changes in _named(values, where).items():
        if changes is not None and not isinstance(changes, Mapping):
            raise ConfigError(f'{where}.{name} must be the keys that it sets with their values, '
                              f'or nothing, not {changes!r:.80}.')
        for key in changes or ():
            if str(key).partition('.')[0] in OWN_KEYS:
                raise ConfigError(f'{where}.{name} sets {key}, which each run of an ablation has '
                                  'by the names of its values: leave it out.')
    return {name: changes or {} for name, changes in values.items()}


def _named(values, where: str) -> Mapping:
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise ConfigError(f'{where} must have names for its values: put those like on, off and '
                          'numbers into quotation marks.')
    return values


def _config(values: dict, output: str, name: str, changes: Mapping) -> TrainingConfig:
    assignments = [f'{key}={json.dumps(value)}'.replace('{output}', output)
                   for key, value in changes.items()]
    config = training_config({**assigned(values, assignments), 'name': name,
                              'output': str(Path(output, name))})
    if not config.data.validation:
        raise ConfigError('An ablation compares by data.validation, which is empty.')
    return config


def _write(folder: Path, rows: list[dict]) -> None:
    replace_file(folder / 'table.md', table(rows).encode())
    replace_file(folder / 'table.json', _json(rows))


def _json(values) -> bytes:
    return (json.dumps(values, indent=2) + '\n').encode()
