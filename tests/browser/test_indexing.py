"""A folder that the server was told of can be indexed from the page; what is new is found at once."""

import json

import pytest
from page_acts import answer, card, comes, ids_of, search, shown
from PIL import Image

pytestmark = pytest.mark.browser


@pytest.fixture
def newcomer(index):
    """One more picture in the folder and in its list of pictures: another one mirrored, with a word of its own."""
    world = index.parent / "world"
    with Image.open(world / "images" / "nature-000053.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(world / "images" / "newcomer.png")
    row = {"id": "newcomer", "path": "images/newcomer.png", "caption": "quetzalcoatlus", "domain": "nature"}
    with (world / "manifest.jsonl").open("a", encoding="utf-8") as manifest:
        manifest.write(json.dumps(row) + "\n")
    return row


def test_a_picture_that_came_into_the_folder_is_indexed_and_found(visit, newcomer):
    page = visit()
    page.get_by_role("tab", name="Add pictures").click()
    page.locator("#mmb-index").click()
    page.locator("#mmb-index-told", has_text="Done").wait_for()
    assert "1 new or changed" in page.locator("#mmb-index-told").inner_text()
    page.get_by_role("tab", name="Results").click()
    search(page, "quetzalcoatlus")
    page.get_by_role("button", name="More ways to search").click()
    page.get_by_label("By ranks").check()
    wanted = ids_of(answer(page, text="quetzalcoatlus", hybrid="rrf"))
    assert "newcomer" in wanted[:3]
    comes(page, lambda: shown(page), wanted)
    assert card(page, "newcomer").locator("img").evaluate("img => img.complete && img.naturalWidth > 0")
