"""Run in vowpalwabbit's environment: `python vw_policies.py EXAMPLES NUMBERS OUT MODE OPTIONS` decides.

EXAMPLES has a line of JSON per decision: the line of its context and those of its actions, in
vowpalwabbit's text format. OPTIONS are those of one contextual bandit. OUT gets the shares that it gives
each action, (decisions, actions).

    log      NUMBERS holds `chosen`, `propensity`, `reward`, `learnt`: it learns from the decisions that
             are `learnt`, in one pass in their order, then gives its shares in all others
    live     NUMBERS holds `means`, `picks`, `rewards`, `batch`, `control`, `explore`: it decides one
             after another, by its shares and the floors, and learns from a batch when the batch is over
"""

import json
import sys
from pathlib import Path

import numpy as np
from vowpalwabbit import Workspace


def label(lines, index, reward, propensity):
    """Return an example with what its action cost: vowpalwabbit minimises."""
    marked = list(lines)
    marked[1 + index] = f"0:{-float(reward):.6f}:{float(propensity):.8f} {marked[1 + index]}"
    return marked


def decide_log(model, examples, numbers):
    learnt = numbers["learnt"]
    for n in np.flatnonzero(learnt):
        model.learn(
            label(examples[n], *(numbers[key][n] for key in ("chosen", "reward", "propensity")))
        )
    shares = np.zeros((len(examples), len(examples[0]) - 1))
    for n in np.flatnonzero(~learnt):
        shares[n] = model.predict(examples[n])
    return shares


def decide_live(model, examples, numbers):
    means, batch = numbers["means"], int(numbers["batch"])
    control, explore = float(numbers["control"]), float(numbers["explore"])
    count = means.shape[1]
    shares, waiting = np.full(means.shape, 1 / count), []
    for n, lines in enumerate(examples):
        if n >= batch:  # all sides decide the first batch uniformly
            shares[n] = model.predict(lines)
        chances = (1 - control - explore) * shares[n] + explore / count
        chances[0] += control
        index = min(int(np.searchsorted(np.cumsum(chances), numbers["picks"][n], "right")), count - 1)
        reward = float(numbers["rewards"][n] < means[n, index])
        waiting.append(label(lines, index, reward, chances[index]))
        if len(waiting) == batch:
            for one in waiting:
                model.learn(one)
            waiting = []
    return shares


def main() -> None:
    examples_file, numbers_file, out, mode, options = sys.argv[1:]
    with Path(examples_file).open() as file:
        examples = [json.loads(line) for line in file]
    model = Workspace(f"--cb_explore_adf {options} --quiet --random_seed 1")
    decide = {"log": decide_log, "live": decide_live}[mode]
    shares = decide(model, examples, np.load(numbers_file))
    # Shares are of single precision there.
    np.savez(out, shares=shares / shares.sum(axis=1, keepdims=True).clip(1e-9))


if __name__ == "__main__":
    main()
