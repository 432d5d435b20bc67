"""Columns that say nothing of a graph: constants, and numbers of the rows."""

from __future__ import annotations

from collections.abc import Sequence

from ctvae.graph.knowledge import Constraints
from ctvae.regimes import Samples

__all__ = ["column_warnings", "without_constants"]


def column_warnings(samples: Samples) -> tuple[str, ...]:
    """Says which columns can say nothing, or look as if they were no variable.

    Args:
        samples: Rows, at least one.

    Returns:
        A sentence for the columns that hold one code in all rows, and one for those with more
        than half as many codes as rows.

    Example:
        >>> import torch
        >>> from ctvae.slots import SlotSpace
        >>> codes = torch.stack([torch.arange(8), torch.zeros(8, dtype=torch.long)], 1)
        >>> for warning in column_warnings(
        ...     Samples(codes, SlotSpace.from_cardinalities({"id": 8, "sex": 2}))
        ... ):
        ...     print(warning)
        sex: one code in all 8 rows, of which no edge can be learned
        id: 8 codes in 8 rows; leave the column out if it numbers the rows

    Cost: one pass over the rows, and a sort of each column with that wide a range.
    """
    codes, names = samples.codes, samples.slots.names
    if not len(codes):
        return ()
    span = (codes.amax(0) - codes.amin(0)).tolist()
    found = []
    constant = [name for name, wide in zip(names, span, strict=True) if not wide]
    if constant and len(codes) > 1:
        found.append(
            f"{', '.join(constant)}: one code in all {len(codes)} rows, of which no edge can be "
            "learned"
        )
    for column, (name, wide) in enumerate(zip(names, span, strict=True)):
        if 2 * (wide + 1) <= len(codes) or not wide:
            continue
        held = len(codes[:, column].unique())
        if 2 * held > len(codes):
            found.append(
                f"{name}: {held} codes in {len(codes)} rows; leave the column out if it numbers "
                "the rows"
            )
    return tuple(found)


def without_constants(rules: Constraints, samples: Samples, columns: Sequence[int]) -> Constraints:
    """Rules out edges of which the rows say nothing, so that no prior puts them into a graph.

    A slot that holds one code in all rows has no edges; one that does so wherever it was not set
    has no parents.

    Args:
        rules: What is known, which stays.
        samples: Rows.
        columns: The column of the rows that each column of the rules stands for.

    Returns:
        The rules with more edges forbidden.
    """
    codes = samples.codes[:, list(columns)]
    constant = (codes == codes[:1]).all(0)
    unmoved = constant
    if samples.targets is not None:
        set_ = samples.targets[:, list(columns)]
        low, high = codes.masked_fill(set_, codes.max() + 1), codes.masked_fill(set_, -1)
        unmoved = low.amin(0) == high.amax(0)  # never where all rows were set
    silent = (constant[:, None] | unmoved[None]).cpu().numpy()
    return Constraints(rules.required, rules.forbidden | (silent & ~rules.required))
