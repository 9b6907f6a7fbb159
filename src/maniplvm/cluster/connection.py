"""The connection to a Ray cluster, and the address that a user gives for it."""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Any

from maniplvm.errors import UserError
from maniplvm.optional import import_optional

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Environment variable with the address of the cluster; Ray's own."""
_PROBE_SECONDS = 5.0


def ray() -> Any:
    """The module `ray`."""
    return import_optional("ray", "--ray needs", "ray")


def ray_address(option: str | None) -> str | None:
    """The address of the cluster to use, or None for this machine alone.

    Args:
        option: The value of `--ray`. None means the environment variable `RAY_ADDRESS`. An empty
            string means no cluster, even if the variable is set.
    """
    return (os.environ.get(ADDRESS_VARIABLE) if option is None else option) or None


class Connection:
    """A connection of this process to a running cluster, as a context manager.

    A process that is connected already, such as a worker of another engine, stays connected.

    Args:
        address: `HOST:PORT` of the head node, or `auto` for a cluster on this machine.

    Raises:
        UserError: Ray is not installed, or nothing answers at the address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        module = ray()
        self._own = not module.is_initialized()
        if not self._own:
            return
        _check_address(address)
        try:
            module.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError) as error:
            line = str(error).strip().splitlines()[0]
            raise UserError(
                f"--ray {address}: no Ray cluster answers ({line}); start one with "
                "`ray start --head`, and give HOST:PORT of its head node"
            ) from error

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. The actors of this process end."""
        if self._own:
            self._own = False
            ray().shutdown()


def _check_address(address: str) -> None:
    """Find a wrong address at once; Ray itself would try for a minute."""
    if address in ("auto", "local"):
        if address == "local":
            raise UserError("--ray local: that is no cluster; leave --ray out for one machine")
        return
    host, colon, port = address.rpartition(":")
    if "://" in address or not (colon and host and port.isdecimal()):
        raise UserError(
            f"--ray {address}: expected HOST:PORT of the head node, or auto; run the command on a "
            "machine of the cluster"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--ray {address}: nothing answers there ({error}); start a cluster with "
            "`ray start --head`, and give HOST:PORT of its head node"
        ) from error
