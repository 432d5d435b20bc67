"""Scores that need a model: retrieval, slots, their graph, edits judged by true pictures."""

from ctvae.evaluation.edits import EditScores, score_edits
from ctvae.evaluation.graphs import SlotGraphScores, factor_graph, score_slot_graph
from ctvae.evaluation.judges import GridJudge, Judge, WorldJudge
from ctvae.evaluation.retrieval import RetrievalScores, score_retrieval
from ctvae.evaluation.slots import SlotScores, score_slots

__all__ = [
    "EditScores",
    "GridJudge",
    "Judge",
    "RetrievalScores",
    "SlotGraphScores",
    "SlotScores",
    "WorldJudge",
    "factor_graph",
    "score_edits",
    "score_retrieval",
    "score_slot_graph",
    "score_slots",
]
