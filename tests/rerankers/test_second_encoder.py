"""Candidates scored once more by another encoder: values against a slow twin."""

import numpy as np
import pytest
from example_stages import HashEncoder
from hypothesis import given
from hypothesis import strategies as st
from looking_models import Coloured
from ranked_runs import run, shuffled

from mmretrieval.errors import UsageError
from mmretrieval.ordering import z_scores
from mmretrieval.rerankers.second_encoder import NOTHING_TO_ENCODE, SecondEncoder, joined
from mmretrieval.types import Encoded, Part, Query


def second(opened=None, **settings):
    def open_encoder(spec):
        if opened is not None:
            opened.append(spec)
        return HashEncoder()

    return SecondEncoder(open_encoder, **{"alpha": 1.0, **settings})


def picture(collection_size, number):
    return Coloured(collection_size).open_image(f"img{number}")


def cosines(text, count):
    encoder = HashEncoder()
    rows = encoder.encode_images([picture(count, number) for number in range(count)]).astype(float)
    return rows @ encoder.encode_texts([text])[0].astype(float)


def test_words_order_by_the_other_encoders_cosines_and_no_model_is_asked():
    query = Query("q", text="a green soup")
    ranking, numbers = run(second(), None, 9, query=query, order=shuffled(9))
    told = cosines("a green soup", 9)
    assert [hit.score for hit in ranking.hits] == pytest.approx(sorted(told, reverse=True))
    assert [told[number] for number in numbers] == pytest.approx(sorted(told, reverse=True))
    assert ranking.steps[-1].calls == 0
    assert ranking.hits[0].why == f"cosine {max(told):.3f} by default"


def test_the_encoder_is_opened_once_and_only_when_it_is_needed():
    opened = []
    stage = second(opened, model="other/weights")
    assert opened == []
    for text in ("soup", "egg"):
        run(stage, None, 4, query=Query("q", text=text))
    assert opened == ["other/weights"]


def test_words_and_picture_are_joined_by_their_standardised_cosines_and_weights():
    count = 7
    query = Query("q", text="soup", image_id="img3", weights={"text": 2.0, "image": 0.5})
    ranking, _ = run(second(), None, count, query=query)
    encoder = HashEncoder()
    rows = encoder.encode_images([picture(count, number) for number in range(count)]).astype(float)
    alike = rows @ rows[3]
    twin = 2.0 * np.array(z_scores(list(cosines("soup", count)))) + 0.5 * np.array(z_scores(list(alike)))
    told = {hit.id: hit.score for hit in ranking.hits}
    assert [told[f"img{number}"] for number in range(count)] == pytest.approx(twin, abs=1e-6)


def test_what_is_to_be_avoided_leads_away():
    query = Query("q", text="soup", parts=(Part(text="egg", weight=-1.0),))
    ranking, _ = run(second(), None, 6, query=query)
    twin = np.array(z_scores(list(cosines("soup", 6)))) - np.array(z_scores(list(cosines("egg", 6))))
    told = {hit.id: hit.score for hit in ranking.hits}
    assert [told[f"img{number}"] for number in range(6)] == pytest.approx(twin, abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.sampled_from([-2.0, -0.5, 0.5, 1.0]))
def test_a_single_part_keeps_its_cosines_with_the_sign_of_its_weight(values, weight):
    assert joined([(weight, np.array(values))]) == pytest.approx([value * np.sign(weight) for value in values])


def test_a_query_that_is_only_a_vector_of_the_first_encoder_is_left_alone():
    ranking, numbers = run(second(), None, 3, query=Query("q", image=Encoded((1.0, 0.0))))
    assert (numbers, ranking.steps[-1].note) == ([0, 1, 2], NOTHING_TO_ENCODE)


@pytest.mark.parametrize("wrong", [{"model": " "}, {"alpha": 7.0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        second(**wrong)
