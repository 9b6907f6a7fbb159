"""Run chunks on two nodes, with lost actors, nodes, hangs and errors; prints what happened."""

import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from maniplvm.cluster import Limits, NodePool, RemoteCommands
from maniplvm.errors import UserError
from tests.cluster.local_cluster import HEAD, ray_cluster


class Runner:
    """Squares numbers, and writes down which process did it."""

    def __init__(self, folder, behaviour="square"):
        self.folder = Path(folder)
        self.behaviour = behaviour

    def run(self, number):
        time.sleep(0.05)
        if self.behaviour == "refuse" and number == 3:
            raise UserError("number 3 is refused")
        if self.behaviour == "raise" and number == 3:
            raise ValueError("number 3 is broken")
        if self.behaviour == "hang" and number == 3:
            time.sleep(60)
        if self.behaviour == "die once" and number == 3:
            mark = self.folder / "died"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return number**2, os.getpid()


def square(pool, count, at_three=lambda: None):
    results = {}
    for number, (value, pid) in pool.run(range(count)):
        results[number] = (value, pid)
        if len(results) == 3:
            at_three()
    assert {n: value for n, (value, _) in results.items()} == {n: n**2 for n in range(count)}
    return len({pid for _, pid in results.values()})


def error_of(work):
    try:
        work()
    except UserError as error:
        return str(error)
    return None


def main(folder):
    lines = []
    open_pool = partial(NodePool, workers=1, report=lines.append)
    found = {}
    with ray_cluster() as (cluster, nodes):
        address = cluster.address

        def pool(behaviour, **settings):
            return open_pool(address, partial(Runner, folder, behaviour), **settings)

        with pool("square") as own:
            found["nodes"] = own.count_nodes()
            found["processes"] = square(own, 30)
            found["again"] = square(own, 10)
        with pool("die once") as own:
            square(own, 10)
        found["died"] = list(lines)
        with pool("refuse") as own:
            found["refused"] = error_of(lambda: square(own, 10))
        with pool("raise", limits=Limits(attempts=2)) as own:
            found["raised"] = error_of(lambda: square(own, 10))
        with pool("hang", limits=Limits(chunk=0.5, attempts=2)) as own:
            found["hung"] = error_of(lambda: square(own, 10))
        with RemoteCommands(address) as commands:
            log = Path(folder) / "log"
            script = "import os, sys; print('ran', os.environ['COLOUR']); sys.exit(3)"
            words = [sys.executable, "-c", script]
            ended = commands.run(words, log, {"COLOUR": "blue"}, Path(folder))
            found["command"] = (ended.status, log.read_text(), ended.peak_rss_mb > 1)
            found["not shared"] = error_of(
                lambda: commands.run(words, log, {}, Path(folder) / "absent")
            )
            sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
            threading.Timer(3, commands.close).start()
            started = time.monotonic()
            found["closed"] = commands.run(sleeping, log, {}, Path(folder)).status
            found["closed in time"] = time.monotonic() - started < 20
        found["too large"] = error_of(lambda: RemoteCommands(address, cpus=99))
        lines.clear()
        with pool("square") as own:
            square(own, 30, at_three=lambda: cluster.remove_node(nodes[0]))
            found["left"] = (own.count_nodes(), list(lines))
            joined = partial(cluster.add_node, num_cpus=1, node_ip_address="127.0.0.9")
            found["joined"] = square(own, 400, at_three=joined)
    found["silent"] = error_of(lambda: open_pool(f"{HEAD}:1", partial(Runner, folder)))
    found["address"] = error_of(lambda: open_pool("ray://127.0.0.2:10001", partial(Runner, folder)))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
