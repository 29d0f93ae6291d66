"""What a file's first bytes say it is, whatever its name, and whether its last bytes are there.

Pillow itself notices most pictures that are cut off. `cut_off` adds the cases in which it would show what is left:
a PNG or GIF whose end is missing behind the first frame, a JPEG 2000 stream without any tile.
"""

from __future__ import annotations

HEAD_BYTES = 64  # what `format_of` wants to see

_NAMES = {
    "JPEG": "jpg jpeg jpe jfif jif mpo",
    "PNG": "png apng",
    "GIF": "gif",
    "WEBP": "webp",
    "BMP": "bmp dib",
    "TIFF": "tif tiff",
    "PPM": "ppm pgm pbm pnm",
    "JPEG2000": "jp2 j2k j2c jpf jpx jpc",
    "HEIF": "heic heif hif",
    "AVIF": "avif",
}
FORMAT_OF_ENDING = {ending: kind for kind, endings in _NAMES.items() for ending in endings.split()}
# Camera files are TIFF inside; Pillow would show the stamp-sized preview that lies at their beginning.
RAW_ENDINGS = frozenset(
    ["dng", "cr2", "cr3", "nef", "nrw", "arw", "orf", "rw2", "raf", "pef", "srw", "x3f", "3fr", "iiq", "raw"]
)

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def format_of(head: bytes) -> str | None:
    """Pillow's name of the picture format that begins with these bytes (HEAD_BYTES of them, or all), else None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG2000"
    return _format_with_a_weak_mark(head)


def _format_with_a_weak_mark(head: bytes) -> str | None:
    """Formats whose first bytes could be the beginning of a text, too."""
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS and head[6:10] == bytes(4):
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n" and _begins_with_a_number(head[2:]):
        return "PPM"
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12]} | {head[at : at + 4] for at in range(16, length - 3, 4)}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None


def _begins_with_a_number(text: bytes) -> bool:
    words = b" ".join(line.partition(b"#")[0] for line in text.splitlines()).split()
    return bool(words) and words[0].isdigit()


def claimed_size(data: bytes, kind: str) -> tuple[int, int] | None:
    """Width and height where they stand at a fixed place, as in a PNG."""
    if kind == "PNG" and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return None


def cut_off(data: bytes, kind: str) -> str:
    """What is missing at the end of a picture of this format, in words; empty if nothing is, or Pillow will notice."""
    if kind == "PNG" and not _png_ends(data):
        return "the PNG stops before its end mark"
    if kind == "GIF" and not _gif_ends(data):
        return "the GIF stops before its end mark"
    if kind == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        return f"the WebP should have {int.from_bytes(data[4:8], 'little') + 8} bytes and has {len(data)}"
    if kind == "JPEG2000" and b"\xff\x93" not in data:
        return "the JPEG 2000 stream holds no picture data"
    return ""


def _png_ends(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _gif_ends(data: bytes) -> bool:
    """Walks the blocks; anything that is no block is left for Pillow to complain about."""
    at = 13 + _gif_table(data[10:11])
    while at < len(data):
        mark = data[at]
        if mark == 0x3B:
            return True
        if mark == 0x21:
            at = _after_gif_blocks(data, at + 2)
        elif mark == 0x2C:
            at = _after_gif_blocks(data, at + 11 + _gif_table(data[at + 9 : at + 10]))
        else:
            return True
    return False


def _gif_table(flags: bytes) -> int:
    """Bytes of the colour table that follows a descriptor with these flags."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _after_gif_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1
