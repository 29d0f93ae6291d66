"""VisDial as ChatIR asks it: a dialogue about one photograph finds it, round by round (Levy et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry, refuse_doubles
from mmretrieval.datasets._reader import Reader, known
from mmretrieval.errors import InvalidData
from mmretrieval.types import Query

DIALOGUES, ROUNDS, SEARCH_SPACE = 2064, 11, 50_000
SEPARATOR = ", "  # between rounds, as in ChatIR's own code
SEARCH_SPACE_FILE = "ChatIR_Protocol/Search_Space_val_50k.json"
SEARCH_SPACE_SHA256 = "8a32638192419131513f2e5a6e5159d191de6789678fb3b1faa18e1ab46b44af"
_FILES = MappingProxyType(
    {
        "human": "VisDial_v1.0_queries_val.json",
        "chatgpt-blip2": "ChatGPT_BLIP2.json",
        "human-blip2": "Human_BLIP2.json",
        "flan-alpaca-xxl-blip2": "FLAN_ALPACA_XXL_BLIP2.json",
        "unanswered-chatgpt-blip2": "Unanswered_ChatGPT_BLIP2.json",
    }
)


class VisDial(Dataset):
    """VisDial in the ChatIR protocol: after each of 11 rounds the dialogue so far searches 50,000 images.

    Round 0 is the caption, each further round adds a question with its answer; Hits@10 counts a dialogue from the
    first round on that finds its image. The split SPLIT-texts needs no image: the candidates are the photographs of
    the dialogues, and the text of each is what another pair said about it (ChatGPT and BLIP-2; people for the ChatGPT
    splits), without the caption, so that a target does not hold its own query. They had read the caption, though, and
    repeat its words: this checks dialogues and rounds, and is no measure of a search.
    """

    paper = "arXiv 2305.20062"
    source = "https://github.com/levymsn/ChatIR, images from https://cocodataset.org (unlabeled2017)"
    licence = "ChatIR MIT, VisDial CC BY 4.0; each photograph has its own on Flickr"
    splits = (*_FILES, *(f"{name}-texts" for name in _FILES))

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        kind, by_text = split.removesuffix("-texts"), split.endswith("-texts")
        space = _search_space(reader)
        dialogues = _dialogues(reader, kind, space)
        texts = _texts(reader, kind, space, dialogues) if by_text else {}
        images = {} if by_text else reader.images({_id(path): path for path in sorted(space)})
        queries = [
            Query(f"{target}:{number}", SEPARATOR.join(rounds[: number + 1]))
            for target, rounds in dialogues.items()
            for number in range(ROUNDS)
        ]
        return Benchmark(
            self.name,
            split,
            queries=tuple(queries),
            qrels={query.id: {query.id.partition(":")[0]: 1} for query in queries},
            categories={query.id: f"round {query.id.partition(':')[2]:>02}" for query in queries},
            texts=texts,
            images=images,
            measures=("R@1", "R@5", "R@10"),
            notes=tuple(reader.notes),
            dialogues={target: tuple(f"{target}:{number}" for number in range(ROUNDS)) for target in dialogues},
            licence=self.licence,
        )


def _search_space(reader: Reader) -> frozenset[str]:
    paths: list[str] = []
    for found, place in reader.json(SEARCH_SPACE_FILE):
        paths += Entry({"images": found}, place).texts("images")
    files = reader.need(SEARCH_SPACE_FILE)
    reader.count(files, len(set(paths)), SEARCH_SPACE, "images", SEARCH_SPACE_SHA256)
    return frozenset(paths)


def _dialogues(reader: Reader, kind: str, space: Collection[str]) -> dict[str, list[str]]:
    """The rounds of each dialogue by the id of its image."""
    entries = reader.entries(f"dialogues/{_FILES[kind]}", DIALOGUES, "dialogues")
    refuse_doubles(entries, lambda entry: entry.text("img"), "image")
    dialogues = {}
    for entry in entries:
        rounds = entry.texts("dialog")
        if len(rounds) != ROUNDS or not rounds[0].strip():
            raise InvalidData(f"{entry.place}: the dialog has {len(rounds)} rounds, and a caption and 10 are needed")
        dialogues[_id(known(entry.text("img"), space, entry.place, SEARCH_SPACE_FILE))] = rounds
    return dialogues


def _texts(reader: Reader, kind: str, space: Collection[str], targets: Collection[str]) -> dict[str, str]:
    """What another pair said about each image, without its caption."""
    other = "human" if "chatgpt" in kind else "chatgpt-blip2"
    others = _dialogues(reader, other, space)
    lacking = sorted(set(targets) - others.keys())
    if lacking:
        raise InvalidData(f"{_FILES[other]} has no dialogue about '{lacking[0]}', which {_FILES[kind]} has")
    reader.notes.append(
        f"the candidates are texts: the {len(others):,} dialogues of {_FILES[other]} without their captions, in place "
        f"of {SEARCH_SPACE:,} images; these figures are not comparable with published ones"
    )
    return {name: "\n".join(rounds[1:]) for name, rounds in others.items()}


def _id(path: str) -> str:
    return PurePosixPath(path).stem
