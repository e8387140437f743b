"""A Ray cluster of simulated nodes with one CPU each, in a process of its own that obeys its standard input.

    python ray_nodes.py NODES

Prints the head's address. `remove` kills the newest node as a power cut would, `add` adds one; each prints how many
there are then. The end of the input ends the cluster.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

QUICK = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 3}


def main(nodes: int) -> None:
    plain = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**plain, "_system_config": QUICK})
    others = [cluster.add_node(wait=False, **plain) for _ in range(nodes - 1)]
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "remove":
            cluster.remove_node(others.pop(), allow_graceful=False)
        elif line.strip() == "add":
            others.append(cluster.add_node(**plain))
        print(1 + len(others), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
