"""What a check-in must bring, in and out."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kit.code_words import Language
from services.rewards.domain.proofs import Proof

MOST_LENGTH = 10_000
MOST_IMAGES = 100
MOST_PROOFS = 5


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextModel(_Model):
    """Something written, of which the door tells the length."""

    kind: Literal["text"]
    length: int = Field(1, ge=1, le=MOST_LENGTH, description="Characters, at least.")
    distinct: int = Field(1, ge=1, le=1000, description="Different characters that can be seen, at least.")


class MediaModel(_Model):
    """Pictures: `images` of `event.data`, or one where a chat says `has_media`."""

    kind: Literal["media"]
    images: int = Field(1, ge=1, le=MOST_IMAGES, description="At least.")


class NumericModel(_Model):
    """A number under `field` of `event.data`."""

    kind: Literal["numeric"]
    field: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    least: float | None = Field(None, allow_inf_nan=False)
    most: float | None = Field(None, allow_inf_nan=False)


class CodeWordModel(_Model):
    """The word of the day that the check-in is for, in what was written or in the field `code`, both read by the door
    alone. `GET /v1/checkins/{series_id}/code-word` tells it."""

    kind: Literal["code_word"]
    language: Language = Field("en", description="Of the words.")


class LocationModel(_Model):
    """`position` of `event.data` ({latitude, longitude}, degrees) within a circle; the door looks, and the position
    goes no further."""

    kind: Literal["location"]
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    radius_m: int = Field(ge=20, le=100_000, description="Metres.")


ProofModel = Annotated[
    TextModel | MediaModel | NumericModel | CodeWordModel | LocationModel, Field(discriminator="kind")
]
Proofs = Annotated[
    list[ProofModel],
    Field(max_length=MOST_PROOFS, description="All that a check-in must bring; one that lacks it does not count."),
]

_FIELDS = {
    "text": ("length", "distinct"),
    "media": ("images",),
    "numeric": ("field", "least", "most"),
    "code_word": ("language",),
    "location": ("latitude", "longitude", "radius_m"),
}


def proof_of(model: BaseModel) -> Proof:
    return Proof(**model.model_dump())


def plain(proof: Proof) -> dict[str, Any]:
    return {"kind": proof.kind, **{name: getattr(proof, name) for name in _FIELDS[proof.kind]}}
