"""Products of rows with rows, by oneDNN where that is faster.

PyTorch multiplies float32 by MKL, and takes oneDNN only where it compiles. MKL is made for Intel's
processors. On AMD's, oneDNN took a tenth less time for a training step's products, a quarter less
for ranking's, and a half to four fifths less for those of a few queries with all entities; on
Intel's it took as long or up to twice as long.

Shapes: N and C rows of width D.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch
from torch import Tensor


def is_amd(processors: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether the processor is AMD's.

    Args:
        processors: Where Linux says what it is; elsewhere Python may know.
    """
    try:
        about = processors.read_text(encoding="utf-8", errors="replace")
    except OSError:
        about = platform.processor()
    return "AuthenticAMD" in about


BY_ONEDNN = is_amd() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(
    left_ND: Tensor, right_CD: Tensor, shift_C: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor:
    """Return the dot product of each left and each right row, ``(N, C)``, not for autograd.

    Args:
        left_ND: Rows.
        right_CD: Rows of the same type.
        shift_C: Added to the products with each right row, of the same type.
        out: Where to put them; by default they are new.
    """
    if BY_ONEDNN and left_ND.dtype == torch.float32 and left_ND.device.type == "cpu":
        found = _by_onednn(left_ND, right_CD, shift_C)
        return found if out is None else out.copy_(found)
    if shift_C is None:
        return torch.mm(left_ND, right_CD.T, out=out)
    return torch.addmm(shift_C, left_ND, right_CD.T, out=out)


def _by_onednn(left_ND: Tensor, right_CD: Tensor, shift_C: Tensor | None) -> Tensor:
    # The last three say that nothing is to be done with the product.
    found: Tensor = torch.ops.mkldnn._linear_pointwise(left_ND, right_CD, shift_C, "none", [], "")
    return found
