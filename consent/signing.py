"""Signatures: DSSE envelopes, C2SP signed notes, canonical JSON. Ed25519 throughout; no Django.

DSSE: https://github.com/secure-systems-lab/dsse, signed notes: https://c2sp.org/signed-note.
"""

import base64
import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class BadSignature(ValueError):
    """The signature is missing, malformed, or not of this key."""


def sha256_hex(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(file: IO[bytes]) -> str:
    """SHA-256 in hex of a whole open file, which is left at its beginning."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def utc_text(moment: datetime.datetime) -> str:
    """RFC 3339 text of a moment, in UTC with a Z."""
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, ASCII. Floats are refused: they have no one text."""
    _refuse_floats(value)
    return _CANONICAL.encode(value)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float; write it as a string")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        if type(one) is not str:  # most are: a call for each would take longer than writing the text
            _refuse_floats(one)


def create_key(path: Path) -> None:
    """Write a new private key (PEM, mode 0600) unless one is there."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    create_file(path, pem)


def create_file(path: Path, content: bytes) -> None:
    """Write a secret (mode 0600) unless the file is there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def load_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file. ValueError names the file if there is none or it is not Ed25519."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        raise ValueError(f"no signing key at {path}: run `manage.py create_signing_key`") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is not an Ed25519 key")
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """The public key as PEM text, the form in which it is published."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_public_key(pem: str | bytes) -> Ed25519PublicKey:
    """The public key in PEM text. ValueError if it is not an Ed25519 public key."""
    key = serialization.load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, in hex: the `keyid` of our envelopes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _pre_auth(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_dsse(payload: bytes, payload_type: str, key: Ed25519PrivateKey) -> str:
    """A DSSE envelope (JSON text) around `payload`. Ed25519 is deterministic: same payload, same text."""
    signature = key.sign(_pre_auth(payload_type, payload))
    return canonical_json(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
        }
    )


def open_dsse(envelope: str | bytes, payload_type: str, key: Ed25519PublicKey) -> bytes:
    """The payload of an envelope of this type signed with this key; BadSignature otherwise."""
    try:
        parsed = json.loads(envelope)
        payload = base64.b64decode(parsed["payload"], validate=True)
        kind = parsed["payloadType"]
        signatures = [base64.b64decode(s["sig"], validate=True) for s in parsed["signatures"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadSignature(f"not a DSSE envelope: {error}") from error
    if kind != payload_type:
        raise BadSignature(f"an envelope of {kind}, not of {payload_type}")
    for signature in signatures:
        try:
            key.verify(signature, _pre_auth(payload_type, payload))
        except InvalidSignature:
            continue
        return payload
    raise BadSignature("no signature of this key")


def _note_key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + key.public_bytes_raw()).digest()[:4]


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """A C2SP signed note: `text` (ends in a newline), an empty line, one signature line of the key called `name`."""
    signature = _note_key_hash(name, key.public_key()) + key.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, name: str, key: Ed25519PublicKey) -> str:
    """The text of a note signed by the key called `name`; BadSignature otherwise."""
    text, separator, lines = note.rpartition("\n\n")
    if not separator:
        raise BadSignature("not a signed note")
    text += "\n"
    for line in lines.splitlines():
        dash, _, rest = line.partition(" ")
        who, _, encoded = rest.partition(" ")
        if dash != "—" or who != name:
            continue
        try:
            raw = base64.b64decode(encoded, validate=True)
            if raw[:4] == _note_key_hash(name, key):
                key.verify(raw[4:], text.encode())
                return text
        except (ValueError, InvalidSignature):
            continue
    raise BadSignature(f"no signature of {name} with this key")
