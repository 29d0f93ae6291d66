"""What is shown can be taken along as a file, in the same order."""

import csv
import json
from pathlib import Path

import pytest
from page_acts import search, shown

pytestmark = pytest.mark.browser


def ids_in(kind, text):
    if kind == "csv":
        return [row["id"] for row in csv.DictReader(text.splitlines())]
    if kind == "json":
        return [hit["id"] for hit in json.loads(text)["hits"]]
    return [line.split()[2] for line in text.splitlines()]


@pytest.mark.parametrize("kind", ["csv", "json", "trec"])
def test_an_export_holds_what_is_shown_in_its_order(kind, visit):
    page = visit()
    search(page, "two red foxes in the snow")
    ids = shown(page)
    page.get_by_role("tab", name="Export").click()
    with page.expect_download() as begun:
        page.locator(f"#mmb-export-{kind}").click()
    assert begun.value.suggested_filename == f"results.{kind}"
    assert ids_in(kind, Path(begun.value.path()).read_text("utf-8")) == ids
