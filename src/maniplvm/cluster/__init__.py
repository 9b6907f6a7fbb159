"""Work on the nodes of a Ray cluster, with one actor on each node."""

from maniplvm.cluster.commands import Ended, RemoteCommands
from maniplvm.cluster.connection import ADDRESS_VARIABLE, Connection, ray_address
from maniplvm.cluster.node_pool import Limits, NodePool, Runner

__all__ = [
    "ADDRESS_VARIABLE",
    "Connection",
    "Ended",
    "Limits",
    "NodePool",
    "RemoteCommands",
    "Runner",
    "ray_address",
]
