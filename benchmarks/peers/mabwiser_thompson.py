"""Run in MABWiser's environment: `python mabwiser_thompson.py SCENARIO` says what its bandit loses.

SCENARIO is JSON: `rates` of the arms, `units` of an epoch, `epochs`, `floor`, `runs`, `seed`. Each user
gets what MABWiser's Thompson sampling predicts, or with the chance of all floors an arm by chance; it
learns from an epoch when the epoch is over. Prints JSON: per run, the conversions that are lost beside
sending all users to the best arm.
"""

import json
import sys

import numpy as np
from mabwiser.mab import MAB, LearningPolicy


def lose(rates, units, epochs, floor, seed):
    rng, arms = np.random.default_rng(seed), list(range(len(rates)))
    chance, bandit, lost = np.array(rates), None, 0.0
    for _ in range(epochs):
        chosen = rng.integers(len(arms), size=units)
        if bandit is not None:  # the first epoch is uniform, as on our side
            led = rng.random(units) >= floor * len(arms)
            chosen[led] = bandit.predict(np.zeros((int(led.sum()), 1)))
        rewards = (rng.random(units) < chance[chosen]).astype(int)
        lost += float((chance.max() - chance[chosen]).sum())
        if bandit is None:
            bandit = MAB(arms, LearningPolicy.ThompsonSampling(), seed=seed)
            bandit.fit(chosen, rewards)
        else:
            bandit.partial_fit(chosen, rewards)
    return lost


def main():
    scenario = json.loads(sys.argv[1])
    first = scenario.pop("seed")
    runs = scenario.pop("runs")
    print(json.dumps([lose(**scenario, seed=first + n) for n in range(runs)]))


if __name__ == "__main__":
    main()
