"""Threads of the driver's linear algebra: one, since the cores belong to the slots."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

USERS = ("numpy.linalg", "scipy.linalg")


def single_threaded_blas() -> threadpool_limits:
    """Keep numpy's and scipy's linear algebra to one thread, until the returned context is left.

    The matrices of a surrogate are small. More threads gain nothing on idle cores, and where slots use the cores they
    wait for one another: an ask takes many times as long.
    """
    for name in USERS:
        __import__(name)  # a library that is loaded later would not be limited
    return threadpool_limits(limits=1, user_api="blas")
