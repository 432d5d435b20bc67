"""Comparisons of methods under one budget: runs with records, tables made from them."""

from ctvae.bench.matrix import Matrix, run_matrix
from ctvae.bench.methods import METHODS, NOT_RUN, check_methods
from ctvae.bench.problems import Problem
from ctvae.bench.records import Record, RunKey, read_records, write_record
from ctvae.bench.scoring import Judging, judge
from ctvae.bench.slots import LearnedSlots
from ctvae.bench.table import render_table

__all__ = [
    "METHODS",
    "NOT_RUN",
    "Judging",
    "LearnedSlots",
    "Matrix",
    "Problem",
    "Record",
    "RunKey",
    "check_methods",
    "judge",
    "read_records",
    "render_table",
    "run_matrix",
    "write_record",
]
