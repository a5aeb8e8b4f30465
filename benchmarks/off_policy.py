"""Open Bandit logs: each policy's value estimated from the other's log, beside the truth and beside `obp`.

The truth is the click rate in the policy's own log. Bernoulli Thompson sampling reads no context, so its
probability of an item at a position is its share there, smoothed, in its own log. `obp` estimates from the
same rows and the same probabilities.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.results import Row, write_result
from inference.encoders.locate import fetch_from_wheel
from inference.evaluation.off_policy import (
    OffPolicyError,
    doubly_robust_value,
    refuse_without_support,
    value_by_position,
    weighted_value,
)

WHEEL = ("obp==0.4.1", "obp/dataset/obd")
CAMPAIGNS = ("all", "men", "women")
POLICIES = ("random", "bts")


def run(size: str, home: str) -> None:
    root = fetch_from_wheel(*WHEEL, Path(home) / "datasets")
    rows, notes = [], []
    peer = _peer(Path(home))
    for campaign in CAMPAIGNS:
        logs = {policy: _read(root / policy / campaign / f"{campaign}.csv") for policy in POLICIES}
        items = max(int(log["item"].max()) for log in logs.values()) + 1
        for log_of, policy in (POLICIES, POLICIES[::-1]):
            log = logs[log_of]
            wanted = _probabilities(policy, logs[policy], items)[:, log["item"], log["position"]][0]
            value = weighted_value(log["propensity"], wanted, log["click"])
            truth = float(logs[policy]["click"].mean())
            noise = float(logs[policy]["click"].std() / np.sqrt(len(log["click"])))
            name = f"{campaign}: {policy} from the log of {log_of}"
            predicted = _model(log, items)
            whole = _probabilities(policy, logs[policy], items)[0][:, log["position"]].T
            dr = doubly_robust_value(log["propensity"], log["item"], log["click"], whole, predicted)
            theirs = peer(log, wanted, whole, predicted, items) if peer else (None, None, None)
            away = abs(value.snips - truth) / np.hypot(value.snips_se, noise)
            rows += [
                Row(f"{name}: IPS ({value.ips_se:.5f})", value.ips, "click rate", theirs[0], None, "ratio_to_peer >= 0.999" if peer else ""),
                Row(f"{name}: SNIPS ({value.snips_se:.5f})", value.snips, "click rate", theirs[1], None, "ratio_to_peer >= 0.999" if peer else ""),
                Row(f"{name}: DR ({dr.dr_se:.5f})", dr.dr, "click rate", theirs[2], None, "ratio_to_peer >= 0.999" if peer else ""),
                Row(f"{name}: clipped IPS", value.clipped_ips, "click rate", None, None),
                Row(f"{name}: truth ({noise:.5f})", truth, "click rate", None, None),
                Row(f"{name}: SNIPS off the truth, standard errors", float(away), "errors", None, None, "ours <= 3", higher_is_better=False),
                Row(f"{name}: effective sample size of {len(wanted)}", value.effective_size, "answers", None, None),
                Row(f"{name}: largest weight", value.largest_weight, "times", None, None, higher_is_better=False),
            ]  # fmt: skip
            places = value_by_position(log["position"], log["propensity"], wanted, log["click"])
            notes.append(
                f"{name} by position: "
                + ", ".join(f"{p + 1}: {v.snips:.4f}" for p, v in places.items())
            )
            try:
                refuse_without_support(value.effective_size)
            except OffPolicyError as error:
                notes.append(f"{name}: refused, {error}")
    write_result("off_policy", size, rows, ". ".join(notes), ())


def _read(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "item": np.array([int(r["item_id"]) for r in rows]),
        "position": np.array([int(r["position"]) - 1 for r in rows]),
        "click": np.array([float(r["click"]) for r in rows]),
        "propensity": np.array([float(r["propensity_score"]) for r in rows]),
    }


def _probabilities(policy: str, own: dict[str, np.ndarray], items: int) -> np.ndarray:
    """Return (1, items, positions): what the policy does at each position."""
    places = int(own["position"].max()) + 1
    if policy == "random":
        return np.full((1, items, places), 1 / items)
    counts = np.zeros((items, places))
    np.add.at(counts, (own["item"], own["position"]), 1.0)
    counts += 0.1
    return (counts / counts.sum(0))[None]


def _model(log: dict[str, np.ndarray], items: int) -> np.ndarray:
    """Return the predicted reward of every item, (n, items): smoothed click rates of the other half."""
    predicted = np.zeros((len(log["item"]), items))
    half = np.arange(len(log["item"])) % 2
    for part in (0, 1):
        learnt = half != part
        clicks = np.bincount(log["item"][learnt], log["click"][learnt], minlength=items)
        shown = np.bincount(log["item"][learnt], minlength=items)
        mean = log["click"][learnt].mean()
        predicted[half == part] = (clicks + 100 * mean) / (shown + 100)
    return predicted


def _peer(home: Path):
    """Return obp's own estimates, or None where it cannot be installed."""
    target = home / "obp-peer"
    if not target.exists():
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), "obp==0.4.1", "seaborn", "pyieoe"],
            check=False,
            capture_output=True,
        )  # fmt: skip
        if done.returncode:
            return None
    sys.path.append(str(target))
    try:
        from obp.ope import (
            DoublyRobust,
            InverseProbabilityWeighting,
            SelfNormalizedInverseProbabilityWeighting,
        )
    except ImportError as error:
        print(f"obp cannot be imported: {error}")
        return None

    def estimate(log, wanted, whole, predicted, items):
        rows = {
            "reward": log["click"], "action": log["item"], "pscore": log["propensity"],
            "action_dist": whole[:, :, None], "position": np.zeros(len(wanted), dtype=int),
        }  # fmt: skip
        guess = predicted[:, :, None]
        value = (
            InverseProbabilityWeighting().estimate_policy_value(**rows),
            SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**rows),
            DoublyRobust().estimate_policy_value(**rows, estimated_rewards_by_reg_model=guess),
        )
        return tuple(map(float, value))

    return estimate
