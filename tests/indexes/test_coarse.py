"""What all coarse indexes promise: true scores in the right order, a stated recall, and no surprise by filters."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, slow_search, unit

from mmretrieval import registry
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.indexes._coarse import Coarse, Effort
from mmretrieval.indexes._scan import Span, scan
from mmretrieval.indexes._tuning import chosen, curve, like_pictures, measured
from mmretrieval.specs import make

N, DIM = 6000, 128
COARSE = [name for name in registry.names("indexes") if issubclass(registry.load("indexes", name), Coarse)]
COARSE += ["rabitq:bits=2", "rabitq:bits=4"]
every_coarse = pytest.mark.parametrize("name", COARSE)


def two_kinds(n, queries, seed=0, dim=DIM):
    """Rows like pictures and queries like texts: clusters in a common part, and one mean per kind that is its own."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    centres = rng.normal(size=(60, dim - 2)) @ axes[2:]
    cluster = rng.integers(0, 60, n + queries)
    points = centres[cluster] + rng.normal(size=(n + queries, dim)) * 0.8
    shift = np.linalg.norm(points, axis=1).mean()
    return unit(points[:n] + shift * axes[0]), unit(points[n:] + shift * axes[1])


PICTURES, TEXTS = two_kinds(N, 200)
_BUILT = {}


def built(name, rows=None, cache=None, effort=None):
    """Searches with the utmost effort; what FAISS built over the same rows is shared between tests, as it is costly."""
    rows = MemoryRows(PICTURES, block=1000) if rows is None else rows
    index = make("indexes", name, rows=rows, cache=cache)
    known = (name, rows.key)
    if known not in _BUILT:
        _BUILT[known] = index.build()
    index.adopt(_BUILT[known], effort or Effort(index.reaches()[-1], 1600 if name == "binary" else 200))
    index.always_exact = 100
    return index


def exactly(rows, queries, top_k, mask=None):
    return [set(positions.tolist()) for positions, _ in scan(rows, queries, top_k, Span(0, mask))]


def recall(index, queries, top_k=10, **restrictions):
    mask = np.zeros(index.rows.n, bool)
    mask[restrictions.get("within", slice(None))] = True
    mask[restrictions.get("exclude", [])] = False
    truth = exactly(index.rows, queries, top_k, mask)
    found = index.search(queries, top_k, **restrictions)
    return np.mean(
        [len(best & set(positions.tolist())) / top_k for best, (positions, _) in zip(truth, found, strict=True)]
    )


@every_coarse
def test_scores_are_true_and_in_order(name):
    index = built(name)
    for query, (positions, scores) in zip(TEXTS[:20], index.search(TEXTS[:20], 10), strict=True):
        expected = slow_search(index.rows, query, 10, within=positions.tolist())
        assert (positions.tolist(), scores.tolist()) == expected


@every_coarse
@pytest.mark.parametrize("queries", [TEXTS, PICTURES[:200]], ids=["texts", "pictures"])
def test_with_the_utmost_effort_hardly_a_row_is_missed(name, queries):
    assert recall(built(name), queries) >= 0.98


@every_coarse
def test_a_query_gets_the_same_answer_alone_and_among_others_and_from_a_mapped_file(name, tmp_path):
    rows = MemoryRows(PICTURES, block=1000)
    index = built(name, rows, tmp_path)
    again = make("indexes", name, rows=rows, cache=tmp_path)
    again.always_exact = 100
    for query, (positions, scores) in zip(TEXTS[:9], index.search(TEXTS[:9], 7), strict=True):
        for other in (index, again):
            alone, alone_scores = other.search(query[None], 7)[0]
            assert (alone.tolist(), alone_scores.tolist()) == (positions.tolist(), scores.tolist())


@every_coarse
def test_a_shorter_result_is_the_beginning_of_a_longer_one(name):
    index = built(name)
    longer = index.search(TEXTS[:20], 100)
    for top_k in (11, 30):
        for (positions, _), (more, _) in zip(index.search(TEXTS[:20], top_k), longer, strict=True):
            assert positions.tolist() == more[:top_k].tolist()


@every_coarse
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001, 0.0])
def test_filters_of_any_width_find_what_they_allow(name, share):
    index = built(name)
    within = np.flatnonzero(np.random.default_rng(5).random(N) < share)
    index.always_exact = 0
    found = index.search(TEXTS, 10, within=within)
    assert all(len(positions) == min(10, len(within)) for positions, _ in found)
    assert all(np.isin(positions, within).all() for positions, _ in found)
    if len(within) >= 10:
        assert recall(index, TEXTS, within=within) >= 0.98


@every_coarse
def test_as_many_come_back_as_are_allowed_even_if_few_lists_are_looked_at(name):
    index = built(name, effort=Effort(1, 20))
    index.narrow, index.always_exact = 0.0, 0
    within = np.argsort(PICTURES @ TEXTS[0])[:300]  # the rows that lie farthest away
    ((positions, _),) = index.search(TEXTS[:1], 250, within=within)
    assert len(set(positions.tolist())) == 250
    assert np.isin(positions, within).all()


@every_coarse
@pytest.mark.parametrize("count", [1, 50, 1000])
def test_what_is_excluded_never_comes_back(name, count):
    index = built(name)
    exclude = np.array(sorted(exactly(index.rows, TEXTS[:1], count)[0]))
    ((positions, _),) = index.search(TEXTS[:1], 10, exclude=exclude)
    assert not np.isin(positions, exclude).any()
    assert len(set(positions.tolist())) == 10
    if count <= 50:  # what is left is not all alike
        assert recall(index, TEXTS[:1], exclude=exclude) >= 0.9


class Storage:
    """Rows that are written and die over time, as a writer would do it; slots never move."""

    def __init__(self, matrix):
        self.written = list(matrix)
        self.live = dict(enumerate(range(len(matrix))))  # id -> slot

    def upsert(self, record, vector):
        self.live[record] = len(self.written)
        self.written.append(vector)

    def rows(self):
        return Snapshot(np.array(self.written), [self.live[record] for record in sorted(self.live)])


class Snapshot(MemoryRows):
    """The storage at one moment."""

    def __init__(self, written, slots):
        super().__init__(written[slots], block=1000)
        self._slots, self._rows, self.stored = np.array(slots), written.astype(np.float16), len(written)
        self.owners = np.full(self.stored, -1, np.int32)
        self.owners[self._slots] = np.arange(self.n)


@every_coarse
def test_after_upserts_and_deletions_the_old_index_still_answers(name, tmp_path, caplog):
    """A thousand random changes against a search over what lives; nothing is built again."""
    rng = np.random.default_rng(3)
    storage, pictures = Storage(PICTURES[:5000]), two_kinds(2000, 1, seed=8)[0]
    built(name, storage.rows(), tmp_path)
    for number in range(1000):
        if rng.random() < 0.5:
            storage.upsert(int(rng.integers(0, 5500)), pictures[number])
        else:
            storage.live.pop(int(rng.choice(sorted(storage.live))))
        if number % 100 == 99:
            rows = storage.rows()
            index = make("indexes", name, rows=rows, cache=tmp_path)
            index.always_exact = 100
            queries = np.concatenate([TEXTS[:10], pictures[number - 9 : number + 1]])
            assert recall(index, queries) >= 0.97
            found = index.search(queries, 10)
            for query, (positions, scores) in zip(queries, found, strict=True):
                assert (positions.tolist(), scores.tolist()) == slow_search(rows, query, 10, positions.tolist())
    assert not caplog.records


@every_coarse
def test_without_an_index_exact_search_answers_and_the_log_says_so(name, tmp_path, caplog):
    rows = MemoryRows(PICTURES, block=1000)
    index = make("indexes", name, rows=rows, cache=tmp_path)
    for _ in range(2):
        positions, _ = index.search(TEXTS[:1], 10)[0]
        assert set(positions.tolist()) == exactly(rows, TEXTS[:1], 10)[0]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"--index-kind {name}" in caplog.text


def flip(file):
    data = bytearray(file.read_bytes())
    data[-100] ^= 0x40
    file.write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def empty(file):
    file.write_bytes(b"")


def break_description(file):
    file.with_suffix(".json").write_text("{", "utf-8")


def forget_a_fact(file):
    told = json.loads(file.with_suffix(".json").read_text("utf-8"))
    del told["checksum"]
    file.with_suffix(".json").write_text(json.dumps(told), "utf-8")


def describe_other_rows(file):
    told = json.loads(file.with_suffix(".json").read_text("utf-8"))
    file.with_suffix(".json").write_text(json.dumps({**told, "rows": "other"}), "utf-8")


@pytest.mark.parametrize("harm", [flip, cut, empty, break_description, forget_a_fact, describe_other_rows])
def test_a_damaged_index_is_noticed_and_exact_search_answers(tmp_path, caplog, harm):
    rows = MemoryRows(PICTURES, block=1000)
    built("pq", rows, tmp_path)
    harm(tmp_path / "pq.index")
    index = registry.load("indexes", "pq")(rows, tmp_path)
    index.always_exact = 0
    positions, _ = index.search(TEXTS[:1], 10)[0]
    assert set(positions.tolist()) == exactly(rows, TEXTS[:1], 10)[0]
    assert "exact search answers instead" in caplog.text
    assert not index.is_built()


def test_the_index_of_a_later_state_is_not_used_for_an_earlier_one(tmp_path):
    storage = Storage(PICTURES[:5000])
    earlier = storage.rows()
    storage.upsert(5000, PICTURES[5000])
    built("pq", storage.rows(), tmp_path)
    index = registry.load("indexes", "pq")(earlier, tmp_path)
    index.always_exact = 0
    assert not index.is_built()
    assert index.search(TEXTS[:1], 10)[0][0].max() < 5000


def test_an_unfinished_write_leaves_the_index_before_it(tmp_path, monkeypatch):
    rows = MemoryRows(PICTURES, block=1000)
    index = built("pq", rows, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    index.cache = tmp_path / "pq.index" / "in the way"
    with pytest.raises(OSError, match="pq"):
        index.adopt(_BUILT["pq", rows.key], Effort(1, 20))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_too_few_rows_are_not_worth_an_index():
    with pytest.raises(UsageError, match="too few"):
        registry.load("indexes", "pq")(MemoryRows(PICTURES[:100])).build()


@every_coarse
@pytest.mark.parametrize(
    ("queries", "message"),
    [(np.full((1, DIM), np.nan), "not finite"), (np.zeros((1, DIM)), "zero"), (np.ones((1, 3)), "rows of 128")],
    ids=["nan", "zero", "dimension"],
)
def test_illegal_queries_are_refused(name, queries, message):
    with pytest.raises(InvalidData, match=message):
        built(name).search(queries.astype(np.float32), 3)


def test_the_training_sample_is_drawn_from_everywhere():
    """Files may be sorted: here all rows of a cluster lie together, and the head would know one cluster in ten."""
    ordered = PICTURES[np.argsort(PICTURES[:, 0])]
    rows = MemoryRows(ordered, block=1000)
    rows._slots = np.arange(N)
    rows.owners, rows._rows = np.arange(N, dtype=np.int32), rows.matrix
    sample = registry.load("indexes", "pq")(rows).sample(600)
    deviation = np.abs(sample.mean(axis=0) - ordered.mean(axis=0)).max()
    assert deviation < 0.05 < np.abs(ordered[:600].mean(axis=0) - ordered.mean(axis=0)).max()


@pytest.mark.parametrize("name", [name for name in COARSE if name != "hnsw"])
def test_a_target_met_on_pictures_alone_is_missed_on_texts_and_met_when_they_are_tuned_on(name):
    index = built(name)
    kinds = {"image": like_pictures(index.rows, 150), "text": measured(index.rows, TEXTS[:100])}
    unseen = {"text": measured(index.rows, TEXTS[100:])}
    efforts = {}
    for tuned_on in (("image",), ("image", "text")):
        samples = {kind: kinds[kind] for kind in tuned_on}
        points = curve(index, _BUILT[index.spec, index.rows.key], samples, 0.98)
        efforts[tuned_on] = chosen(points, 0.98)
        assert efforts[tuned_on].least() >= 0.98
    blind, seeing = efforts.values()
    assert seeing.effort >= blind.effort
    index.adopt(_BUILT[name, index.rows.key], seeing.effort)
    assert recall(index, unseen["text"].queries) >= 0.96


def test_the_recall_that_tuning_states_is_that_of_a_search(tmp_path):
    index = built("pq")
    sample = {"text": measured(index.rows, TEXTS)}
    for point in curve(index, _BUILT[index.spec, index.rows.key], sample, 2.0)[:4]:
        index.adopt(_BUILT[index.spec, index.rows.key], point.effort)
        assert recall(index, TEXTS) == pytest.approx(point.recall["text"], abs=1e-9)


def test_random_upserts_do_not_disturb_random_unit_rows():
    """The slow twin itself: a row that was replaced is dead, and its new vector counts."""
    storage = Storage(random_unit(50, 8))
    vector = random_unit(1, 8, seed=5)[0]
    storage.upsert(7, vector)
    rows = storage.rows()
    assert (rows.n, rows.stored, rows.owners[7]) == (50, 51, -1)
    np.testing.assert_array_equal(rows.take([7])[0], vector.astype(np.float16))


# The share of the true ten among the first 10, 20, 50 and 100 proposals when all lists are looked at.
CODES = {
    "binary": {"image": (0.27, 0.48, 0.81, 0.99), "text": (0.27, 0.43, 0.71, 0.87)},
    "hnsw": {"image": (0.89, 1.0, 1.0, 1.0), "text": (0.98, 1.0, 1.0, 1.0)},
    "ivf": {"image": (0.89, 1.0, 1.0, 1.0), "text": (0.98, 1.0, 1.0, 1.0)},
    "pq": {"image": (0.28, 0.46, 0.81, 0.99), "text": (0.39, 0.61, 0.90, 0.99)},
    "rabitq:bits=2": {"image": (0.63, 0.88, 0.99, 1.0), "text": (0.62, 0.85, 0.99, 1.0)},
    "rabitq:bits=4": {"image": (0.82, 0.99, 1.0, 1.0), "text": (0.86, 0.99, 1.0, 1.0)},
    "rabitq": {"image": (0.43, 0.68, 0.95, 0.99), "text": (0.40, 0.62, 0.90, 0.99)},
}


@pytest.mark.parametrize("bits", [0, 3, 8])
def test_numbers_of_bits_that_rabitq_has_not_are_refused(bits):
    with pytest.raises(UsageError, match="takes 1, 2, 4"):
        registry.load("indexes", "rabitq")(MemoryRows(PICTURES[:9]), bits=bits)
    with pytest.raises(UsageError, match="takes 1, 2, 4"):
        make("indexes", f"rabitq:bits={bits}", rows=MemoryRows(PICTURES[:9]), cache=None)


@pytest.mark.parametrize(("bits", "most"), [(1, 90), (2, 160), (4, 290)])
def test_rabitq_takes_as_many_bytes_as_it_says(bits, most, tmp_path):
    index = registry.load("indexes", "rabitq")(MemoryRows(random_unit(10_000, 512), block=1000), tmp_path, bits=bits)
    index.training_rows = 4096
    shared = 512 * 512 * 4 + index.lists(10_000) * 512 * 4  # the rotation and the centres
    assert index.adopt(index.build(), Effort(1, 20)) - shared <= most * 10_000


@every_coarse
def test_codes_are_as_good_as_they_were_measured_to_be(name):
    index = built(name)
    samples = {"image": like_pictures(index.rows, 200), "text": measured(index.rows, TEXTS)}
    effort = Effort(index.reaches()[-1], 100)
    for kind, sample in samples.items():
        proposed = index.propose(_BUILT[name, index.rows.key], sample.queries, effort, None)
        for first, least in zip((10, 20, 50, 100), CODES[name][kind], strict=True):
            shares = [np.isin(true, some[:first]).mean() for true, some in zip(sample.truth, proposed, strict=True)]
            assert np.mean(shares) >= least - 0.02, (kind, first)


@pytest.mark.parametrize("name", ["ivf", "pq", "rabitq", "rabitq:bits=2"])
def test_lists_of_sorted_files_are_about_equally_long(name):
    import faiss

    rows = MemoryRows(PICTURES[np.argsort(PICTURES[:, 0])], block=1000)
    rows._slots, rows._rows = np.arange(N), rows.matrix
    rows.owners = np.arange(N, dtype=np.int32)
    index = make("indexes", name, rows=rows, cache=None).build()
    assert faiss.extract_index_ivf(index).invlists.imbalance_factor() <= 1.5


@every_coarse
def test_no_recipe_drops_dimensions_which_would_spoil_inner_products(name):
    assert "PCA" not in make("indexes", name, rows=MemoryRows(PICTURES[:9]), cache=None).recipe(10**6, 512)


OPEN = """
import sys, numpy as np
from pathlib import Path
sys.path[:0] = {paths!r}
import faiss
from example_rows import MemoryRows, random_unit
from mmretrieval import registry
from mmretrieval.indexes import _cache
def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
rows = MemoryRows(random_unit(20_000, 512), block=1000)
queries = random_unit(3, 512, seed=1)
faiss.IndexFlatIP(4)
before = own()
index, told = _cache.load(Path({cache!r}), {name!r}, rows)
used = own() - before
found = registry.load("indexes", {name!r})(rows, Path({cache!r}))
found.always_exact = 0
print(used, told["bytes"], [positions.tolist() for positions, _ in found.search(queries, 10)])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a program's own memory")
def test_an_opened_index_is_mapped_and_gives_processes_the_same_answer(tmp_path):
    rows = MemoryRows(random_unit(20_000, 512), block=1000)
    index = registry.load("indexes", "ivf")(rows, tmp_path)
    index.adopt(index.build(), Effort(16, 50))
    index.always_exact = 0
    here = [positions.tolist() for positions, _ in index.search(random_unit(3, 512, seed=1), 10)]
    code = OPEN.format(paths=sys.path, cache=str(tmp_path), name="ivf")
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        said, _ = process.communicate()
        used, size, answer = said.split(maxsplit=2)
        assert process.returncode == 0
        assert int(size) > 20_000 * 512
        assert int(used) < 0.05 * int(size) + 2**19  # half a megabyte for what FAISS keeps of any index
        assert json.loads(answer) == here
