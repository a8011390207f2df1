"""The HTTP modes of CloudEvents: which a request is in, and its body cut into items of JSON."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from kit.errors import BadRequest, UnsupportedMediaType

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
JSON = "application/json"

MAX_DEPTH = 32

_SPACE = b" \t\r\n"

_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.decode
_encode = msgspec.json.encode


def split(media_type: str, body: bytes) -> list[msgspec.Raw | bytes]:
    """The items of a body in structured, batched or line form. BadRequest for what is not JSON."""
    if media_type == BATCHED:
        try:
            return list(_items(body))
        except msgspec.ValidationError as error:
            raise BadRequest(
                f"a batch is a JSON array of events; one event goes as {STRUCTURED}", code="batch_expected"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unparsable(error) from error
    if media_type == LINES:
        return [item for line in body.splitlines() if (item := line.strip(_SPACE))]
    return [body.strip(_SPACE)]


def unparsable(error: Exception) -> BadRequest:
    if isinstance(error, RecursionError):
        return BadRequest(f"nested deeper than {MAX_DEPTH} levels; send flatter data", code="too_deep")
    return BadRequest(f"the body is not JSON: {fault(error)}", code="json_invalid")


def fault(error: Exception) -> str:
    """What is wrong with bytes that are no JSON: a position at most, never content."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    text = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early, or an escape does" if text == "Input data was truncated" else text


def media_type_of(content_type: str) -> str:
    """The mode of a request by its Content-Type; binary mode is the media type of its data (JSON)."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents-batch"):
        kind, wanted = kind.removeprefix("application/cloudevents-batch"), BATCHED
    elif kind.startswith("application/cloudevents"):
        kind, wanted = kind.removeprefix("application/cloudevents"), STRUCTURED
    elif kind in (LINES, "application/ndjson", "application/jsonl"):
        return LINES
    elif kind == JSON or kind.endswith("+json"):
        return JSON
    else:
        kind, wanted = "?", ""
    if kind != "+json" or not wanted:
        raise UnsupportedMediaType(
            f"send {STRUCTURED}, {BATCHED}, {LINES}, or {JSON} with ce- headers",
            code="media_type_unsupported",
            headers={"Accept": f"{STRUCTURED}, {BATCHED}, {LINES}, {JSON}"},
        )
    return wanted


def binary_item(headers: Mapping[str, str], body: bytes) -> bytes:
    """A binary-mode request as structured JSON. BadRequest for headers that are no CloudEvent."""
    event: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            event[name.removeprefix("ce-")] = _header_value(name, value)
    if "datacontenttype" in event:
        raise BadRequest(
            "in binary mode Content-Type says what the data is, not ce-datacontenttype", code="binary_invalid"
        )
    if not event:
        raise BadRequest(
            f"this Content-Type means binary mode, with ce- headers; an event in the body goes as {STRUCTURED}",
            code="binary_invalid",
        )
    if body.strip():
        try:
            event["data"] = msgspec.Raw(body)
            _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise unparsable(error) from error
    event["datacontenttype"] = JSON
    return _encode(event)


def _header_value(name: str, value: str) -> str:
    """Percent-decoding of the HTTP binding, and the older double-quoted form."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{name} is not percent-encoded UTF-8", code="binary_invalid") from error


def must_parse(body: bytes) -> None:
    """BadRequest unless the body is JSON of any form."""
    try:
        _decode(body)
    except msgspec.ValidationError:
        # JSON, but with something in it that no value here can be: the item's own refusal says it with its place.
        return
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise unparsable(error) from error
