"""Every setting of `c.GradientHub`, with its help; and what they resolve to, or what is wrong."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from pathlib import Path

from traitlets import Bool, Dict, Float, Integer, Unicode
from traitlets.config import Configurable

from ..rules.admission import House
from ..rules.catalog import Catalog, ConfigurationFault, Row, row_from
from ..rules.money import parse_amount
from ..rules.placement import Host
from ..rules.tiers import Tier, TierRules
from ..rules.warm import Pool
from .house import HouseTraits
from .keeper import KeeperPolicy, KeeperTraits


class Published(Row):
    """What a hub publishes for its keeper: catalog, tiers, hosts, rules; no secrets."""

    catalog: Catalog
    tiers: Mapping[str, Tier]
    tier_rules: TierRules
    hosts: tuple[Host, ...]
    policy: KeeperPolicy
    help_url: str
    support_email: str

    @property
    def house(self) -> House:
        """What is configured, as admission takes it."""
        return House(self.catalog, self.tiers, self.hosts)


@dataclass(frozen=True)
class Settings:
    """What the traits resolve to; plain values, no secrets except inside `database_url`."""

    house: House
    tier_rules: TierRules
    moved_providers: Mapping[str, str]
    new_account_credit: int
    charge_overrun: bool
    hub_id: str
    database_url: str
    data_dir: Path
    storage_root: Path
    stage_width: int | None
    answer_timeout: float
    reconcile_interval: float
    policy: KeeperPolicy
    keeper_port: int
    keeper_ip: str
    pools: tuple[Pool, ...]
    warm_memory: float
    mount_helper: Path | None
    default_instance_type: str | None
    help_url: str
    support_email: str

    def published(self) -> dict[str, object]:
        """Return what the ledger publishes for the keeper, as `Published` in JSON; no secrets."""
        return Published(
            catalog=self.house.catalog,
            tiers=self.house.tiers,
            tier_rules=self.tier_rules,
            hosts=tuple(self.house.hosts),
            policy=self.policy,
            help_url=self.help_url,
            support_email=self.support_email,
        ).model_dump(mode="json")

    def digest(self) -> str:
        """Return a hash of what is published; it changes exactly when that does."""
        return sha256(dumps(self.published(), sort_keys=True).encode()).hexdigest()


class GradientHub(HouseTraits, KeeperTraits, Configurable):
    """The settings of a notebook cloud."""

    moved_providers = Dict(
        help="""Identity providers that took over the names of another one: {new: old}, as
        `gradienthub account list` names them, for example
        {"GenericOAuthenticator@login.acme.org": "GitHubOAuthenticator@github.com"}.

        Default {}: a name that comes from another provider than before is another person, whose
        account is a new one, because an "anna" there need not be the "anna" here. With an entry a
        login at the new provider keeps the account of the hub's user of that name, and adds its
        subject to it. Set it before you change the provider, and remove it once everybody has
        logged in.""",
    ).tag(config=True)

    new_account_credit = Unicode(
        None,
        allow_none=True,
        help="""Credit that every new account gets once, in currency units, for example "50".

        Default None: the preset's, which is 200 in "azure" and nothing in "gradient". "0" gives
        nothing. Somebody whom the identity provider knows and who is deleted and comes back gets
        it once. Credits of single people are `gradienthub credit`.""",
    ).tag(config=True)

    charge_overrun = Bool(
        False,
        help="""Whether time that ran on when the money was used up is charged.

        Money for the next 15 minutes is held before they are used, and a notebook is stopped before
        it ends. One that runs longer because keeper, hub or engine were away is paid as far as
        credit and budgets go; the rest is an overrun. Default False: that is forgiven,
        because nobody could have stopped it; administrators see it in `gradienthub usage
        --overruns`. True: it is charged, also below a credit of 0. Counts for new starts.""",
    ).tag(config=True)

    data_dir = Unicode(
        "gradienthub-data",
        help="""Folder for what must survive a restart: hub_id, the SQLite ledger, the journal of
        ends that a missing database could not take.

        Default "gradienthub-data", below the hub's working directory, beside its own database.""",
    ).tag(config=True)

    database_url = Unicode(
        "",
        help="""SQLAlchemy URL of the ledger, for example "postgresql+psycopg://user@host/db".

        Default "": a SQLite file in data_dir, which is enough for one hub. A shared database
        needs hub_id as well.""",
    ).tag(config=True)

    hub_id = Unicode(
        "",
        help="""This hub's name in the ledger: 1 to 36 letters, digits, `-` or `_`.

        Default "": made once and kept in data_dir. It must be set where hubs share a database,
        so that none of them repairs or bills another's rows.""",
    ).tag(config=True)

    storage_root = Unicode(
        "",
        help="""Folder on the engine's host that holds every notebook's workspace and every
        account's storage folder.

        Default "": `storage` in data_dir. The hub must be able to create folders there.""",
    ).tag(config=True)

    warm = Dict(
        help="""Notebook servers that are started before anybody asks, so that a start takes a
        third of a second: {instance type: {runtime: count}}, for example
        {"free-cpu": {"python": 2}}.

        The runtime must say `warm`; `gradienthub check --runtime` tells whether its image can.
        A warm server holds its GPUs until somebody else needs them, is in nobody's way and on
        nobody's bill. Default {}: none, every start is cold.""",
    ).tag(config=True)

    warm_memory = Float(
        4,
        min=0,
        help="""GB of memory that all waiting servers may use together.

        Default 4: JupyterLab waits in about 0.1 GB, so this is some thirty of them. What a waiting
        server uses is measured; the count of `warm` is not reached where this is less.""",
    ).tag(config=True)

    mount_helper = Unicode(
        "",
        help="""Socket of `gradienthub mount-helper`, which binds folders for a hub that is not
        root or runs in a container.

        Default "": the hub does it itself where it is root. Else there are no warm servers on
        Docker without the helper, because a person's folders could not arrive late.""",
    ).tag(config=True)

    stage_width = Integer(
        None,
        allow_none=True,
        min=1,
        max=1000,
        help="""How many notebooks may be between "started" and "answering" at once on a host that
        sets no stage_width of its own.

        Default None: as many as the host has CPUs, at least 2, because importing Jupyter keeps
        one CPU busy and more at once starve each other. More helps where the disk is the brake.""",
    ).tag(config=True)

    answer_timeout = Float(
        120,
        min=5,
        max=3600,
        help="""Seconds a started notebook may take until it answers; then it is given up and
        nothing is charged.

        Default 120: a slow disk and a large image need a minute. Waiting for a turn and
        downloading an image are not counted.""",
    ).tag(config=True)

    reconcile_interval = Float(
        60,
        min=1,
        max=3600,
        help="""Seconds between two comparisons of hub, engine and ledger.

        Default 60: a device held by nothing is free again within a minute. Less finds it sooner
        and asks the engine more often.""",
    ).tag(config=True)

    keeper_port = Integer(
        0,
        min=0,
        max=65535,
        help="""TCP port at which the keeper listens for the proxy.

        Default 0: a free one, chosen each time the hub starts.""",
    ).tag(config=True)

    keeper_ip = Unicode(
        "",
        help="""Name or address at which the proxy reaches the keeper.

        Default "": the loopback interface, where hub and proxy are on one machine. Where somebody
        else starts the proxy (`should_start = False` with an `api_url` of another host), it is
        where the hub is reached: hub_connect_ip, else hub_ip, else this machine's name; the keeper
        then listens on all interfaces, and asks everybody who they are.""",
    ).tag(config=True)

    default_instance_type = Unicode(
        None,
        allow_none=True,
        help="""Instance type of a start that names none, as scripts and pages written for a plain
        JupyterHub ask for, for example "free-cpu".

        Default None: such a start is refused with the request to choose, because a machine costs
        money. What was started before starts again as it was, with or without this. The person's
        tier has to allow the type, like any other; the form does not use it.""",
    ).tag(config=True)

    help_url = Unicode(
        "",
        help="""Address of your own help page, shown with every refusal.

        Default "": none is shown.""",
    ).tag(config=True)

    support_email = Unicode(
        "",
        help="""Mail address of your support, shown with every refusal.

        Default "": none is shown.""",
    ).tag(config=True)

    def resolved(self) -> Settings:
        """Resolve all settings into one value.

        Raises ConfigurationFault with name, value and cure.
        """
        house = self.house()
        data_dir = Path(self.data_dir).absolute()
        storage = Path(self.storage_root).absolute() if self.storage_root else data_dir / "storage"
        return Settings(
            house=house,
            tier_rules=self.rules(house),
            moved_providers=_moved_providers(self.moved_providers),
            new_account_credit=_new_account_credit(
                self.new_account_credit, self.loaded_preset().get("new_account_credit", "0")
            ),
            charge_overrun=self.charge_overrun,
            hub_id=_hub_id(self.hub_id, self.database_url, data_dir),
            database_url=self.database_url or f"sqlite:///{data_dir / 'gradienthub.sqlite'}",
            data_dir=data_dir,
            storage_root=storage,
            stage_width=self.stage_width,
            answer_timeout=self.answer_timeout,
            reconcile_interval=self.reconcile_interval,
            policy=self.policy(),
            keeper_port=self.keeper_port,
            keeper_ip=self.keeper_ip,
            pools=_pools(self.warm, house.catalog),
            warm_memory=self.warm_memory,
            mount_helper=Path(self.mount_helper) if self.mount_helper else None,
            default_instance_type=_default_instance_type(self.default_instance_type, house.catalog),
            help_url=self.help_url,
            support_email=self.support_email,
        )


def _default_instance_type(name: str | None, catalog: Catalog) -> str | None:
    """Return the instance type of a start that names none. Raises ConfigurationFault."""
    known = [machine.name for machine in catalog.instance_types]
    if name is not None and name not in known:
        raise ConfigurationFault(
            f"c.GradientHub.default_instance_type = {name!r} is not an instance type; known are"
            f" {', '.join(known) or 'none'}"
        )
    return name


def _pools(warm: Mapping[str, object], catalog: Catalog) -> tuple[Pool, ...]:
    """Return the pools that `c.GradientHub.warm` means."""
    return tuple(
        _pool(catalog, machine, runtime, count)
        for machine, counts in warm.items()
        for runtime, count in _counts(machine, counts).items()
        if count != 0
    )


def _counts(machine: str, counts: object) -> Mapping[str, object]:
    if not isinstance(counts, Mapping):
        raise ConfigurationFault(
            f"c.GradientHub.warm[{machine!r}] = {counts!r}; write {{runtime: count}}, for example"
            ' {"python": 2}'
        )
    return counts


def _pool(catalog: Catalog, machine: str, runtime: str, count: object) -> Pool:
    where = f"c.GradientHub.warm[{machine!r}]"
    kind, image = catalog.instance_type(machine), catalog.runtime(runtime)
    if kind is None:
        known = ", ".join(t.name for t in catalog.instance_types)
        raise ConfigurationFault(f"{where} is not an instance type; known are {known}")
    where += f"[{runtime!r}]"
    if image is None:
        known = ", ".join(r.name for r in catalog.runtimes)
        raise ConfigurationFault(f"{where} is not a runtime; known are {known}")
    if not image.warm:
        raise ConfigurationFault(
            f"{where} = {count!r}, but c.GradientHub.runtimes[{runtime!r}].warm is False; run"
            f" `gradienthub check --runtime {runtime}`, and set it to True where that is well"
        )
    if image.needs_gpu and not kind.gpus:
        raise ConfigurationFault(
            f"{where}: the runtime needs a GPU and {machine} has none; nobody could claim it"
        )
    return row_from(Pool, {"instance_type": machine, "runtime": runtime, "count": count}, where)


def _moved_providers(moved: Mapping[str, object]) -> dict[str, str]:
    checked = {}
    for new, old in moved.items():
        if not (isinstance(new, str) and isinstance(old, str) and new and old and new != old):
            raise ConfigurationFault(
                f"c.GradientHub.moved_providers[{new!r}] = {old!r}: write"
                ' {"new provider": "old provider"}, as `gradienthub account list` names them'
            )
        checked[new] = old
    return checked


def _new_account_credit(own: str | None, preset: str) -> int:
    try:
        return parse_amount(preset if own is None else own)
    except ValueError as fault:
        raise ConfigurationFault(f"c.GradientHub.new_account_credit = {own!r}: {fault}") from None


def _hub_id(hub_id: str, database_url: str, data_dir: Path) -> str:
    if hub_id:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,36}", hub_id):
            raise ConfigurationFault(
                f"c.GradientHub.hub_id = {hub_id!r}: use 1 to 36 letters, digits, - or _"
            )
        return hub_id
    if database_url and not database_url.startswith("sqlite"):
        raise ConfigurationFault(
            "c.GradientHub.hub_id = '' with a database that other hubs may share; set a word that"
            " is this hub's alone and never changes, for example 'physics-hub'"
        )
    return kept_hub_id(data_dir)


def kept_hub_id(data_dir: Path) -> str:
    """Return the hub_id kept in the data folder; made on the first call."""
    kept = data_dir / "hub_id"
    if not kept.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            # "x": of two processes that start together, one writes and the other reads.
            with kept.open("x") as file:
                file.write(str(uuid.uuid4()))
        except FileExistsError:
            pass
    return kept.read_text().strip()
