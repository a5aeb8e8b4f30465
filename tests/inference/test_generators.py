"""Language models learn preferences: adapters on a tiny base, in a file that llama.cpp serves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bakeoff.local_llm.engine import Engine, EngineSize
from inference.evaluation.gate import GateRule
from inference.generators import GENERATORS
from inference.generators.causal_model import CausalModel, import_base
from inference.generators.gguf_file import GgufFile
from inference.options import FitOptions
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, ServedVersion, Workplace
from inference.runs.prefer_and_judge import prefer_and_judge
from inference.serving.artifact import check_artifact, save_artifact
from inference.serving.models import open_model
from inference.serving.prompts import Prompt
from inference.training.preferences import PreferenceData, conversation_key, split_preferences
from tests.support.preferring import QUICK, make_preferences, preference_data
from tests.support.tiny_causal import write_tiny_causal


def options_of(base, **options):
    return FitOptions(params=QUICK, language_model=str(base), **options)


def plan_of(folder, base, algorithm, **fields):
    place = Workplace(folder / "artifacts", folder / "checkpoints", language_model=str(base))
    return RunPlan(Recipe(algorithm, QUICK), None, GateRule(), place, **fields)


def test_a_base_is_imported_once(tiny_causal, tiny_base):
    before = {file: file.stat().st_mtime_ns for file in tiny_base.iterdir()}
    assert import_base(tiny_causal, tiny_base.parent) == tiny_base
    assert {file: file.stat().st_mtime_ns for file in tiny_base.iterdir()} == before
    assert {"model.safetensors", "config.json", "base.gguf"} <= {
        file.name for file in tiny_base.iterdir()
    }


def test_an_untrained_export_is_the_base_in_8_bits(tiny_causal, tiny_base, tmp_path):
    (tmp_path / "same.gguf").write_bytes(CausalModel(tiny_base).gguf_bytes())
    ours, theirs = GgufFile(tmp_path / "same.gguf").weights(), GgufFile(tiny_causal).weights()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        step = np.abs(theirs[name]).max() / 127  # of 8 bits, where a block has the largest number
        assert np.abs(array - theirs[name]).max() <= step, name
    assert GgufFile(tmp_path / "same.gguf").value("tokenizer.chat_template") == GgufFile(
        tiny_causal
    ).value("tokenizer.chat_template")


def test_both_libraries_compute_the_same_from_an_export(tiny_base, tmp_path):
    """Queries and keys have another order in llama.cpp: were it wrong, its probabilities would differ."""
    path = tmp_path / "model.gguf"
    model = CausalModel(tiny_base)
    path.write_bytes(model.gguf_bytes())
    model.load_gguf(path)
    messages = [{"role": "user", "content": "apple pear"}]
    chunks = []
    engine = Engine(path, EngineSize(slots=1, context=128))
    fields = {
        "messages": messages,
        "max_tokens": 6,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 1,
    }
    engine.generate(fields, lambda chunk: chunks.append(chunk) or True)
    tokens = [
        token
        for chunk in chunks
        for choice in chunk["choices"]
        for token in (choice.get("logprobs") or {}).get("content", [])
    ]
    prompt, _ = model.encode(messages, "", max_tokens=64)
    ids = [token["id"] for token in tokens]
    theirs = sum(token["logprob"] for token in tokens)
    assert len(ids) == 6
    assert float(model.score([(prompt, ids)])[0]) == pytest.approx(theirs, abs=0.3)


def test_another_models_file_is_refused(tiny_base, tmp_path):
    other = write_tiny_causal(tmp_path / "other.gguf", layers=1)
    with pytest.raises(ValueError, match=r"has no tensor for 'model\.layers\.1"):
        CausalModel(tiny_base).load_gguf(other)


@pytest.mark.parametrize(
    ("algorithm", "metric"), [("dpo", "preference_accuracy"), ("sft", "log_likelihood")]
)
def test_preferences_are_learnt_and_the_served_file_is_judged(tiny_base, tmp_path, algorithm, metric):
    lines = []
    progress = RunProgress(report=lambda share, line: lines.append((share, line)))
    result = prefer_and_judge(plan_of(tmp_path, tiny_base, algorithm), make_preferences(), progress)
    gate = result.gate
    assert gate.passed, gate.reasons
    assert (gate.rival, gate.rule.primary) == ("the base model", metric)
    assert gate.rows[metric]["interval"][0] > 0
    assert 0.25 < gate.about["base"]["preference_accuracy"] < 0.75
    assert gate.rows["preference_accuracy"]["challenger"] > 0.8
    assert [share for share, _ in lines] == sorted(share for share, _ in lines)
    assert any(line.startswith("training: step") for _, line in lines)
    prompt = open_model(tmp_path / "artifacts", result.artifact_sha256).prompt
    assert (prompt.provider, prompt.fallbacks) == ("local", ())
    folder, manifest = check_artifact(tmp_path / "artifacts", prompt.model)
    assert set(manifest["files"]) == {"model.gguf", "adapter.safetensors", "items.json"}
    Engine(folder / "model.gguf", EngineSize(slots=1, context=128))  # llama.cpp serves it


def test_a_second_training_is_held_against_the_first_ones_file(tiny_base, tmp_path):
    artifacts = tmp_path / "artifacts"
    model = save_artifact(artifacts, GENERATORS["dpo"].fit(preference_data(), options_of(tiny_base)))
    prompt = Prompt("local", model, parameters={"temperature": 0.2})
    served = ServedVersion("dpo@1", save_artifact(artifacts, prompt.as_draft()), "dpo")
    plan = plan_of(tmp_path, tiny_base, "dpo", served=served)
    weak = replace(plan, recipe=Recipe("dpo", {**QUICK, "most_steps": 1, "rate": 1e-6}))
    gate = prefer_and_judge(weak, make_preferences(), RunProgress()).gate
    assert (gate.rival, gate.passed) == ("dpo@1", False)
    assert "preference_accuracy may be as low as" in gate.reasons[0]
    again = prefer_and_judge(plan, make_preferences(), RunProgress())
    assert again.gate.passed, again.gate.reasons
    successor = open_model(artifacts, again.artifact_sha256).prompt
    assert successor.parameters == {"temperature": 0.2}
    assert [one.model for one in successor.fallbacks] == [model]


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_a_training_that_stops_ends_the_same(tiny_base, tmp_path, method, monkeypatch):
    monkeypatch.setattr("inference.training.tune.CHECKPOINT_SECONDS", 0.0)  # after each step
    options = replace(options_of(tiny_base), params={**QUICK, "most_steps": 12, "method": method})
    whole = GENERATORS["dpo"].fit(preference_data(), options)

    def stop(step, _loss):
        if step == 7:
            raise StoppedError

    halfway = replace(options, checkpoint=tmp_path, curve=stop)
    with pytest.raises(StoppedError):
        GENERATORS["dpo"].fit(preference_data(), halfway)
    steps = []
    resumed = replace(options, checkpoint=tmp_path, curve=lambda step, _loss: steps.append(step))
    assert GENERATORS["dpo"].fit(preference_data(), resumed).files == whole.files
    assert steps[0] == 7  # the checkpoint before the stop had six


def test_a_loss_is_that_of_the_answers_tokens_alone(tiny_base):
    model = CausalModel(tiny_base)
    prompt, answer = model.encode([{"role": "user", "content": "fig"}], "Sure.", max_tokens=64)
    assert answer[-1] == model.tokenizer.eos_token_id
    (value,) = model.score([(prompt, answer)])
    with torch.inference_mode():
        logits = model.model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
    by_hand = sum(float(logits[place, token]) for place, token in zip(places, answer, strict=True))
    assert value == pytest.approx(by_hand, rel=1e-4)
    longer = model.encode([{"role": "user", "content": "fig plum kiwi"}], "Sure.", max_tokens=64)
    assert model.score([(prompt, answer), longer])[0] == pytest.approx(value, rel=1e-4)  # padded


def test_long_texts_are_cut_where_they_matter_least(tiny_base):
    model = CausalModel(tiny_base)
    prompt, answer = model.encode([{"role": "user", "content": "x" * 500}], "y" * 500, max_tokens=64)
    assert (len(prompt), len(answer)) == (32, 32)
    assert model.tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")


def test_conversations_are_held_out_whole_and_always():
    data = preference_data(conversations=40, each=4)
    learnt, held_out = split_preferences(data)
    keys = [conversation_key(messages) for messages in data.messages]
    assert not {keys[row] for row in learnt} & {keys[row] for row in held_out}
    more = preference_data(conversations=60, each=2)
    _, held_later = split_preferences(more)
    later = {conversation_key(more.messages[row]) for row in held_later}
    assert {keys[row] for row in held_out} <= later
    instructed = [[{"role": "system", "content": "Be brief."}, *messages] for messages in data.messages]
    assert [conversation_key(messages) for messages in instructed] == keys


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "full"}, "method == 'full', must be one of"),
        ({"rank": 0}, "rank == 0, must be at least 1"),
        ({"max_tokens": 8}, "max_tokens == 8, must be at least 16"),
        ({"beta": 0.0}, "beta == 0, must be above 0"),
        ({"size": 1}, "parameter == 'size', must be one of"),
    ],
)
def test_parameters_that_break_a_rule_are_refused(tiny_base, params, message):
    options = replace(options_of(tiny_base), params=params)
    with pytest.raises(ValueError, match=message):
        GENERATORS["dpo"].fit(preference_data(), options)


def test_too_little_to_learn_from_is_one_sentence(tiny_base, tmp_path):
    plan = plan_of(tmp_path, tiny_base, "dpo")
    with pytest.raises(RunError, match=r"held-out pairs == \d+, must be at least 20"):
        prefer_and_judge(plan, make_preferences(conversations=20, each=1), RunProgress())
    alone = replace(make_preferences(), rejected=[""] * 180)
    with pytest.raises(RunError, match="held-out pairs == 0"):
        prefer_and_judge(plan, alone, RunProgress())
    with pytest.raises(ValueError, match="pairs == 0"):
        GENERATORS["dpo"].fit(PreferenceData.of(alone), options_of(tiny_base))
