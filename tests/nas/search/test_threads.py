from __future__ import annotations

from threadpoolctl import threadpool_info

from nas.search.threads import single_threaded_blas


def _threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_linear_algebra_has_one_thread_for_a_while_and_its_own_number_again() -> None:
    with single_threaded_blas():
        pass  # now every library is loaded
    before = _threads()
    with single_threaded_blas():
        inside = _threads()
    assert inside
    assert set(inside) == {1}
    assert _threads() == before
