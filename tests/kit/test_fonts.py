"""A font file is one or is refused at the start."""

import struct
from importlib.resources import files
from pathlib import Path

import pylopdf_fonts_zh_cn
import pytest

from kit.fonts import is_font
from kit.settings import SettingsError, load_settings

LATIN = Path(str(files("fontpkg_noto_sans").joinpath("files/NotoSans[wdth,wght].ttf")))
"""TrueType; the Chinese one has CFF outlines."""


@pytest.mark.parametrize("path", [LATIN, Path(pylopdf_fonts_zh_cn.sans_path())])
def test_the_fonts_we_draw_with_are_fonts(path: Path) -> None:
    assert is_font(path)
    assert load_settings({"GUILDHALL_CERTIFICATE_FONT": str(path)}).certificate_font == str(path)


def test_a_collection_is_taken_for_its_first_font(tmp_path: Path) -> None:
    shift = 16
    plain = bytearray(LATIN.read_bytes())
    for n in range(struct.unpack_from(">H", plain, 4)[0]):
        at = 12 + 16 * n + 8
        struct.pack_into(">L", plain, at, struct.unpack_from(">L", plain, at)[0] + shift)
    path = tmp_path / "some.ttc"
    path.write_bytes(b"ttcf" + struct.pack(">HHLL", 1, 0, 1, shift) + plain)
    assert is_font(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00\x01\x00\x00", b"hello, I am a text", b"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"ttcf\x00\x01", b"wOFF" + LATIN.read_bytes()[4:], LATIN.read_bytes()[:100_000],
        LATIN.read_bytes().replace(b"glyf", b"CBDT", 1), LATIN.read_bytes().replace(b"cmap", b"xmap", 1),
    ],
    ids=["empty", "cut", "text", "no tables", "cut collection", "for the web", "half", "pictures", "no letters"],
)  # fmt: skip
def test_a_file_that_is_no_font_stops_the_start_and_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "font.ttf"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="GUILDHALL_CERTIFICATE_FONT: this is no TrueType"):
        load_settings({"GUILDHALL_CERTIFICATE_FONT": str(path)})


def test_a_font_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load_settings({"GUILDHALL_CERTIFICATE_FONT": str(tmp_path / "none.ttf")})
