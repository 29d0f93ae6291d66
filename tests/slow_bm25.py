"""BM25 as in a textbook: every record, every word of the query, one sum."""

import math
from collections.abc import Mapping, Sequence

K1, B = 1.2, 0.75


def bm25(texts: Mapping[str, Sequence[str]], words: Sequence[str]) -> dict[str, float]:
    """The score of each record that has one of the `words`; `texts` are the records' words, none of them empty.

    A word that half of the records or more have weighs a millionth, which is what SQLite does.
    """
    if not texts:
        return {}
    average = sum(map(len, texts.values())) / len(texts)
    scores: dict[str, float] = {}
    for word in words:
        having = [name for name, text in texts.items() if word in text]
        weight = math.log((len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for name in having:
            count = list(texts[name]).count(word)
            length = 1 - B + B * len(texts[name]) / average
            part = (weight if weight > 0 else 1e-6) * count * (K1 + 1) / (count + K1 * length)
            scores[name] = scores.get(name, 0.0) + part
    return scores
