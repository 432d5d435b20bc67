"""``python -m benchmarks.page``: rebuilds the tables of the benchmarks page from the records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "explanation" / "benchmarks.md"
START, END = "<!-- tables: rebuilt by python -m benchmarks.page -->", "<!-- end of tables -->"
MINI = (
    ("action_accuracy", "accuracy"),
    ("action_nll", "NLL, nats"),
    ("slots_changed", "slots changed"),
    ("matched_nmi", "matched NMI"),
    ("edit_atomicity", "edits atomic"),
    ("reconstruction_all_factors", "all factors right"),
    ("composition_accuracy", "two actions"),
    ("cpu_seconds", "CPU s"),
)
DEMO = (
    ("action_accuracy", "accuracy"),
    ("action_nll", "NLL, nats"),
    ("slots_changed", "slots changed"),
    ("slots_changed_exactly_one", "exactly one"),
    ("edit_atomicity", "edits atomic"),
    ("cpu_seconds", "CPU s"),
)
SUPERVISION = (
    ("action_accuracy", "accuracy"),
    ("action_nll", "NLL, nats"),
    ("unseen_accuracy", "accuracy on combinations held out"),
    ("cpu_seconds", "CPU s"),
)
PUBLISHED = (
    ("action_accuracy", "accuracy"),
    ("averaged_accuracy", "accuracy, 5 draws averaged"),
    ("action_nll", "NLL, nats"),
    ("factor_accuracy", "factor right"),
    ("slot_accuracy", "codes after right"),
    ("squared_error", "squared error of the image after"),
    ("pairs_per_second", "pairs per second"),
    ("cpu_seconds", "CPU s"),
)
GRAPHS = (
    ("graph_shd", "interventional BDeu"),
    ("graph_shd_pc", "PC"),
    ("graph_shd_ges", "GES"),
    ("graph_shd_true_factors", "interventional, true factors"),
    ("graph_shd_empty", "empty graph"),
)


def tables() -> str:
    """Writes all tables.

    Returns:
        Markdown.
    """
    parts = []
    for name, writer in (
        ("mini_sprites", _mini),
        ("published", _published),
        ("supervision", _supervision),
        ("supervision_lpc", _supervision),
        ("world", _world),
        ("lpc", _demo),
        ("dsprites", _demo),
        ("rejection", _rejection),
        ("calibration", _calibration),
        ("retrieval_speed", _speed),
        ("scm_speed", _scm_speed),
        ("scm_scale", _scm_scale),
        ("graph_discovery", _graph_discovery),
        ("graph_noise", _graph_noise),
        ("graph_scale", _graph_scale),
    ):
        path = DOCS / "_records" / f"{name}.json"
        if path.is_file():
            record = json.loads(path.read_text())
            parts.append(f"{writer(record)}\n\n{_provenance(record)}\n")
    return "\n".join(parts)


def _provenance(record: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return f"Record `{record['benchmark']}.json`: commit {record['commit']}, {versions}, CPU."


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join([_row(head), _row(rule), *(_row(row) for row in rows)])


def _figure(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    if isinstance(value, int) or abs(value) >= 20:
        return f"{value:.0f}"
    return f"{value:.4f}"


def _spread(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    figures = [float(row[key]) for row in rows if key in row]
    if not figures:
        return "-"
    mean = sum(figures) / len(figures)
    if len(figures) == 1:
        return _figure(mean)
    return f"{_figure(mean)} ({_figure(min(figures))} to {_figure(max(figures))})"


def _mini(record: Mapping[str, Any]) -> str:
    rows = record["rows"]
    body = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        body.append([method, *(_spread(mine, key) for key, _ in MINI)])
    text = "## Mini-sprites\n\nFive image splits, seeds 0 to 4: mean (lowest to highest).\n\n"
    text += _table(["method", *(title for _, title in MINI)], body)
    pooled = []
    for targets in ("known", "matched"):
        start, summary = f"slots, targets {targets}: ", record["summary"]
        low, high = summary[start + "calibration band"]
        pooled.append([
            f"targets {targets}",
            summary[start + "pooled pairs"],
            _figure(summary[start + "pooled accuracy"]),
            _figure(summary[start + "pooled calibration error"]),
            f"{low:.4f} to {high:.4f}",
        ])
    head = ["pooled over the splits", "pairs", "accuracy", "calibration error", "95 % band"]
    return f"{text}\n\n{_table(head, pooled)}"


def _published(record: Mapping[str, Any]) -> str:
    rows, summary = record["rows"], record["summary"]
    methods = dict.fromkeys(row["method"] for row in rows if row["method"] != "codes")
    body = [
        [name, *(_spread([r for r in rows if r["method"] == name], key) for key, _ in PUBLISHED)]
        for name in methods
    ]
    codes = [row for row in rows if row["method"] == "codes"]
    seeds = ", ".join(str(row["seed"]) for row in codes)
    train, valid, test = summary["pairs"]
    figures = "; ".join(
        f"{title} {_spread(codes, key)}"
        for key, title in (
            ("squared_error", "squared error of reconstruction"),
            ("codes_used", "codes used of 32"),
            ("perplexity", "perplexity"),
            ("slots_changed", "slots of 16 that one action changes"),
            ("pairs_with_equal_codes", "share of pairs with equal codes"),
            ("slot_accuracy_copying", "codes after right by copying those before"),
            ("squared_error_copying", "squared error by copying the image before"),
            ("squared_error_codes_before", "by drawing the codes before"),
            ("squared_error_codes_after", "by drawing the true codes after"),
        )
    )
    memory = [
        [
            row["layer"],
            *(_figure(row[k]) for k in ("pairs", "tensors_mb", "second_step_mb", "process_mb")),
        ]
        for row in summary["memory"]
    ]
    head = ["layer", "pairs in a batch", "tensors, MB", "process, second step, MB"]
    head.append("process, first step with parameters and Adam, MB")
    return "\n\n".join([
        "## The published CT-VAE on mini-sprites",
        f"{train:,} pairs for training, {valid} for validation, {test} for test, one split; seeds "
        f"{seeds}: mean (lowest to highest). All methods read the codes of one published "
        "autoencoder (1,070 steps of 64 images); layers take 1,650 steps of 32 rows. A published "
        "layer is random at evaluation, and so is scored five times.",
        _table(["method", *(title for _, title in PUBLISHED)], body),
        f"The codes themselves: {figures}.",
        "Memory of one training step of retrieval, forward and backward over 12 actions at 64 "
        "slots, 64 codes, hidden widths 800 and 100; the published code takes 1,570 MB for each "
        "pair, measured as in the last column at two pairs, without torch itself.",
        _table(head, memory),
    ])


def _supervision(record: Mapping[str, Any]) -> str:
    names = {
        "supervision": "Mini-sprites with less supervision",
        "supervision_lpc": "LPC sprites with less supervision (characters held out)",
    }
    head = ["training pairs", "seeds", "labels", "pairs used", *(t for _, t in SUPERVISION)]
    body = []
    for regime in dict.fromkeys(row["regime"] for row in record["rows"]):
        mine = [row for row in record["rows"] if row["regime"] == regime]
        counts = [sum(row[key] for row in mine) / len(mine) for key in ("labels", "pairs_used")]
        cells = [_spread(mine, key) for key, _ in SUPERVISION]
        body.append([regime, len(mine), *(f"{count:.0f}" for count in counts), *cells])
    text = f"## {names[record['benchmark']]}\n\nMean over the seeds (lowest to highest).\n\n"
    return text + _table(head, body)


def _world(record: Mapping[str, Any]) -> str:
    rows = record["rows"]
    text = "## The built-in world\n\nOne row per seed; graph columns are SHD to the truth.\n\n"
    head = ["seed", *(t for _, t in DEMO), *(t for _, t in GRAPHS), "wrong codes, worst slot"]
    body = [
        [
            row["seed"],
            *(_figure(row[key]) for key, _ in DEMO),
            *(_figure(row[key]) for key, _ in GRAPHS),
            _figure(max(v for k, v in row.items() if k.startswith("wrong_codes_"))),
        ]
        for row in rows
    ]
    return text + _table(head, body)


def _demo(record: Mapping[str, Any]) -> str:
    names = {"lpc": "LPC sprites (real images, characters held out)", "dsprites": "dSprites"}
    head = ["actions", "seed", *(title for _, title in DEMO), "codes", "status and alarms"]
    body = [
        [
            row["actions"],
            row["seed"],
            *(_figure(row[key]) for key, _ in DEMO),
            " ".join(str(v) for k, v in row.items() if k.startswith("codes_")),
            ", ".join(row["alarms"]) or row["status"],
        ]
        for row in record["rows"]
    ]
    return f"## {names[record['benchmark']]}\n\n{_table(head, body)}"


def _speed(record: Mapping[str, Any]) -> str:
    row = record["rows"][0]
    head = ["1e5 pairs, 16 slots, 10 actions, one thread", "seconds", "pairs per second"]
    body = [
        [
            "one packed pass (posterior and evidence)",
            _figure(row["packed_seconds"]),
            f"{row['packed_pairs_per_second']:.0f}",
        ],
        [
            "a loop over actions (posterior)",
            _figure(row["loop_over_actions_seconds"]),
            f"{row['pairs'] / row['loop_over_actions_seconds']:.0f}",
        ],
    ]
    return f"## Retrieval on codes\n\n{_table(head, body)}"


def _rejection(record: Mapping[str, Any]) -> str:
    """Sequences, then a table of areas for each data set: families across, methods down."""
    rows = record["rows"]
    text = (
        "## Retrieval that a classifier cannot do\n\nActions of one step. Sequences are up to "
        "exact equivalence, from the slots alone; none was trained on, none ends where it began."
    )
    walked = [row for row in rows if row["what"] == "sequences"]
    lengths = [f"accuracy, length {length}" for length in (1, 2, 3)]
    parts = [text, _grouped(walked, ("data",), lengths)]
    parts.append(
        "How well pairs that no known action explains are told from pairs of known actions: area "
        "under the ROC curve. *Withheld action*: judged by what was trained without its pairs, "
        "all methods alike. *Nuisance only*: the pose changes and nothing else; "
        "*nuisance and a step*: a known action and the pose at once."
    )
    for data in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == data and row["what"] == "rejection"]
        across = list(dict.fromkeys(row["family"] for row in mine))
        body = []
        for method in dict.fromkeys(row["method"] for row in mine):
            own = [row for row in mine if row["method"] == method]
            cells = [[row["auroc"] for row in own if row["family"] == name] for name in across]
            body.append([method, *(_over_seeds(cell) for cell in cells)])
        parts.append(_table([data, *across], body))
    return "\n\n".join(parts)


def _calibration(record: Mapping[str, Any]) -> str:
    text = (
        "## Calibration on independent pairs\n\nThe built-in world, one pair to a fresh scene. The "
        "band holds the calibration error of 95 % of perfectly calibrated models of these "
        "confidences; *reliability*, *resolution* and *uncertainty* decompose the Brier score of "
        "the answer being right (15 bins). Temperatures are of other fresh scenes."
    )
    head = ("seed", "posterior", "temperature", "pairs", "accuracy", "NLL", "calibration error")
    keys = ("brier", "brier_reliability", "brier_resolution", "brier_uncertainty")
    body = [
        [
            *(row["seed"], row["posterior"], _rounded(row["temperature"]), row["pairs"]),
            *(_figure(row[key]) for key in ("accuracy", "nll", "calibration_error")),
            f"{row['band_low']:.4f} to {row['band_high']:.4f}",
            *(f"{row[key]:.5f}" for key in keys),
        ]
        for row in record["rows"]
    ]
    titles = ("Brier", "reliability", "resolution", "uncertainty")
    return f"{text}\n\n{_table([*head, '95 % band', *titles], body)}"


def _scm_speed(record: Mapping[str, Any]) -> str:
    parts = ["## The SCM engine beside its rivals\n\nOne thread; each table is one run."]
    rows = record["rows"]
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == what]
        keys = list(dict.fromkeys(key for row in mine for key in row if key != "what"))
        body = [[_rounded(row.get(key)) for key in keys] for row in mine]
        head = [what, *(key.replace("ratio", "times the first row") for key in keys[1:])]
        parts.append(_table(head, body))
    return "\n\n".join(parts)


def _scm_scale(record: Mapping[str, Any]) -> str:
    rows = record["rows"]
    sizes = list(dict.fromkeys(row["slots"] for row in rows))
    parts = [
        "## Exact answers from 10 to 1,000 slots",
        "Four codes a slot, three parents in the random graphs. The first figure is the largest "
        "table that the answer needs, in entries, the second the CPU time of the answer once its "
        "order is known; a refused query has the first alone.",
        "![Largest table and time of an answer over the number of slots](../_static/scm_scale.png)",
    ]
    for question in dict.fromkeys(row["question"] for row in rows):
        body = []
        for graph in dict.fromkeys(row["graph"] for row in rows):
            mine = {r["slots"]: r for r in rows if (r["graph"], r["question"]) == (graph, question)}
            body.append([graph, *(_answered(mine[size]) for size in sizes)])
        parts.append(_table([question, *(f"{size:,} slots" for size in sizes)], body))
    return "\n\n".join(parts)


def _graph_discovery(record: Mapping[str, Any]) -> str:
    rows = record["rows"]
    parts = [
        "## Graphs of published networks",
        "One thread; columns permuted; mean (lowest to highest) over seeds 0 to 2. SHD is to the "
        "DAG unless it says otherwise. Every slot is the target of one regime of 512 rows beside "
        "5,000 observational ones: drawn evenly, its law half mixed with an even draw, or set to "
        "its first code. *F1 of targets* is over all pairs of a regime and a slot; in asia an even "
        "draw of smoke changes nothing, so that .933 is the most there. *Regime nodes + GES* adds "
        "an indicator of every regime as a node; it was not run on child, where 20 indicators that "
        "exclude one another form too many cliques. *Constant column* and *largest marginal "
        "change* are told that every regime has exactly one target; the others are not.",
    ]
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == what]
        names = [k for k in ("network", "rows", "method") if k in mine[0]]
        skip = {"what", "seed", "status", *names}
        keys = [k for k in dict.fromkeys(k for row in mine for k in row) if k not in skip]
        parts.append(f"**{what[0].upper()}{what[1:]}**\n\n{_grouped(mine, names, keys)}")
    return "\n\n".join(parts)


def _graph_noise(record: Mapping[str, Any]) -> str:
    text = (
        "## Codes that are misread\n\nSHD to the DAG, mean (lowest to highest) over seeds 0 to 2, "
        "of `OrderMCMC` on the codes as read, and of `NoiseCorrected` around it with confusion "
        "matrices estimated from 1,000 labelled rows. A wrong code is any other one, in every slot "
        "independently.\n\n![SHD against misread codes](../_static/graph_noise.png)"
    )
    keys = ("SHD, codes as read", "SHD, corrected", "CPU s, codes as read", "CPU s, corrected")
    names = ("network", "rows", "codes misread")
    return f"{text}\n\n{_grouped(record['rows'], names, keys)}"


def _graph_scale(record: Mapping[str, Any]) -> str:
    text = (
        "## Graphs of up to 1,000 slots\n\nRandom DAGs of average degree 4 over slots of 3 codes, "
        "10,000 observational rows, one thread, one graph of each size; GES was run "
        "up to 300 slots, BOSS and GRaSP up to 100.\n\n![time and SHD](../_static/graph_scale.png)"
    )
    keys = ("CPU s", "edges", "SHD to the CPDAG")
    return f"{text}\n\n{_grouped(record['rows'], ('method', 'slots'), keys)}"


def _grouped(rows: Sequence[Mapping[str, Any]], names: Sequence[str], keys: Sequence[str]) -> str:
    """A line for all rows that agree in some names, with means over the seeds."""
    body = []
    for group in dict.fromkeys(tuple(row[k] for k in names) for row in rows):
        own = [row for row in rows if tuple(row[k] for k in names) == group]
        body.append([*group, *(_over_seeds([row.get(key) for row in own]) for key in keys)])
    rule = ["---"] * len(names) + ["---:"] * len(keys)
    return "\n".join([_row([*names, *keys]), _row(rule), *(_row(line) for line in body)])


def _over_seeds(values: Sequence[object]) -> str:
    if all(isinstance(value, bool) for value in values):
        return f"{sum(map(bool, values))} of {len(values)}"
    figures = [float(value) for value in values if isinstance(value, int | float)]
    if not figures:
        return "-"
    mean = _rounded(sum(figures) / len(figures))
    if min(figures) == max(figures):
        return mean
    return f"{mean} ({_rounded(min(figures))} to {_rounded(max(figures))})"


def _answered(row: Mapping[str, Any]) -> str:
    entries, taken = _rounded(row["entries"]), row["answer, CPU ms"]
    return f"{entries}, refused" if taken is None else f"{entries}, {_rounded(taken)} ms"


def _rounded(value: object) -> str:
    """Three digits, as a plain number up to a hundred million."""
    if not isinstance(value, int | float):
        return "-" if value is None else str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e8:
        return f"{float(f'{value:.3g}'):,.15g}"
    return f"{value:.1e}"


def rebuilt(page: str) -> str:
    """Replaces the tables of a page.

    Args:
        page: The page.

    Returns:
        The page with the tables of the present records.
    """
    before, rest = page.split(START)
    return f"{before}{START}\n\n{tables()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(rebuilt(PAGE.read_text()))
    print(f"rebuilt {PAGE.relative_to(DOCS.parent)}")
