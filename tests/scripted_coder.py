"""A language model that writes candidates, badly as well as well; this file scripts it, for any table with numbers.

It goes by what it is asked for, as a real one would. It writes first drafts that break a rule each (no json block, a
column that is misspelt, a mean over the scored table), a draft that works on few rows only and its repair, changes, a
fusion, and a pipeline with a model of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.dialogue_facts import counsel
from tests.model_server import ModelServer, Received, Reply

# Words of the requests in the prompts, by what they ask for.
REQUESTS = {
    "draft": "Build the idea above",
    "pipeline": "Build a whole pipeline",
    "debug": "Make it run.",
    "improve": "Change one thing in the parent",
    "fuse": "Take the first program as the base",
    "review": "List the lines where a feature",
}
NUMBERS = "table.select_dtypes('number').reset_index(drop=True)"
BASE = """\
import numpy as np
import pandas as pd

import base_features


def fit(train):
    {fit}
    return {{"base": base_features.fit(train), "numbers": numbers, "means": train[numbers].mean()}}


def transform(table, state):
    made = base_features.transform(table, state["base"])
    rows = table[state["numbers"]].reset_index(drop=True).astype("float64")
{lines}
    return made
"""
FIT = "numbers = [name for name in train.select_dtypes('number').columns if train[name].nunique() > 2][:4]"
OWN_MODEL = """\
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor


class Own:
    def __init__(self, model, classes):
        self.model, self.classes = model, classes
        self.note, self.rounds, self.replay = "gradient boosting of scikit-learn", 0, {}

    def predict(self, x):
        if not self.classes:
            return self.model.predict(x)[:, None]
        found = self.model.predict_proba(x)
        return found[:, 1:] if self.classes == 2 else found


def fit(task):
    kind = HistGradientBoostingClassifier if task.classes else HistGradientBoostingRegressor
    model = kind(max_iter=40, random_state=task.seed)
    return Own(model.fit(task.rows.x, task.rows.y), task.classes)
"""


def features(*lines: str, fit: str = FIT) -> str:
    return BASE.format(fit=fit, lines="\n".join(f"    {line}" for line in lines))


def answer(title: str, *codes: str, family: str = "lightgbm", **more: Any) -> str:
    meta = {
        "title": title,
        "hypothesis": f"{title}: it should help where numbers are large.",
        "model": {"family": family, "params": {"rounds": 60, "learning_rate": 0.15} if family == "lightgbm" else {}},
        "target_encode": "keys",
        "groups": {"sums": ["sum"]},
        **more,
    }
    blocks = "".join(f"\n```python\n{code}```\n" for code in codes)
    return f"Here is the candidate.\n\n```json\n{json.dumps(meta, indent=1)}\n```\n{blocks}"


SUM = 'made["sum of numbers"] = rows.sum(axis=1)'
DISTANCE = 'made["distance"] = (rows - state["means"]).abs().sum(axis=1)'
GREEDY = 'made["above mean"] = rows.iloc[:, 0] - rows.iloc[:, 0].mean()'
NEEDS_FEW = "assert len(train) < {most}, 'the lookup table holds no more rows'"


@dataclass
class Coder(ModelServer):
    """Answers by what is asked, counted in ``asked``. One draft fails where more rows than ``most_rows`` train."""

    most_rows: int = 170
    column: str = "height"
    asked: Counter[str] = field(default_factory=Counter)

    def take(self, request: Received) -> Reply:
        """Keep the request and answer what it asks for."""
        text = request.texts[-1]
        kind = next((kind for kind, words in REQUESTS.items() if words in text), "decide")
        with self._lock:
            self.received.append(request)
            self.asked[kind] += 1
            return self.reply(kind, self.asked[kind], text)

    def reply(self, kind: str, number: int, text: str) -> Reply:
        """Return the answer to the request of this kind with this number, from 1."""
        return Reply(str(getattr(self, f"_{kind}")(number)))

    def _decide(self, number: int) -> str:
        return counsel(reply="Numbers and their sums.")

    def _draft(self, number: int) -> str:
        misspelt = f'made["twice"] = table["{self.column[:-1]}"] * 2'
        few = NEEDS_FEW.format(most=self.most_rows)
        script = [
            f"I would add sums.\n```python\n{features(SUM)}```",
            answer("Sums, misspelt", features(misspelt)),
            answer("Sums of numbers", features(SUM)),
            answer("A lookup that is too small", features(DISTANCE, fit=f"{few}\n    {FIT}")),
            answer("Distance to the scored rows", features(GREEDY)),
            answer("Distance to the mean of train", features(f'made["above mean"] = {"rows.iloc[:, 0]"} * 1.5')),
        ]
        return script[min(number, len(script)) - 1]

    def _debug(self, number: int) -> str:
        return answer("A lookup of any size", features(DISTANCE))

    def _improve(self, number: int) -> str:
        if number == 2:
            return answer("Sums again", features(SUM))
        return answer(f"Power {number}", features(SUM, f'made["power"] = rows.abs().sum(axis=1) ** {1 + number / 10}'))

    def _fuse(self, number: int) -> str:
        return answer("Sums and distances", features(SUM, DISTANCE))

    def _pipeline(self, number: int) -> str:
        return answer("Boosting of another library", features(SUM), OWN_MODEL, family="own")

    def _review(self, number: int) -> str:
        return json.dumps({"findings": [], "verdict": "clean"})
