"""Folders of people are closed on each level, and closed again."""

import os
import stat

import pytest

from gradienthub.spawners.folders import make_folder, make_private
from gradienthub.spawners.warm_mounts import Mounts

SLOT = "11111111-2222-3333-4444-555555555555"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_each_level_is_closed_whatever_the_umask(tmp_path):
    root = tmp_path / "srv" / "storage"
    made = make_private(root, "notebooks", "n1")
    assert made == root / "notebooks" / "n1"
    for level in (root.parent, root, root / "notebooks", made):
        assert mode(level) == 0o700, level


def test_levels_that_an_older_version_left_open_are_closed_and_the_administrators_root_stays(
    tmp_path,
):
    root = tmp_path / "storage"
    (root / "notebooks" / "n1").mkdir(parents=True)
    (root / "notebooks" / "n1" / "mine").mkdir(mode=0o755)
    make_private(root, "notebooks", "n1")
    assert mode(root) == 0o755
    assert mode(root / "notebooks") == mode(root / "notebooks" / "n1") == 0o700
    # What is inside is the person's own.
    assert mode(root / "notebooks" / "n1" / "mine") == 0o755


@pytest.mark.parametrize("bits", [0o755, 0o777, 0o1777, 0o2775, 0o4755, 0o000])
def test_what_a_notebook_chmods_at_the_top_of_its_folder_is_put_right_at_the_next_start(
    tmp_path, bits
):
    folder = make_private(tmp_path, "accounts", "a1")
    if bits == 0 and os.geteuid() != 0:
        pytest.skip("only root opens it again")
    folder.chmod(bits)
    make_private(tmp_path, "accounts", "a1")
    assert mode(folder) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_new_folder_is_its_owners_and_one_that_somebody_has_stays_theirs(tmp_path):
    folder = make_private(tmp_path, "accounts", "a1", owner=1000)
    assert (folder.stat().st_uid, folder.parent.stat().st_uid) == (1000, 0)
    os.chown(folder, 1234, 1234)
    make_private(tmp_path, "accounts", "a1", owner=1000)
    assert folder.stat().st_uid == 1234
    # As a hub leaves it that is killed between making it and giving it away.
    os.chown(folder, 0, 0)
    make_private(tmp_path, "accounts", "a1", owner=1000)
    assert folder.stat().st_uid == 1000


def test_a_folder_that_the_administrator_moved_elsewhere_is_closed_where_it_is(tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "accounts").symlink_to(tmp_path / "big")
    make_private(tmp_path, "accounts", "a1")
    assert mode(tmp_path / "big") == mode(tmp_path / "big" / "a1") == 0o700


def test_folders_that_a_class_has_elsewhere_are_closed_too(tmp_path):
    root, elsewhere = tmp_path / "storage", tmp_path / "data" / "lab-1" / "anna"
    assert make_folder(root, elsewhere) == elsewhere
    assert mode(elsewhere) == mode(elsewhere.parent) == 0o700
    assert make_folder(root, root / "notebooks" / "n1") == root / "notebooks" / "n1"
    assert mode(root / "notebooks") == 0o700


def test_folders_of_warm_servers_are_reached_by_nobody_else_on_the_machine(tmp_path):
    mounts = Mounts(tmp_path)
    home, storage = mounts.make(SLOT)
    assert mode(tmp_path / "warm") == mode(home.parent) == 0o700
    # A container's user sees them empty until a person's folder is bound onto them.
    assert mode(home) == mode(storage) == 0o755
