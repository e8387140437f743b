"""How many threads a driver thinks with: one, for the cores are the slots'."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

USERS = ("numpy.linalg", "scipy.linalg")


def thinking_alone() -> threadpool_limits:
    """Keep numpy's and scipy's linear algebra to one thread, until the returned context is left.

    The matrices of a surrogate are small. More threads gain nothing on idle cores, and where slots use the cores they
    wait for one another: an ask takes many times as long.
    """
    for name in USERS:
        __import__(name)  # a library that is loaded later would not be held
    return threadpool_limits(limits=1, user_api="blas")
