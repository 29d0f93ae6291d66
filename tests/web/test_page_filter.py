"""What is chosen and typed beside the results becomes a filter as the command line takes it."""

import pytest

from mmretrieval.errors import UsageError
from mmretrieval.web.page.facets import Facet
from mmretrieval.web.page.filtering import expression_of

MAKER = Facet("maker", "choice", (("Ann O'Hara", 3), ("Bo", 2)))
PARTS = Facet("ingredients", "choice", (("rice", 3), ("fish", 2)), is_list=True)
PRICE = Facet("price", "range", low=1, high=9)
TAKEN = Facet("taken", "days", low="2020-01-01", high="2024-12-31")

CASES = {
    "nothing": (PRICE, ["", " "], ""),
    "one bound": (PRICE, ["", "1234567"], "price <= 1234567"),
    "both bounds": (PRICE, [" 2.5", "7"], "price >= 2.5 AND price <= 7"),
    "days": (TAKEN, ["2024-06-01", ""], "taken >= DATE '2024-06-01'"),
    "one of many values": (MAKER, [["Ann O'Hara"]], "maker = 'Ann O''Hara'"),
    "any of several values": (MAKER, [["Ann O'Hara", "Bo"]], "maker IN ('Ann O''Hara', 'Bo')"),
    "all of several parts": (PARTS, [["rice", "fish"]], "ingredients = 'rice' AND ingredients = 'fish'"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_choice_becomes_its_condition(name):
    facet, values, wanted = CASES[name]
    assert expression_of([facet], values, "") == wanted


def test_what_is_typed_is_joined_to_what_is_chosen():
    assert expression_of([MAKER], [["Bo"]], "price < 3 OR price > 8") == "maker = 'Bo' AND (price < 3 OR price > 8)"
    assert expression_of([MAKER], [[]], " price < 3 ") == "price < 3"


def test_a_bound_that_is_no_number_is_told():
    with pytest.raises(UsageError, match="price: 'cheap' is no number"):
        expression_of([PRICE], ["cheap", ""], "")
