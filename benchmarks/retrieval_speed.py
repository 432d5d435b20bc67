"""Retrieval on codes: one packed pass against a loop over actions, one thread, same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks import records
from ctvae.inference.actions import action_posterior
from ctvae.mechanisms import ShiftAction, TransitionProgram

PAIRS, SLOTS, ACTIONS, CODES, REPEATS = 100_000, 16, 10, 8, 7


def run(seeds: Sequence[int] | None = None) -> None:
    """Times 1e5 pairs of 16 slots and 10 actions.

    Args:
        seeds: The seed of the random law; 0 where ``None``.
    """
    generator = torch.Generator().manual_seed((seeds or [0])[0])
    kernels = torch.rand(ACTIONS, SLOTS, CODES, CODES, generator=generator).double()
    kernels = kernels / kernels.sum(-1, keepdim=True)
    actions = [ShiftAction(f"a{k}", k % SLOTS, 1) for k in range(ACTIONS)]
    law = TransitionProgram(kernels, [CODES] * SLOTS, actions)
    before, after = (torch.randint(CODES, (PAIRS, SLOTS), generator=generator) for _ in range(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        packed = _median(lambda: action_posterior(law, before, after).probs)
        loop = _median(lambda: _loop(law, before, after))
        same = torch.allclose(
            action_posterior(law, before, after).probs, _loop(law, before, after), atol=1e-10
        )
    finally:
        torch.set_num_threads(threads)
    row = {
        "pairs": PAIRS,
        "slots": SLOTS,
        "actions": ACTIONS,
        "packed_seconds": packed,
        "packed_pairs_per_second": PAIRS / packed,
        "loop_over_actions_seconds": loop,
        "ratio": loop / packed,
        "equal": same,
    }
    records.show(row)
    records.write("retrieval_speed", [row], {})


def _loop(law: TransitionProgram, before: Tensor, after: Tensor) -> Tensor:
    logs, slot = law.kernels.log(), torch.arange(SLOTS)
    columns = [logs[a, slot, before, after].sum(1) for a in range(ACTIONS)]
    return torch.stack(columns, 1).softmax(1)


def _median(call: Callable[[], Tensor]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return sorted(times)[REPEATS // 2]
