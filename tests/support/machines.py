"""Machines on a switch that lose their cable or their power and come back: each is a network namespace.

All of them stand in one user namespace, so nobody needs to be root. A cable that is pulled is silent, as
a machine without power is: nothing is refused and nothing is closed, packets are lost. What a test asks
goes over socket files, which no namespace hides.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.embedded.processes import kill_tree
from tests.support.debian_servers import binary

PREFIX = "10.77.0."
HOLD = ["sh", "-c", "echo held && exec sleep 7200"]


class Network:
    """A switch, at address 1, and the machines on it."""

    def __init__(self) -> None:
        binary("ip", "iproute2")
        self.machines: list[Machine] = []
        holder = _hold(["unshare", "--user", "--map-root-user", "--net"])
        self.switch = Machine("switch", f"{PREFIX}1", holder, self)
        self.switch.run(
            "ip link set lo up && ip link add switch type bridge && "
            f"ip addr add {self.switch.address}/24 dev switch && ip link set switch up"
        )
        self.machines.append(self.switch)

    def add(self, name: str) -> Machine:
        """Add a machine and plug its cable in."""
        holder = _hold([*self.switch.enter, "unshare", "--net"])
        machine = Machine(name, f"{PREFIX}{len(self.machines) + 1}", holder, self)
        self.machines.append(machine)
        self.switch.run(
            f"ip link add {name} type veth peer name eth0 netns {holder.pid} && "
            f"ip link set {name} master switch up"
        )
        machine.run(
            f"ip link set lo up && ip addr add {machine.address}/24 dev eth0 && ip link set eth0 up"
        )
        return machine

    def close(self) -> None:
        """End every process; the namespaces go with their last one."""
        for machine in self.machines:
            machine.kill()
        for machine in reversed(self.machines):
            machine.holder.kill()
            machine.holder.wait()
            machine.holder.stdout.close()


def _hold(enter: list[str]) -> subprocess.Popen:
    """Start a process that keeps a namespace."""
    holder = subprocess.Popen([*enter, *HOLD], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert holder.stdout.readline().strip() == b"held", f"{enter} makes no namespace here"
    return holder


@dataclass
class Machine:
    """One machine.

    Attributes:
        holder: the process that keeps its namespace.
        processes: what runs on it, by name.
    """

    name: str
    address: str
    holder: subprocess.Popen
    network: Network
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def enter(self) -> list[str]:
        """The beginning of a command that is to run on it."""
        return ["nsenter", "-t", str(self.holder.pid), "--user", "--net", "--preserve-credentials"]

    def run(self, script: str) -> None:
        """Run a script of the shell on it, and wait."""
        subprocess.run([*self.enter, "sh", "-ec", script], check=True, stdin=subprocess.DEVNULL)

    def start(
        self, name: str, command: list[str], folder: Path, variables: dict[str, str] | None = None
    ) -> None:
        """Start a process; what it prints goes to a log of its name in the folder."""
        with (folder / f"{self.name}-{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self.enter, *command], env=os.environ | (variables or {}), cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self, *names: str) -> None:
        """Kill processes, or all of them, and everything below."""
        for name in names or list(self.processes):
            process = self.processes.pop(name)
            kill_tree(process.pid)
            process.wait()

    def unplug(self) -> None:
        """Pull its cable: nobody reaches it, and it reaches nobody."""
        self.network.switch.run(f"ip link set {self.name} down")

    def plug(self) -> None:
        """Put its cable in again."""
        self.network.switch.run(f"ip link set {self.name} up")

    def lose_power(self) -> None:
        """Take it away with all that runs on it; no connection hears of it."""
        self.unplug()
        self.kill()
