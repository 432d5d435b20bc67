"""One table of bad input: each case is told what, where and the way out, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input.interventions import INTERVENTIONS
from tests.bad_input.models import MODELS
from tests.bad_input.questions import QUESTIONS
from tests.bad_input.subjects import Case, make_subjects, snapshot
from tests.bad_input.units import FITS, UNITS

BAD = MODELS | INTERVENTIONS | QUESTIONS | UNITS | FITS


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_is_told_and_changes_nothing(case: Case, tmp_path: Path) -> None:
    ask, error, told = case
    subjects = make_subjects(tmp_path)
    before = snapshot(subjects)
    with pytest.raises(error) as refused:
        ask(subjects)
    assert type(refused.value) is error, "a narrower class says more than its base"
    message = str(refused.value)
    for fragment in told:
        assert fragment in message, f"{fragment!r} is not in {message!r}"
    assert "\n" not in message
    assert snapshot(subjects) == before
