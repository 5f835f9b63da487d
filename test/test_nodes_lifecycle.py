# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every node here does for those who manage it: transitions, parameters, signals."""
import signal
import time

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rcl_interfaces.srv import DescribeParameters, GetParameters
from ros_graph import Client, node_maker, start_process, wait_for

from depth_anyevent_ros.nodes import diagnostics
from depth_anyevent_ros.nodes.distillation_node import DistillationNode
from depth_anyevent_ros.nodes.inference_node import InferenceNode
from depth_anyevent_ros.nodes.label_recorder_node import LabelRecorderNode
from depth_anyevent_ros.nodes.replay_node import ReplayNode
from depth_anyevent_ros.nodes.simulator_node import SimulatorNode

try:
    import diagnostic_updater as updater
except ImportError:
    # Not in the wheels. The real one was run by hand in its place: 3.2.0, at commit 431926f.
    import updater_stand_in as updater

pytestmark = pytest.mark.ros
NODES = (DistillationNode, InferenceNode, LabelRecorderNode, ReplayNode, SimulatorNode)


@pytest.fixture(scope='module')
def client():
    made = Client()
    yield made
    made.close()


@pytest.mark.parametrize('kind', NODES, ids=lambda kind: kind.__name__)
def test_a_node_that_waits_answers_its_manager(client, kind):
    with node_maker(client, kind, 'waiting', autostart=False) as make:
        make()

        def ask(service, name, **request):
            return client.call(service, f'/{client.name}/{name}', service.Request(**request))
        assert ask(GetState, 'get_state').current_state.label == 'unconfigured'
        (value,) = ask(GetParameters, 'get_parameters', names=['autostart']).values
        assert value.type == 1 and not value.bool_value
        (about,) = ask(DescribeParameters, 'describe_parameters', names=['autostart']).descriptors
        assert about.description
        shutdown = Transition(id=Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        assert ask(ChangeState, 'change_state', transition=shutdown).success
        assert ask(GetState, 'get_state').current_state.label == 'finalized'


@pytest.mark.parametrize('use_sim_time', [True, False])
@pytest.mark.parametrize('module', [None, updater])
def test_diagnostics_come_once_a_second_whatever_the_clock_says(client, monkeypatch, module,
                                                                use_sim_time):
    monkeypatch.setattr(diagnostics, 'diagnostic_updater', module)
    client.listen(DiagnosticArray, '/diagnostics')
    with node_maker(client, SimulatorNode, 'watched', autostart=False,
                    use_sim_time=use_sim_time) as make:
        make()  # and no /clock
        name = f'{client.name}: simulator'

        def told():
            return [status for array in client.heard['/diagnostics'] for status in array.status
                    if status.name == name and status.message != 'Node starting up']
        wait_for(lambda: len(told()) >= 2, what='diagnostics')
        before = len(told())
        time.sleep(3.0)
        assert 2 <= len(told()) - before <= 4
        assert told()[-1].hardware_id == f'/{client.name}'


@pytest.mark.parametrize('module', [None, updater])
def test_diagnostics_tell_the_nodes_of_two_namespaces_apart(client, monkeypatch, module):
    monkeypatch.setattr(diagnostics, 'diagnostic_updater', module)
    with node_maker(client, SimulatorNode, 'watched', autostart=False) as make:
        for space in ('robot1', 'robot2/front'):
            make(f'__ns:=/{space}')
            name = f'{space}/{client.name}: simulator'
            wait_for(lambda: client.diagnostics(name)[1] == 'not active', what=name)


@pytest.mark.parametrize('again_after_s', [0.1, 0.4, 0.8])
def test_a_second_interrupt_soon_after_the_first_changes_nothing(tmp_path, again_after_s):
    process = start_process('inference_node', tmp_path)
    try:
        wait_for(lambda: 'Listening' in process.log(), 60.0, 'the node')
        process.send_signal(signal.SIGINT)
        time.sleep(again_after_s)  # Python ends for about a second after the node has
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, process.log()
    finally:
        process.kill()
        process.wait()
