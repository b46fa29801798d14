"""Keys for encrypted bodies: the files of two folders, and what is said of those of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from tests.mastercard_client import certificate_pem, private_pem, public_pem
from worker.dialects.jwe import Keyring
from worker.settings import BadSettings

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b'{"pointsToAdjust":100}'
OURS = rsa.generate_private_key(65_537, 2_048)
OURS_BEFORE = rsa.generate_private_key(65_537, 2_048)
THEIRS = rsa.generate_private_key(65_537, 2_048)


def test_keys_are_read_from_the_files_of_two_folders(tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    private.mkdir()
    public.mkdir()
    (private / "2026-11.pem").write_bytes(private_pem(OURS))
    (private / "2026-05.pem").write_bytes(private_pem(OURS_BEFORE))
    (private / "notes.txt").write_text("not a key")
    (public / "bank.pem").write_bytes(certificate_pem(THEIRS))
    (public / "shop.pem").write_bytes(public_pem(OURS))

    ring = Keyring.load(private, public)
    sender = Keyring({}, {"2026-05": OURS_BEFORE.public_key()})

    assert ring.decrypt(sender.encrypt(CONTENT, "2026-05")) == CONTENT
    assert ring.can_encrypt_for("bank")
    assert ring.can_encrypt_for("shop")
    assert not ring.can_encrypt_for("notes")


LOCKED = OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush"))
SHORT = rsa.generate_private_key(65_537, 1_024)
CURVE = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hush-hush",
        b"-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nhush-hush\n-----END CERTIFICATE-----\n",
        LOCKED,
        private_pem(SHORT),
        private_pem(CURVE),
        public_pem(SHORT),
    ],
    ids=["empty", "text", "no key", "no certificate", "locked", "short", "curve", "short public"],
)
def test_a_file_that_holds_no_usable_key_is_named_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "2026-11.pem").write_bytes(content)

    with pytest.raises(BadSettings) as ours:
        Keyring.load(tmp_path, None)
    with pytest.raises(BadSettings) as theirs:
        Keyring.load(None, tmp_path)

    assert str(ours.value) == (
        "POINTS_JWE_PRIVATE_KEYS: 2026-11.pem cannot be used: it must be an unencrypted RSA private"
        " key of 2048 to 8192 bits as PEM (PKCS#8)."
    )
    assert str(theirs.value) == (
        "POINTS_JWE_PUBLIC_KEYS: 2026-11.pem cannot be used: it must be an RSA public key of 2048"
        " to 8192 bits, or a certificate of one, as PEM."
    )
    assert ours.value.__context__ is None


def test_every_fault_of_both_folders_is_told_at_once(tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "nowhere"
    private.mkdir()
    (private / "a b.pem").write_bytes(private_pem(OURS))
    (private / "folder.pem").mkdir()
    (private / "public.pem").write_bytes(public_pem(OURS))

    with pytest.raises(BadSettings) as refusal:
        Keyring.load(private, public)

    faults = refusal.value.faults
    assert [fault.partition(" ")[0].rstrip(":") for fault in faults] == [
        *["POINTS_JWE_PRIVATE_KEYS"] * 3,
        "POINTS_JWE_PUBLIC_KEYS",
    ]
    for fault, word in zip(faults, ("a b.pem", "folder.pem", "public.pem", "nowhere"), strict=True):
        assert word in fault


def test_a_folder_without_a_key_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"POINTS_JWE_PRIVATE_KEYS names .* which holds no key"):
        Keyring.load(tmp_path, None)
