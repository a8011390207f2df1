"""The small XML of WeCom: an element of elements that hold text. Read so that it can neither expand nor reach out."""

import re
from typing import Any
from xml.etree import ElementTree

from services.events.receivers.form import Malformed

MAX_BYTES = 262_144
MAX_ELEMENTS = 2000
_PROLOGUE = re.compile(r"\ufeff?\s*(<\?xml[^<>]*\?>)?")
_WRITTEN = re.compile(r"<!\[CDATA\[.*?\]\]>", re.DOTALL)


def fields(body: bytes) -> dict[str, Any]:
    """What the root's elements hold: text, or the texts of the elements inside. Malformed for anything else.

    Whatever could declare an entity is refused before the parser sees it. What people wrote stands in CDATA and may
    say `<!DOCTYPE` as it likes; nothing outside of it begins with `<!` or `<?` in what WeCom sends.
    """
    if len(body) > MAX_BYTES:
        raise Malformed("", f"the XML is over {MAX_BYTES} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed("", "the XML is no UTF-8") from error
    text = _PROLOGUE.sub("", text, count=1)
    outside = _WRITTEN.sub("", text)
    if "<!" in outside or "<?" in outside:
        raise Malformed("", "the XML declares something, or has a comment or an instruction")
    if text.count("<") > 3 * MAX_ELEMENTS:
        raise Malformed("", f"the XML has over {MAX_ELEMENTS} elements")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise Malformed("", "the body is no XML") from error
    return {child.tag: [inside.text or "" for inside in child] if len(child) else child.text or "" for child in root}
