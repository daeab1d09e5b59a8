"""Who rents what: the tables of settings with their help, and the house that they are."""

import os
from collections.abc import Iterable, Mapping

from traitlets import Dict, Enum, HasTraits, Unicode

from .. import presets
from ..presets import Preset, TableRow
from ..rules.admission import House
from ..rules.catalog import (
    Catalog,
    ConfigurationFault,
    InstanceType,
    Runtime,
    row_from,
    rows_from,
)
from ..rules.placement import Host
from ..rules.tiers import Tier, TierRules

WHERE = "c.GradientHub."
#: A table of settings; a row of None is removed.
Table = Mapping[str, TableRow | None]


class HouseTraits(HasTraits):
    """The tables of `c.GradientHub`. They are laid over the preset's, row by row."""

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

    def loaded_preset(self) -> Preset:
        """Return the tables to start from; empty ones where no preset is set."""
        return presets.load(self.preset) if self.preset else presets.EMPTY

    def house(self) -> House:
        """Return what is for rent, to which tiers, on which hosts. Raises ConfigurationFault."""
        preset = self.loaded_preset()
        types = _lay_over(preset["instance_types"], self.instance_types, "instance_types")
        runtimes = _lay_over(preset["runtimes"], self.runtimes, "runtimes")
        tiers = _lay_over(preset["tiers"], self.tiers, "tiers")
        catalog = row_from(
            Catalog,
            {
                "currency": self.currency or preset["currency"],
                "instance_types": rows_from(InstanceType, types, WHERE + "instance_types"),
                "runtimes": rows_from(Runtime, runtimes, WHERE + "runtimes"),
            },
            WHERE + ("currency" if self.currency else "preset"),
        )
        by_name = {tier.name: tier for tier in rows_from(Tier, tiers, WHERE + "tiers")}
        if not by_name:
            raise ConfigurationFault(
                f"{WHERE}tiers is empty; declare at least one tier, or set a preset"
            )
        hosts = rows_from(Host, self.hosts or {"local": this_machine()}, WHERE + "hosts")
        _check_tiers(by_name, catalog)
        _check_devices(hosts)
        return House(catalog, by_name, hosts)

    def rules(self, house: House) -> TierRules:
        """Return how a person's tier of this house is found. Raises ConfigurationFault."""
        values = {**self.loaded_preset()["tier_rules"], **self.tier_rules}
        rules = row_from(TierRules, values, WHERE + "tier_rules")
        named = {
            "default": rules.default,
            **{f"by_group[{group!r}]": tier for group, tier in rules.by_group.items()},
            **{f"by_claim[{i}].tier": rule.tier for i, rule in enumerate(rules.by_claim)},
        }
        for key, tier in named.items():
            if tier not in house.tiers:
                raise ConfigurationFault(
                    f"{WHERE}tier_rules.{key} = {tier!r} is not a tier; known are"
                    f" {', '.join(house.tiers)}"
                )
        return rules


def this_machine() -> dict[str, float]:
    """Return the CPUs and the memory (GB) of the machine that the hub runs on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 10**9
    return {"cpus": os.cpu_count() or 1, "memory": round(memory, 1)}


def _lay_over(preset: Table, own: Table, table: str) -> Table:
    """Lay a table's own rows over the preset's, key by key."""
    merged = dict(preset)
    for name, row in own.items():
        below = preset.get(name)
        if isinstance(row, Mapping) and below is not None:
            merged[name] = {**below, **row}
        elif row is None and name not in preset:
            raise ConfigurationFault(
                f"{WHERE}{table}[{name!r}] = None removes a row that the preset does not"
                f" have; its rows are {', '.join(preset)}"
            )
        else:
            merged[name] = row
    return merged


def _check_tiers(tiers: Mapping[str, Tier], catalog: Catalog) -> None:
    """Check that every name that a tier uses of the catalog exists there."""
    types = {t.name for t in catalog.instance_types} | {"free", "*"}
    runtimes = {r.name for r in catalog.runtimes}
    for name, tier in tiers.items():
        default = (tier.default_runtime,) if tier.default_runtime else ()
        for key, used, known in (
            ("instance_types", tier.instance_types, types),
            ("runtimes", tier.runtimes, runtimes | {"*"}),
            ("default_runtime", default, runtimes),
        ):
            for word in used:
                if word not in known:
                    raise ConfigurationFault(
                        f"{WHERE}tiers[{name!r}].{key} names {word!r}, which does not exist;"
                        f" known are {', '.join(sorted(known))}"
                    )


def _check_devices(hosts: Iterable[Host]) -> None:
    """Check that every device is declared once."""
    owner: dict[str, str] = {}
    for host in hosts:
        for device in host.devices:
            if device.uuid in owner:
                raise ConfigurationFault(
                    f"{WHERE}hosts: device {device.uuid!r} is declared on"
                    f" {owner[device.uuid]!r} and on {host.name!r}; a device is plugged into one"
                    " host, remove it from the other"
                )
            owner[device.uuid] = host.name
