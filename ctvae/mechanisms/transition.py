"""The two-slice law of a unit under labelled actions, packed for retrieval."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.counting import pair_tables
from ctvae.errors import MechanismError, ShapeError
from ctvae.mechanisms.actions import Action, action_index, check_names, retarget, target_mask

__all__ = ["TransitionProgram"]

UNSEEN_LEAK = 0.01
"""Where an action was never seen from a code, the slot copies but for this probability."""
COPY_PRIOR = 3.0
"""Extra prior weight of the diagonal of a copying slot, in units of the smoothing."""
SAME_KERNEL = 0.05
"""Rows of two kernels within this total variation distance count as one (tables are learned)."""
MAX_SEQUENCES = 50_000
"""More action sequences than this are refused: every one of them is scored."""


class TransitionProgram:
    r"""One kernel per action and slot: where each code goes.

    .. math:: \log p(z' \mid z, a) = \sum_k \log T_{a,k}(z'_k \mid z_k)

    The slots that an action targets have a kernel of its own; all others share, over all actions,
    the slot's copying kernel with its learned leak. An action of several targets has one kernel in
    each: given the codes before, their new codes are independent. Where they are not (a random
    move that takes two slots the same way) this law holds for each slot, and not for both at once.
    This is the law of pairs of the edit regime,
    where descendants are held and the parents of a slot therefore drop out. Immutable.

    Args:
        kernels: ``(actions, slots, codes, codes)``, ``[a, k, u, v]`` the probability of v after u;
            rows sum to one over the slot's own codes and are zero beyond them.
        cardinalities: The number of codes of each slot; ``codes`` is the largest.
        actions: What the first axis means.

    Raises:
        ShapeError: When the shape does not fit.
        MechanismError: When a row is no probability vector.

    Example:
        >>> swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
        >>> stay = torch.eye(2).double()
        >>> from ctvae.mechanisms.actions import SetAction
        >>> program = TransitionProgram(
        ...     torch.stack([swap, stay])[:, None],
        ...     [2],
        ...     [SetAction("a", 0, 0), SetAction("b", 0, 1)],
        ... )
        >>> program.kernels.shape
        torch.Size([2, 1, 2, 2])

    Cost: O(actions * slots * codes^2) memory; sequences of length L need the power
    ``actions^L``.
    """

    def __init__(
        self,
        kernels: Float[Tensor, "actions slots codes codes"],
        cardinalities: Sequence[int],
        actions: Sequence[Action],
    ) -> None:
        self.actions = check_names(actions)
        self.cardinalities = tuple(cardinalities)
        codes = max(self.cardinalities)
        expected = (len(self.actions), len(self.cardinalities), codes, codes)
        if tuple(kernels.shape) != expected:
            msg = (
                f"kernels must be (actions, slots, codes, codes) = {expected}, got {kernels.shape}"
            )
            raise ShapeError(msg)
        sizes = torch.tensor(self.cardinalities, device=kernels.device)
        real = torch.arange(codes, device=kernels.device) < sizes[:, None]
        sums = kernels.double().sum(-1)
        inside = torch.where(real, sums, torch.ones_like(sums))
        if bool((kernels < 0).any()) or not torch.allclose(inside, torch.ones_like(inside)):
            worst = float((inside - 1).abs().max())
            msg = f"rows of a kernel must be probabilities; the worst sum is off by {worst:.2g}"
            raise MechanismError(msg)
        self.kernels = kernels.double()
        self._sequences: dict[int, tuple[Tensor, Tensor]] = {}
        self._packed: dict[int, Tensor] = {}
        self._classes: dict[int, Tensor] = {}

    def __repr__(self) -> str:
        return f"TransitionProgram({len(self.actions)} actions, codes {self.cardinalities})"

    @classmethod
    def fit(
        cls,
        before: Int[Tensor, "pairs slots"],
        action: Int[Tensor, " pairs"],
        after: Int[Tensor, "pairs slots"],
        *,
        actions: Sequence[Action],
        cardinalities: Sequence[int],
        smoothing: float = 0.1,
        held: Bool[Tensor, "pairs slots"] | None = None,
    ) -> TransitionProgram:
        """Counts the kernels of labelled pairs, in closed form.

        The kernel of an action in each of its targets is counted over its pairs; a slot's copying
        kernel over all pairs whose action does not target it. Rows (action, code) that never occur
        copy, because an action that cannot be taken there says nothing about where it would lead.

        Args:
            before: Codes before.
            action: Labels in ``[0, actions)``.
            after: Codes after.
            actions: What the labels mean; the targets of every one are known.
            cardinalities: The number of codes of each slot.
            smoothing: Prior count of every cell of a row that was seen.
            held: Which slots of which pairs nothing moved, neither an action nor, where descendants
                respond, a parent; all that the action does not target where ``None``.

        Returns:
            The counted law.

        Raises:
            UnknownActionError: When the targets of an action are not known.

        Cost: two passes over the pairs.
        """
        slots, codes = len(cardinalities), max(cardinalities)
        device = before.device
        own = target_mask(actions, slots, device)
        sizes = torch.tensor(list(cardinalities), device=device)
        real = (torch.arange(codes, device=device) < sizes[:, None]).double()
        held = ~own[action] if held is None else held & ~own[action]
        copies = pair_tables(before, after, codes, weights=held.double())
        eye = torch.eye(codes, device=device).double()
        cells = real[:, :, None] * real[:, None, :]
        copy = copies + smoothing * cells + COPY_PRIOR * smoothing * eye
        copy = copy / copy.sum(-1, keepdim=True)
        # (actions, slots, codes, codes): the moves of each action in each of its targets
        pair, slot = own[action].nonzero(as_tuple=True)
        index = ((action[pair] * slots + slot) * codes + before[pair, slot]) * codes
        index = index + after[pair, slot]
        counts = torch.bincount(index, minlength=own.numel() * codes**2).double()
        counts = counts.reshape(*own.shape, codes, codes)
        seen = counts.sum(-1, keepdim=True) > 0
        moves = counts + smoothing * cells
        moves = moves / moves.sum(-1, keepdim=True).clamp(min=1e-300)
        stay = (1 - UNSEEN_LEAK) * eye + UNSEEN_LEAK * real[:, None] / sizes[:, None, None]
        moves = torch.where(seen, moves, stay)
        kernels = torch.where(own[..., None, None], moves, copy)
        return cls(kernels * cells, cardinalities, actions)

    def to(self, device: torch.device | str) -> TransitionProgram:
        """Moves the law.

        Args:
            device: Where to.

        Returns:
            The same law on the device.
        """
        return TransitionProgram(self.kernels.to(device), self.cardinalities, self.actions)

    def permuted(
        self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]
    ) -> TransitionProgram:
        """Renames slots and codes; the actions' targets follow.

        Args:
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            The law of the renamed slots.
        """
        width = max(self.cardinalities)
        device = self.kernels.device
        full = [torch.cat([c.cpu(), torch.arange(len(c), width)]) for c in codes]
        take = torch.stack(full).to(device)
        old = torch.tensor(list(slots), device=device)[:, None, None]
        kernels = self.kernels[:, old, take[:, :, None], take[:, None, :]]
        new_slot = {o: n for n, o in enumerate(slots)}
        actions = [retarget(action, new_slot) for action in self.actions]
        return TransitionProgram(kernels, [self.cardinalities[o] for o in slots], actions)

    def sequences(self, length: int) -> Int[Tensor, "sequences length"]:
        """Lists every sequence of actions.

        Args:
            length: The number of actions in a sequence, at least 1.

        Returns:
            Action indices, the first action changing slowest.

        Raises:
            ShapeError: When the length is below 1 or there would be too many sequences.
        """
        return self._unrolled(length)[0]

    def _unrolled(self, length: int) -> tuple[Tensor, Tensor]:
        """The sequences of a length, and their kernels (sequences, slots, codes, codes)."""
        # A slot that no action of the sequence targets is read through its leak once, not once
        # per step: the leak is an error of reading. So orders that commute have equal kernels.
        if length not in self._sequences:
            count = len(self.actions) ** max(length, 1)
            if length < 1 or count > MAX_SEQUENCES:
                msg = (
                    f"length {length} over {len(self.actions)} actions gives {count} sequences; "
                    f"between 1 and {MAX_SEQUENCES} are scored: use a shorter length"
                )
                raise ShapeError(msg)
            device = self.kernels.device
            sequences = torch.tensor(
                list(itertools.product(range(len(self.actions)), repeat=length)), device=device
            )
            own = target_mask(self.actions, len(self.cardinalities), device)
            kernels, touched = self.kernels[sequences[:, 0]], own[sequences[:, 0]]
            for step in range(1, length):
                following, hits = self.kernels[sequences[:, step]], own[sequences[:, step]]
                both = kernels @ following
                first, second = touched[..., None, None], hits[..., None, None]
                kernels = torch.where(second, torch.where(first, both, following), kernels)
                touched = touched | hits
            self._sequences[length] = (sequences, kernels)
        return self._sequences[length]

    def kernels_of(self, length: int) -> Float[Tensor, "sequences slots codes codes"]:
        """Gives the kernels of every sequence of a length.

        Args:
            length: The number of actions in a sequence.

        Returns:
            Probabilities; intermediate codes are summed out exactly.

        Cost: O(actions^length * slots * codes^3), once.
        """
        return self._unrolled(length)[1]

    def packed_log(self, length: int) -> Float[Tensor, "cells sequences"]:
        """Packs the log-kernels so that one row serves all sequences of a cell.

        Args:
            length: The number of actions in a sequence.

        Returns:
            ``(slots * codes * codes, sequences)`` nats: row ``(k * codes + u) * codes + v``.
        """
        if length not in self._packed:
            kernels = self.kernels_of(length)
            # Cells that never occur get a finite floor, so that no -inf meets -inf.
            floored = kernels.clamp(min=1e-300).log()
            self._packed[length] = floored.permute(1, 2, 3, 0).flatten(0, 2).contiguous()
        return self._packed[length]

    def row_classes(self, length: int) -> Int[Tensor, "sequences slots codes"]:
        """Numbers, for every slot and code, the sequences that do the same from there.

        Args:
            length: The number of actions in a sequence.

        Returns:
            The class of each sequence's kernel row; rows within a total variation distance of
            .05 of the first of their class are one.

        Cost: O(slots * codes * classes * sequences * codes), once.
        """
        if length not in self._classes:
            rows = self.kernels_of(length).permute(1, 2, 0, 3)  # slots, codes, sequences, codes
            classes = torch.full(rows.shape[:3], -1, device=rows.device)
            number = 0
            while bool((classes < 0).any()):
                first = (classes < 0).int().argmax(-1)
                leader = rows.gather(2, first[..., None, None].expand(-1, -1, 1, rows.shape[-1]))
                near = (rows - leader).abs().sum(-1) / 2 <= SAME_KERNEL
                classes = torch.where((classes < 0) & near, number, classes)
                number += 1
            self._classes[length] = classes.permute(2, 0, 1).contiguous()
        return self._classes[length]

    def index(self, key: int | str) -> int:
        """Gives the position of an action.

        Args:
            key: A name or an index.

        Returns:
            The index in ``[0, actions)``.
        """
        return action_index(self.actions, key)
