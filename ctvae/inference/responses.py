"""How slots respond to their parents: the law of a unit's codes in a second slice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.program import Program

__all__ = ["respond"]

KERNEL_BUDGET = 2**24
"""Entries of the kernels made at once."""


def respond(
    program: Program,
    couplings: Sequence[Coupling],
    before: Int[Tensor, "batch slots"],
    after: Int[Tensor, "batch slots"],
    *,
    uncertain: Float[Tensor, "batch slots codes"] | None = None,
) -> Float[Tensor, "batch slots codes"]:
    r"""Gives the law of each slot after something was done, given its parents in both slices.

    .. math:: r_k(v) = \sum_u q_k(u)\, K_k(p, p')[u, v], \qquad
        p = P_k(\cdot \mid z_{\mathrm{pa}}), \quad p' = P_k(\cdot \mid z'_{\mathrm{pa}})

    with the kernel K of the coupling, which has the unit's noise integrated out. Where the parents
    kept their codes, p and p' are one law and the slot keeps its own: what no action reaches is
    copied. So the two-slice law of a unit under an action a is that of edits *after* the slots have
    responded:

    .. math:: P(z' \mid z, a) = \prod_k \sum_v r_k(v)\, T_{a,k}(z'_k \mid v)

    which is ``action_posterior(moves, respond(...), z')``. It is the law of (Z, Z_do) under shared
    noise: actions of a sequence add up as calls of ``do`` do, and a slot that was set stays set.

    Args:
        program: The natural world, whose laws the unit follows before.
        couplings: How a unit's noise links its codes, for each column.
        before: Codes in the first slice.
        after: Codes in the second slice; only those of parents are read.
        uncertain: Probabilities of the codes in the first slice, where these are uncertain; parents
            are then read at ``before`` and ``after``, their most probable codes, which is exact
            where parents are certain. ``before`` is certain where ``None``.

    Returns:
        Probabilities, zero beyond a slot's own codes.

    Raises:
        ShapeError: When shapes differ, or the world was intervened on.

    Example:
        >>> from ctvae.mechanisms.couplings import Maximal
        >>> from ctvae.scm import SCM
        >>> scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 3}, seed=0)
        >>> held = torch.tensor([[1, 2]])
        >>> respond(scm.program, [Maximal()] * 2, held, held)[0].tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

    Source: Pearl (2009), theorem 7.1.7; Oberst and Sontag (2019).
    Cost: O(batch * slots * codes), and one kernel for each pair of parents' codes that occurs.
    """
    if before.shape != after.shape or before.ndim != 2:
        msg = f"codes are (batch, slots) in both slices, got {tuple(before.shape)} and "
        raise ShapeError(msg + f"{tuple(after.shape)}")
    if program.forced or program.batch is not None:
        msg = "slots respond by their natural laws; give the program of a model without do()"
        raise ShapeError(msg)
    width = max(program.slots.cardinalities)
    first, second = dict(enumerate(before.unbind(1))), dict(enumerate(after.unbind(1)))
    if uncertain is None:
        uncertain = torch.nn.functional.one_hot(before, width).to(program.dtype)
    if uncertain.shape != (*before.shape, width):
        msg = f"probabilities of codes must be {(*before.shape, width)}, got "
        raise ShapeError(msg + str(tuple(uncertain.shape)))
    columns = [
        _respond(program, column, couplings[column], first, second, uncertain[:, column])
        for column in range(before.shape[1])
    ]
    return torch.stack(columns, 1)


def _respond(
    program: Program,
    column: int,
    coupling: Coupling,
    first: dict[int, Tensor],
    second: dict[int, Tensor],
    code: Float[Tensor, "batch width"],
) -> Float[Tensor, "batch width"]:
    parents = program.parents[column]
    law = code.clone()
    if not parents:
        return law
    read = [program.parent_codes(column, codes, tuple(code.shape[:1])) for codes in (first, second)]
    moved = (read[0] != read[1]).any(-1).nonzero()[:, 0]
    if not len(moved):
        return law
    # One kernel for each pair of rows that occurs.
    pairs, place = torch.cat(read, 1)[moved].unique(dim=0, return_inverse=True)
    mechanism = program.laws[column].mechanism
    p, q = (mechanism.log_probs(rows).exp() for rows in pairs.split(len(parents), 1))
    size = p.shape[-1]
    own, found = code[moved, :size].to(p), code.new_zeros(len(moved), size)
    for start in range(0, len(pairs), max(1, KERNEL_BUDGET // size**2)):
        stop = start + max(1, KERNEL_BUDGET // size**2)
        here = ((place >= start) & (place < stop)).nonzero()[:, 0]
        kernel = coupling.kernel(p[start:stop], q[start:stop])[place[here] - start]
        found[here] = (own[here, None] @ kernel)[:, 0].to(found)
    law[moved] = 0
    law[moved, :size] = found
    return law
