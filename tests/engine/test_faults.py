"""What dies comes back by itself or by the next ``up``, and an interrupted ``up`` is finished by the next
one."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import httpx
import pytest

from tests.engine.stack import ROOT, Stack
from tests.engine.test_delivery import churn, constant_load
from tests.processes import alive, family
from tests.waiting import until

pytestmark = pytest.mark.real


def kill(stack: Stack, program: str) -> int:
    pid = stack.pids()[program]
    os.kill(pid, signal.SIGKILL)
    return pid


def answers(stack: Stack) -> bool:
    try:
        with httpx.Client(trust_env=False) as client:
            return stack.predict(client).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("program", ["churn-v1-0", "gateway-envoy"])
def test_a_killed_process_comes_back_by_itself(stack: Stack, program: str) -> None:
    stack.up(churn(1))
    pid = kill(stack, program)
    until(lambda: stack.pids().get(program) not in (None, pid))
    until(lambda: answers(stack))
    assert stack.split(50) == {"1": 50}


def test_a_killed_server_with_a_second_replica_loses_no_request(stack: Stack) -> None:
    stack.up({"churn": {"stable": {"version": 1}, "autoscaling": {"min": 2}}})
    with constant_load(stack) as failures:
        for program in ("churn-v1-0", "churn-v1-1"):
            pid = kill(stack, program)
            until(lambda pid=pid, program=program: stack.pids().get(program) not in (None, pid))
            until(lambda: stack.plan() == [])
    assert failures == []


def test_the_next_up_starts_what_supervisord_left(stack: Stack) -> None:
    stack.up(churn(1))
    servers = stack.pids()
    os.kill(int((stack.run / "supervisord.pid").read_text()), signal.SIGKILL)
    assert "supervisord is not running" in stack.preview().text
    stack.up()
    assert stack.split(20) == {"1": 20}
    assert set(stack.pids()) == set(servers)
    # The old servers held the ports; none of them may be left.
    until(lambda: not alive(servers.values()))


def test_refresh_notices_a_stopped_process_and_up_starts_it(stack: Stack) -> None:
    stack.up(churn(1))
    (program,) = [p.stem for p in (stack.run / "programs").glob("churn-v1-0*.conf")]
    from provider.daemon import Daemon

    Daemon(stack.run).remove(program)
    assert "deleted" in stack.refresh().text
    stack.up()
    assert stack.split(20) == {"1": 20}


def test_a_route_changed_by_hand_is_noticed_and_put_right(stack: Stack) -> None:
    stack.up(churn(1, version=2, weight=0))
    table = stack.run / "processes" / "gateway-envoy" / "routes.json"
    content = json.loads(table.read_text())
    table.with_suffix(".new").write_text(json.dumps(content).replace('"weight": 0', '"weight": 77'))
    table.with_suffix(".new").rename(table)
    assert "changed by hand" in stack.preview().text
    stack.up()
    assert stack.split(50) == {"1": 50}


@pytest.mark.parametrize("moment", ["between", "starting"])
def test_an_up_killed_in_the_middle_is_finished_by_the_next(stack: Stack, moment: str) -> None:
    stack.up(churn(1))
    stack.declare(churn(1, version=2, weight=30))
    command = [stack.pulumi, "up", "--yes", "--skip-preview", "--non-interactive", *stack.flags]
    with constant_load(stack) as failures:
        process = subprocess.Popen(
            command, cwd=ROOT, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        wanted = "churn-v2 created" if moment == "between" else "churn-v2-0 creating"
        assert any(wanted in line for line in process.stdout)
        started = family({process.pid}) - {process.pid}
        process.kill()
        process.wait()
        process.stdout.close()
        # Its provider ends by itself; until then it may put things back in order beside the next one.
        servers = family(set(stack.pids().values()))
        until(lambda: not alive(started - servers))
        # What pulumiw does for a lock whose owner is dead.
        stack.command("cancel", "--yes", "--stack", "local")
        stack.up()
    assert failures == []
    assert 60 < stack.split(400)["2"] < 180
    assert stack.plan() == []
