"""Certificates: names whole or refused, the same bytes each time, and what a stranger with a code may see."""

from datetime import date, timedelta
from io import BytesIO
from typing import Any
from unicodedata import normalize

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.rewards.domain.certificates import Certificate, grouped, paper, plain
from services.rewards.domain.paper import Format, Paper, Undrawable, clusters, drawable
from services.rewards.drawing import draw
from services.rewards.drawing.sheet import HEIGHT, MARGIN, WIDTH, lay_out
from tests.rewards.serving import Rewards

CODE = "0123456789abcdef" * 2
LINK = f"https://guild.example/v1/badges/certificates/{CODE}"


def certificate(**fields: Any) -> Paper:
    values: dict[str, Any] = {
        "community": "The Reading Guild",
        "member": "Zoë Łukasiewicz",
        "badge": "A hundred days",
        "passed": False,
        "day": date(2026, 11, 23),
        "code": CODE,
        "link": LINK,
        "locale": "en",
        **fields,
    }
    return paper(Certificate(**values))


def text_of(pdf: bytes) -> list[str]:
    page = pypdfium2.PdfDocument(pdf)[0]
    return str(page.get_textpage().get_text_range()).splitlines()


@pytest.mark.parametrize(
    "member",
    ["Zoë Łukasiewicz", "王小明", "張國龍", "Ольга Жукова", "Ελένη", "Nguyễn Thị Hương", "王小明 Anna", "Şirin"],
)
def test_a_pdf_has_every_name_as_text_that_can_be_copied(member: str) -> None:
    assert text_of(draw(certificate(member=member), "pdf")) == [
        "The Reading Guild", "Certificate", "This is to certify that", member, "received the badge", "A hundred days",
        "2026-11-23", f"Verification code: {grouped(CODE)}", LINK,
    ]  # fmt: skip


def test_a_chinese_certificate_speaks_chinese() -> None:
    words = text_of(draw(certificate(locale="zh-CN", passed=True, community="读书会", badge="秋季班"), "pdf"))
    assert words[:6] == ["读书会", "证书", "兹证明", "Zoë Łukasiewicz", "通过", "秋季班"]


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_the_same_certificate_is_the_same_file(format: Format) -> None:
    one = certificate(member="王小明 Anna")
    assert draw(one, format) == draw(one, format)
    assert draw(one, format) != draw(certificate(member="王小明"), format)


def test_letters_are_where_they_belong_on_the_picture() -> None:
    image = Image.open(BytesIO(draw(certificate(member="王小明"), "png"))).convert("L")
    assert image.size == (2 * WIDTH, 2 * HEIGHT)
    band = image.crop((0, 2 * 240, 2 * WIDTH, 2 * 295)).crop((2 * MARGIN, 0, 2 * (WIDTH - MARGIN), 110))
    dark = band.point(lambda value: 255 if value < 128 else 0).getbbox()
    assert dark is not None
    left, right = dark[0], band.width - dark[2]
    assert abs(left - right) < 16, "centred"
    # Three letters as wide as they are high, and no boxes: each of them has ink of its own shape.
    thirds = [band.crop((dark[0] + n * 76, dark[1], dark[0] + (n + 1) * 76, dark[3])).tobytes() for n in range(3)]
    assert len(set(thirds)) == 3


def test_a_name_too_long_for_the_sheet_gets_smaller_letters() -> None:
    sheet = lay_out(certificate(member="王" * 100), "")
    (run,) = [run for run in sheet.runs if run.letters.startswith("王")]
    assert run.size == pytest.approx((WIDTH - 2 * MARGIN) / 100)
    assert run.x == pytest.approx(MARGIN)


@pytest.mark.parametrize(
    "name",
    [
        "한국",
        "محمد",
        "שרה",
        "नमस्ते",
        "Anna 한",
        "\U0001f389",
        "\u0e01",
        "e\u0301\u0323\u0331",
        "A\u0488",
        "Ann\ue000a",
        "Ann\u0378a",
        "Ann\x07a",
        "Ann\U0010fffda",
        "Ann\u0600a",
    ],
)
def test_a_name_with_letters_that_no_font_has_is_refused_with_them(name: str) -> None:
    with pytest.raises(Undrawable) as refused:
        draw(certificate(member=name), "png")
    assert refused.value.letters[:1] in [*normalize("NFC", name)]


@pytest.mark.parametrize("name", ["\u200b\u200d", "\u3164", "\u2800\u2800", "\ufe0f\u200e \u2060", "", " \u3000"])
def test_a_name_of_which_nothing_can_be_seen_is_refused(name: str) -> None:
    for format in ("png", "pdf"):
        with pytest.raises(Undrawable) as refused:
            draw(certificate(member=name), format)
        assert refused.value.letters == name


def test_what_cannot_be_seen_in_a_name_leaves_no_trace() -> None:
    assert text_of(draw(certificate(member="\u202eAn\u00adna\u200b \u200bLee\ufeff"), "pdf"))[3] == "Anna Lee"


def test_emoji_beside_a_name_are_left_out_and_leave_no_hole() -> None:
    assert text_of(draw(certificate(member="🎉 王小明 👩‍💻 Anna 1️⃣ ❤️"), "pdf"))[3] == "王小明 Anna 1"


@given(st.text(max_size=30))
def test_whatever_the_name_all_its_letters_are_drawn_or_it_is_refused(name: str) -> None:
    def latin(letter: str) -> bool:
        return letter.isascii()

    def chinese(letter: str) -> bool:
        return "一" <= letter <= "鿿"

    try:
        runs = drawable(name, [latin, chinese])
    except Undrawable:
        return
    drawn = "".join(letters for _, letters in runs)
    wanted = [cluster for cluster in clusters(name) if latin(cluster[0]) or chinese(cluster[0])]
    assert [c for c in drawn if c != " "] == [c for c in "".join(wanted) if c != " "]
    assert "  " not in drawn
    assert all((latin, chinese)[font](letter) or letter == " " for font, letters in runs for letter in letters)


def test_a_code_reads_in_groups_and_as_it_is_typed() -> None:
    assert grouped(CODE) == "0123-4567-89ab-cdef-0123-4567-89ab-cdef"
    assert plain(grouped(CODE).upper()) == CODE


# Over HTTP


async def make(rewards: Rewards, **fields: Any) -> str:
    """A badge that `ann` holds; the address of it and her."""
    body = {"id": "founder", "name": "Founder", "criterion": {"kind": "hand"}, **fields}
    assert (await rewards.client.post("/v1/badges", json=body)).status_code == 201
    await rewards.guild.know("ann", display_name="王小明")
    url = f"/v1/badges/founder/members/{rewards.guild.member('ann')}"
    made = await rewards.client.post(url, json={"reason": "Was there", "granted_at": "2026-11-20T23:30:00Z"})
    assert made.status_code == 201
    return url


async def code_of(rewards: Rewards, url: str) -> str:
    pdf = await rewards.client.get(f"{url}/certificate", params={"format": "pdf"})
    assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
    (link,) = [line for line in text_of(pdf.content) if "/certificates/" in line]
    assert link.startswith("http://rewards.example/v1/badges/certificates/")
    return link.rpartition("/")[2]


async def test_a_certificate_is_verified_by_whoever_has_its_code_and_says_no_more_than_it(rewards: Rewards) -> None:
    url = await make(rewards)
    code = await code_of(rewards, url)
    rewards.client.headers.pop("Authorization")
    for typed in (code, grouped(code).upper()):
        assert await rewards.get(f"/v1/badges/certificates/{typed}") == {
            "valid": True, "community": "Guild", "member": "王小明", "badge": "Founder", "granted_on": "2026-11-20",
            "expires_on": None, "ended_on": None, "ended_why": None,
        }  # fmt: skip
    assert await rewards.refused("GET", f"/v1/badges/certificates/{'0' * 32}") == (404, "certificate_unknown")
    assert (await rewards.refused("GET", "/v1/badges/certificates/x"))[0] == 422


async def test_a_badge_that_was_taken_has_no_certificate_and_its_code_says_so(rewards: Rewards) -> None:
    url = await make(rewards)
    code = await code_of(rewards, url)
    await rewards.client.post(f"{url}/revocation", json={"reason": "Between us"})
    found = await rewards.get(f"/v1/badges/certificates/{code}")
    assert (found["valid"], found["ended_why"], found["ended_on"]) == (False, "by_hand", "2026-11-23")
    assert "Between us" not in str(found)
    assert await rewards.refused("GET", f"{url}/certificate") == (404, "certificate_unknown")
    await rewards.client.post(url, json={"reason": "After all"})
    assert await code_of(rewards, url) != code
    assert (await rewards.get(f"/v1/badges/certificates/{code}"))["valid"] is False


async def test_an_expired_one_says_so_before_anybody_noted_it(rewards: Rewards) -> None:
    url = await make(rewards, kind="expiring", expires_after_days=10)
    code = await code_of(rewards, url)
    rewards.clock.advance(timedelta(days=20))
    found = await rewards.get(f"/v1/badges/certificates/{code}")
    assert (found["valid"], found["ended_why"], found["ended_on"]) == (False, "expired", "2026-11-30")
    assert found["expires_on"] == "2026-11-30"
    assert await rewards.refused("GET", f"{url}/certificate") == (404, "certificate_unknown")


async def test_an_erased_members_name_is_told_nobody(rewards: Rewards) -> None:
    url = await make(rewards)
    code = await code_of(rewards, url)
    await rewards.guild.know("ann", display_name="erased", state="erased", version=2)
    assert (await rewards.get(f"/v1/badges/certificates/{code}"))["member"] is None


async def test_a_name_that_cannot_be_drawn_is_answered_with_its_letters(rewards: Rewards) -> None:
    url = await make(rewards)
    await rewards.guild.know("ann", display_name="김민수", version=2)
    reply = await rewards.client.get(f"{url}/certificate", params={"format": "png"})
    assert (reply.status_code, reply.json()["code"], reply.json()["letters"]) == (422, "name_undrawable", "김민수")


@pytest.mark.parametrize(
    ("name", "said"),
    [("\u200b\u200d", "nothing that can be seen"), ("Ann\x07a", "no font here has '\\x07'")],
)
async def test_a_name_that_is_none_is_refused_and_the_answer_says_why(rewards: Rewards, name: str, said: str) -> None:
    url = await make(rewards)
    await rewards.guild.know("ann", display_name=name, version=2)
    reply = await rewards.client.get(f"{url}/certificate")
    assert (reply.status_code, reply.json()["code"]) == (422, "name_undrawable")
    assert said in reply.json()["detail"]


async def test_a_member_has_their_own_certificate_as_a_picture_and_nobody_elses(rewards: Rewards) -> None:
    url = await make(rewards)
    ann, bob = await rewards.member("ann"), await rewards.member("bob")
    reply = await ann.get(f"{url}/certificate", params={"format": "png", "locale": "zh-CN"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(reply.content)).size == (2 * WIDTH, 2 * HEIGHT)
    assert (await bob.get(f"{url}/certificate")).json()["code"] == "not_yours"
    assert (await ann.get(f"{url}/certificate", params={"format": "gif"})).status_code == 422
