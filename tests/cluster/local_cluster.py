"""A Ray cluster of several raylets on loopback addresses, for scripts inside `run_isolated`."""

import os
from contextlib import contextmanager

HEAD = "127.0.0.2"


@contextmanager
def ray_cluster(nodes=2, cpus=1):
    """Start a cluster. Yields it and its nodes; `cluster.address` is the address of the head."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": cpus,
            "include_dashboard": False,
            "node_ip_address": HEAD,
            "object_store_memory": 200 * 2**20,
        },
    )
    try:
        more = [
            cluster.add_node(
                num_cpus=cpus,
                node_ip_address=f"127.0.0.{3 + number}",
                object_store_memory=200 * 2**20,
            )
            for number in range(nodes - 1)
        ]
        os.environ["RAY_ADDRESS"] = cluster.address
        yield cluster, more
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()
