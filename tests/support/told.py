"""What a sentence of the explanation says was given, read as a person reads it: out of its words."""

import re
from collections import Counter

_UNIT = r"(?P<unit>[a-z][a-z0-9_-]*)"
_GIVEN = {
    "en": rf" gave (?P<amount>-?\d+)(?: of \d+)? {_UNIT}| of the rules: (?P<more>[+-]\d+) (?P<of>[a-z][a-z0-9_-]*)",
    "zh": rf"」给出 (?P<amount>-?\d+)(?:/\d+)? {_UNIT}|重新计算:(?P<more>[+-]\d+) (?P<of>[a-z][a-z0-9_-]*)",
}
_TAKEN = {
    "en": rf"(?P<amount>-?\d+) {_UNIT} of rule [^;]+? taken back because",
    "zh": rf"收回规则「[^」]+」给出的 (?P<amount>-?\d+) {_UNIT}",
}


def told_in(text: str, language: str) -> dict[str, int]:
    """Unit → how much was given by these words less what was taken back; units that come to 0 are missing."""
    out: Counter[str] = Counter()
    for found in re.finditer(_GIVEN[language], text):
        out[found["unit"] or found["of"]] += int(found["amount"] or found["more"])
    for found in re.finditer(_TAKEN[language], text):
        out[found["unit"]] -= int(found["amount"])
    return {unit: amount for unit, amount in out.items() if amount}
