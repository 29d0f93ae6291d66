import os
import socket
import struct
import subprocess
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from store_samples import encoded, picture

from mmretrieval.errors import NotFound, UnreadableImage
from mmretrieval.images import decode, open_image, thumbnail

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def array(image):
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def pixels(data, **settings):
    return array(decode(data, shown="x", **settings).image)


def reason(data, **settings):
    with pytest.raises(UnreadableImage) as caught:
        decode(data, shown="x.jpg", **settings)
    assert str(caught.value) == f"x.jpg: {caught.value.reason}"
    return caught.value.reason


def with_orientation(image, value, kind, **settings):
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(image, kind, exif=exif.tobytes(), **settings)


def as_the_camera_saw(upright, orientation):
    """What a camera held that way stores, written out pixel by pixel from the definition of the tag: the value says
    on which sides of the true picture the stored row 0 and column 0 lie."""
    p = np.asarray(upright)
    height, width = p.shape[:2]
    row_0_col_0 = {
        1: lambda r, c: (r, c),  # top, left
        2: lambda r, c: (r, width - 1 - c),  # top, right
        3: lambda r, c: (height - 1 - r, width - 1 - c),  # bottom, right
        4: lambda r, c: (height - 1 - r, c),  # bottom, left
        5: lambda r, c: (c, r),  # left, top
        6: lambda r, c: (c, width - 1 - r),  # right, top
        7: lambda r, c: (height - 1 - c, width - 1 - r),  # right, bottom
        8: lambda r, c: (height - 1 - c, r),  # left, bottom
    }[orientation]
    rows, columns = (height, width) if orientation <= 4 else (width, height)
    stored = [[p[row_0_col_0(r, c)] for c in range(columns)] for r in range(rows)]
    return Image.fromarray(np.array(stored))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_gives_the_pixels_of_its_upright_twin(orientation, kind):
    twin = picture(1, 30, 20)
    settings = {"lossless": True} if kind == "WEBP" else {}
    data = with_orientation(as_the_camera_saw(twin, orientation), orientation, kind, **settings)
    assert np.array_equal(pixels(data), array(twin))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_of_a_jpeg_looks_like_its_upright_twin(orientation):
    twin = picture(1, 64, 32)
    decoded = decode(with_orientation(as_the_camera_saw(twin, orientation), orientation, "JPEG", quality=95), shown="x")
    assert decoded.image.size == (64, 32)
    assert np.abs(array(decoded.image) - array(twin)).mean() < 3
    expected = (f"turned upright (EXIF orientation {orientation})",) if orientation > 1 else ()
    assert decoded.notes == expected


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_changes_nothing(orientation):
    twin = picture(1, 30, 20)
    assert np.array_equal(pixels(with_orientation(twin, orientation, "PNG")), array(twin))


@pytest.mark.parametrize("min_side", [16, 50, 100, 224])
def test_a_scaled_jpeg_is_nearly_the_full_one_scaled_down_and_never_too_small(min_side):
    data = encoded(picture(11, 1200, 800), "JPEG", quality=90)
    scaled = decode(data, shown="x", min_side=min_side).image
    assert 2 * min_side <= min(scaled.size) < 4 * min_side
    target = (min_side * 3 // 2, min_side)
    full = decode(data, shown="x").image
    assert full.size == (1200, 800)
    difference = array(scaled.resize(target, Image.Resampling.BICUBIC)) - array(
        full.resize(target, Image.Resampling.BICUBIC)
    )
    assert np.abs(difference).mean() < 1


def test_another_format_is_scaled_down_in_proportion():
    image = picture(3, 400, 256)
    scaled = pixels(encoded(image, "PNG"), min_side=16)
    blocks = array(image).reshape(32, 8, 50, 8, 3).mean(axis=(1, 3))
    assert scaled.shape == blocks.shape
    assert np.abs(scaled - blocks).mean() < 1


@pytest.mark.parametrize("min_side", [6, 10, 19, 224])
def test_a_picture_less_than_four_times_as_large_as_asked_for_is_left_alone(min_side):
    image = picture(3, 40, 20)
    assert np.array_equal(pixels(encoded(image, "PNG"), min_side=min_side), array(image))


def test_transparent_parts_lie_on_white():
    layers = np.zeros((1, 4, 4), dtype=np.uint8)
    layers[0] = [(200, 0, 0, 255), (200, 0, 0, 0), (0, 0, 0, 128), (10, 20, 30, 64)]
    expected = [[c * a / 255 + 255 * (1 - a / 255) for c in (r, g, b)] for r, g, b, a in layers[0].tolist()]
    decoded = decode(encoded(Image.fromarray(layers), "PNG"), shown="x")
    assert np.abs(array(decoded.image)[0] - np.array(expected)).max() <= 1
    assert decoded.notes == ("transparent parts laid on white",)


def test_an_alpha_channel_that_hides_nothing_changes_nothing():
    image = picture(2)
    decoded = decode(encoded(image.convert("RGBA"), "PNG"), shown="x")
    assert np.array_equal(array(decoded.image), array(image))
    assert decoded.notes == ()


def test_grey_with_alpha_lies_on_white():
    grey = Image.new("LA", (2, 1))
    grey.putdata([(100, 255), (100, 0)])
    assert pixels(encoded(grey, "PNG"))[0].tolist() == [[100] * 3, [255] * 3]


def test_a_palette_gives_its_colours_and_its_transparent_entry_white():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 128, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    colours = [[255, 0, 0], [0, 128, 0], [0, 0, 255]]
    assert pixels(encoded(image, "PNG"))[0].tolist() == colours
    assert pixels(encoded(image, "PNG", transparency=1))[0].tolist() == [colours[0], [255] * 3, colours[2]]
    # one transparency per entry, as bytes: the case in which Pillow would warn
    assert pixels(encoded(image, "PNG", transparency=bytes([255, 255, 0])))[0].tolist() == [*colours[:2], [255] * 3]


def test_a_transparent_colour_of_an_rgb_picture_lies_on_white():
    image = Image.new("RGB", (2, 1))
    image.putdata([(1, 2, 3), (9, 9, 9)])
    assert pixels(encoded(image, "PNG", transparency=(1, 2, 3)))[0].tolist() == [[255] * 3, [9] * 3]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_divided_by_257(kind):
    values = np.linspace(0, 65535, 300).astype(np.uint16).reshape(10, 30)
    grey = pixels(encoded(Image.fromarray(values), kind))
    assert np.abs(grey - (values / 257.0)[..., None]).max() <= 0.5


def test_16_bit_grey_of_a_pgm_is_divided_by_257():
    values = np.linspace(0, 65535, 12).astype(">u2")
    data = b"P5 4 3 65535\n" + values.tobytes()
    assert np.abs(pixels(data).reshape(12, 3) - (values / 257.0)[:, None]).max() <= 0.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.25, 1.0], [0, 64, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 25700.0, 65535.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([float("nan"), 0.5, 1.0], [0, 128, 255]),
        ([7.0, 7.0, 7.0], [7, 7, 7]),
    ],
    ids=["0 to 1", "0 to 255", "0 to 65535", "below zero: stretched", "not a number is black", "all equal"],
)
def test_floating_point_grey_is_scaled_by_its_range(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert pixels(encoded(image, "TIFF"))[0, :, 0].tolist() == expected


def test_32_bit_integers_are_16_bit_values_or_stretched():
    image = Image.fromarray(np.array([[0, 257, 65535]], dtype=np.int32))
    assert pixels(encoded(image, "TIFF"))[0, :, 0].tolist() == [0, 1, 255]
    image = Image.fromarray(np.array([[-1000, 0, 1000]], dtype=np.int32))
    assert pixels(encoded(image, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_one_bit_is_black_and_white():
    image = Image.new("1", (2, 1))
    image.putdata([1, 0])
    assert pixels(encoded(image, "PNG"))[0].tolist() == [[255] * 3, [0] * 3]


def cmyk_jpeg(colour):
    return encoded(Image.new("CMYK", (16, 16), colour), "JPEG", quality=100)


@pytest.mark.parametrize(
    ("ink", "colour"),
    [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
    ids=["no ink is white", "magenta and yellow are red", "black"],
)
def test_cmyk_jpegs_hold_inverted_ink_as_adobe_writes_it(ink, colour):
    adobe = decode(cmyk_jpeg(ink), shown="x")
    assert np.abs(array(adobe.image) - np.array(colour)).max() <= 3
    assert adobe.notes == ("CMYK colours",)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    settings = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **settings), shown="x")
    assert np.array_equal(array(decoded.image), array(frames[0]))
    assert decoded.notes == (
        "several pictures in one file: the first" if kind == "TIFF" else "animated: the first frame",
    )


def many_formats():
    image = picture(5, 40, 30)
    return {
        "jpeg": encoded(image, "JPEG"),
        "progressive jpeg": encoded(image, "JPEG", progressive=True),
        "png": encoded(image, "PNG"),
        "animated png": encoded(image, "PNG", save_all=True, append_images=[image.rotate(90)]),
        "gif": encoded(image, "GIF"),
        "animated gif": encoded(image, "GIF", save_all=True, append_images=[image.rotate(180)]),
        "webp": encoded(image, "WEBP"),
        "lossless webp": encoded(image, "WEBP", lossless=True),
        "animated webp": encoded(image, "WEBP", save_all=True, append_images=[image.rotate(180)]),
        "bmp": encoded(image, "BMP"),
        "tiff": encoded(image, "TIFF"),
        "tiff lzw": encoded(image, "TIFF", compression="tiff_lzw"),
        "ppm": encoded(image, "PPM"),
        "pbm": encoded(image.convert("1"), "PPM"),
        "jpeg 2000": encoded(image, "JPEG2000"),
        "jpeg 2000 stream": encoded(image, "JPEG2000", no_jp2=True),
        "avif": encoded(image, "AVIF"),
    }


@pytest.mark.parametrize(("name", "data"), many_formats().items(), ids=many_formats().keys())
def test_a_picture_cut_off_anywhere_is_refused(name, data):
    whole = array(Image.open(BytesIO(data)).convert("RGB"))
    assert np.array_equal(pixels(data), whole)
    cuts = {*range(0, len(data), 1 + len(data) // 150), *range(max(0, len(data) - 30), len(data))}
    for length in sorted(cuts):
        assert reason(data[:length]), f"{name} cut to {length} of {len(data)} bytes"
        if length > 64:
            reason(data[:length], min_side=8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_half_a_picture_is_called_truncated(kind):
    data = encoded(picture(4, 200, 150), kind)
    assert reason(data[: len(data) // 2]).startswith("truncated: ")


def test_a_second_picture_inside_a_jpeg_is_no_frame():
    data = encoded(picture(1), "MPO", save_all=True, append_images=[picture(2)])
    decoded = decode(data, shown="x")
    assert decoded.notes == ()
    assert np.abs(array(decoded.image) - array(picture(1))).mean() < 5


def test_a_jpeg_cut_off_is_never_half_grey_even_when_others_ask_pillow_to_be_lenient():
    data = encoded(picture(4, 640, 480), "JPEG")
    assert "truncated" in reason(data[: len(data) // 2])
    assert reason(data[: len(data) // 2], min_side=64)


@pytest.mark.parametrize("tail", [b"\0" * 100, b"trailing words", b"\xff\xd9"])
def test_bytes_after_the_end_do_no_harm(tail):
    for data in (encoded(picture(4), "JPEG"), encoded(picture(4), "PNG"), encoded(picture(4), "GIF")):
        assert np.array_equal(pixels(data + tail), pixels(data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the file is empty"),
        (b"just some words in a file", "not a picture: the content is of no known picture format"),
        (b"BM is how this text begins, but it is no bitmap at all and goes on", "not a picture"),
        (b"P1 is not a picture either", "not a picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + bytes(100), "not a picture"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(80), "not a picture"),
        (b"\xff\xd8\xff\xe0 and nothing else", "truncated: the file ends before the picture does"),
        (b"\x89PNG\r\n\x1a\n and nothing else", "truncated: the PNG stops before its end mark"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "damaged"),
    ],
    ids=[
        "empty",
        "text",
        "text like a bitmap",
        "text like a pbm",
        "video",
        "sound",
        "jpeg mark only",
        "png mark only",
        "heic mark only",
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(data, expected):
    assert reason(data).startswith(expected)


def png_of_size(width, height, body=b""):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body or zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg_of_size(width, height):
    data = bytearray(encoded(picture(1, 16, 16), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png_of_size(20_000, 15_000), "too large: 20000 x 15000 = 300000000 pixels"),
        (png_of_size(2**30, 2**30), "too large"),
        (png_of_size(20_000, 15_000)[:33], "too large: 20000 x 15000 = 300000000 pixels"),
        (png_of_size(60_000, 60_000, zlib.compress(bytes(10**7))), "too large: .*3600000000 pixels"),
        (jpeg_of_size(20_000, 15_000), "too large: .*300000000 pixels"),
        (png_of_size(1, 5_000), "too narrow: 1 x 5000"),
        (png_of_size(0, 10), "no pixels: 0 x 10"),
        (jpeg_of_size(0, 0), "."),
    ],
    ids=[
        "300 megapixels",
        "2^60 pixels",
        "no body",
        "bomb",
        "300 megapixel jpeg",
        "a line",
        "no pixels",
        "jpeg without pixels",
    ],
)
def test_sizes_beyond_the_limits_are_refused_from_the_header(data, expected):
    import re

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert re.match(expected, reason(data))


def test_a_picture_for_which_pillow_would_only_warn_opens_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert pixels(encoded(picture(1, 40, 30), "PNG")).shape == (30, 40, 3)
        assert "too large" in reason(encoded(picture(1, 80, 60), "PNG"))
    assert caught == []


def test_own_limits_of_pixels_memory_and_bytes(tmp_path):
    data = encoded(picture(1, 40, 30), "PNG")
    assert reason(data, max_pixels=1199) == "too large: 40 x 30 = 1200 pixels, the limit is 1199"
    assert reason(encoded(picture(1, 800, 600), "PNG"), max_memory=2**20).startswith("too large: decoding needs 3 MiB")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImage, match=f"too large: {len(data)} bytes, the limit is 100"):
        open_image(tmp_path / "a.png", max_bytes=100)


def test_a_large_jpeg_passes_the_memory_limit_when_it_is_decoded_small():
    data = encoded(picture(1, 1600, 1200), "JPEG")
    assert "too large" in reason(data, max_memory=2**21)
    assert decode(data, shown="x", min_side=100, max_memory=2**21).image.size == (400, 300)


def test_huge_or_damaged_exif_does_no_harm():
    image = picture(6)
    plain = encoded(image, "JPEG")
    for block in (b"Exif\0\0" + b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 30_000, b"Exif\0\0garbage", b"Exif\0\0"):
        segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
        data = plain[:2] + segment + plain[2:]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.array_equal(pixels(data), pixels(plain))
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    assert np.array_equal(pixels(encoded(image, "JPEG", exif=exif)), pixels(plain))


def test_the_error_names_the_file_and_a_missing_file_is_not_found(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"^album/a\.png: the file is empty$"):
        open_image(tmp_path / "a.png", shown="album/a.png")
    with pytest.raises(NotFound, match=r"b\.png: no such file"):
        open_image(tmp_path / "b.png")


def special(path, kind):
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    return path


@pytest.mark.skipif(os.name == "nt", reason="needs the special files of Unix")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("folder", "a folder, not a picture"),
        ("pipe", "a pipe, socket or device, not a file"),
        ("socket", "a pipe, socket or device, not a file"),
        ("device", "a pipe, socket or device, not a file"),
        ("loop", "a symbolic link that leads to itself"),
    ],
)
def test_what_is_no_file_is_refused_without_waiting(tmp_path, monkeypatch, kind, expected):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with pytest.raises(UnreadableImage) as caught:
        open_image(special(Path("x.jpg"), kind))
    assert caught.value.reason == expected


def test_without_the_extra_a_heic_names_it():
    code = (
        "import sys; sys.modules['pi_heif'] = None\n"
        "from mmretrieval.images import decode\n"
        "from mmretrieval.errors import UnreadableImage\n"
        "try: decode(b'\\0\\0\\0\\x18ftypheic\\0\\0\\0\\0mif1heic', shown='a.heic')\n"
        "except UnreadableImage as error: sys.stdout.write(str(error))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "a.heic: HEIC pictures need the package 'pi-heif', which is not installed: pip install 'mmretrieval[heic]'"
    )


def test_a_thumbnail_keeps_the_proportions_and_the_original():
    image = picture(1, 400, 100)
    small = thumbnail(image, 100)
    assert (small.size, image.size) == ((100, 25), (400, 100))
    assert np.array_equal(array(thumbnail(picture(1, 10, 5), 100)), array(picture(1, 10, 5)))


def test_what_comes_back_carries_no_baggage():
    decoded = decode(encoded(picture(1), "JPEG", comment=b"x" * 1000, exif=Image.Exif()), shown="x")
    assert decoded.image.info == {}


real = sorted(path for path in DATA.glob("img-*/**/*") if path.is_file() and path.suffix.lower() in {
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tiff", ".jp2", ".heic", ".pnm", ".ppm", ".pgm", ".pbm"
})  # fmt: skip


@pytest.mark.skipif(not real, reason=f"no photographs in {DATA}; name their folder in MMRETRIEVAL_DATA")
@pytest.mark.slow
def test_real_photographs_decode_small_like_they_do_in_full():
    pytest.importorskip("pi_heif")
    for path in real[::20]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            small = open_image(path, min_side=64)
            full = open_image(path)
        twin = full.resize((32, 32), Image.Resampling.BOX)
        assert min(128, *full.size) <= min(small.size) < 256, path
        assert np.abs(array(twin) - array(small.resize((32, 32), Image.Resampling.BOX))).mean() < 4, path


def test_a_heic_photograph_looks_like_its_jpeg_twin():
    pytest.importorskip("pi_heif")
    folder = DATA / "img-rclip-e2e" / "dev" / "images heic"
    if not folder.is_dir():
        pytest.skip(f"no HEIC photograph in {DATA}")
    heic, jpeg = (open_image(folder / name).resize((48, 48)) for name in ("bee.heic", "bee.jpg"))
    assert np.abs(array(heic) - array(jpeg)).mean() < 12
