"""CIRR, CIRCO, FashionIQ and GeneCIS: hand-worked cases, slow twins, and the published example where its file is."""

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation import circo, cirr, fashioniq, genecis

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def parts(folder, name):
    """The file of that name in each half of a data set that is here; skips when there is none."""
    found = [DATA / folder / half / name for half in ("dev", "holdout") if (DATA / folder / half / name).is_file()]
    if not found:
        pytest.skip(f"no {folder} in {DATA}; name its folder in MMRETRIEVAL_DATA")
    return found


# --- CIRR ---------------------------------------------------------------------------------------------------------

MEMBERS = ("ref", "t", "m1", "m2", "m3", "m4")


def test_the_reference_leaves_the_ranking_before_places_are_counted():
    ranked = ["ref", "x", "t"]
    assert [cirr.recall(ranked, "t", "ref", k) for k in (1, 2, 3)] == [0, 1, 1]


def test_the_subset_knows_only_the_other_members():
    ranked = ["x", "ref", "m1", "y", "t", "m2"]
    assert [cirr.recall_subset(ranked, "t", "ref", MEMBERS, k) for k in (1, 2, 3)] == [0, 1, 1]
    assert cirr.recall_subset(["m1"], "t", "ref", MEMBERS, 3) == 0


def test_a_random_order_of_the_subset_is_right_in_20_40_and_60_percent():
    choose, others = random.Random(1), [name for name in MEMBERS if name != "ref"]
    orders = [choose.sample(others, 5) for _ in range(4000)]
    for k, chance in ((1, 0.2), (2, 0.4), (3, 0.6)):
        share = sum(cirr.recall_subset(order, "t", "ref", MEMBERS, k) for order in orders) / len(orders)
        assert share == pytest.approx(chance, abs=0.03)


def test_a_doubled_name_and_a_strange_target_are_refused():
    with pytest.raises(InvalidData, match="holds a name twice"):
        cirr.recall(["a", "a"], "a", "ref", 1)
    with pytest.raises(InvalidData, match="'z' is no member"):
        cirr.recall_subset(["a"], "z", "ref", MEMBERS, 1)


def test_the_summary_averages_over_all_queries_and_a_missing_ranking_counts_zero():
    run = {"q1": ["ref", "t"]}
    values = cirr.summary(
        run, {"q1": "t", "q2": "t"}, dict.fromkeys(("q1", "q2"), "ref"), {"q1": MEMBERS, "q2": MEMBERS}
    )
    assert (values["R@1"], values["Rsub@1"], values["mean(R@5, Rsub@1)"]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("depth", [1, 5, 10, 50])
def test_an_oracle_over_the_first_n_of_the_real_queries_reaches_what_was_among_them(depth):
    """Whatever the first stage: after an oracle R@1 is R@N before it, and a reversed oracle finds nothing on top."""
    entries = [entry for file in parts("ann-cirr", "cap.rc2.val.part.json") for entry in json.loads(file.read_text())]
    assert len(entries) in (2252, 4181)
    names = sorted(json.loads((DATA / "ann-cirr/shared/split.rc2.val.json").read_text()))
    choose = random.Random(depth)
    before = after = mirrored = 0.0
    for entry in entries:
        target, reference, members = entry["target_hard"], entry["reference"], entry["img_set"]["members"]
        assert target in members
        assert target != reference
        near = choose.sample(members, 3)
        ranked = [*near, *(name for name in choose.sample(names, 60) if name not in near)]
        head = [name for name in ranked if name != reference][:depth]
        oracle = sorted(head, key=lambda name: name != target)
        before += cirr.recall(ranked, target, reference, depth)
        after += cirr.recall(oracle, target, reference, 1)
        mirrored += cirr.recall(oracle[::-1], target, reference, 1)
    assert after == before > 0
    assert mirrored == (before if depth == 1 else 0)


# --- CIRCO --------------------------------------------------------------------------------------------------------


def test_ap_is_divided_by_what_can_stand_in_the_head():
    targets = {"q": ["t1", "t2", "t3"]}
    values = circo.summary({"q": ["t2", "x", "t1", "t3"]}, targets, at=(1, 3, 4))
    assert values["mAP@1"] == 1
    assert values["mAP@3"] == pytest.approx((1 + 2 / 3) / 3)
    assert values["mAP@4"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert (values["Recall@1"], values["Recall@3"]) == (0, 1)


def test_a_query_counts_for_each_of_its_aspects():
    run, targets = {"q1": ["t"], "q2": ["x"]}, {"q1": ["t"], "q2": ["t"]}
    aspects = {"q1": ["cardinality", "negation"], "q2": ["negation"]}
    assert circo.by_aspect(run, targets, aspects) == {"cardinality": 1, "negation": 0.5}


@pytest.mark.parametrize(
    ("run", "message"),
    [({"q": ["a", "a"]}, "holds an image twice"), ({}, "has no list of images")],
    ids=["doubled", "missing"],
)
def test_a_list_the_official_evaluator_refuses_is_refused(run, message):
    with pytest.raises(InvalidData, match=message):
        circo.summary(run, {"q": ["a"]})


def test_the_published_example_has_its_published_values():
    files = parts("ann-circo", "val.part.json")
    run = json.loads((DATA / "ann-circo/shared/submission_val.json").read_text())
    run = {query: [str(image) for image in images] for query, images in run.items()}
    halves = []
    for file in files:
        told = json.loads((file.parent / "expected_metrics_submission_val.json").read_text())[file.parent.name]
        targets = {str(e["id"]): [str(image) for image in e["gt_img_ids"]] for e in json.loads(file.read_text())}
        assert all(e["target_img_id"] == e["gt_img_ids"][0] for e in json.loads(file.read_text()))
        values = circo.summary(run, targets)
        assert len(targets) == told.pop("n")
        assert {name: round(100 * value, 4) for name, value in values.items() if name in told} == told
        halves.append(targets)
    if len(halves) == 2:
        values = circo.summary(run, halves[0] | halves[1])
        whole = {"mAP@5": 0.4861, "mAP@10": 0.5178, "mAP@25": 0.5400, "mAP@50": 0.6020, "Recall@50": 3.6364}
        assert {name: round(100 * values[name], 4) for name in whole} == whole


# --- FashionIQ ----------------------------------------------------------------------------------------------------


def test_categories_count_alike_however_many_queries_they_have():
    run = {"d1": ["t"], "d2": ["t"], "d3": ["t"], "s1": ["x"]}
    table = fashioniq.summary(run, dict.fromkeys(run, "t"), {q: "dress" if q[0] == "d" else "shirt" for q in run})
    assert table["dress"] == {"R@10": 1, "R@50": 1}
    assert table["average"] == {"R@10": 0.5, "R@50": 0.5, "mean": 0.5}


def test_the_reference_stays_unless_it_is_named():
    run, targets, categories = {"q": [*(f"x{n}" for n in range(9)), "ref", "t"]}, {"q": "t"}, {"q": "dress"}
    assert fashioniq.summary(run, targets, categories)["dress"]["R@10"] == 0
    assert fashioniq.summary(run, targets, categories, {"q": "ref"})["dress"]["R@10"] == 1
    with pytest.raises(InvalidData, match="'q' has no category"):
        fashioniq.summary(run, targets, {})


# --- GeneCIS ------------------------------------------------------------------------------------------------------


def test_a_constant_scorer_over_fifteen_images_is_at_chance():
    scores = {f"q{n}": {f"i{each}": 0.5 for each in range(15)} for n in range(20)}
    values = genecis.summary(scores, dict.fromkeys(scores, "i0"))
    assert values == pytest.approx({"R@1": 1 / 15, "R@2": 2 / 15, "R@3": 3 / 15})


@given(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=5), st.integers(1, 4))
def test_a_tie_is_worth_the_mean_over_its_orders(target, others, k):
    scores = [("t", target), *((f"o{n}", score) for n, score in enumerate(others))]
    choose, found = random.Random(0), []
    for _ in range(600):
        order = sorted(choose.sample(scores, len(scores)), key=lambda pair: -pair[1])
        found.append(("t", target) in order[:k])
    assert genecis.recall(float(target), [float(o) for o in others], k) == pytest.approx(sum(found) / 600, abs=0.12)


def test_distinct_scores_give_a_plain_hit_or_miss():
    assert [genecis.recall(0.5, [0.9, 0.1], k) for k in (1, 2, 3)] == [0, 1, 1]
    with pytest.raises(InvalidData, match="not a number"):
        genecis.recall(0.5, [float("nan")], 1)
    with pytest.raises(InvalidData, match="no score for its target 't'"):
        genecis.summary({"q": {"a": 1.0}}, {"q": "t"})
