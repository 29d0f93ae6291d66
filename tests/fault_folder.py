"""A folder with every fault that pictures are found with, and what the index must say about each."""

import os
import shutil
import socket
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from store_samples import encoded, picture


class Fault(NamedTuple):
    """The state and the reason (a regular expression) that the ledger must give; the picture that must be found."""

    state: str
    reason: str = ""
    twin: Image.Image | None = None


ROW_0_COLUMN_0 = {
    # orientation: how the stored array follows from the upright one
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
}


def seed_faults(root: Path, outside: Path) -> dict[str, Fault]:
    """Fills the folder; `outside` is where links lead that leave it. Returns what to expect, by path."""
    root.mkdir(parents=True, exist_ok=True)
    outside.mkdir(parents=True, exist_ok=True)
    writer = _Writer(root, outside)
    for step in (writer.cut_off, writer.no_pictures, writer.names, writer.colours, writer.turned, writer.links):
        step()
    return writer.faults


class _Writer:
    def __init__(self, root: Path, outside: Path) -> None:
        self.root, self.outside = root, outside
        self.faults: dict[str, Fault] = {}
        self.seed = 1000

    def new(self) -> Image.Image:
        self.seed += 1
        return picture(self.seed, 60, 44)

    def put(self, path: str, data: bytes, state: str, reason: str = "", twin: Image.Image | None = None) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self.faults[path] = Fault(state, reason, twin)

    def good(self, path: str, reason: str = "", kind: str = "PNG") -> None:
        image = self.new()
        self.put(path, encoded(image, kind), "indexed", reason, image)

    def cut_off(self) -> None:
        for kind in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "jp2", "avif"):
            data = encoded(self.new(), {"jp2": "JPEG2000"}.get(kind, kind.upper()))
            self.put(f"cut/half.{kind}", data[: len(data) // 2], "skipped", "truncated|damaged|cut off")
        for kind in ("png", "gif", "jpeg"):
            data = encoded(self.new(), kind.upper())
            self.put(f"cut/last-bytes.{kind}", data[:-2], "skipped", "truncated")

    def no_pictures(self) -> None:
        put = self.put
        put("empty.jpg", b"", "skipped", "the file is empty")
        put("words.jpg", b"these are words\n" * 50, "skipped", "not a picture")
        put("page.png", b"<html><body>404</body></html>", "skipped", "not a picture")
        put("film.webp", b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + bytes(200), "skipped", "not a picture")
        put("bomb.png", png_header(60_000, 60_000, zlib.compress(bytes(10**6))), "skipped", "too large: .*3600000000")
        put("300-megapixels.png", png_header(20_000, 15_000), "skipped", "too large: .*300000000 pixels")
        put("line.png", encoded(Image.new("RGB", (1, 3000)), "PNG"), "skipped", "too narrow: 1 x 3000")
        put("zero.png", png_header(0, 7), "skipped", "no pixels|damaged|cut off")
        put("broken.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "skipped", "damaged|cut off|pi-heif")
        put("garbage.jpg", encoded(self.new(), "JPEG")[:20] + bytes(3000), "skipped", "damaged|truncated|cut off")
        put("notes.txt", b"not a picture at all", "ignored", "not a picture")
        put("table.csv", b"id,path\n1,2\n", "ignored", "not a picture")
        put("camera.dng", encoded(self.new(), "TIFF"), "ignored", "raw camera file")
        put("film.mp4", b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + bytes(200), "ignored", "not a picture")

    def names(self) -> None:
        self.good("wrong-ending.jpg", r"PNG content under the name \.jpg")
        self.good("picture.dat", r"PNG content under the name \.dat")
        self.good("no-ending", "PNG content under a name without ending")
        self.good("鳥/é ü 鳥.png")
        self.good("two\nlines.png")
        self.good("tab\tand space.png")
        self.good("a" * 200 + ".png")
        self.good("/".join(["deep"] * 30) + "/x.png")
        self.good("UPPER.PNG")
        self.good("folder.jpg/inside.png")
        self.faults["folder.jpg"] = Fault("ignored", "a folder with the name of a picture")
        self.put(".hidden.png", encoded(self.new(), "PNG"), "ignored", "hidden")
        self.put("._apple.jpg", b"\0\5\x16\7" + bytes(50), "ignored", "hidden")
        self.put(".thumbs/x.png", encoded(self.new(), "PNG"), "ignored", "hidden")
        self.faults[".thumbs"] = self.faults.pop(".thumbs/x.png")
        bad = os.fsencode(self.root) + b"/bad\xff.png"
        Path(os.fsdecode(bad)).write_bytes(encoded(self.new(), "PNG"))
        self.faults["bad\\xff.png"] = Fault("skipped", "not valid UTF-8")

    def colours(self) -> None:
        grey = np.linspace(0, 65535, 60 * 44).astype(np.uint16).reshape(44, 60)
        twin = Image.fromarray(np.rint(grey / 257).astype(np.uint8)).convert("RGB")
        self.put("16-bit.png", encoded(Image.fromarray(grey), "PNG"), "indexed", "more than 8 bits", twin)
        layers = self.new().convert("RGBA")
        layers.paste((0, 0, 0, 0), (0, 0, 30, 44))
        twin = layers.convert("RGB")
        twin.paste("white", (0, 0, 30, 44))
        self.put("alpha.png", encoded(layers, "PNG"), "indexed", "transparent parts laid on white", twin)
        image = self.new().quantize(64)
        self.put("palette.png", encoded(image, "PNG"), "indexed", "", image.convert("RGB"))
        ink = self.new()
        self.put("cmyk.jpg", encoded(ink.convert("CMYK"), "JPEG", quality=95), "indexed", "CMYK colours", ink)
        frames = [self.new(), self.new(), self.new()]
        for kind in ("gif", "png", "webp"):
            first = self.new()
            data = encoded(first, kind.upper(), save_all=True, append_images=frames)
            self.put(f"animated.{kind}", data, "indexed", "animated: the first frame", first)
        one_bit = self.new().convert("1", dither=Image.Dither.NONE)
        self.put("1-bit.pbm", encoded(one_bit, "PPM"), "indexed", "", one_bit.convert("RGB"))

    def turned(self) -> None:
        for value, stored_from in ROW_0_COLUMN_0.items():
            twin = self.new()
            exif = Image.Exif()
            exif[0x0112] = value
            stored = Image.fromarray(np.ascontiguousarray(stored_from(np.asarray(twin))))
            reason = f"EXIF orientation {value}" if value > 1 else ""
            data = encoded(stored, "JPEG", quality=95, exif=exif)
            self.put(f"turned/{value}.jpg", data, "indexed", reason, twin)
        twin = self.new()
        plain = encoded(twin, "JPEG", quality=95)
        block = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 30_000
        data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
        self.put("turned/huge-damaged-exif.jpg", data, "indexed", "", twin)

    def links(self) -> None:
        expect = self.faults
        self.good("a/original.png")
        self.good("b/other.png")
        shutil.copy(self.root / "a/original.png", self.root / "a/twin.png")
        expect["a/twin.png"] = Fault("duplicate", "same bytes as 'a/original'")
        (self.outside / "x.png").write_bytes(encoded(self.new(), "PNG"))
        for path, target, state, reason in (
            ("link.png", "a/original.png", "duplicate", "same bytes as 'a/original'"),
            ("link-outside.png", self.outside / "x.png", "skipped", "a link to a file outside the source folder"),
            ("link-to-nothing.png", "nowhere.png", "skipped", "a link to something that is not there"),
            ("link-to-itself.jpg", "link-to-itself.jpg", "skipped", "a symbolic link that leads to itself"),
            ("b/loop", "..", "skipped", "a link to a folder that contains it"),
            ("folder-link", "a", "ignored", "a link to a folder of the source"),
            ("folder-outside", self.outside, "skipped", "a link to a folder outside"),
        ):
            (self.root / path).symlink_to(target)
            expect[path] = Fault(state, reason)
        os.mkfifo(self.root / "pipe.jpg")
        expect["pipe.jpg"] = Fault("skipped", "a pipe, socket or device, not a file")
        bind_socket(self.root / "socket.png")
        expect["socket.png"] = Fault("skipped", "a pipe, socket or device, not a file")
        os.mkfifo(self.root / "pipe")
        expect["pipe"] = Fault("ignored", "a pipe, socket or device, not a file")


def bind_socket(path: Path) -> None:
    """A name in the file system that is a socket; bound from within its folder, since such names must be short."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def png_header(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that claims this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body or zlib.compress(b"")) + chunk(b"IEND", b"")
