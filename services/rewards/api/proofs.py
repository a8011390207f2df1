"""What a check-in must bring and who says that it counts, in and out."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from kit.code_words import Language
from services.rewards.domain.proofs import Approval, Proof

MOST_LENGTH = 10_000
MOST_IMAGES = 100
MOST_PROOFS = 5
MOST_REFEREES = 50


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


class ApprovalModel(_Model):
    """Who says that a check-in counts. An operator always may; besides `referee`: one of the `referees`; `peers`: so
    many other members."""

    by: Literal["operator", "referee", "peers"]
    referees: list[UUID] = Field([], max_length=MOST_REFEREES)
    peers: int = Field(1, ge=1, le=20)
    within_hours: int = Field(72, ge=1, le=336, description="Until then somebody has to have said it.")
    then: Literal["accept", "refuse"] = Field("accept", description="What one is that nobody said anything about.")


def approval_of(model: ApprovalModel | None) -> Approval | None:
    return None if model is None else Approval(**{**model.model_dump(), "referees": tuple(model.referees)})


def proof_of(model: BaseModel) -> Proof:
    return Proof(**model.model_dump())


def plain(proof: Proof) -> dict[str, Any]:
    return {"kind": proof.kind, **{name: getattr(proof, name) for name in _FIELDS[proof.kind]}}
