# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all nodes here share: they start themselves, and how they are run."""
from __future__ import annotations

import signal
import sys
import time
import traceback

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from depth_anyevent_ros.malloc import keep_large_blocks
from depth_anyevent_ros.nodes.declare import declare
from depth_anyevent_ros.nodes.parameters import Parameter


IMPATIENT_AFTER_S = 1.0


class AutostartNode(LifecycleNode):
    """
    A lifecycle node that configures and activates itself while `autostart` is true.

    done: whether the process may end by itself. failed: whether that is for a failure.
    """

    done = failed = False

    def __init__(self, name: str, table: tuple[Parameter, ...], **kwargs):
        super().__init__(name, **kwargs)
        self.configured = False
        declare(self, table, lambda: self.configured, self.apply_live)

    def value(self, name: str):
        """Return the value of a parameter."""
        return self.get_parameter(name).value

    def apply_live(self, values: dict[str, object]) -> None:
        """Put changed live parameters to use; raise ValueError to refuse them."""

    def start(self) -> bool:
        """Go through the transitions if that is asked for; False if one of them failed."""
        if not self.value('autostart'):
            return True
        return (self.trigger_configure() == TransitionCallbackReturn.SUCCESS
                and self.trigger_activate() == TransitionCallbackReturn.SUCCESS)

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Read the parameters by `configure()`; a ValueError or OSError of it is told."""
        try:
            self.configure()
        except (ValueError, OSError) as error:
            self.get_logger().error(f'Cannot configure: {error}')
            self.release()
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would end the transition without a word
            self.get_logger().error(f'Cannot configure:\n{traceback.format_exc()}')
            self.release()
            return TransitionCallbackReturn.FAILURE
        self.configured = True
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Enable the publishers, then `activate()`."""
        super().on_activate(state)
        try:
            self.activate()
        except Exception:  # as above
            self.get_logger().error(f'Cannot activate:\n{traceback.format_exc()}')
            self.deactivate()
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Stop what `activate()` started."""
        self.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Give back what `configure()` took."""
        self.release()
        self.configured = False
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """Give back everything."""
        self.close()
        self.configured = False
        return TransitionCallbackReturn.SUCCESS

    def configure(self) -> None:
        """Take what the node needs; raise ValueError or OSError with a sentence if it cannot."""
        raise NotImplementedError

    def activate(self) -> None:
        """Start to work."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """Stop to work; harmless when it has not begun."""
        raise NotImplementedError

    def release(self) -> None:
        """Give back what `configure()` took; harmless when it took nothing."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop and give back everything."""
        self.deactivate()
        self.release()


class StopSignal:
    """
    Notes SIGINT and SIGTERM, so that the node ends after the callback in hand.

    A second one ends the process at once, but not within a second of the first: launch sends
    one to a process that has just had the terminal's.
    """

    def __init__(self):
        self._asked_at: float | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    @staticmethod
    def ignore_interrupts() -> None:
        """Let no further SIGINT be a failure while Python ends; SIGTERM ends what hangs."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @property
    def asked(self) -> bool:
        """Whether the process was asked to stop."""
        return self._asked_at is not None

    def _on_signal(self, _number, _frame) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        elif time.monotonic() - self._asked_at > IMPATIENT_AFTER_S:
            raise KeyboardInterrupt


def events_executor():
    """
    Return the executor with the least cost per message that this rclpy has.

    rclpy's EventsExecutor (Kilted, later Jazzy) takes a fifth of the CPU time of the
    SingleThreadedExecutor and keeps up with drivers of several kHz.
    """
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def run(node_class, args=None) -> int:
    """Run a node until it is shut down; return the exit status of the process."""
    keep_large_blocks()
    stop = StopSignal()
    try:
        # rclpy's own handlers would end the context under the feet of the node's threads.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl: arguments that it cannot read, such as a log level
        print(f'{node_class.__name__}: {error}', file=sys.stderr)
        return 2
    node = None
    try:
        node = node_class()
        executor = events_executor()
        executor.add_node(node)
        if not node.start():
            return 1
        # A time-out, because spin() without one keeps a core busy in some releases.
        while rclpy.ok() and not stop.asked and not node.done:
            executor.spin_once(timeout_sec=0.1)
        return int(node.failed)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except ParameterException as error:
        hint = (' A decimal number needs its point (10.0, not 10), and a text of digits quotes '
                "of its own (-p \"sensor_name:='0042'\").") \
            if isinstance(error, InvalidParameterTypeException) else ''
        print(f'{node_class.__name__}: {error}.{hint}', file=sys.stderr)
        return 2
    finally:
        try:
            if node is not None:
                node.close()
                node.destroy_node()
        except KeyboardInterrupt:
            print(f'{node_class.__name__}: ended before it had closed', file=sys.stderr)
        rclpy.try_shutdown()
        stop.ignore_interrupts()
