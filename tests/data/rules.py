"""Random sets of actions over random grids, of every kind and any number per factor."""

from __future__ import annotations

from hypothesis import strategies as st

from ctvae.data import (
    JointEdits,
    NoOps,
    OnFactors,
    PairRule,
    PermuteValues,
    SetAtRandom,
    SetTo,
    SeveralRules,
    StepAround,
    StepBy,
)


@st.composite
def several_rules(draw: st.DrawFn, factors: int, *, joint: bool) -> SeveralRules:
    """Some kinds for each factor, which join its values; joint edits and a no-op perhaps."""
    seed = draw(st.integers(0, 100))
    kinds: list[PairRule] = [
        StepBy(),
        StepAround(),
        SetTo(),
        SetAtRandom(),
        PermuteValues(seed),
        PermuteValues(seed, count=2),
        SeveralRules((StepBy(), SetTo())),
        SeveralRules((PermuteValues(seed), SetAtRandom())),
    ]
    names = [f"f{k}" for k in range(factors)]
    rules: list[PairRule] = [OnFactors((n,), draw(st.sampled_from(kinds))) for n in names]
    if joint:
        pair = draw(st.permutations(names))[:2]
        both = tuple(OnFactors((n,), draw(st.sampled_from(kinds[:5]))) for n in pair)
        rules.append(JointEdits(both))
    if draw(st.booleans()):
        rules.append(NoOps())
    return SeveralRules(tuple(rules))
