"""``python -m benchmarks [NAME ...]``: runs benchmarks and records their figures."""

from __future__ import annotations

import argparse
import importlib

NAMES = (
    "mini_sprites",
    "published",
    "supervision",
    "supervision_lpc",
    "combinations",
    "causal_worlds",
    "action_kinds",
    "world",
    "lpc",
    "dsprites",
    "rejection",
    "calibration",
    "retrieval_speed",
    "scm_speed",
    "scm_scale",
    "graph_discovery",
    "graph_noise",
    "graph_scale",
)


def main() -> None:
    """Runs the benchmarks named, or all of them; records go to docs/_records/NAME.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; all if left out")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="seeds; each benchmark's own if left out"
    )
    arguments = parser.parse_args()
    for name in arguments.names or NAMES:
        print(f"== {name}")
        importlib.import_module(f"benchmarks.{name}").run(arguments.seeds)


if __name__ == "__main__":
    main()
