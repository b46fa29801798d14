"""What must never be readable, however it got into a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.masking import is_secret_name, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("amqp://user:hush@host:5672/vhost", "amqp://user:***@host:5672/vhost"),
        ("amqp://:hush@host", "amqp://:***@host"),
        ("amqp://us@er:hu@sh@host", "amqp://us@er:***@host"),
        ("amqp://user:hu/sh?#'\"@host", "amqp://user:***@host"),
        ("cannot reach 'postgresql://u:hush@a:1,b:2/db': gone", None),
        ("two: amqp://u:hush@h and postgres://v:hush@i", None),
        ("postgresql:///db?user=u&password=hush&x=1", "postgresql:///db?user=u&password=***&x=1"),
        ("{'password': 'hu,sh it', 'user': 'u'}", "{'password': ***, 'user': 'u'}"),
        ('"{\\"client_secret\\": \\"hush\\"}"', None),
        ("Authorization: Bearer hush", "Authorization: Bearer ***"),
        ("PASSWORD = hush", "PASSWORD = ***"),
    ],
)
def test_a_password_is_hidden_and_the_rest_stays(text: str, masked: str | None) -> None:
    assert "hush" not in mask(text)
    if masked is not None:
        assert masked == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amqp://host:5672/vhost",
        "password authentication failed for user u",
        "write to someone@example.org about https://example.org:443/",
        "member 4711: 100 points",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert text == mask(text)


@given(
    password=st.text(
        st.characters(exclude_categories=["Z", "C"], exclude_characters="*"), min_size=1
    ).map(lambda text: f"hush{text}hush")
)
def test_no_password_without_blanks_can_show_through_an_address(password: str) -> None:
    assert "hush" not in mask(f"refused by amqp://user:{password}@host/vhost today")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["a", "a://", "a://b:", "@", "token:", "token ", "'"])
def test_a_hostile_text_takes_no_longer_than_a_plain_one(piece: str) -> None:
    mask("://@" + piece * 100_000)


def test_names_of_secrets_are_known_as_such() -> None:
    assert is_secret_name("password")
    assert is_secret_name("client_secret")
    assert not is_secret_name("tokens_total")
    assert not is_secret_name("amqp_url")
