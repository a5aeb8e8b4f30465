"""One fine-tuning by two processes beside one: the same steps, so the same model, in less time.

    python -m benchmarks --only parallel

CLINC150 (small), whose training texts a BERT classifier learns by a fixed number of steps. Each side is
started by torchrun with one thread a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.classify import Part, data_file, labelled_run
from benchmarks.results import Row, write_result

SIZES = {"full": 120, "small": 6}  # steps
PROCESSES = (1, 2)


def run(size: str, home: str) -> None:
    from benchmarks.movielens import split_movielens

    file = data_file("clinc150_small.json")
    if file is None:
        print("parallel: clinc150_small.json is not in ../shared/data, so nothing is measured.")
        return
    encoder = split_movielens(Path(home)).encoder
    one, two = (_fit(Path(home), str(file), encoder, SIZES[size], count) for count in PROCESSES)
    rows = [
        Row("steps a second of two processes (peer: of one)", two["rate"], "steps/s", one["rate"],
            target="ratio_to_peer >= 1.5"),
        Row("accuracy after them (peer: by one)", two["accuracy"], "share", one["accuracy"]),
        Row("loss of the last tenth of the steps (peer: by one)", two["loss"], "nats", one["loss"],
            higher_is_better=False),
    ]  # fmt: skip
    notes = (
        f"{SIZES[size]} steps of full fine-tuning, batches of 32, on the machine's two cores; start, first "
        "fit of the head and the judging are not counted. What differs is what dropout drops."
    )
    write_result("parallel", size, rows, notes, ("torch", "transformers"))


def _fit(home: Path, file: str, encoder: str, steps: int, processes: int) -> dict[str, float]:
    out = home / f"by-{processes}.json"
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        sys.executable,
        *torchrun,
        "-m",
        "benchmarks.parallel",
        file,
        encoder,
        str(steps),
        str(out),
    ]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    measured: dict[str, float] = json.loads(out.read_text())
    return measured


def fit(file: str, encoder: str, steps: int, out: Path) -> None:
    """Fit in this process, one of several; the first writes what it measured."""
    from inference.classifiers import CLASSIFIERS
    from inference.options import FitOptions
    from inference.process_group import place
    from inference.serving.label_costs import NO_COSTS

    data = json.loads(Path(file).read_text(encoding="utf-8"))
    parts = [_part(data[name]) for name in ("train", "test")]
    labelled = labelled_run(str(out.parent), *parts, NO_COSTS)
    times, losses = [], []

    def note(_step: int, loss: float) -> None:
        times.append(time.perf_counter())
        losses.append(loss)

    params = {"method": "full", "most_steps": steps, "batch": 32}
    options = FitOptions(encoder=encoder, params=params, curve=note)
    draft = CLASSIFIERS["bert"].fit(labelled.earlier, options)
    if place():
        return
    tail = losses[-max(1, len(losses) // 10) :]
    measured = {
        "rate": (len(times) - 1) / (times[-1] - times[0]),  # each step is noted: there are few
        "accuracy": labelled.judge(draft).scores.mean("accuracy"),
        "loss": sum(tail) / len(tail),
    }
    out.write_text(json.dumps(measured))


def _part(pairs: list[list[str]]) -> Part:
    return Part([text for text, _ in pairs], [{}] * len(pairs), [label for _, label in pairs])


if __name__ == "__main__":
    fit(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
