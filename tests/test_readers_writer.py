from shared_index import Writer, result, start_readers


def test_three_readers_get_right_answers_while_a_writer_adds_changes_and_removes(tmp_path):
    writer = Writer(tmp_path)
    writer.round()
    readers = start_readers(writer.index, 3, seconds=3)
    while any(reader.poll() is None for reader in readers):
        writer.round()
    found = [result(reader) for reader in readers]
    assert [each["wrong"] for each in found] == [[], [], []]
    assert sum(each["fresh"] for each in found) >= 3, "the readers never saw anything new"
    writer.check_the_end()
