"""The watch over a page sees what it is there for, on pages that go wrong on purpose."""

import pytest

pytestmark = pytest.mark.browser

WRONG = {
    "a script that fails": ("<script>missing()</script>", "missing is not defined"),
    "an error in the console": ("<script>console.error('a word too many')</script>", "a word too many"),
    "a picture that is not there": ("<img src='/nothing/here.png'>", "404 for"),
    "a stranger": ("<script src='https://fonts.example/a.js'></script>", "https://fonts.example/a.js"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_fault_of_a_page_is_seen(wrong, visit, address, watched):
    html, told = WRONG[wrong]
    watched.expected = (*(said for _, said in WRONG.values()), "ERR_", "404", "Content Security Policy")
    page = visit("health")
    page.set_content(html)
    page.wait_for_load_state("networkidle")
    assert [fault for fault in watched.faults if told in fault]
