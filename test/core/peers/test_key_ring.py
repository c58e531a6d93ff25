# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys on disk."""

from __future__ import annotations

import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.peers.key_ring import KeyRing, KeyRingError, generate_keys, load_private_key
from quantv2x_ros.core.peers.signing import KINDS, is_signed_by, kind_of, sign

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_made_keys_fit_each_other(tmp_path, kind):
    private_path, public_path = generate_keys(tmp_path / "new" / "keys", 7, kind)
    assert public_path.name == "7.pem"
    ring = KeyRing.load(public_path.parent)
    assert dict.fromkeys(ring) == {7: None}
    private = load_private_key(private_path)
    assert kind_of(private) == kind_of(ring[7]) == KINDS[kind]
    assert is_signed_by(ring[7], sign(private, b"x"), b"x")


def test_keys_are_of_ed25519_unless_another_kind_is_wanted(tmp_path):
    private_path, _ = generate_keys(tmp_path, 7)
    assert isinstance(load_private_key(private_path), Ed25519PrivateKey)


def test_a_key_ring_holds_both_kinds(tmp_path):
    private = {
        station: load_private_key(generate_keys(tmp_path, station, kind)[0])
        for station, kind in enumerate(KINDS)
    }
    ring = KeyRing.load(tmp_path)
    assert [kind_of(ring[station]) for station in private] == list(KINDS.values())
    for station, key in private.items():
        signature = sign(key, b"x")
        assert [is_signed_by(ring[other], signature, b"x") for other in private] == [
            other == station for other in private
        ]


def test_a_kind_that_is_not_known_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(KeyRingError, match="'rsa', allowed are ed25519, ecdsa_p256"):
        generate_keys(tmp_path, 7, "rsa")
    assert list(tmp_path.iterdir()) == []


@kinds
def test_a_private_key_is_made_for_its_owner_alone(tmp_path, kind):
    private_path, _ = generate_keys(tmp_path, 7, kind)
    assert stat.S_IMODE(private_path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_private_key_that_others_may_use_is_refused(tmp_path, mode):
    private_path, _ = generate_keys(tmp_path, 7)
    private_path.chmod(mode)
    with pytest.raises(KeyRingError, match="chmod 600"):
        load_private_key(private_path)


def test_keys_are_never_overwritten(tmp_path):
    private_path, public_path = generate_keys(tmp_path, 7)
    before = private_path.read_bytes()
    with pytest.raises(FileExistsError):
        generate_keys(tmp_path, 7)
    public_path.unlink()
    with pytest.raises(FileExistsError):
        generate_keys(tmp_path, 7)
    assert private_path.read_bytes() == before


@pytest.mark.parametrize("name", ["peer", "007", "-1", "1.5", "٣", "4294967296"])
def test_a_key_whose_name_is_no_station_id_is_refused(tmp_path, name):
    _, public_path = generate_keys(tmp_path, 7)
    public_path.rename(tmp_path / f"{name}.pem")
    with pytest.raises(KeyRingError, match="station id"):
        KeyRing.load(tmp_path)


def test_a_file_that_is_no_key_is_named(tmp_path):
    (tmp_path / "7.pem").write_text("hello")
    with pytest.raises(KeyRingError, match=r"7\.pem"):
        KeyRing.load(tmp_path)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "secp256k1", "RSA"],
)
def test_a_key_of_another_kind_is_refused_by_its_file(tmp_path, key):
    encoding, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    generate_keys(tmp_path, 6)
    (tmp_path / "7.pem").write_bytes(key.public_key().public_bytes(encoding, public))
    expected = "expected Ed25519 or ECDSA on the curve P-256"
    with pytest.raises(KeyRingError, match=rf"7\.pem: it is a \w+PublicKey( on \w+)?, {expected}"):
        KeyRing.load(tmp_path)
    private = tmp_path / "7.key"
    private.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    with pytest.raises(KeyRingError, match=rf"7\.key: it is a \w+PrivateKey( on \w+)?, {expected}"):
        load_private_key(private)


@kinds
def test_a_private_key_in_the_key_ring_is_no_public_one(tmp_path, kind):
    private_path, public_path = generate_keys(tmp_path, 7, kind)
    public_path.write_bytes(private_path.read_bytes())
    with pytest.raises(KeyRingError, match=r"7\.pem: it is no PEM public key"):
        KeyRing.load(tmp_path)


def test_a_folder_without_keys_is_refused(tmp_path):
    with pytest.raises(KeyRingError, match="holds no"):
        KeyRing.load(tmp_path)
    with pytest.raises(KeyRingError, match="no such folder"):
        KeyRing.load(tmp_path / "missing")


def test_the_command_makes_keys_and_names_both_files(tmp_path):
    result = CliRunner().invoke(app, ["keys", "--station", "12", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert str(tmp_path / "12.key") in result.output.replace("\n", "")
    assert set(KeyRing.load(tmp_path)) == {12}


def test_the_command_names_a_station_id_out_of_range(tmp_path):
    result = CliRunner().invoke(app, ["keys", "--station", "-5", "--out", str(tmp_path)])
    assert result.exit_code == 1


@kinds
def test_the_command_makes_keys_of_either_kind(tmp_path, kind):
    arguments = ["keys", "--station", "12", "--out", str(tmp_path), "--kind", kind]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert kind_of(KeyRing.load(tmp_path)[12]) == KINDS[kind]


def test_the_command_names_a_kind_that_is_not_known(tmp_path):
    arguments = ["keys", "--station", "12", "--out", str(tmp_path), "--kind", "rsa"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []
