# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `depth_anyevent` and what its subcommands share."""
from __future__ import annotations

import argparse
from contextlib import nullcontext, redirect_stdout
import importlib
import json
import os
from pathlib import Path
import sys
import traceback

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.cli.interruption import INTERRUPTED, is_interruption
from depth_anyevent_ros.cli.system_errors import explain
from depth_anyevent_ros.cli.writable import check_apart, check_writable

# A subcommand is a module of this name with HELP, EXAMPLES, add_arguments(parser) and
# run(arguments) -> (exit status, result for --json). It is imported when it is needed, so that
# `--help` does not wait for torch.
COMMANDS = {
    'doctor': 'What is installed, what is missing, whether large messages get through.',
    'inspect': 'What is in a bag.',
    'simulate': 'Make events, pictures and exact depth of a simulated car, drone or desk.',
    'infer': 'Run the student on a bag and write its depth to another, without a ROS graph.',
    'label': 'Let a teacher label the events of bags.',
    'train': 'Train a teacher or a student on sequences.',
    'evaluate': 'How right the depth of a checkpoint is, beside simple baselines.',
    'export': 'Write a checkpoint as an ONNX file, for other programs.',
    'models': 'Which weights are there, and fetch those of Depth Anything V2.',
    'benchmark': 'How fast the parts are on this machine, beside baselines.',
}
# Those that read and write on threads beside the network.
OVERLAPPING = ('label',)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; the process ends with 0 only on success."""
    sys.exit(execute(sys.argv[1:] if argv is None else argv))


def execute(argv: list[str]) -> int:
    """Run the command line and return its exit status."""
    name = next((word for word in argv if not word.startswith('-')), None)
    if name in OVERLAPPING or name == 'benchmark' and set(OVERLAPPING) & set(argv):
        # Threads of torch that spin while they wait take the time of those that read and write:
        # 17 s instead of 25 s for 600 labels on two cores. Read when torch is imported.
        os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    debug, arguments = '--debug' in argv, None
    try:
        parser, arguments = _parse(argv, name)
        if arguments.command is None:
            parser.print_help()
            return 2
        check_apart(arguments)
        if arguments.json and arguments.json != '-':
            check_writable(Path(arguments.json))
        # Where standard output is for the result, it is for nothing else.
        words = redirect_stdout(sys.stderr) if arguments.json == '-' else nullcontext()
        with words:
            status, result = importlib.import_module(
                f'depth_anyevent_ros.cli.{name}').run(arguments)
        if arguments.json:
            write_json(arguments.json, result)
        return status
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ImportError as error:
        if debug:
            traceback.print_exc()
        else:
            print(f'depth_anyevent {name}: {error}: depth_anyevent doctor shows what is missing.',
                  file=sys.stderr)
        return 1
    except Exception as error:  # the last resort of a command: a sentence, not a traceback
        if is_interruption(error):
            print('Interrupted.', file=sys.stderr)
            return INTERRUPTED
        if debug:
            traceback.print_exc()
        else:
            no_memory = type(error).__name__ == 'OutOfMemoryError'  # torch's, of a GPU
            expected = isinstance(error, (ValueError, OSError)) or no_memory
            kind = '' if expected else f'{type(error).__name__}: '
            advice = ' Run it with less at a time, or on the CPU (--help).' if no_memory else ''
            print(f'depth_anyevent {name}: {kind}{explain(error, arguments)}{advice}',
                  file=sys.stderr)
            if not expected:
                print('This should not happen; --debug shows where it did.', file=sys.stderr)
        return 1


def write_json(path: str, result: dict) -> None:
    """Write a result to a file, or to standard output for `-`."""
    text = json.dumps(result, indent=2) + '\n'
    if path == '-':
        sys.stdout.write(text)
    else:
        file = Path(path)
        if file.exists() and not (file.is_file() and os.access(file.resolve().parent, os.W_OK)):
            file.write_text(text)  # a pipe, a terminal, or what cannot be replaced
            return
        file = file.resolve()  # a link stays one
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text.encode())


def _parse(argv: list[str], name: str | None):
    parser = argparse.ArgumentParser(
        prog='depth_anyevent',
        description='Dense depth from event cameras, taught by a vision foundation model.',
        epilog='depth_anyevent COMMAND --help shows the options of a command, with examples.')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND')
    for command, summary in COMMANDS.items():
        child = commands.add_parser(command, help=summary)
        if command != name:
            continue
        module = importlib.import_module(f'depth_anyevent_ros.cli.{command}')
        child.description, child.epilog = module.HELP, 'examples:\n' + module.EXAMPLES
        child.formatter_class = argparse.RawDescriptionHelpFormatter
        module.add_arguments(child)
        child.add_argument('--json', metavar='FILE',
                           help='write the result as JSON to this file; - writes it to standard '
                           'output, and all else to standard error')
        child.add_argument('--debug', action='store_true',
                           help='show the traceback of an error')
        if argv[0] == name:
            # Not by way of the parent, which takes words only as long as no option comes between,
            # and tells of what is left over under its own usage.
            child.set_defaults(command=name)
            return parser, child.parse_intermixed_args(argv[1:])
    return parser, parser.parse_args(argv)
