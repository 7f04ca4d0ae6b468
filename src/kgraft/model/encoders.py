"""Encoders of paths (entity, relation, entity, relation, ...) as query vectors.

Shapes: B paths of a batch, L steps of a path, D the width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

Vjp = Callable[[Tensor], Tensor]
"""Vector-Jacobian product, from the gradient of queries ``(B, L, D)`` to those of relations, then
of entities, ``(2, B, L, D)``."""


class Encoder(ABC, nn.Module):
    """Encodes every prefix of a path as a query vector for its next entity."""

    parts = 1
    """Parts of each number of a vector: 2 where they are complex, real parts first."""

    @abstractmethod
    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Encode the prefixes of paths.

        Args:
            entities_BLD: Vectors of the entity before each relation.
            relations_BLD: Vectors of relations.

        Returns:
            Query vectors ``(B, L, D)``; the one at step ``l`` depends on steps up to ``l`` only.
        """

    def forward_with_vjp(self, path_2BLD: Tensor) -> tuple[Tensor, Vjp]:
        """Encode vectors of entities, then of relations, and return the vector-Jacobian product.

        It may be called once, and also adds to the gradients of the encoder's own weights.
        """
        leaf = path_2BLD.detach().requires_grad_()
        queries: Tensor = self(*leaf)

        def vjp(of_queries_BLD: Tensor) -> Tensor:
            torch.autograd.backward(queries, of_queries_BLD)
            return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.flip(0)

        return queries.detach(), vjp

    def projection(self, vectors_ND: Tensor, width: int) -> Tensor:
        """Return a linear map ``(D, width)`` that preserves scores of this encoder approximately.

        It initialises a narrower student. By default the principal directions.
        """
        return principal_directions(vectors_ND, width)


class ComplEx(Encoder):
    """ComplEx, composed along a path by complex products.

    Vectors of width D are D/2 complex numbers: real parts, then imaginary parts. A triple's score
    is ``Re(sum_k h_k r_k conj(t_k))`` (Trouillon et al., "Complex embeddings for simple link
    prediction", ICML 2016, eq. 9), here the dot product of the tail's row with the query
    ``h * r``. The query after more steps is ``e_0 * r_0 * r_1 * ...``.
    """

    parts = 2

    def forward(self, entities_BLD: Tensor, relations_BLD: Tensor) -> Tensor:
        """Multiply the first entity by the relations, one after the other."""
        steps = relations_BLD.shape[1]
        if steps == 1:  # The common case, without copies.
            return complex_product(entities_BLD, relations_BLD)
        queries_BLD = torch.empty_like(relations_BLD)
        query_BD = entities_BLD[:, 0]
        for step in range(steps):
            query_BD = complex_product(query_BD, relations_BLD[:, step])
            queries_BLD[:, step] = query_BD
        return queries_BLD

    def forward_with_vjp(self, path_2BLD: Tensor) -> tuple[Tensor, Vjp]:
        """Encode, with explicit gradients, which take less time than autograd.

        The gradient of a factor is the product's, times the other factor's conjugate.
        """
        entities_BLD, relations_BLD = path_2BLD
        queries_BLD = self.forward(entities_BLD, relations_BLD)

        def vjp(of_queries_BLD: Tensor) -> Tensor:
            steps = relations_BLD.shape[1]
            if steps == 1:  # Conjugate entities give relations their gradient, and vice versa.
                return complex_product(of_queries_BLD, path_2BLD, conjugate=True)
            of_path_2BLD = torch.zeros_like(path_2BLD)
            of_relations_BLD, of_entities_BLD = of_path_2BLD
            of_query_BD = torch.zeros_like(entities_BLD[:, 0])
            for step in reversed(range(steps)):
                of_query_BD += of_queries_BLD[:, step]
                before_BD = queries_BLD[:, step - 1] if step else entities_BLD[:, 0]
                of_relations_BLD[:, step] = complex_product(of_query_BD, before_BD, conjugate=True)
                of_query_BD = complex_product(of_query_BD, relations_BLD[:, step], conjugate=True)
            of_entities_BLD[:, 0] = of_query_BD
            return of_path_2BLD

        return queries_BLD, vjp

    def projection(self, vectors_ND: Tensor, width: int) -> Tensor:
        """Select the complex coordinates of largest norm.

        A score is a sum over coordinates; a rotation (as of a PCA) would mix them.
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
    """Return the first right singular vectors ``(D, width)`` of vectors; columns beyond D are 0.

    Vectors are not centred, since a score is a dot product.
    """
    covariance = vectors_ND.T @ vectors_ND
    _, directions = torch.linalg.eigh(covariance)
    kept = directions.flip(1)[:, :width]
    return torch.nn.functional.pad(kept, (0, width - kept.shape[1]))


def complex_product(left: Tensor, right: Tensor, *, conjugate: bool = False) -> Tensor:
    """Multiply vectors of complex numbers kept as real parts, then imaginary parts.

    Args:
        left: One factor, ``(..., D)``.
        right: The other, of the same shape or one that the first is broadcast to.
        conjugate: Multiply by the conjugate of ``right``.

    Returns:
        The product, without autograd.
    """
    sign = -1 if conjugate else 1
    halves = (2, left.shape[-1] // 2)
    both = left.view(*left.shape[:-1], *halves)
    left_re, left_im = both.unbind(-2)
    right_re, right_im = right.view(*right.shape[:-1], *halves).unbind(-2)
    # Both parts times the real part of the other.
    product = both * right_re.unsqueeze(-2)
    real, imaginary = product.unbind(-2)
    real.addcmul_(left_im, right_im, value=-sign)
    imaginary.addcmul_(left_re, right_im, value=sign)
    return product.view(right.shape)
