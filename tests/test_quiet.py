import threading
import warnings

import pytest
from store_samples import encoded, picture

from mmretrieval.images import decode
from mmretrieval.quiet import quiet_pillow


def warn_as(module):
    warnings.warn_explicit("odd", UserWarning, "file.py", 1, module=module)


def test_only_pillows_warnings_are_kept_quiet_and_only_inside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_pillow():
            warn_as("PIL.TiffImagePlugin")
            with quiet_pillow():
                warn_as("PIL.Image")
            warn_as("PIL.Image")
            with pytest.raises(UserWarning, match="odd"):
                warn_as("somebody.else")
        with pytest.raises(UserWarning, match="odd"):
            warn_as("PIL.Image")


def test_many_threads_leave_the_filters_as_they_were():
    data = [encoded(picture(seed), kind) for seed in range(3) for kind in ("PNG", "TIFF", "JPEG")]
    before = list(warnings.filters)

    def work():
        for _ in range(20):
            for each in data:
                decode(each, shown="x")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def test_the_filters_come_back_after_an_error():
    before = list(warnings.filters)
    with pytest.raises(ZeroDivisionError), quiet_pillow():
        raise ZeroDivisionError
    assert warnings.filters == before
