# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys on disk."""

from __future__ import annotations

import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.peers.key_ring import KeyRing, KeyRingError, generate_keys, load_private_key
from quantv2x_ros.core.peers.signing import is_signed_by, sign


def test_made_keys_fit_each_other(tmp_path):
    private_path, public_path = generate_keys(tmp_path / "new" / "keys", 7)
    assert public_path.name == "7.pem"
    ring = KeyRing.load(public_path.parent)
    assert dict.fromkeys(ring) == {7: None}
    assert is_signed_by(ring[7], sign(load_private_key(private_path), b"x"), b"x")


def test_a_private_key_is_made_for_its_owner_alone(tmp_path):
    private_path, _ = generate_keys(tmp_path, 7)
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


def test_a_key_of_another_kind_is_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "7.pem").write_bytes(key.public_key().public_bytes(encoding, public))
    with pytest.raises(KeyRingError, match="expected Ed25519"):
        KeyRing.load(tmp_path)
    private = tmp_path / "7.key"
    private.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    with pytest.raises(KeyRingError, match="expected Ed25519"):
        load_private_key(private)


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
