"""Mastercard's payload encryption: JWE in compact form, with keys from two folders.

Mastercard's clients send `{"encryptedData": "<header>.<key>.<iv>.<ciphertext>.<tag>"}` with
RSA-OAEP-256 and A256GCM, and take replies in any of four content encryptions; read from their
public library. Two habits of that library are not ours to repeat: its A256GCM has IVs of 16 bytes,
where RFC 7518 wants 12, so both are taken here; and it does not look at the tag, which is always
verified here.

To open a token costs one RSA operation with a private key: measured, 0.3 ms with 2048 bits, 0.7 ms
with 3072 and 1.4 ms with 4096; to make one, 0.1 ms. That is little for one message and much for a
batch of them, which had better be opened in a thread: OpenSSL lets go of the interpreter meanwhile.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwcrypto.common import JWException
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from schemas.reading import Unreadable, read_json, write_json
from worker.settings import BadSettings, variable_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FIELD: Final = "encryptedData"
"""The one field of an encrypted body."""

TOKEN_CHARACTERS_MAX: Final = 65_536
"""The longest token that is looked at; no adjustment needs a tenth of it."""

_KEY_ENCRYPTION: Final = "RSA-OAEP-256"
_REPLY_ENCRYPTION: Final = "A256GCM"

# Content encryptions and the lengths of IV, in bytes, that each may come with.
_IV_BYTES: Final = {
    "A128GCM": (12, 16),
    "A192GCM": (12, 16),
    "A256GCM": (12, 16),
    "A128CBC-HS256": (16,),
}
_TAG_BYTES: Final = 16
_UNSOUND: Final = "the token is unsound, or of another kind"

# `zip` would let a short token become a huge body; `crit` asks for what nobody here knows of.
_REFUSED_PARAMETERS: Final = frozenset({"zip", "crit"})

_KEY_BITS = range(2_048, 8_193)
_KID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_SUFFIX: Final = ".pem"

_Key = TypeVar("_Key", rsa.RSAPrivateKey, rsa.RSAPublicKey)


class DecryptionFailed(Exception):
    """An encrypted body that cannot be opened.

    Its text never says why: whoever tries out tokens must not learn how far each of them got.
    `reason` is for the operator alone, as is the `kid`, None where it could be no key's.
    """

    def __init__(self, reason: str, kid: str | None = None) -> None:
        super().__init__("the body could not be decrypted")
        self.reason = reason
        self.kid = kid


class UnknownKid(Exception):
    """A reply is to be encrypted for a key that is not in the keyring."""

    def __init__(self) -> None:
        super().__init__("the reply's key is not known")


class Keyring:
    """Opens what was encrypted for us, and encrypts replies for those who ask for it.

    `private` are our keys and `public` the callers', by kid. Each is also known by the hex SHA-256
    of its SubjectPublicKeyInfo, which is what Mastercard's clients send as the kid. Several keys
    at a time make a rotation: the old one stays until nobody encrypts for it any more. It may be
    used by several threads.
    """

    def __init__(
        self,
        private: Mapping[str, rsa.RSAPrivateKey] | None = None,
        public: Mapping[str, rsa.RSAPublicKey] | None = None,
    ) -> None:
        self._private: dict[str, JWK] = {}
        self._public: dict[str, JWK] = {}
        for kid, private_key in (private or {}).items():
            own = JWK.from_pyca(private_key)
            self._private |= {fingerprint(private_key.public_key()): own, kid: own}
        for kid, public_key in (public or {}).items():
            callers = JWK.from_pyca(public_key)
            self._public |= {fingerprint(public_key): callers, kid: callers}

    @classmethod
    def load(cls, private_folder: Path | None, public_folder: Path | None) -> Keyring:
        """Read the keys of two folders: each file is `<kid>.pem`, and a folder not given is empty.

        The first holds unencrypted private keys (PKCS#8), the second public keys or X.509
        certificates; all are RSA keys of 2048 to 8192 bits. Raises BadSettings with a sentence for
        every folder and file that cannot be used.
        """
        faults: list[str] = []
        private = _read_folder("jwe_private_keys", private_folder, _private_key, faults)
        public = _read_folder("jwe_public_keys", public_folder, _public_key, faults)
        if faults:
            raise BadSettings(faults)
        return cls(private, public)

    def can_encrypt_for(self, kid: str) -> bool:
        """Whether a reply can be encrypted for the key of that kid."""
        return kid in self._public

    def decrypt(self, body: Mapping[str, object]) -> bytes:
        """Return the content of an encrypted body, whose tag was verified.

        Raises DecryptionFailed, and nothing else, for whatever is wrong with it.
        """
        token = body.get(FIELD)
        if len(body) != 1 or not isinstance(token, str) or len(token) > TOKEN_CHARACTERS_MAX:
            raise DecryptionFailed(_UNSOUND)
        header = _header(token)
        if header is None:
            raise DecryptionFailed(_UNSOUND)
        kid = header.get("kid")
        if type(kid) is not str or not kid:
            raise DecryptionFailed("the token names no kid")
        shown = kid if _KID.fullmatch(kid) else None
        key = self._private.get(kid)
        if key is None:
            raise DecryptionFailed("no private key has the token's kid", shown)
        opened = JWE(algs=[_KEY_ENCRYPTION, header["enc"]])
        with suppress(JWException, ValueError):
            opened.deserialize(token, key)
            return bytes(opened.payload)
        # Raised out here so that the library's reason does not hang on to it as its context.
        raise DecryptionFailed("the token does not verify", shown)

    def encrypt(self, content: bytes, kid: str) -> dict[str, str]:
        """Return a body that only the owner of the key of that kid can read.

        A256GCM with an IV of 12 bytes, which Mastercard's clients read too. Two calls never give
        the same token. Raises UnknownKid.
        """
        key = self._public.get(kid)
        if key is None:
            raise UnknownKid
        header = {
            "alg": _KEY_ENCRYPTION,
            "enc": _REPLY_ENCRYPTION,
            "kid": kid,
            "cty": "application/json",
        }
        token = JWE(
            content,
            protected=write_json(header).decode(),
            algs=[_KEY_ENCRYPTION, _REPLY_ENCRYPTION],
        )
        token.add_recipient(key)
        return {FIELD: token.serialize(compact=True)}


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """Return the kid that Mastercard's clients make of a key: the hex SHA-256 of its SPKI."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _header(token: str) -> dict[str, Any] | None:
    """Return the header of a token in compact form, None where it does not allow to be opened."""
    try:
        header_bytes, _, iv, _, tag = map(_decoded, token.split("."))
        header = read_json(header_bytes)
    except (Unreadable, ValueError):
        return None
    if type(header) is not dict or not _REFUSED_PARAMETERS.isdisjoint(header):
        return None
    content_encryption = header.get("enc")
    if header.get("alg") != _KEY_ENCRYPTION or type(content_encryption) is not str:
        return None
    if len(iv) not in _IV_BYTES.get(content_encryption, ()) or len(tag) != _TAG_BYTES:
        return None
    return header


def _decoded(part: str) -> bytes:
    """Decode a part of a token that is base64url in its one form, so that none has a second.

    Raises ValueError.
    """
    content = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
        raise ValueError
    return content


def _read_folder(
    setting: str, folder: Path | None, read: Callable[[bytes], _Key], faults: list[str]
) -> dict[str, _Key]:
    """Read the keys of a folder by their kids; what cannot be used is told in `faults`."""
    if folder is None:
        return {}
    variable = variable_of(setting)
    keys = {}
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == _SUFFIX)
    except OSError as error:
        faults.append(
            f"{variable} names {str(folder)!r}, which cannot be read ({error.strerror}): name a"
            f" folder of keys, each in a file <kid>{_SUFFIX}."
        )
        return {}
    if not files:
        faults.append(
            f"{variable} names {str(folder)!r}, which holds no key: put one there, in a file"
            f" <kid>{_SUFFIX}, or unset the variable."
        )
    for file in files:
        try:
            keys[_kid_of(file)] = read(file.read_bytes())
        except OSError as error:
            faults.append(f"{variable}: {file.name} cannot be read ({error.strerror}).")
        except ValueError as error:
            faults.append(f"{variable}: {file.name} cannot be used: {error}.")
    return keys


def _kid_of(file: Path) -> str:
    if _KID.fullmatch(file.stem) is None:
        raise ValueError(
            "its name must be a kid of 1 to 128 letters, digits, dots, underscores and hyphens"
        )
    return file.stem


def _private_key(pem: bytes) -> rsa.RSAPrivateKey:
    rule = (
        f"it must be an unencrypted RSA private key of {_KEY_BITS[0]} to {_KEY_BITS[-1]} bits as"
        " PEM (PKCS#8)"
    )
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own words may show some of the file.
        raise ValueError(rule) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size not in _KEY_BITS:
        raise ValueError(rule)
    return key


def _public_key(pem: bytes) -> rsa.RSAPublicKey:
    rule = (
        f"it must be an RSA public key of {_KEY_BITS[0]} to {_KEY_BITS[-1]} bits, or a certificate"
        " of one, as PEM"
    )
    try:
        key = (
            x509.load_pem_x509_certificate(pem).public_key()
            if b"-----BEGIN CERTIFICATE-----" in pem
            else load_pem_public_key(pem)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(rule) from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in _KEY_BITS:
        raise ValueError(rule)
    return key
