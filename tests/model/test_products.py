"""Dot products of rows, by oneDNN and without it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kgraft.model import products
from kgraft.model.products import product


@pytest.fixture(params=[True, False], ids=["onednn", "plain"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(products, "BY_ONEDNN", request.param)


def drawn(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(len(size)))


def test_by_hand() -> None:
    left, right = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[3.0, 4.0], [5.0, 0.0]])
    assert product(left, right).tolist() == [[11.0, 5.0], [-4.0, 0.0]]
    shift = torch.tensor([0.5, -1.0])
    assert product(left, right, shift).tolist() == [[11.5, 4.0], [-3.5, -1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_as_every_number_summed_by_itself(dtype: torch.dtype) -> None:
    left, right, shift = (x.to(dtype) for x in (drawn(7, 20), drawn(33, 20), drawn(33)))
    expected = (left[:, None].double() * right.double()).sum(2) + shift.double()
    found = product(left, right, shift)
    assert found.dtype == dtype
    rounding = 1e-5 if dtype != torch.bfloat16 else 0.05
    torch.testing.assert_close(found.double(), expected, rtol=rounding, atol=rounding)


@pytest.mark.parametrize(
    "left",
    [drawn(4, 6), drawn(6, 4).T, drawn(8, 6)[::2], drawn(4, 12)[:, ::2], drawn(1, 6).expand(4, 6)],
    ids=["rows", "columns", "every other row", "every other number", "one row for all"],
)
def test_however_numbers_lie_in_memory(left: Tensor) -> None:
    right = drawn(10, 6)
    expected = (left[:, None] * right).sum(2)
    torch.testing.assert_close(product(left, right), expected)
    torch.testing.assert_close(product(right, left), expected.T)


def test_it_may_go_to_memory_that_is_there() -> None:
    left, right, shift, room = drawn(4, 6), drawn(5, 6), drawn(5), torch.full((4, 9), 7.0)
    for given in (None, shift):
        found = product(left, right, given, out=room[:, 2:7])
        torch.testing.assert_close(room[:, 2:7], product(left, right, given))
        assert found.data_ptr() == room[:, 2:7].data_ptr()
        assert room[:, [0, 1, 7, 8]].eq(7.0).all()


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (0, 0)])
def test_no_rows(size: tuple[int, int]) -> None:
    found = product(drawn(size[0], 4), drawn(size[1], 4), drawn(size[1]))
    assert found.shape == size


def test_what_is_infinite_stays_so() -> None:
    left, right = torch.tensor([[1.0], [0.0]]), torch.tensor([[torch.inf], [1.0]])
    shift = torch.tensor([0.0, -torch.inf])
    found = product(left, right, shift)
    assert found[0].tolist() == [torch.inf, -torch.inf]
    assert found[1].isnan().tolist() == [True, False]


def test_equal_rows_have_equal_products() -> None:
    """A tie stays a tie wherever the rows stand."""
    right = drawn(37, 24).repeat(5, 1)
    found = product(drawn(9, 24), right).view(9, 5, 37)
    assert found.eq(found[:, :1]).all()


@pytest.mark.parametrize(("maker", "expected"), [("AuthenticAMD", True), ("GenuineIntel", False)])
def test_the_processor_is_known_by_its_maker(tmp_path: Path, maker: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {maker}\n")
    assert products.is_amd(tmp_path / "cpuinfo") is expected


def test_where_linux_does_not_say_python_may_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known, expected in (("AMD64 Family 25 Model 33, AuthenticAMD", True), ("arm", False)):
        monkeypatch.setattr(products.platform, "processor", lambda known=known: known)
        assert products.is_amd(tmp_path / "none") is expected


MANY_SHAPES = """
import ctypes, torch
from kgraft.model.products import BY_ONEDNN, product
class Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]  # as in man mallinfo2
libc = ctypes.CDLL("libc.so.6")
libc.mallinfo2.restype = Told
right = torch.rand(500, 64)
def multiply(shapes):
    for n_rows in shapes:
        product(torch.rand(n_rows, 64), right)
    return libc.mallinfo2().h
multiply(range(1, 60))
before = multiply([1])
print(multiply(range(60, 460)) - before if BY_ONEDNN else 0)
"""
"""Prints the bytes that 400 products of different shapes leave in use."""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc"
)
def test_products_of_many_shapes_take_no_more_memory() -> None:
    command = [sys.executable, "-c", MANY_SHAPES]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(told) < 4 << 20
