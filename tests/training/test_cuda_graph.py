"""What can be seen of recording steps without a GPU; the rest is in tests/test_gpu.py."""

from __future__ import annotations

import gc

import pytest

from kgraft.training.cuda_graph import no_garbage_collection


def test_garbage_is_left_where_it_is_for_a_while() -> None:
    with no_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_collected_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), no_garbage_collection():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_who_collects_nothing_goes_on_so() -> None:
    gc.disable()
    try:
        with no_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
