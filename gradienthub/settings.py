"""Every setting of `c.GradientHub`, with its help; and what they resolve to, or what is wrong."""

import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Enum, Float, Integer, List, Unicode
from traitlets.config import Configurable

from . import presets
from .rules.admission import House
from .rules.catalog import (
    Catalog,
    ConfigurationFault,
    Duration,
    InstanceType,
    Row,
    Runtime,
    row_from,
    rows_from,
)
from .rules.duration import parse_duration
from .rules.money import parse_amount
from .rules.placement import Host
from .rules.tiers import Tier, TierRules
from .rules.warm import Pool

TABLES = ("instance_types", "runtimes", "tiers")


class GradientHub(Configurable):
    """The settings of a notebook cloud. Dicts are laid over the preset's tables, row by row."""

    preset = Enum(
        ("gradient", "azure"),
        default_value="gradient",
        allow_none=True,
        help="""Tables to start from: machines, prices, runtimes and tiers of Paperspace Gradient
        (2020) or of Azure ML notebooks.

        Default "gradient": its tiers show every feature. None: empty tables, and everything is
        declared here. Rows of the other settings are laid over the preset's by name.""",
    ).tag(config=True)

    currency = Unicode(
        "",
        help="""Currency of all prices, as three capitals (ISO 4217), for example "EUR".

        Default "": the preset's, which is USD in both. It names the unit and converts nothing.""",
    ).tag(config=True)

    instance_types = Dict(
        help="""Machines for rent: {name: {key: value}}, laid over the preset's table.

        Keys: title, description, gpu_model, gpus (count), gpu_memory (GB), cpus, memory (GB),
        price (currency units an hour, for example "0.51"), needs_approval. A row of None removes
        the preset's. Default {}: the preset's table as it is.""",
    ).tag(config=True)

    runtimes = Dict(
        help="""Container images with a name: {name: {key: value}}, laid over the preset's table.

        Keys: title, description, image, needs_gpu, warm, counts_requests. counts_requests = True
        is for images whose work is in applications behind jupyter-server-proxy (an editor, a
        dashboard), which have no kernel: each request to the notebook's server is use then, also
        that of a tab which nobody touches. A row of None removes the preset's.
        Default {}: the preset's table as it is.""",
    ).tag(config=True)

    tiers = Dict(
        help="""Subscriptions: {name: {key: value}}, laid over the preset's table.

        Keys: title, order, price_per_month, instance_types (names, "free" or "*"), max_running,
        max_running_free, max_notebooks, session_limit, free_session_limit, program_extensions,
        shutdown_choices, shutdown_min, shutdown_max, shutdown_default, shutdown_required,
        storage (GB), runtimes, default_runtime, custom_images (patterns), funding, credit_limit,
        private_hosts. Durations are written "30m", "6h", "3d".

        price_per_month (currency units) and storage are shown on Machines and on the account's
        pages, the price also on the statement of the running month. The price is not charged, and
        the storage not enforced.

        funding: "prepaid" pays paid types from credit; "postpaid" may owe up to
        credit_limit (currency units; None: without limit), which a recorded payment makes free
        again; "none" has free types only. max_notebooks counts named notebooks, stopped ones too
        (default 100; None: no cap). free_session_limit ends leases of free machines (default None).
        program_extensions: how often a token may extend a lease until its person does on the
        Notebooks page (default 8, a day of work at an interval of an hour; 0: never; None:
        always).

        In the preset "gradient" whoever has a payment method on file is postpaid with a credit
        limit; its monthly prices are shown and not charged.
        A row of None removes the preset's. Default {}: the preset's table as it is.""",
    ).tag(config=True)

    tier_rules = Dict(
        help="""How a person's tier is found: {"default": tier, "by_group": {group: tier},
        "by_claim": [{"claim": dotted path, "value": value, "tier": tier}]}.

        A tier set for the person comes first (`gradienthub tier`), then by group, then by claim,
        then the default. Default {}: the preset's default tier for everybody.""",
    ).tag(config=True)

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

    hosts = Dict(
        help="""Machines that carry notebooks: {name: {"cpus": count, "memory": GB, "devices":
        [{"uuid": ..., "model": ...}], "groups": [...], "cpu_overcommit": factor,
        "memory_overcommit": factor, "stage_width": count, "shared_as": word}}.

        cpus and memory are what may be rented. groups reserves the host for their members.
        stage_width: see below. shared_as: one word for one machine that several hubs on one
        database declare, so that they share its CPUs and memory.

        `gradienthub check` prints the devices of this machine in this form. Default {}: one host
        named "local" with this machine's CPUs and memory and no devices, because a device that
        nobody declared must not be given out.""",
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

    keeper_interval = Float(
        30,
        min=1,
        max=600,
        help="""Seconds between two passes of the keeper over all running notebooks.

        Default 30: use is seen and people are warned at most so much later. Stops do not wait for
        a pass: the keeper wakes when the next known end is due. Each pass asks every running
        notebook three small questions.""",
    ).tag(config=True)

    audit_days = Integer(
        None,
        allow_none=True,
        min=1,
        help="""How many days a row of the audit is kept. The keeper deletes what is older, five
        hundred rows a pass.

        Default None: for ever, because who may delete evidence is for you to say; a busy hub
        writes some ten rows a person and day. Rows that the money needs are always kept: starts,
        credits, budgets, tiers, payment methods and merges, so that `gradienthub verify` goes on
        proving what it proved. In the small mode nothing is deleted.""",
    ).tag(config=True)

    unknown_intervals = Float(
        3,
        allow_none=True,
        min=0,
        help="""How many idle intervals a notebook may run on while its use cannot be read: its
        server does not answer, or answers nonsense.

        Default 3: unknown is not idle, so it gets more time than an idle one, and does not hold
        its machine for ever. It is warned like any stop, Extend moves it, and a finding names it.
        Values from 1 on. 0 or None: it runs on until a hard end.""",
    ).tag(config=True)

    no_work_intervals = Float(
        3,
        allow_none=True,
        min=0,
        help="""How many idle intervals a notebook may be busy without work: a kernel says that it
        runs a cell, but neither the container's CPU nor its GPU does anything, for example in
        `input()`, or in a call that hangs.

        Default 3: enough to wait for something slow, and no cell that hangs holds a machine for
        ever. It is warned like any stop, and Extend moves it. Values from 1 on. 0 or None: busy
        is busy. Nothing ends for it where the engine tells no CPU time.""",
    ).tag(config=True)

    work_percent = Float(
        5,
        min=0,
        max=100,
        help="""Load in per cent of one CPU, or of its GPU, above which a busy notebook works.

        Default 5: a Jupyter server with an open tab and a kernel in `input()` were measured to use
        0.7, a cell that computes uses 100. More stops slow jobs that mostly wait; less takes an
        open tab for work.""",
    ).tag(config=True)

    keeper_warnings = List(
        Unicode(),
        ["15m", "5m", "1m"],
        minlen=1,
        help="""How long before a stop people are warned, as durations.

        Default ["15m", "5m", "1m"]. The shortest is also the least warning that an idle stop
        waits for. Warnings of more than half of a notebook's idle interval are left out.""",
    ).tag(config=True)

    keeper_dry_run = Bool(
        False,
        help="""Whether the keeper only writes down what it would stop, and stops nothing.

        Default False. True: to try out intervals on a running hub; Fleet and the audit show what
        would have been stopped, and when. Nobody is warned.""",
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

    notify_file = Unicode(
        "",
        help="""Path of a file with Apprise addresses, one a line, to which warnings and stops are
        sent: mail, chat, webhooks. `{user}` and `{email}` in them are the notebook's owner's.

        Default "": people are told on the pages and in JupyterLab only. Only its path is
        published to the keeper: the secrets in it stay in the file. Needs the extra "notify".""",
    ).tag(config=True)

    busy_gpu_percent = Float(
        0,
        min=0,
        max=100,
        help="""Load of a notebook's GPU in per cent from which it counts as busy, so that a job
        without a kernel is not stopped for idleness.

        Default 0: GPU load is shown and keeps nothing alive. Needs the extra "nvml", and GPUs on
        the machine that the keeper runs on.""",
    ).tag(config=True)

    busy_cpu_percent = Float(
        0,
        min=0,
        help="""Load of a notebook's container in per cent of one CPU from which it counts as busy,
        so that a silent job in a terminal, or one started with `nohup`, is not stopped for
        idleness.

        Default 0: CPU load is shown, tells work from waiting, and keeps nothing idle alive. 50
        suits most: half a CPU, which no open tab uses.""",
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

    def resolved(self) -> "Settings":
        """Resolve all settings into one value.

        Raises ConfigurationFault with name, value and cure.
        """
        return resolve(self)


class KeeperPolicy(Row):
    """How the keeper watches; spans of time. `warnings` is sorted, the longest first."""

    interval: float
    warnings: tuple[Duration, ...]
    dry_run: bool
    notify_file: str
    busy_gpu_percent: float
    busy_cpu_percent: float = 0
    unknown_intervals: float | None = 3
    no_work_intervals: float | None = 3
    work_percent: float = 5
    audit_days: int | None = None

    @property
    def grace(self) -> timedelta:
        """The least warning of an idle stop."""
        return self.warnings[-1]


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

    def published(self) -> dict[str, Any]:
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


def resolve(traits: GradientHub) -> Settings:
    """Return the settings these traits mean.

    Raises ConfigurationFault with name, value and cure.
    """
    preset = presets.load(traits.preset) if traits.preset else {}
    rows = {
        table: _laid_over(preset.get(table, {}), getattr(traits, table), table) for table in TABLES
    }
    where = "c.GradientHub."
    catalog = row_from(
        Catalog,
        {
            "currency": traits.currency or preset.get("currency", "USD"),
            "instance_types": rows_from(
                InstanceType, rows["instance_types"], where + "instance_types"
            ),
            "runtimes": rows_from(Runtime, rows["runtimes"], where + "runtimes"),
        },
        where + "currency" if traits.currency else where + "preset",
    )
    tiers = {tier.name: tier for tier in rows_from(Tier, rows["tiers"], where + "tiers")}
    if not tiers:
        raise ConfigurationFault(
            f"{where}tiers is empty; declare at least one tier, or set a preset"
        )
    tier_rules = row_from(
        TierRules, {**preset.get("tier_rules", {}), **traits.tier_rules}, where + "tier_rules"
    )
    hosts = rows_from(Host, traits.hosts or {"local": this_machine()}, where + "hosts")
    house = House(catalog, tiers, hosts)
    _check_names(house, tier_rules)
    data_dir = Path(traits.data_dir).absolute()
    return Settings(
        house=house,
        tier_rules=tier_rules,
        moved_providers=_moved_providers(traits),
        new_account_credit=_new_account_credit(traits, preset),
        charge_overrun=traits.charge_overrun,
        hub_id=_hub_id(traits, data_dir),
        database_url=traits.database_url or f"sqlite:///{data_dir / 'gradienthub.sqlite'}",
        data_dir=data_dir,
        storage_root=Path(traits.storage_root).absolute()
        if traits.storage_root
        else data_dir / "storage",
        stage_width=traits.stage_width,
        answer_timeout=traits.answer_timeout,
        reconcile_interval=traits.reconcile_interval,
        policy=_policy(traits),
        keeper_port=traits.keeper_port,
        keeper_ip=traits.keeper_ip,
        pools=_pools(traits.warm, catalog),
        warm_memory=traits.warm_memory,
        mount_helper=Path(traits.mount_helper) if traits.mount_helper else None,
        default_instance_type=_default_instance_type(traits, catalog),
        help_url=traits.help_url,
        support_email=traits.support_email,
    )


def _policy(traits: GradientHub) -> KeeperPolicy:
    try:
        levels = sorted({parse_duration(level) for level in traits.keeper_warnings}, reverse=True)
    except ValueError as fault:
        raise ConfigurationFault(
            f"c.GradientHub.keeper_warnings = {traits.keeper_warnings!r}: {fault}"
        ) from None
    return KeeperPolicy(
        interval=traits.keeper_interval,
        warnings=tuple(levels),
        dry_run=traits.keeper_dry_run,
        notify_file=str(Path(traits.notify_file).absolute()) if traits.notify_file else "",
        busy_gpu_percent=traits.busy_gpu_percent,
        busy_cpu_percent=traits.busy_cpu_percent,
        unknown_intervals=_intervals(traits, "unknown_intervals"),
        no_work_intervals=_intervals(traits, "no_work_intervals"),
        work_percent=traits.work_percent,
        audit_days=traits.audit_days,
    )


def _intervals(traits: GradientHub, name: str) -> float | None:
    """Return how many idle intervals a setting means; None: no end."""
    count: float | None = getattr(traits, name)
    if count and count < 1:
        raise ConfigurationFault(
            f"c.GradientHub.{name} = {count!r} would stop it sooner than an idle one; write 1 or"
            " more, or None for never"
        )
    return count or None


def _default_instance_type(traits: GradientHub, catalog: Catalog) -> str | None:
    """Return the instance type of a start that names none. Raises ConfigurationFault."""
    name = traits.default_instance_type
    known = [machine.name for machine in catalog.instance_types]
    if name is not None and name not in known:
        raise ConfigurationFault(
            f"c.GradientHub.default_instance_type = {name!r} is not an instance type; known are"
            f" {', '.join(known) or 'none'}"
        )
    return name


def _pools(warm: Mapping[str, Any], catalog: Catalog) -> tuple[Pool, ...]:
    """Return the pools that `c.GradientHub.warm` means."""
    return tuple(
        _pool(catalog, machine, runtime, count)
        for machine, counts in warm.items()
        for runtime, count in _counts(machine, counts).items()
        if count != 0
    )


def _counts(machine: str, counts: Any) -> Mapping[str, Any]:
    if not isinstance(counts, Mapping):
        raise ConfigurationFault(
            f"c.GradientHub.warm[{machine!r}] = {counts!r}; write {{runtime: count}}, for example"
            ' {"python": 2}'
        )
    return counts


def _pool(catalog: Catalog, machine: str, runtime: str, count: Any) -> Pool:
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


def this_machine() -> dict[str, float]:
    """Return the CPUs and the memory (GB) of the machine that the hub runs on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 10**9
    return {"cpus": os.cpu_count() or 1, "memory": round(memory, 1)}


def _laid_over(
    preset: Mapping[str, Any], own: Mapping[str, Any], table: str
) -> dict[str, Mapping[str, Any] | None]:
    merged: dict[str, Mapping[str, Any] | None] = dict(preset)
    for name, row in own.items():
        if isinstance(row, Mapping) and isinstance(preset.get(name), Mapping):
            merged[name] = {**preset[name], **row}
        elif row is None and name not in preset:
            raise ConfigurationFault(
                f"c.GradientHub.{table}[{name!r}] = None removes a row that the preset does not"
                f" have; its rows are {', '.join(preset)}"
            )
        else:
            merged[name] = row
    return merged


def _check_names(house: House, rules: TierRules) -> None:
    """Check that every name that one table uses of another exists there."""
    catalog, where = house.catalog, "c.GradientHub."
    types = {t.name for t in catalog.instance_types} | {"free", "*"}
    runtimes = {r.name for r in catalog.runtimes} | {"*"}
    for name, tier in house.tiers.items():
        for key, used, known in (
            ("instance_types", tier.instance_types, types),
            ("runtimes", tier.runtimes, runtimes),
            (
                "default_runtime",
                (tier.default_runtime,) if tier.default_runtime else (),
                runtimes - {"*"},
            ),
        ):
            for word in used:
                if word not in known:
                    raise ConfigurationFault(
                        f"{where}tiers[{name!r}].{key} names {word!r}, which does not exist;"
                        f" known are {', '.join(sorted(known))}"
                    )
    named = {
        "default": rules.default,
        **{f"by_group[{group!r}]": tier for group, tier in rules.by_group.items()},
        **{f"by_claim[{i}].tier": rule.tier for i, rule in enumerate(rules.by_claim)},
    }
    for key, word in named.items():
        if word not in house.tiers:
            raise ConfigurationFault(
                f"{where}tier_rules.{key} = {word!r} is not a tier; known are"
                f" {', '.join(house.tiers)}"
            )
    owner: dict[str, str] = {}
    for host in house.hosts:
        for device in host.devices:
            if device.uuid in owner:
                raise ConfigurationFault(
                    f"{where}hosts: device {device.uuid!r} is declared on"
                    f" {owner[device.uuid]!r} and on {host.name!r}; a device is plugged into one"
                    " host, remove it from the other"
                )
            owner[device.uuid] = host.name


def _moved_providers(traits: GradientHub) -> Mapping[str, str]:
    moved = traits.moved_providers
    for new, old in moved.items():
        if not (isinstance(new, str) and isinstance(old, str) and new and old and new != old):
            raise ConfigurationFault(
                f"c.GradientHub.moved_providers[{new!r}] = {old!r}: write"
                ' {"new provider": "old provider"}, as `gradienthub account list` names them'
            )
    return dict(moved)


def _new_account_credit(traits: GradientHub, preset: Mapping[str, Any]) -> int:
    own = traits.new_account_credit
    try:
        return parse_amount(preset.get("new_account_credit", "0") if own is None else own)
    except ValueError as fault:
        raise ConfigurationFault(f"c.GradientHub.new_account_credit = {own!r}: {fault}") from None


def _hub_id(traits: GradientHub, data_dir: Path) -> str:
    hub_id: str = traits.hub_id
    if hub_id:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,36}", hub_id):
            raise ConfigurationFault(
                f"c.GradientHub.hub_id = {hub_id!r}: use 1 to 36 letters, digits, - or _"
            )
        return hub_id
    if traits.database_url and not traits.database_url.startswith("sqlite"):
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
