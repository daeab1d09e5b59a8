"""A hub's configuration, read without starting a hub."""

import stat
from pathlib import Path

import pytest
from jupyterhub.app import JupyterHub

from gradienthub.cli import config
from gradienthub.cli.config import load, open_ledger, sqlite_file
from gradienthub.ledger import LedgerAway
from gradienthub.rules.catalog import ConfigurationFault
from gradienthub.spawners.docker import GradientDockerSpawner


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigurationFault, match="gradienthub init"):
        load(tmp_path / "jupyterhub_config.py")


def test_an_error_in_the_file_says_its_line(hub):
    hub.file.write_text("c = get_config()\n\nc.GradientHub.hosts = hostss\n")
    with pytest.raises(ConfigurationFault, match=r"line 3: NameError: name 'hostss'"):
        hub.load()


def test_an_error_of_syntax_says_its_line(hub):
    hub.file.write_text("c = get_config()\nc.GradientHub.hosts = {\n")
    with pytest.raises(ConfigurationFault, match=r"line 2: SyntaxError"):
        hub.load()


def test_a_fault_that_configure_found_is_said_once(hub):
    hub.write("c.GradientHub.tier_rules = {'default': 'gold'}")
    with pytest.raises(ConfigurationFault) as fault:
        hub.load()
    assert str(fault.value).count("gradienthub:") == 0
    assert "'gold' is not a tier" in str(fault.value)


def test_looking_at_a_hub_that_never_started_leaves_nothing_behind(hub):
    loaded = hub.load()
    assert loaded.settings.hub_id == config.UNMADE
    assert not hub.data_dir.exists()


def test_the_hub_id_that_the_hub_made_is_found(hub):
    hub.start_once()
    assert hub.load().settings.hub_id == "this-hub"


def test_a_hub_id_of_the_configuration_wins(hub):
    hub.write("c.GradientHub.hub_id = 'physics'")
    assert hub.load().settings.hub_id == "physics"


def test_a_part_of_the_configuration_does_not_undo_the_hub_id(hub, tmp_path):
    (tmp_path / "part.py").write_text("c = get_config()\nc.GradientHub.currency = 'EUR'\n")
    hub.write("c.GradientHub.hub_id = 'physics'\nload_subconfig('part.py')")
    loaded = hub.load()
    assert loaded.settings.hub_id == "physics"
    assert loaded.settings.house.catalog.currency == "EUR"


def test_a_shared_database_without_hub_id_is_a_fault_here_too(hub):
    hub.write("c.GradientHub.database_url = 'postgresql+psycopg://hub@db/ledger'")
    with pytest.raises(ConfigurationFault, match="hub_id"):
        hub.load()


def test_a_value_is_what_the_hub_would_use(hub):
    hub.write(
        """
        c.JupyterHub.services = [{"name": "mine"}]
        c.DockerSpawner.network_name = "theirs"
        c.GradientDockerSpawner.folder_owner = 1234
        """
    )
    loaded = hub.load()
    names = [service["name"] for service in loaded.value(JupyterHub, "services")]
    assert names == ["mine", "gradient"]
    assert loaded.value(GradientDockerSpawner, "network_name") == "theirs"
    assert loaded.value(GradientDockerSpawner, "folder_owner") == 1234
    assert loaded.value(GradientDockerSpawner, "device_driver") == "nvidia"
    assert loaded.value(JupyterHub, "cleanup_servers") is False


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////srv/ledger.sqlite", "/srv/ledger.sqlite"),
        ("sqlite+pysqlite:///ledger.sqlite?timeout=3", "ledger.sqlite"),
        ("sqlite://", None),
        ("postgresql+psycopg://hub@db/ledger", None),
    ],
)
def test_the_file_of_a_sqlite_url(url, file):
    assert sqlite_file(url) == (file and Path(file))


def test_a_ledger_that_is_not_there_is_not_made(hub):
    with pytest.raises(ConfigurationFault, match="in the folder"), open_ledger(hub.load()):
        pass
    assert not hub.data_dir.exists()


def test_a_ledger_without_tables_is_said_to_be_one(hub):
    hub.data_dir.mkdir()
    (hub.data_dir / "gradienthub.sqlite").touch()
    with pytest.raises(ConfigurationFault, match="no tables"), open_ledger(hub.load()):
        pass


def test_a_file_that_is_no_database_is_a_ledger_that_is_away(hub):
    hub.data_dir.mkdir()
    (hub.data_dir / "gradienthub.sqlite").write_text("no database" * 500)
    with pytest.raises(LedgerAway), open_ledger(hub.load()):
        pass


def test_a_missing_driver_says_what_to_install(hub):
    hub.write(
        """
        c.GradientHub.database_url = 'postgresql+pg8000://hub@db/ledger'
        c.GradientHub.hub_id = 'physics'
        """
    )
    with pytest.raises(ConfigurationFault, match="pip install"), open_ledger(hub.load()):
        pass


def test_an_impossible_database_url_is_a_fault_with_an_example(hub):
    hub.write("c.GradientHub.database_url = 'no database at all'\nc.GradientHub.hub_id = 'physics'")
    with pytest.raises(ConfigurationFault, match="write it like"), open_ledger(hub.load()):
        pass


def test_a_folder_made_by_the_hub_stays_as_it_is(hub):
    hub.start_once()
    hub.data_dir.chmod(0o700)
    hub.run("devices")
    assert stat.S_IMODE(hub.data_dir.stat().st_mode) == 0o700
