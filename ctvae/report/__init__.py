"""One run as one self-contained HTML page: pictures, graphs, tables and answers."""

from ctvae.report.content import (
    ActionCase,
    Baseline,
    Calibration,
    Confusion,
    EditGrid,
    EditRow,
    Effects,
    GraphPanel,
    ReportContent,
    Tile,
    WorldStrip,
    WrongCodes,
)
from ctvae.report.page import render, write_report

__all__ = [
    "ActionCase",
    "Baseline",
    "Calibration",
    "Confusion",
    "EditGrid",
    "EditRow",
    "Effects",
    "GraphPanel",
    "ReportContent",
    "Tile",
    "WorldStrip",
    "WrongCodes",
    "render",
    "write_report",
]
