"""Mastercard's own client as a caller has it, and keys in the files that it and the worker read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from client_encryption.jwe_encryption_config import (  # type: ignore[import-untyped]
    JweEncryptionConfig,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec, rsa


def client_of(
    folder: Path, ours: rsa.RSAPrivateKey, theirs: rsa.RSAPrivateKey
) -> JweEncryptionConfig:
    """Return a client with a certificate of the worker's key, and a private key of its own."""
    (folder / "points.pem").write_bytes(certificate_pem(ours))
    (folder / "own.pem").write_bytes(private_pem(theirs))
    return JweEncryptionConfig(
        {
            "paths": {"$": {"toEncrypt": {"$": "$"}, "toDecrypt": {"encryptedData": "$"}}},
            "encryptedValueFieldName": "encryptedData",
            "encryptionCertificate": str(folder / "points.pem"),
            "decryptionKey": str(folder / "own.pem"),
        }
    )


def certificate_pem(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "points")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
