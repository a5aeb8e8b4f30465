"""Run in RecBole's environment: `python recbole_lists.py FILE OUT MODEL SEED HISTORY REFIT` scores items.

FILE holds units and items of likes, in order of time within each unit, and which units are judged. OUT
gets the scores (judged, items) by RecBole's own code, -inf for an item that nobody liked, and in
`epochs` how many passes a model with a validation part took. HISTORY is how many items SASRec reads.

SASRec learns without each unit's last like, by which RecBole picks the number of passes; where REFIT is 1,
it then learns from all likes, for as many passes.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

warnings.simplefilter("ignore")
torch.set_num_threads(1)
MAX_EPOCHS = 100


def configure(folder: Path, name: str, model: str, seed: int, epochs: int, history: int = 1) -> Config:
    settings = {
        "data_path": str(folder),
        "checkpoint_dir": str(folder),
        "seed": seed,
        "reproducibility": True,
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_only"}, "order": "TO", "mode": "full", "group_by": "user"},
        "metrics": ["NDCG"],
        "topk": 10,
        "valid_metric": "NDCG@10",
        "epochs": epochs,
        "stopping_step": 3,
        # Of 45 thousand samples: on one thread, RecBole's 2,048 need as long a pass, and ten times as many.
        "train_batch_size": 256,
        "MAX_ITEM_LIST_LENGTH": history,
        "train_neg_sample_args": None,  # SASRec's cross-entropy is over all items
        "reg_weight": 200.0,  # of EASE: as ours
    }
    return Config(model=model, dataset=name, config_dict=settings)


def write_likes(folder: Path, name: str, units: np.ndarray, items: np.ndarray) -> None:
    (folder / name).mkdir(exist_ok=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    lines += [f"{unit}\t{item}\t{n}" for n, (unit, item) in enumerate(zip(units, items, strict=True))]
    (folder / name / f"{name}.inter").write_text("\n".join(lines) + "\n")


def with_sentinels(units: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeat each unit's last like: RecBole holds the copy out, and learns from all that was there."""
    last = np.flatnonzero(np.append(units[1:] != units[:-1], True))
    return np.insert(units, last + 1, units[last]), np.insert(items, last + 1, items[last])


def train(folder: Path, name: str, model: str, seed: int, epochs: int, history: int):
    config = configure(folder, name, model, seed, epochs, history)
    init_seed(seed, True)
    dataset = create_dataset(config)
    learnt, valid, _ = data_preparation(config, dataset)
    init_seed(seed, True)
    fitted = get_model(model)(config, learnt.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, fitted)
    scores: list[float] = []
    best = {}

    def keep_best(_epoch: int, score: float) -> None:
        scores.append(score)
        print(f"{model}, seed {seed}: {score:.4f} after {len(scores)} passes", flush=True)
        if score == max(scores):
            best.update({name: tensor.clone() for name, tensor in fitted.state_dict().items()})

    trainer.fit(learnt, valid, saved=False, show_progress=False, callback_fn=keep_best)
    fitted.load_state_dict(best)
    return dataset, fitted, int(np.argmax(scores)) + 1


def places_of(dataset, items: int) -> np.ndarray:
    """Return RecBole's place of each item, 0 for one that it does not know."""
    known = dataset.field2token_id["item_id"]
    return np.array([known.get(str(item), 0) for item in range(items)])


def sequential(
    folder: Path, model: str, seed: int, data, history: int, refit: bool
) -> tuple[np.ndarray, int]:
    units, items = data["units"], data["items"]
    write_likes(folder, "part", units, items)
    dataset, fitted, epochs = train(folder, "part", model, seed, MAX_EPOCHS, history)
    if refit:
        write_likes(folder, "whole", *with_sentinels(units, items))
        dataset, fitted, _ = train(folder, "whole", model, seed, epochs, history)
    places = places_of(dataset, int(data["count"]))
    judged = data["judged"]
    lists = np.zeros((len(judged), history), dtype=np.int64)
    lengths = np.zeros(len(judged), dtype=np.int64)
    for row, unit in enumerate(judged):
        past = places[items[units == unit]][-history:]
        lists[row, : len(past)], lengths[row] = past, len(past)
    fitted.eval()
    with torch.no_grad():
        scores = fitted.full_sort_predict(
            Interaction({"item_id_list": torch.from_numpy(lists), "item_length": torch.from_numpy(lengths)})
        )  # fmt: skip
    return by_item(scores.numpy(), places), epochs


def closed_form(
    folder: Path, model: str, seed: int, data, _history: int, _refit: bool
) -> tuple[np.ndarray, int]:
    write_likes(folder, "whole", data["units"], data["items"])
    config = configure(folder, "whole", model, seed, 1)
    dataset = create_dataset(config)
    fitted = get_model(model)(config, dataset)
    users = dataset.field2token_id["user_id"]
    units = torch.tensor([users[str(unit)] for unit in data["judged"]])
    scores = fitted.full_sort_predict(Interaction({"user_id": units}))
    count = int(data["count"])
    return by_item(np.asarray(scores).reshape(len(units), -1), places_of(dataset, count)), 0


def by_item(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    ours = scores[:, places].astype(np.float32)
    ours[:, places == 0] = -np.inf
    return ours


def main() -> None:
    file, out, model, seed, history, refit = sys.argv[1:]
    fit = sequential if model == "SASRec" else closed_form
    with tempfile.TemporaryDirectory() as folder:
        scores, epochs = fit(Path(folder), model, int(seed), np.load(file), int(history), refit == "1")
    np.savez(out, scores=scores, epochs=epochs)


if __name__ == "__main__":
    main()
