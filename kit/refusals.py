"""What a decoder says about JSON that does not fit, said to whoever posted it: a JSON pointer and JSON's own words."""

import re

import msgspec

_PLACE = re.compile(r" - at `\$(.*)`$")
_EXPECTED = re.compile(r"^Expected `([^`]+)`, got `([^`]+)`$")
_MISSING = re.compile(r"^Object missing required field `(\w+)`$")
_WORDS = {
    "str": "a string", "int": "a number", "float": "a number", "bool": "true or false", "null": "null",
    "object": "an object", "array": "an array",
}  # fmt: skip


def refusal(error: msgspec.ValidationError) -> tuple[str, str, str]:
    """(code, pointer, sentence): attribute_missing or schema_violation; never a value or a key of a free-form object.

    The decoder shows such keys as [...]; the pointer ends before them.
    """
    text = str(error)
    place = _PLACE.search(text)
    path = place[1].partition("[...]")[0] if place else ""
    sentence = text[: place.start()] if place else text
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path.replace(".", "/"))
    missing = _MISSING.match(sentence)
    if missing:
        return "attribute_missing", f"{pointer}/{missing[1]}", f"{missing[1]} is required"
    expected = _EXPECTED.match(sentence)
    if expected:
        wanted, got = expected[1].removesuffix(" | null"), expected[2]
        return "schema_violation", pointer, f"expected {_WORDS.get(wanted, wanted)}, got {_WORDS.get(got, got)}"
    return "schema_violation", pointer, sentence[:1].lower() + sentence[1:]
