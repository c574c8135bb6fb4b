"""Folders that commands write: what may be replaced, swaps that die half-way, locks."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meio_jax import folders
from meio_jax.errors import InputError, Refusal
from meio_jax.folders import Claim, Mark, check_claim, held, publish, read_mark, remove, settle, write_mark
from meio_jax.folders import lock as lock_module
from meio_jax.folders.marks import HOLDER, MARKER, NEXT, OLD
from meio_jax.folders.swap import written_beside


def tree(folder: Path) -> dict[str, str]:
    """Every file and link of a folder with its content, without what commands keep for themselves."""
    own = (MARKER, ".meio.lock", HOLDER)
    paths = [path for path in sorted(folder.rglob("*")) if path.name not in own]
    return {
        path.relative_to(folder).as_posix(): f"-> {os.readlink(path)}" if path.is_symlink() else path.read_text()
        for path in paths
        if path.is_symlink() or path.is_file()
    }


def write(folder: Path, claim: Claim, **files: str) -> None:
    with written_beside(folder, claim) as coming:
        for name, text in files.items():
            path = coming / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def test_a_folder_of_the_user_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "thesis.txt").write_text("mine")
    before = tree(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(Refusal, match="items"):
            write(tmp_path, Claim("instance", "", overwrite=overwrite), items__part="new")
    assert tree(tmp_path) == before


FUTURE = '{"kind":"run","entries":["plan"],"of":"","format":Infinity}'


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"kind": "run"', "[" * 5000, FUTURE, '{"kind":"run","entries":3,"of":"","format":1}']
)
def test_a_damaged_marker_proves_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)
    (tmp_path / "plan").write_text("mine")
    with pytest.raises(Refusal, match="plan"):
        check_claim(tmp_path, Claim("run", "", overwrite=True))


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", ".", "", "a/b"])
def test_a_marker_that_leads_out_of_its_folder_is_not_believed(tmp_path: Path, name: str) -> None:
    write_mark(tmp_path, Mark("run", (name,)))
    assert read_mark(tmp_path) is None


@pytest.mark.parametrize("way", ["incoming", "outgoing"])
@pytest.mark.parametrize("name", ["../mine", "..", "a/../../mine", "{outside}", 5, None])
def test_a_journal_that_leads_out_of_its_folder_is_not_believed(tmp_path: Path, way: str, name: object) -> None:
    """A run that somebody sent: what its journal names would be moved, and removed."""
    outside, run = tmp_path / "mine", tmp_path / "run"
    (run / NEXT).mkdir(parents=True)
    outside.write_text("mine")
    name = str(outside) if name == "{outside}" else name
    mark = {"kind": "run", "entries": [], "of": "", "format": 1}
    journal = {"mark": mark, "incoming": [], "outgoing": []} | {way: [name]}
    (run / NEXT / ".journal.json").write_text(json.dumps(journal))
    settle(run)
    assert outside.read_text() == "mine"
    assert run.is_dir()
    assert not (run / ".old").exists()


def test_own_content_is_replaced_on_request_and_what_the_user_added_stays(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    write(folder, Claim("instance", ""), items="1", lanes="1")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(Refusal, match="--overwrite"):
        write(folder, Claim("instance", ""), items="2")
    write(folder, Claim("instance", "", overwrite=True), items="2")
    assert tree(folder) == {"items": "2", "notes.txt": "mine"}
    with pytest.raises(Refusal, match="notes"):
        write(folder, Claim("instance", "", overwrite=True), **{"notes.txt": "3"})
    assert tree(folder) == {"items": "2", "notes.txt": "mine"}
    with pytest.raises(Refusal, match="not a run"):
        check_claim(folder, Claim("run", "", overwrite=True))


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    folder, absent = tmp_path / "made", tmp_path / "a" / "b"
    write(folder, Claim("instance", ""), items="1")
    for target in (folder, absent):
        with pytest.raises(FileExistsError):
            write(target, Claim("instance", "", overwrite=True), items="half", items__part="whole")
    assert tree(folder) == {"items": "1"}
    assert not (tmp_path / "a").exists()


def test_links_are_never_followed_for_removal(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (far / "thesis.txt").write_text("mine")
    folder = tmp_path / "made"
    write(folder, Claim("run", ""), plan__a="1", checkpoints__b="1")
    remove(folder / "plan")
    (folder / "plan").symlink_to(far)
    (folder / "checkpoints" / "far").symlink_to(far)
    for name in (NEXT, OLD):
        (folder / name).symlink_to(far)
    folders.clear_unfinished(folder)
    assert tree(far) == {"thesis.txt": "mine"}
    write(folder, Claim("run", "", overwrite=True), plan__a="2")
    assert tree(folder) == {"plan/a": "2"}
    assert tree(far) == {"thesis.txt": "mine"}


@pytest.mark.parametrize("linked", [NEXT, OLD])
def test_a_swap_moves_nothing_through_a_link(tmp_path: Path, linked: str) -> None:
    """A run folder from elsewhere, with the journal of a swap and a link in place of one of its own folders."""
    mine, folder = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    (mine / "plan").write_text("mine")
    folder.mkdir()
    (folder / linked).symlink_to(mine)
    (folder / NEXT).mkdir(exist_ok=True)
    (folder / "plan").write_text("theirs")
    journal = {
        "mark": {"kind": "run", "entries": ["plan"], "of": "", "format": 1},
        "incoming": ["plan"],
        "outgoing": [],
    }
    (folder / NEXT / "plan").write_text("mine" if linked == NEXT else "new")
    (folder / NEXT / ".journal.json").write_text(json.dumps(journal))
    settle(folder)
    assert (mine / "plan").read_text() == "mine"
    assert (folder / "plan").read_text() == ("theirs" if linked == NEXT else "new")


@pytest.mark.parametrize("at", range(12))
def test_a_swap_that_dies_at_any_moment_is_finished_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    folder = tmp_path / "run"
    write(folder, Claim("run", ""), plan__a="1", prices="1", gone="1")
    (folder / "notes.txt").write_text("mine")
    (folder / NEXT).mkdir()
    for name in ("plan__a", "prices", "new"):
        path = folder / NEXT / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text("2")
    count = 0

    def dying(call: Callable) -> Callable:
        def one(*args: object, **more: object) -> object:
            nonlocal count
            count += 1
            if count > at:
                raise SystemExit("killed")
            return call(*args, **more)

        return one

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying(os.replace))
        patched.setattr("meio_jax.folders.swap.remove", dying(remove))
        try:
            publish(folder, Mark("run", ("plan", "prices", "new")), ["gone"])
        except SystemExit:
            now = tree(folder)
            # Every old entry is somewhere until all new ones are in their place.
            old = {name.removeprefix(".old/") for name, text in now.items() if text == "1"}
            new = {name for name, text in now.items() if text == "2" and not name.startswith(".next/")}
            assert old == {"plan/a", "prices", "gone"} or new == {"plan/a", "prices", "new"}
    settle(folder)
    if at == 0:
        # Dead before the journal was whole: the old content stands.
        folders.clear_unfinished(folder)
        assert tree(folder) == {"plan/a": "1", "prices": "1", "gone": "1", "notes.txt": "mine"}
    else:
        assert tree(folder) == {"plan/a": "2", "prices": "2", "new": "2", "notes.txt": "mine"}
        assert read_mark(folder) == Mark("run", ("plan", "prices", "new"))


def test_the_second_is_refused_in_one_line_that_says_who_and_since_when(tmp_path: Path) -> None:
    with held(tmp_path, "meio solve"):
        with pytest.raises(Refusal) as refused, held(tmp_path, "meio resume"):
            pass
        text = str(refused.value)
        assert "\n" not in text
        assert f"`meio solve` (process {os.getpid()} on {socket.gethostname()}, for 0 s)" in text
    with held(tmp_path, "meio resume"):
        pass
    assert not (tmp_path / HOLDER).exists()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"command": 1, "process": "me", "machine": "HERE", "since": "yesterday"}',
        '{"command": "x", "process": -1, "machine": "HERE", "since": 1}',
        '{"command": "x", "process": 1e300, "machine": "HERE", "since": Infinity}',
        '{"command": "x", "process": 99999999999999999999, "machine": "HERE", "since": NaN}',
    ],
)
def test_a_damaged_signature_is_nobodys(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the file system has no locks, so that the signature decides."""
    for system in (True, False):
        monkeypatch.setattr(lock_module, "_taken", lambda *_, system=system: system)
        (tmp_path / HOLDER).write_text(text.replace("HERE", socket.gethostname()))
        with held(tmp_path, "meio resume"):
            pass
        assert not (tmp_path / HOLDER).exists()


def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from meio_jax.folders import held
with held(Path({str(tmp_path)!r}), "meio solve"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert (tmp_path / HOLDER).exists()
    with held(tmp_path, "meio resume"):
        assert json.loads((tmp_path / HOLDER).read_text())["process"] == os.getpid()


@pytest.mark.parametrize(("silent", "taken"), [(10.0, False), (1000.0, True)])
def test_a_process_of_another_machine_holds_as_long_as_it_signs(tmp_path: Path, silent: float, taken: bool) -> None:
    holder = {"command": "meio solve", "process": 1, "machine": "elsewhere", "since": time.time() - 7200}
    (tmp_path / HOLDER).write_text(json.dumps(holder))
    last = time.time() - silent
    os.utime(tmp_path / HOLDER, (last, last))
    if taken:
        with held(tmp_path, "meio resume"):
            pass
    else:
        with pytest.raises(Refusal, match=r"on elsewhere, for 2\.0 h"), held(tmp_path, "meio resume"):
            pass


def test_without_locks_of_the_system_the_signature_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "_taken", lambda lock, folder: False)
    with held(tmp_path, "meio solve"), pytest.raises(Refusal, match="meio solve"), held(tmp_path, "meio resume"):
        pass
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    holder = {"command": "x", "process": ended.pid, "machine": socket.gethostname(), "since": 0.0}
    (tmp_path / HOLDER).write_text(json.dumps(holder))
    with held(tmp_path, "meio resume"):
        pass


def test_a_folder_that_was_made_in_vain_goes_again(tmp_path: Path) -> None:
    with pytest.raises(InputError), held(tmp_path / "a" / "b", "meio solve"):
        raise InputError([])
    assert not (tmp_path / "a").exists()
    with held(tmp_path / "a" / "b", "meio solve"):
        (tmp_path / "a" / "b" / "plan").touch()
    assert (tmp_path / "a" / "b" / "plan").exists()
