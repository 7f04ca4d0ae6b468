"""Encoders: what turns a path (entity, relation, entity, relation, ...) into a query vector.

Shapes: B paths of a batch, L steps of a path, D the width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Encoder(ABC, nn.Module):
    """Turns every prefix of a path into a query vector for the entity that comes next."""

    @abstractmethod
    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Encode the prefixes of paths.

        Args:
            entities_BLD: Vectors of the entities that the steps leave from.
            relations_BLD: Vectors of the relations that the steps follow.

        Returns:
            Query vectors ``(B, L, D)``; the one at step ``l`` depends on steps up to ``l`` only.
        """

    @abstractmethod
    def penalty(self, vectors_ND: Tensor) -> Tensor:
        """Return each vector's share of the regularizer, ``(N,)``."""

    def projection(self, vectors_ND: Tensor, width: int) -> Tensor:
        """Return the linear map ``(D, width)`` that keeps most of ``vectors`` for this encoder.

        It gives a narrower student its first rows: what comes out has to mean, to an encoder of
        the same kind, what went in. By default the principal directions.
        """
        return principal_directions(vectors_ND, width)


class ComplEx(Encoder):
    """ComplEx, composed along a path by complex products.

    Vectors of width D are D/2 complex numbers: real parts, then imaginary parts. A triple's score
    is ``Re(sum_k h_k r_k conj(t_k))`` (Trouillon et al., "Complex embeddings for simple link
    prediction", ICML 2016, eq. 9), here the dot product of the tail's row with the query
    ``h * r``. The query after more steps is ``e_0 * r_0 * r_1 * ...``. The regularizer is N3, the
    cubed moduli (Lacroix et al., "Canonical tensor decomposition for knowledge base completion",
    ICML 2018, eq. 4).
    """

    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Multiply the path's first entity by its relations, step by step."""
        query = complex_product(entities_BLD[:, 0], relations_BLD[:, 0])
        queries = [query]
        for step in range(1, relations_BLD.shape[1]):
            query = complex_product(query, relations_BLD[:, step])
            queries.append(query)
        return torch.stack(queries, dim=1)

    def penalty(self, vectors_ND: Tensor) -> Tensor:
        """Return the sum of each vector's cubed moduli."""
        penalties: Tensor = _CubedModuli.apply(vectors_ND)  # type: ignore[no-untyped-call]
        return penalties

    def projection(self, vectors_ND: Tensor, width: int) -> Tensor:
        """Keep the complex coordinates with the largest moduli.

        A score is a sum over coordinates, so leaving coordinates out keeps the others' meaning,
        where a rotation (as of a PCA) would mix them.
        """
        half = vectors_ND.shape[1] // 2
        real, imaginary = vectors_ND.chunk(2, dim=-1)
        weight = (real.square() + imaginary.square()).sum(0)
        kept = weight.argsort(descending=True, stable=True)[: width // 2].sort().values
        selection = torch.zeros(2 * half, width, dtype=vectors_ND.dtype)
        places = torch.arange(len(kept))
        selection[kept, places] = 1.0
        selection[kept + half, places + width // 2] = 1.0
        return selection.to(vectors_ND.device)


def principal_directions(vectors_ND: Tensor, width: int) -> Tensor:
    """Return the map ``(D, width)`` onto the directions in which vectors reach farthest.

    The right singular vectors of the vectors as they are, not centred, since a score is a dot
    product. Where there are fewer directions than ``width``, the columns left over are zero.
    """
    covariance = vectors_ND.T @ vectors_ND
    _, directions = torch.linalg.eigh(covariance)
    kept = directions.flip(1)[:, :width]
    return torch.nn.functional.pad(kept, (0, width - kept.shape[1]))


def complex_product(left_BD: Tensor, right_BD: Tensor) -> Tensor:
    """Multiply vectors of complex numbers kept as real parts, then imaginary parts, ``(B, D)``."""
    product: Tensor = _ComplexProduct.apply(left_BD, right_BD)  # type: ignore[no-untyped-call]
    return product


class _ComplexProduct(torch.autograd.Function):
    """The gradient of a factor is the product's, times the other factor's conjugate."""

    @staticmethod
    def forward(ctx: Any, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        ctx.save_for_backward(left_BD, right_BD)
        return _multiply(left_BD, right_BD, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BD: Tensor) -> tuple[Tensor, Tensor]:
        left_BD, right_BD = ctx.saved_tensors
        return _multiply(gradient_BD, right_BD, -1), _multiply(gradient_BD, left_BD, -1)


def _multiply(left_BD: Tensor, right_BD: Tensor, sign: int) -> Tensor:
    """Multiply by ``right``, or by its conjugate with a ``sign`` of -1."""
    product_BD = torch.empty_like(left_BD)
    real, imaginary = product_BD.chunk(2, dim=-1)
    left_re, left_im = left_BD.chunk(2, dim=-1)
    right_re, right_im = right_BD.chunk(2, dim=-1)
    torch.mul(left_re, right_re, out=real).addcmul_(left_im, right_im, value=-sign)
    torch.mul(left_im, right_re, out=imaginary).addcmul_(left_re, right_im, value=sign)
    return product_BD


class _CubedModuli(torch.autograd.Function):
    """The gradient is three times the modulus times the number, which is sound at 0 too."""

    @staticmethod
    def forward(ctx: Any, vectors_ND: Tensor) -> Tensor:
        real, imaginary = vectors_ND.chunk(2, dim=-1)
        squares = real.square().addcmul_(imaginary, imaginary)
        moduli = squares.sqrt()
        ctx.save_for_backward(vectors_ND, moduli)
        penalties: Tensor = squares.mul_(moduli).sum(-1)
        return penalties

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_N: Tensor) -> Tensor:
        vectors_ND, moduli = ctx.saved_tensors
        slope = moduli * (3 * gradient_N.unsqueeze(-1))
        gradient_ND = torch.empty_like(vectors_ND)
        halves = (x.chunk(2, dim=-1) for x in (vectors_ND, gradient_ND))
        for part, own in zip(*halves, strict=True):
            torch.mul(part, slope, out=own)
        return gradient_ND
