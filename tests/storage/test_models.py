"""A model is files that run no code; a folder that is anything else is refused before it is opened."""

import json
import os
import pickle

import numpy as np
import polars as pl
import pytest

from plate_assets.storage.models import (
    ARCHITECTURE,
    MANIFEST,
    WEIGHTS,
    ModelBundle,
    ModelError,
    bundle_version,
    read_bundle,
    write_bundle,
    write_plain_bundle,
)


@pytest.fixture
def bundle():
    weights = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3, np.int64)}
    return ModelBundle({"layers": [1, 2], "name": "tiny"}, weights, {"scores": pl.DataFrame({"score": [0.5, None]})})


@pytest.fixture
def plain(bundle, tmp_path):
    """A bundle as the registry keeps it: no version folder around it."""
    write_plain_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def same(a: ModelBundle, b: ModelBundle) -> bool:
    weights = a.weights.keys() == b.weights.keys() and all(np.array_equal(a.weights[k], b.weights[k]) for k in a.weights)
    tables = a.tables.keys() == b.tables.keys() and all(a.tables[k].equals(b.tables[k]) for k in a.tables)
    return a.architecture == b.architecture and weights and tables


def test_a_model_comes_back_as_it_was(bundle, place):
    write_bundle(bundle, place / "model")
    assert same(read_bundle(place / "model"), bundle)


def test_equal_models_have_equal_versions_wherever_they_lie(bundle, place, plain):
    version = write_bundle(bundle, place / "model")
    assert version == bundle_version(place / "model") == bundle_version(plain)
    other = ModelBundle(bundle.architecture, {**bundle.weights, "n": np.array(4, np.int64)}, bundle.tables)
    assert write_bundle(other, place / "model") != version


@pytest.mark.parametrize("part", [ARCHITECTURE, WEIGHTS, "tables/scores.parquet"])
def test_a_changed_file_is_found_before_it_is_parsed(plain, part):
    content = bytearray((plain / part).read_bytes())
    content[len(content) // 2] ^= 1
    (plain / part).write_bytes(content)
    with pytest.raises(ModelError, match="sha256 differs"):
        read_bundle(plain)
    (plain / part).write_bytes(content[:-1])
    with pytest.raises(ModelError, match="bytes, and its manifest"):
        read_bundle(plain)
    (plain / part).unlink()
    with pytest.raises(ModelError, match="is missing"):
        read_bundle(plain)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("name", ["model.pkl", ".hidden", "tables/code.py", "data/python_model.pkl"])
def test_a_file_that_the_manifest_does_not_name_spoils_the_model(plain, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (plain / name).parent.mkdir(exist_ok=True)
    (plain / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="does not name: nothing was read"):
        read_bundle(plain)
    assert not (tmp_path / "exploded").exists()


def test_a_manifest_that_names_a_pickle_or_a_place_outside_is_refused(plain):
    manifest = json.loads((plain / MANIFEST).read_text())
    for name in ("weights.pkl", "../outside.parquet", "/etc/passwd", "tables/../../x.parquet"):
        changed = {**manifest, "files": {**manifest["files"], name: {"bytes": 1, "sha256": "0" * 64}}}
        (plain / MANIFEST).write_text(json.dumps(changed))
        with pytest.raises(ModelError, match="do not use this model"):
            read_bundle(plain)


def test_links_are_refused(plain, tmp_path):
    (plain / WEIGHTS).rename(tmp_path / "elsewhere")
    (plain / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link"):
        read_bundle(plain)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"files": 3}', b'{"files": {}, "format": "plate_assets.model/1"}', b"[" * 100_000]
)
def test_a_manifest_of_something_else_is_no_model(plain, content):
    (plain / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError):
        read_bundle(plain)


def test_a_model_of_a_later_format_says_which_one_is_read(plain):
    manifest = json.loads((plain / MANIFEST).read_text())
    (plain / MANIFEST).write_text(json.dumps({**manifest, "format": "plate_assets.model/2"}))
    with pytest.raises(ModelError, match=r"plate_assets.model/2.*reads 'plate_assets.model/1'"):
        read_bundle(plain)


def test_what_only_code_could_restore_is_not_written(bundle, tmp_path):
    for unfit in (
        ModelBundle({"made": Bomb()}, bundle.weights),
        ModelBundle({"nan": float("nan")}, bundle.weights),
        ModelBundle({}, {"w": np.array([Bomb()], dtype=object)}),
        ModelBundle({}, {}, {"../outside": pl.DataFrame({"a": [1]})}),
    ):
        with pytest.raises(ModelError):
            write_bundle(unfit, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_folder_without_a_model_says_what_to_give(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no model.*--out"):
        read_bundle(tmp_path)
