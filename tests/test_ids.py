import pytest

from mmretrieval.ids import is_fit, propose


def proposed(*paths, taken=(), others=()):
    return list(propose(paths, [*paths, *others], taken).values())


def test_an_id_is_the_path_without_its_ending():
    assert proposed("a.jpg", "b/c.d.png", "b/plain", "b.c/x.jpg") == ["a", "b/c.d", "b/plain", "b.c/x"]


def test_files_that_differ_only_in_their_ending_keep_it():
    assert proposed("a.jpg", "a.png", "b.jpg") == ["a.jpg", "a.png", "b"]
    assert proposed("a.png", others=["a.jpg"], taken=["a"]) == ["a.png"]


def test_blanks_and_control_characters_become_underscores():
    assert proposed("my cat.jpg", "two\nlines.jpg", "tab\tand\u00a0space.jpg", "bell\x07.jpg") == [
        "my_cat",
        "two_lines",
        "tab_and_space",
        "bell_",
    ]


def test_a_clash_is_numbered_in_the_order_of_the_paths():
    assert proposed("a b.jpg", "a\tb.jpg", "a_b.jpg") == ["a_b", "a_b~2", "a_b~3"]
    assert proposed("a.jpg", taken=["a", "a~2"]) == ["a~3"]
    assert proposed("a b.jpg", "a_b.jpg", "a_b~2.jpg") == ["a_b", "a_b~2", "a_b~2~2"]


def test_letters_of_any_script_stay():
    assert proposed("鳥/鳥鳥.png", "é.jpg") == ["鳥/鳥鳥", "é"]


@pytest.mark.parametrize(
    ("record_id", "fit"),
    [("a/b", True), ("", False), ("a b", False), ("a\n", False), ("\u2003", False), ("\x00", False)],
)
def test_an_id_is_fit_for_run_files_without_blanks(record_id, fit):
    assert is_fit(record_id) is fit
