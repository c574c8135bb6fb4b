"""Bad input: status 2, one message that names the file, and nothing written."""

import shutil
from pathlib import Path

import pytest
import yaml
from small_runs import Command, config_content, write_config

BAD = 2


def refused(meio: Command, home: Path, words: tuple, *named: str) -> None:
    """The command refuses, names what is wrong, shows no traceback and writes nothing."""
    before = sorted(home.rglob("*"))
    called = meio(*words)
    assert called.status == BAD, called
    for text in named:
        assert text in called.err, called.err
    assert "Traceback" not in called.err + called.out
    assert sorted(home.rglob("*")) == before


def test_missing_configuration(meio: Command, tmp_path: Path) -> None:
    refused(meio, tmp_path, ("solve", tmp_path / "absent.yaml"), "absent.yaml", "configuration")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sead": 3}, ["sead", "no such key"]),
        ({"solve": {"max_stepz": 3}}, ["solve.max_stepz", "no such key"]),
        ({"solve": {"max_steps": 0}}, ["solve.max_steps", "greater than or equal to 1"]),
        ({"solve": {"learning_rate": "fast"}}, ["solve.learning_rate", "fast"]),
        ({"solve": {"learning_rate": float("nan")}}, ["solve.learning_rate"]),
        ({"precision": "float16"}, ["precision", "float16"]),
        ({"policy": {"name": "base_stok"}}, ["policy.name", "base_stock"]),
        ({"objective": {"name": "cost"}}, ["objective.name", "expected_cost"]),
        ({"dual": {"name": "newton"}}, ["dual.name", "augmented"]),
        ({"objective": {"name": "cvar", "options": {"level": 2.0}}}, ["level"]),
        ({"dual": {"name": "augmented", "options": {"speed": 2.0}}}, ["speed"]),
        ({"run": None}, ["run"]),
        ({"base": 3}, ["base"]),
        ({"base": "absent_base.yaml"}, ["absent_base.yaml"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_configuration(meio: Command, tmp_path: Path, change: dict, named: list[str]) -> None:
    content = {**config_content(tmp_path / "instance", tmp_path / "run"), **change}
    config = write_config(tmp_path / "wrong.yaml", content)
    refused(meio, tmp_path, ("solve", config), *named)


def test_every_problem_is_told_at_once(meio: Command, tmp_path: Path) -> None:
    content = config_content(tmp_path, tmp_path / "run", sead=1, precision="half", solve={"gap": -1})
    config = write_config(tmp_path / "wrong.yaml", content)
    refused(meio, tmp_path, ("solve", config), "3 problems", "sead", "precision", "solve.gap", "wrong.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['echo hello > made']",
        "run: [unclosed",
        "- a\n- list",
        "",
        "just words",
        "run: \x00",
    ],
    ids=["python-tag", "unclosed", "list", "empty", "words", "null-byte"],
)
def test_damaged_configuration(meio: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.yaml").write_text(text, encoding="utf-8")
    refused(meio, tmp_path, ("solve", tmp_path / "damaged.yaml"), "damaged.yaml")


def test_configuration_that_is_not_text(meio: Command, tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    refused(meio, tmp_path, ("solve", tmp_path / "binary.yaml"), "binary.yaml")
    refused(meio, tmp_path, ("solve", tmp_path), str(tmp_path))


def test_missing_instance(meio: Command, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", config_content(tmp_path / "absent", tmp_path / "run"))
    refused(meio, tmp_path, ("solve", config), "absent", "instance.path")


def test_missing_instance_says_how_to_get_it(meio: Command, tmp_path: Path) -> None:
    content = config_content(tmp_path, tmp_path / "run")
    content["instance"] = {"path": str(tmp_path / "absent"), "hint": "ask the data team"}
    refused(meio, tmp_path, ("solve", write_config(tmp_path / "config.yaml", content)), "ask the data team")


@pytest.mark.parametrize("damage", ["half", "text", "value", "settings"])
def test_damaged_instance(meio: Command, tmp_path: Path, tiny_folder: Path, damage: str) -> None:
    instance = tmp_path / "instance"
    instance.mkdir()
    for path in tiny_folder.iterdir():
        (instance / path.name).write_bytes(path.read_bytes())
    named = "items.parquet"
    if damage == "half":
        whole = (instance / named).read_bytes()
        (instance / named).write_bytes(whole[: len(whole) // 2])
    elif damage == "text":
        (instance / named).write_text("not a table", encoding="utf-8")
    elif damage == "value":
        import polars as pl

        table = pl.read_parquet(instance / named).with_columns(volume_m3=pl.lit(-1.0))
        table.write_parquet(instance / named)
    else:
        named = "instance.yaml"
        settings = yaml.safe_load((instance / named).read_text(encoding="utf-8"))
        (instance / named).write_text(yaml.safe_dump({**settings, "periods": 0}), encoding="utf-8")
    config = write_config(tmp_path / "config.yaml", config_content(instance, tmp_path / "run"))
    refused(meio, tmp_path, ("solve", config), named)
    refused(meio, tmp_path, ("validate", instance), named)


@pytest.mark.parametrize("command", ["show", "export", "resume"])
def test_a_folder_that_is_no_run(meio: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "other").mkdir()
    refused(meio, tmp_path, (command, tmp_path / "other"), "other")


def test_a_folder_that_does_not_exist(meio: Command, tmp_path: Path) -> None:
    refused(meio, tmp_path, ("validate", tmp_path / "absent"), "absent")
    refused(meio, tmp_path, ("show", tmp_path / "absent"), "absent")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--nodes", "two"), "--nodes"),
        (("--nodes", "0,0,0"), "nodes"),
        (("--items", "0"), "items"),
        (("--speeds", "9"), "speeds"),
        (("--shape", "flat"), "shape"),
        (("--tightness", "-1"), "tightness"),
        (("--tightness", "inf"), "tightness"),
        (("--tightness", "nan"), "tightness"),
        (("--periods", "1000000000"), "periods"),
        (("--regions", "1000000000"), "regions"),
        (("--nodes", "1,1,1000000000"), "nodes"),
        (("--nodes", "9" * 5000 + ",1,1"), "--nodes"),
    ],
)
def test_wrong_options_of_generate(meio: Command, tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    refused(meio, tmp_path, ("generate", tmp_path / "made", *options), named)


@pytest.mark.parametrize("name", ["JAX_PROCESS_ID", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"])
def test_an_environment_that_is_no_number(
    meio: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "abc")
    config = write_config(tmp_path / "config.yaml", config_content(tmp_path / "absent", tmp_path / "run"))
    refused(meio, tmp_path, ("solve", config), name, "'abc'", "a whole number")


def test_what_was_read_and_what_is_probably_not_meant(meio: Command, tmp_path: Path, tiny_folder: Path) -> None:
    folder = tmp_path / "a[bold]b"
    shutil.copytree(tiny_folder, folder)
    called = meio("validate", folder)
    assert called.status == 0
    assert called.err.startswith("warning: shares of demand at a speed that no node meets")
    for text in (
        "a[bold]b is valid",
        "items                  3 rows  items.parquet",
        "3 items, 3 nodes",
        "units a day",
    ):
        assert text in called.out
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    called = meio("validate", folder)
    assert called.status == 0
    assert "warning: entries of the folder are not read (not read: 1). Found: 'notes.txt'." in called.err
    refused(meio, tmp_path, ("validate", folder, "--strict"), "notes.txt", "--strict")
    config = write_config(tmp_path / "config.yaml", config_content(folder, tmp_path / "run"))
    refused(meio, tmp_path, ("solve", config, "--strict"), "notes.txt", "--strict")


def test_unknown_command(meio: Command, tmp_path: Path) -> None:
    called = meio("solv", tmp_path)
    assert called.status == BAD
    assert "solv" in called.err
