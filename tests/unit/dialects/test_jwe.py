"""Encrypted bodies: what Mastercard's own client makes and reads, and what is never opened."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import client_encryption.jwe_encryption as mastercard  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from tests.mastercard_client import client_of
from worker.dialects.jwe import (
    TOKEN_CHARACTERS_MAX,
    DecryptionFailed,
    Keyring,
    UnknownKid,
    fingerprint,
)

if TYPE_CHECKING:
    from client_encryption.jwe_encryption_config import (  # type: ignore[import-untyped]
        JweEncryptionConfig,
    )

OURS = rsa.generate_private_key(65_537, 2_048)
OURS_BEFORE = rsa.generate_private_key(65_537, 2_048)
THEIRS = rsa.generate_private_key(65_537, 2_048)
RING = Keyring({"2026-11": OURS, "2026-05": OURS_BEFORE}, {"bank": THEIRS.public_key()})

CONTENT = b'{"bankAccountNumber":"5555000011112222","pointsToAdjust":100}'
HEADER = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "2026-11", "cty": "application/json"}


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token_by_hand(iv_bytes: int = 12, header: bytes = json.dumps(HEADER).encode()) -> str:
    """Make a token as RFC 7516 has it, with nothing chosen by a library."""
    content_key, iv, aad = os.urandom(32), os.urandom(iv_bytes), encoded(header)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    sealed = AESGCM(content_key).encrypt(iv, CONTENT, aad.encode())
    parts = OURS.public_key().encrypt(content_key, oaep), iv, sealed[:-16], sealed[-16:]
    return ".".join([aad, *map(encoded, parts)])


def token_by_library(header: dict[str, Any], key: JWK | None = None) -> str:
    """Make a token with the header's own algorithms, whatever they are."""
    made = JWE(CONTENT, json.dumps(header), algs=[header["alg"], header["enc"]])
    made.add_recipient(key or JWK.from_pyca(OURS.public_key()))
    token: str = made.serialize(compact=True)
    return token


def is_refused(token: object, **more: object) -> bool:
    try:
        RING.decrypt({"encryptedData": token, **more})
    except DecryptionFailed as error:
        refusal = error
    else:
        return False
    assert str(refusal) == "the body could not be decrypted"
    assert refusal.__context__ is None
    return True


def why(token: str) -> tuple[str, str | None]:
    """Why a token is not opened, and for which kid, as the operator is told."""
    with pytest.raises(DecryptionFailed) as caught:
        RING.decrypt({"encryptedData": token})
    return caught.value.reason, caught.value.kid


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> JweEncryptionConfig:
    return client_of(tmp_path_factory.mktemp("client"), OURS, THEIRS)


def test_what_mastercards_client_encrypts_is_opened(client: JweEncryptionConfig) -> None:
    body = mastercard.encrypt_payload(json.loads(CONTENT), client)
    [header, _, iv, *_] = body["encryptedData"].split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {
        "alg": "RSA-OAEP-256",
        "enc": "A256GCM",
        "kid": fingerprint(OURS.public_key()),
        "cty": "application/json",
    }
    assert len(base64.urlsafe_b64decode(iv + "==")) == 16

    assert json.loads(RING.decrypt(body)) == json.loads(CONTENT)


def test_mastercards_client_reads_our_replies(client: JweEncryptionConfig) -> None:
    reply = RING.encrypt(CONTENT, "bank")

    assert mastercard.decrypt_payload(reply, client) == json.loads(CONTENT)


def test_what_mastercards_client_would_read_with_a_wrong_tag_is_refused(
    client: JweEncryptionConfig,
) -> None:
    body = mastercard.encrypt_payload(json.loads(CONTENT), client)
    untagged = body["encryptedData"].rpartition(".")[0] + "." + encoded(bytes(16))

    assert is_refused(untagged)


@pytest.mark.parametrize("enc", ["A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256"])
def test_every_content_encryption_of_mastercards_is_opened(enc: str) -> None:
    assert RING.decrypt({"encryptedData": token_by_library(HEADER | {"enc": enc})}) == CONTENT


@pytest.mark.parametrize("iv_bytes", [12, 16])
def test_both_lengths_of_iv_are_opened(iv_bytes: int) -> None:
    assert RING.decrypt({"encryptedData": token_by_hand(iv_bytes)}) == CONTENT


@pytest.mark.parametrize("iv_bytes", [8, 13, 15, 17, 32])
def test_no_other_length_of_iv_is_opened(iv_bytes: int) -> None:
    assert is_refused(token_by_hand(iv_bytes))


def test_a_shortened_tag_is_refused() -> None:
    *parts, tag = token_by_hand().split(".")
    short = base64.urlsafe_b64decode(tag + "==")[:12]

    assert is_refused(".".join([*parts, encoded(short)]))


def test_every_key_of_a_rotation_is_known_by_its_name_and_by_its_fingerprint() -> None:
    for kid, key in {"2026-11": OURS, "2026-05": OURS_BEFORE}.items():
        for name in (kid, fingerprint(key.public_key())):
            token = token_by_library(HEADER | {"kid": name}, JWK.from_pyca(key.public_key()))
            assert RING.decrypt({"encryptedData": token}) == CONTENT


def test_a_token_for_another_key_than_it_says_is_refused() -> None:
    assert is_refused(token_by_library(HEADER | {"kid": "2026-05"}))


@pytest.mark.parametrize("enc", ["A256GCM", "A128CBC-HS256"])
def test_a_token_of_which_any_byte_was_changed_is_refused(enc: str) -> None:
    parts = token_by_library(HEADER | {"enc": enc}).split(".")
    for place, part in enumerate(parts):
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        for index in range(len(content)):
            changed = bytearray(content)
            changed[index] ^= 1
            assert is_refused(
                ".".join([*parts[:place], encoded(bytes(changed)), *parts[place + 1 :]])
            ), f"byte {index} of part {place}"


def test_a_token_of_which_any_character_was_changed_is_refused() -> None:
    """Also where base64 would read the same: a token has one form."""
    token = token_by_hand()
    for index, character in enumerate(token):
        following = chr(ord(character) + 1) if character not in "9Zz_-." else "A"
        assert is_refused(token[:index] + following + token[index + 1 :]), f"character {index}"


@given(st.text() | st.lists(st.binary(max_size=40), max_size=7))
def test_whatever_else_comes_is_refused_and_no_bug(given: str | list[bytes]) -> None:
    assert is_refused(given if isinstance(given, str) else ".".join(map(encoded, given)))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from(["alg", "enc", "kid", None]),
)
def test_whatever_a_header_holds_is_refused_and_no_bug(value: Any, name: str | None) -> None:
    header = json.dumps(value if name is None else HEADER | {name: value}).encode()

    assert is_refused(token_by_hand(header=header))


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "RSA1_5"},
        {"alg": "RSA-OAEP"},
        {"alg": "RSA-OAEP-512"},
        {"alg": "dir"},
        {"alg": "A256KW"},
        {"enc": "A256CBC-HS512"},
        {"enc": "none"},
        {"kid": "2025-11"},
        {"kid": None},
        {"zip": "DEF"},
        {"zip": None},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
    ],
    ids=str,
)
def test_what_a_header_must_not_ask_for_is_refused(change: dict[str, Any]) -> None:
    assert not is_refused(token_by_hand(header=json.dumps(HEADER).encode()))
    assert is_refused(token_by_hand(header=json.dumps(HEADER | change).encode()))


@pytest.mark.parametrize("name", ["alg", "enc", "kid"])
def test_what_a_header_must_say_is_missed(name: str) -> None:
    header = {key: value for key, value in HEADER.items() if key != name}

    assert is_refused(token_by_hand(header=json.dumps(header).encode()))


def test_the_operator_is_told_whether_the_key_or_the_token_is_at_fault() -> None:
    def header(**more: Any) -> bytes:
        return json.dumps(HEADER | more).encode()

    for missing in ({"kid": None}, {"kid": ""}, {"kid": 7}):
        assert why(token_by_hand(header=header(**missing))) == ("the token names no kid", None)
    unknown = "no private key has the token's kid"
    assert why(token_by_hand(header=header(kid="2025-11"))) == (unknown, "2025-11")
    # What can be no file's name is not shown.
    assert why(token_by_hand(header=header(kid="5555 0000 1111 2222"))) == (unknown, None)
    unsound = ("the token is unsound, or of another kind", None)
    assert why("x") == why(token_by_hand(13)) == unsound
    assert why(token_by_hand(header=header(alg="RSA-OAEP"))) == unsound
    # Whether the key or the tag was the wrong one stays untold.
    unverified = ("the token does not verify", "2026-05")
    assert why(token_by_library(HEADER | {"kid": "2026-05"})) == unverified
    untagged = token_by_hand().rpartition(".")[0] + "." + encoded(bytes(16))
    assert why(untagged) == ("the token does not verify", "2026-11")


def test_a_header_that_says_something_twice_is_refused() -> None:
    twice = json.dumps(HEADER)[:-1] + ', "enc": "A256GCM"}'

    assert is_refused(token_by_hand(header=twice.encode()))


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("RSA1_5", JWK.from_pyca(OURS.public_key())),
        ("RSA-OAEP", JWK.from_pyca(OURS.public_key())),
        ("dir", JWK(kty="oct", k=encoded(bytes(32)))),
        ("A256KW", JWK(kty="oct", k=encoded(bytes(32)))),
    ],
    ids=["RSA1_5", "RSA-OAEP", "dir", "A256KW"],
)
@pytest.mark.filterwarnings("ignore")  # Whoever makes such a token is warned of it.
def test_a_sound_token_of_another_key_encryption_is_refused(alg: str, key: JWK) -> None:
    assert is_refused(token_by_library(HEADER | {"alg": alg}, key))


def test_only_the_compact_form_is_opened() -> None:
    made = JWE(CONTENT, json.dumps(HEADER), algs=[HEADER["alg"], HEADER["enc"]])
    made.add_recipient(JWK.from_pyca(OURS.public_key()))

    assert is_refused(made.serialize(compact=False))
    assert is_refused(json.loads(made.serialize(compact=False)))


@pytest.mark.parametrize(
    "spoilt",
    ["{}.", "{}.bW9yZQ", "{}=", "{}==", " {}", "{} ", "{}\n", ".{}", "eyJ9.{}"],
    ids=repr,
)
def test_a_token_has_five_parts_and_nothing_around_them(spoilt: str) -> None:
    token = token_by_hand()
    assert not is_refused(token)
    assert is_refused(spoilt.format(token))


def test_a_token_has_none_of_its_parts_left_out() -> None:
    parts = token_by_hand().split(".")
    for place in range(len(parts)):
        assert is_refused(".".join([*parts[:place], *parts[place + 1 :]]))
        assert is_refused(".".join([*parts[:place], "", *parts[place + 1 :]]))


@pytest.mark.parametrize("token", [None, 1, True, [], {}, b"", ""], ids=repr)
def test_an_encrypted_body_holds_a_token(token: object) -> None:
    assert is_refused(token)


def test_an_encrypted_body_holds_nothing_beside_its_token() -> None:
    assert is_refused(token_by_hand(), pointsToAdjust=1)
    with pytest.raises(DecryptionFailed):
        RING.decrypt({})


def test_a_token_may_be_as_long_as_the_limit_and_no_longer() -> None:
    # Four characters hold three bytes; the rest of the token has its own length already.
    frame = len(RING.encrypt(b"", "bank")["encryptedData"])
    theirs = Keyring({"bank": THEIRS}, {"bank": THEIRS.public_key()})
    content = bytes((TOKEN_CHARACTERS_MAX - frame) * 3 // 4)

    longest = theirs.encrypt(content, "bank")
    assert TOKEN_CHARACTERS_MAX - 1 <= len(longest["encryptedData"]) <= TOKEN_CHARACTERS_MAX
    assert theirs.decrypt(longest) == content
    with pytest.raises(DecryptionFailed):
        theirs.decrypt(theirs.encrypt(content + b"more", "bank"))


def test_a_reply_is_encrypted_for_the_key_that_was_asked_for_under_the_name_it_was_given() -> None:
    theirs = Keyring({"bank": THEIRS})
    for kid in ("bank", fingerprint(THEIRS.public_key())):
        assert RING.can_encrypt_for(kid)
        reply = RING.encrypt(CONTENT, kid)
        header, _, iv, *_ = reply["encryptedData"].split(".")
        assert json.loads(base64.urlsafe_b64decode(header + "==")) == HEADER | {"kid": kid}
        assert len(base64.urlsafe_b64decode(iv + "==")) == 12
        assert theirs.decrypt(reply) == CONTENT


def test_no_reply_is_encrypted_twice_in_the_same_way() -> None:
    one, other = (RING.encrypt(CONTENT, "bank")["encryptedData"].split(".") for _ in range(2))

    assert one[0] == other[0]
    assert all(mine != yours for mine, yours in zip(one[1:], other[1:], strict=True))


def test_a_reply_for_an_unknown_key_is_refused_also_for_one_of_our_own() -> None:
    for kid in ("nobody", "2026-11"):
        assert not RING.can_encrypt_for(kid)
        with pytest.raises(UnknownKid):
            RING.encrypt(CONTENT, kid)


def test_without_keys_nothing_is_opened() -> None:
    with pytest.raises(DecryptionFailed):
        Keyring.load(None, None).decrypt({"encryptedData": token_by_hand()})
