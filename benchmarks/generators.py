"""Language models on this machine: how fast SmolLM2 answers, and what SFT and DPO teach it.

    python -m benchmarks --only generators

The preference is one of manner: of two answers to a question of a support chat that say the same, the better
one ends with an offer, the worse one with a formula; both have about the same length. A fifth of the questions
is held out. The figures of training are those of the file that is served, in 8 bits.
"""

from __future__ import annotations

import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.results import Row, write_result

if TYPE_CHECKING:
    from inference.runs.outcome import RunResult
    from inference.training.snapshot import Preferences

TOPICS = (
    "my order", "my parcel", "the invoice", "my refund", "the return label", "my voucher", "the blue jacket",
    "my account", "the delivery date", "the warranty",
)  # fmt: skip
QUESTIONS = (
    ("Where is {}?", "You find {} in your account."),
    ("Can I change {}?", "Yes, until it is shipped."),
    ("What happens with {}?", "We write to you today."),
    ("Who can help me with {}?", "Our team does, by e-mail."),
    ("Is there a problem with {}?", "No, all is well."),
    ("How do I get {}?", "Ask for it in your account."),
)
OFFERS = (
    "Shall I look it up for you?",
    "Can I do more for you?",
    "Shall we call you today?",
    "May I send a link?",
)
FORMULAS = ("Kindly see our terms online.", "This is an automatic reply.", "Do not answer to this text.",
            "Our policy applies as always.")  # fmt: skip
ANSWERS, ANSWER_TOKENS = 16, 48


def run(size: str, home: str) -> None:
    import torch

    from bakeoff.local_models import SMOLLM2
    from inference.encoders.locate import locate_gguf
    from inference.generators.causal_model import import_base

    torch.set_num_threads(1)
    root = Path(home)
    file = locate_gguf(SMOLLM2.partition("=")[2], root / "cache")
    rows = _answering(file)
    start = time.perf_counter()
    base = import_base(file, root / "imported")
    rows.append(
        Row("importing the base, once", time.perf_counter() - start, "s", higher_is_better=False)
    )
    steps = 60 if size == "full" else 8
    for algorithm in ("sft", "dpo"):
        rows += _training(root, base, algorithm, steps)
    notes = (
        "SmolLM2-135M-Instruct, one thread, no GPU. Answers: "
        f"{ANSWERS} of {ANSWER_TOKENS} tokens to prompts of about 40, by one stream and by four at once. "
        f"Training: LoRA of rank 8 on every layer, {steps} steps of 4 rows; a row of DPO is a pair. The peer of "
        "a figure after training is the base model on the same held-out questions."
    )  # fmt: skip
    write_result("generators", size, rows, notes, ("torch", "transformers", "peft", "xllamacpp"))


def _answering(file: Path) -> list[Row]:
    from bakeoff.local_llm.engine import Engine, EngineSize

    start = time.perf_counter()
    engine = Engine(file, EngineSize())
    rows = [Row("loading the model", time.perf_counter() - start, "s", higher_is_better=False)]

    def answer(number: int) -> float:
        question = QUESTIONS[number % len(QUESTIONS)][0].format(TOPICS[number % len(TOPICS)])
        first: list[float] = []
        begun = time.perf_counter()
        fields = {"messages": [{"role": "user", "content": question}], "max_tokens": ANSWER_TOKENS, "seed": 1,
                  "ignore_eos": True}  # fmt: skip
        engine.generate(fields, lambda _: first.append(time.perf_counter() - begun) or True)
        return first[0]

    for streams in (1, 4):
        start = time.perf_counter()
        with ThreadPoolExecutor(streams) as threads:
            waits = sorted(threads.map(answer, range(ANSWERS)))
        rate = ANSWERS * ANSWER_TOKENS / (time.perf_counter() - start)
        rows.append(Row(f"answering, {streams} at once", rate, "tokens/s"))
        rows.append(
            Row(f"first token, {streams} at once, median", 1000 * waits[len(waits) // 2], "ms",
                higher_is_better=False)
        )  # fmt: skip
    return rows


def preferences() -> Preferences:
    from inference.training.snapshot import Preferences

    conversations = [
        (question.format(topic), reply.format(topic))
        for topic, (question, reply) in itertools.product(TOPICS, QUESTIONS)
    ] * 2
    rng = np.random.default_rng(0)
    return Preferences(
        [f"u{n}" for n in range(len(conversations))],
        [[{"role": "user", "content": question}] for question, _ in conversations],
        [f"{reply} {rng.choice(OFFERS)}" for _, reply in conversations],
        [f"{reply} {rng.choice(FORMULAS)}" for _, reply in conversations],
        [""] * len(conversations),
        ["edit"] * len(conversations),
        [float(n) for n in range(len(conversations))],
    )


def _training(root: Path, base: Path, algorithm: str, steps: int) -> list[Row]:
    from inference.evaluation.gate import GateRule
    from inference.runs.outcome import Recipe, RunPlan, RunProgress, Workplace
    from inference.runs.prefer_and_judge import prefer_and_judge

    times: list[float] = []
    progress = RunProgress(curve=lambda _fit, _step, _loss: times.append(time.perf_counter()))
    params = {"most_steps": steps, "epochs": 100.0, "max_tokens": 128}
    place = Workplace(root / "artifacts", language_model=str(base))
    plan = RunPlan(Recipe(algorithm, params), None, GateRule(), place)
    result: RunResult = prefer_and_judge(plan, preferences(), progress)
    rate = (len(times) - 1) / (times[-1] - times[0])
    gate = result.gate
    name = algorithm.upper()
    before, after = gate.about["base"], {m: row["challenger"] for m, row in gate.rows.items()}
    metric = "preference_accuracy"
    return [
        Row(f"{name}, steps of 4 rows", rate, "steps/s"),
        Row(f"{name}, held-out pairs preferred as people do", after[metric], "share", before[metric]),
        Row(f"{name}, held-out perplexity per token", math.exp(-after["log_likelihood"]), "tokens",
            math.exp(-before["log_likelihood"]), higher_is_better=False),
    ]  # fmt: skip
