CREATE TABLE public.accounts (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    tier character varying(48),
    tier_by character varying(255),
    payment_method boolean NOT NULL,
    groups json NOT NULL,
    claims json NOT NULL,
    facts_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    groups_unknown_at timestamp with time zone,
    hub_groups json,
    closed_why character varying(16),
    merged_into character varying(36),
    prepared_at timestamp with time zone
);
CREATE TABLE public.adopted_volumes (
    hub_id character varying(36) NOT NULL,
    volume character varying(255) NOT NULL,
    account_id character varying(36) NOT NULL,
    folder character varying(80) NOT NULL,
    server_name character varying(255) NOT NULL,
    by character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE TABLE public.approval_requests (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    instance_type character varying(48) NOT NULL,
    reason character varying(400) NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    decided_by character varying(255),
    granted boolean,
    answer character varying(400)
);
CREATE TABLE public.approvals (
    account_id character varying(36) NOT NULL,
    instance_type character varying(48) NOT NULL,
    hub_id character varying(36) NOT NULL,
    reason character varying(400) NOT NULL,
    granted_by character varying(255) NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone
);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    hub_id character varying(36) NOT NULL,
    at timestamp with time zone NOT NULL,
    actor character varying(255) NOT NULL,
    account_id character varying(36),
    action character varying(32) NOT NULL,
    detail json NOT NULL
);
CREATE SEQUENCE public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.balances (
    account_id character varying(36) NOT NULL,
    currency character varying(3) NOT NULL,
    hub_id character varying(36) NOT NULL,
    amount bigint NOT NULL,
    seq integer NOT NULL,
    head character varying(64) NOT NULL
);
CREATE TABLE public.budgets (
    hub_id character varying(36) NOT NULL,
    scope character varying(300) NOT NULL,
    currency character varying(3) NOT NULL,
    soft bigint,
    hard bigint,
    set_by character varying(255) NOT NULL,
    set_at timestamp with time zone NOT NULL,
    warned character varying(7)
);
CREATE TABLE public.credits (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    currency character varying(3) NOT NULL,
    amount bigint NOT NULL,
    unspent bigint NOT NULL,
    reason character varying(400) NOT NULL,
    given_by character varying(255) NOT NULL,
    given_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    welcome boolean NOT NULL
);
CREATE TABLE public.device_faults (
    device_uuid character varying(128) NOT NULL,
    hub_id character varying(36) NOT NULL,
    failures integer NOT NULL,
    why character varying(400) NOT NULL,
    last_at timestamp with time zone NOT NULL,
    taken_out_at timestamp with time zone
);
CREATE TABLE public.device_holders (
    device_uuid character varying(128) NOT NULL,
    hub_id character varying(36) NOT NULL,
    holder_kind character varying(8) NOT NULL,
    holder_id character varying(36) NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.devices (
    hub_id character varying(36) NOT NULL,
    uuid character varying(128) NOT NULL,
    host character varying(80) NOT NULL,
    model character varying(80) NOT NULL,
    out_of_service boolean NOT NULL,
    declared_at timestamp with time zone NOT NULL
);
CREATE TABLE public.entries (
    id bigint NOT NULL,
    hub_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    currency character varying(3) NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    month character varying(7) NOT NULL,
    kind character varying(12) NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    lease_id character varying(36),
    credit_id character varying(36),
    instance_type character varying(48),
    price bigint,
    from_at timestamp with time zone,
    until_at timestamp with time zone,
    gap_until timestamp with time zone,
    billed bigint NOT NULL,
    overrun bigint NOT NULL,
    forgiven bigint NOT NULL,
    closes boolean NOT NULL,
    note character varying(400) NOT NULL,
    actor character varying(255) NOT NULL,
    hash character varying(64) NOT NULL
);
CREATE SEQUENCE public.entries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.entries_id_seq OWNED BY public.entries.id;
CREATE TABLE public.findings (
    id integer NOT NULL,
    hub_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    kind character varying(32) NOT NULL,
    source character varying(16) NOT NULL,
    lease_id character varying(36),
    why character varying(400) NOT NULL,
    repair character varying(400) NOT NULL,
    times integer NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    mended_at timestamp with time zone
);
CREATE SEQUENCE public.findings_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.findings_id_seq OWNED BY public.findings.id;
CREATE TABLE public.gaps (
    id integer NOT NULL,
    hub_id character varying(36) NOT NULL,
    lease_id character varying(36) NOT NULL,
    from_at timestamp with time zone NOT NULL,
    until_at timestamp with time zone
);
CREATE SEQUENCE public.gaps_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.gaps_id_seq OWNED BY public.gaps.id;
CREATE TABLE public.gradienthub_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.holds (
    lease_id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    currency character varying(3) NOT NULL,
    amount bigint NOT NULL,
    billed bigint NOT NULL,
    credit_limit bigint,
    charge_overrun boolean NOT NULL,
    paid_for bigint,
    metered_from timestamp with time zone
);
CREATE TABLE public.hosts (
    hub_id character varying(36) NOT NULL,
    name character varying(80) NOT NULL,
    cpus double precision NOT NULL,
    memory double precision NOT NULL,
    groups json NOT NULL,
    declared_at timestamp with time zone NOT NULL
);
CREATE TABLE public.idempotency_keys (
    hub_id character varying(36) NOT NULL,
    actor character varying(255) NOT NULL,
    key character varying(80) NOT NULL,
    digest character varying(64) NOT NULL,
    result character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    seal character varying(64)
);
CREATE TABLE public.identities (
    id integer NOT NULL,
    hub_id character varying(36) NOT NULL,
    hub_user_id integer NOT NULL,
    user_created timestamp with time zone NOT NULL,
    provider character varying(64) NOT NULL,
    subject character varying(255) NOT NULL,
    account_id character varying(36) NOT NULL,
    bound_at timestamp with time zone NOT NULL,
    replaced_at timestamp with time zone,
    name character varying(255) DEFAULT ''::character varying NOT NULL,
    missing_since timestamp with time zone,
    before_id character varying(36),
    apart_from character varying(36)
);
CREATE SEQUENCE public.identities_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.identities_id_seq OWNED BY public.identities.id;
CREATE TABLE public.keepers (
    hub_id character varying(36) NOT NULL,
    holder character varying(128) NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    passed_at timestamp with time zone,
    pass_seconds double precision,
    trouble character varying(24),
    trouble_since timestamp with time zone
);
CREATE TABLE public.lease_devices (
    lease_id character varying(36) NOT NULL,
    device_uuid character varying(128) NOT NULL,
    hub_id character varying(36) NOT NULL
);
CREATE TABLE public.leases (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    notebook_id character varying(36) NOT NULL,
    instance_type character varying(48) NOT NULL,
    price bigint NOT NULL,
    currency character varying(3) NOT NULL,
    tier character varying(48) NOT NULL,
    tier_given_by character varying(255) NOT NULL,
    runtime character varying(48),
    image character varying(255),
    custom_image boolean NOT NULL,
    interface character varying(16) NOT NULL,
    host character varying(80) NOT NULL,
    host_key character varying(128) NOT NULL,
    cpus double precision NOT NULL,
    memory double precision NOT NULL,
    shutdown_after integer,
    stop_at timestamp with time zone,
    session_ends_at timestamp with time zone,
    keep_until timestamp with time zone,
    phase character varying(24) NOT NULL,
    phase_at timestamp with time zone NOT NULL,
    object_name character varying(128),
    admitted_at timestamp with time zone NOT NULL,
    turn_at timestamp with time zone,
    started_at timestamp with time zone,
    answered_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    stop_requested_at timestamp with time zone,
    ended_at timestamp with time zone,
    reason character varying(24),
    stopped_by character varying(255),
    exit_code integer,
    out_of_memory boolean,
    last_words text,
    stop_note character varying(400),
    used_at timestamp with time zone,
    used_by character varying(16),
    groups json,
    seen_at timestamp with time zone,
    warm_slot character varying(36),
    program_extensions integer,
    object_id character varying(128),
    reached_at timestamp with time zone
);
CREATE TABLE public.logins (
    hub_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    provider character varying(64) NOT NULL,
    subject character varying(255) NOT NULL,
    groups json,
    claims json NOT NULL,
    at timestamp with time zone NOT NULL,
    keys json,
    groups_unknown boolean DEFAULT false NOT NULL
);
CREATE TABLE public.notebooks (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    server_name character varying(255) NOT NULL,
    display_name character varying(255) NOT NULL,
    options json,
    created_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone
);
CREATE TABLE public.outside_servers (
    hub_id character varying(36) NOT NULL,
    object_id character varying(128) NOT NULL,
    name character varying(255) NOT NULL,
    user_name character varying(255) NOT NULL,
    server_name character varying(255) NOT NULL,
    host character varying(80) NOT NULL,
    host_key character varying(160) NOT NULL,
    cpus double precision NOT NULL,
    memory double precision NOT NULL,
    devices json NOT NULL,
    began_at timestamp with time zone,
    seen_at timestamp with time zone NOT NULL
);
CREATE TABLE public.past_slots (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    object_id character varying(128),
    gone_at timestamp with time zone NOT NULL
);
CREATE TABLE public.server_records (
    lease_id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    body json NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE TABLE public.settings (
    hub_id character varying(36) NOT NULL,
    body json NOT NULL,
    digest character varying(64) NOT NULL,
    published_at timestamp with time zone NOT NULL
);
CREATE TABLE public.subjects (
    id integer NOT NULL,
    hub_id character varying(36) NOT NULL,
    provider character varying(64) NOT NULL,
    key character varying(16) NOT NULL,
    subject character varying(255) NOT NULL,
    account_id character varying(36) NOT NULL,
    bound_at timestamp with time zone NOT NULL,
    replaced_at timestamp with time zone
);
CREATE SEQUENCE public.subjects_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.subjects_id_seq OWNED BY public.subjects.id;
CREATE TABLE public.usage (
    hub_id character varying(36) NOT NULL,
    scope character varying(300) NOT NULL,
    day date NOT NULL,
    instance_type character varying(48) NOT NULL,
    currency character varying(3) NOT NULL,
    leases integer NOT NULL,
    seconds double precision NOT NULL,
    charged bigint NOT NULL
);
CREATE TABLE public.warm_pauses (
    hub_id character varying(36) NOT NULL,
    paused_by character varying(255) NOT NULL,
    paused_at timestamp with time zone NOT NULL
);
CREATE TABLE public.warm_slots (
    id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    host character varying(80) NOT NULL,
    instance_type character varying(48) NOT NULL,
    runtime character varying(48) NOT NULL,
    image character varying(255),
    devices json NOT NULL,
    cpus double precision NOT NULL,
    memory double precision NOT NULL,
    digest character varying(64) NOT NULL,
    state character varying(8) NOT NULL,
    lease_id character varying(36),
    object_id character varying(128),
    address character varying(255),
    used bigint,
    created_at timestamp with time zone NOT NULL,
    ready_at timestamp with time zone
);
CREATE TABLE public.watches (
    lease_id character varying(36) NOT NULL,
    hub_id character varying(36) NOT NULL,
    used_at timestamp with time zone NOT NULL,
    used_by character varying(16) NOT NULL,
    busy json NOT NULL,
    busy_since timestamp with time zone,
    looked_at timestamp with time zone,
    unknown_since timestamp with time zone,
    reported_at timestamp with time zone,
    gpu_load double precision,
    warned_reason character varying(24),
    warned_stops_at timestamp with time zone,
    warned_level integer,
    warned_at timestamp with time zone,
    other_reason character varying(24),
    other_stops_at timestamp with time zone,
    other_level integer,
    other_at timestamp with time zone,
    stop_tries integer NOT NULL,
    would_stop_at timestamp with time zone,
    money_ends_at timestamp with time zone,
    missed_since timestamp with time zone,
    unread json,
    reported json,
    worked_at timestamp with time zone,
    cpu_seconds double precision,
    cpu_at timestamp with time zone,
    cpu_load double precision,
    unknown_after integer,
    no_work_after integer
);
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.entries ALTER COLUMN id SET DEFAULT nextval('public.entries_id_seq'::regclass);
ALTER TABLE ONLY public.findings ALTER COLUMN id SET DEFAULT nextval('public.findings_id_seq'::regclass);
ALTER TABLE ONLY public.gaps ALTER COLUMN id SET DEFAULT nextval('public.gaps_id_seq'::regclass);
ALTER TABLE ONLY public.identities ALTER COLUMN id SET DEFAULT nextval('public.identities_id_seq'::regclass);
ALTER TABLE ONLY public.subjects ALTER COLUMN id SET DEFAULT nextval('public.subjects_id_seq'::regclass);
INSERT INTO public.accounts VALUES ('account', 'h', 'anna', NULL, NULL, false, '[]', '{}', NULL, '2026-11-23 09:00:00+00', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.device_holders VALUES ('GPU-1', 'h', 'lease', 'lease', '2026-11-23 09:00:00+00');
INSERT INTO public.gradienthub_version VALUES ('0014');
INSERT INTO public.keepers VALUES ('h', 'somebody', '2026-11-23 09:00:00+00', NULL, NULL, NULL, NULL);
INSERT INTO public.lease_devices VALUES ('lease', 'GPU-1', 'h');
INSERT INTO public.leases VALUES ('lease', 'h', 'account', 'notebook', 't4', 510000, 'USD', 'free', 'default', NULL, NULL, false, 'lab', 'rack', 'h/rack', 2, 4, 3600, NULL, '2026-11-23 09:00:00+00', NULL, 'running', '2026-11-23 09:00:00+00', NULL, '2026-11-23 09:00:00+00', NULL, NULL, '2026-11-23 09:00:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.notebooks VALUES ('notebook', 'h', 'account', '', '', NULL, '2026-11-23 09:00:00+00', NULL);
SELECT pg_catalog.setval('public.audit_id_seq', 1, false);
SELECT pg_catalog.setval('public.entries_id_seq', 1, false);
SELECT pg_catalog.setval('public.findings_id_seq', 1, false);
SELECT pg_catalog.setval('public.gaps_id_seq', 1, false);
SELECT pg_catalog.setval('public.identities_id_seq', 1, false);
SELECT pg_catalog.setval('public.subjects_id_seq', 1, false);
ALTER TABLE ONLY public.gradienthub_version
    ADD CONSTRAINT gradienthub_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.adopted_volumes
    ADD CONSTRAINT pk_adopted_volumes PRIMARY KEY (hub_id, volume);
ALTER TABLE ONLY public.approval_requests
    ADD CONSTRAINT pk_approval_requests PRIMARY KEY (id);
ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT pk_approvals PRIMARY KEY (account_id, instance_type);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (id);
ALTER TABLE ONLY public.balances
    ADD CONSTRAINT pk_balances PRIMARY KEY (account_id, currency);
ALTER TABLE ONLY public.budgets
    ADD CONSTRAINT pk_budgets PRIMARY KEY (hub_id, scope, currency);
ALTER TABLE ONLY public.credits
    ADD CONSTRAINT pk_credits PRIMARY KEY (id);
ALTER TABLE ONLY public.device_faults
    ADD CONSTRAINT pk_device_faults PRIMARY KEY (device_uuid);
ALTER TABLE ONLY public.device_holders
    ADD CONSTRAINT pk_device_holders PRIMARY KEY (device_uuid);
ALTER TABLE ONLY public.devices
    ADD CONSTRAINT pk_devices PRIMARY KEY (hub_id, uuid);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT pk_entries PRIMARY KEY (id);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT pk_findings PRIMARY KEY (id);
ALTER TABLE ONLY public.gaps
    ADD CONSTRAINT pk_gaps PRIMARY KEY (id);
ALTER TABLE ONLY public.holds
    ADD CONSTRAINT pk_holds PRIMARY KEY (lease_id);
ALTER TABLE ONLY public.hosts
    ADD CONSTRAINT pk_hosts PRIMARY KEY (hub_id, name);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (hub_id, actor, key);
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT pk_identities PRIMARY KEY (id);
ALTER TABLE ONLY public.keepers
    ADD CONSTRAINT pk_keepers PRIMARY KEY (hub_id);
ALTER TABLE ONLY public.lease_devices
    ADD CONSTRAINT pk_lease_devices PRIMARY KEY (lease_id, device_uuid);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (id);
ALTER TABLE ONLY public.logins
    ADD CONSTRAINT pk_logins PRIMARY KEY (hub_id, name);
ALTER TABLE ONLY public.notebooks
    ADD CONSTRAINT pk_notebooks PRIMARY KEY (id);
ALTER TABLE ONLY public.outside_servers
    ADD CONSTRAINT pk_outside_servers PRIMARY KEY (hub_id, object_id);
ALTER TABLE ONLY public.past_slots
    ADD CONSTRAINT pk_past_slots PRIMARY KEY (id);
ALTER TABLE ONLY public.server_records
    ADD CONSTRAINT pk_server_records PRIMARY KEY (lease_id);
ALTER TABLE ONLY public.settings
    ADD CONSTRAINT pk_settings PRIMARY KEY (hub_id);
ALTER TABLE ONLY public.subjects
    ADD CONSTRAINT pk_subjects PRIMARY KEY (id);
ALTER TABLE ONLY public.usage
    ADD CONSTRAINT pk_usage PRIMARY KEY (hub_id, scope, day, instance_type, currency);
ALTER TABLE ONLY public.warm_pauses
    ADD CONSTRAINT pk_warm_pauses PRIMARY KEY (hub_id);
ALTER TABLE ONLY public.warm_slots
    ADD CONSTRAINT pk_warm_slots PRIMARY KEY (id);
ALTER TABLE ONLY public.watches
    ADD CONSTRAINT pk_watches PRIMARY KEY (lease_id);
CREATE INDEX ix_accounts_hub_id ON public.accounts USING btree (hub_id);
CREATE INDEX ix_adopted_volumes_account_id ON public.adopted_volumes USING btree (account_id);
CREATE INDEX ix_audit_account_id ON public.audit USING btree (account_id);
CREATE INDEX ix_audit_at ON public.audit USING btree (hub_id, at);
CREATE INDEX ix_balances_hub_id ON public.balances USING btree (hub_id);
CREATE INDEX ix_credits_account_id ON public.credits USING btree (account_id);
CREATE INDEX ix_credits_due ON public.credits USING btree (hub_id, expires_at) WHERE ((unspent > 0) AND (expires_at IS NOT NULL));
CREATE INDEX ix_device_holders_holder_id ON public.device_holders USING btree (holder_id);
CREATE INDEX ix_entries_lease_id ON public.entries USING btree (lease_id);
CREATE INDEX ix_entries_month ON public.entries USING btree (account_id, currency, month, seq);
CREATE INDEX ix_entries_overrun ON public.entries USING btree (hub_id, at) WHERE (overrun > 0);
CREATE INDEX ix_gaps_hub_id ON public.gaps USING btree (hub_id);
CREATE INDEX ix_gaps_lease_id ON public.gaps USING btree (lease_id);
CREATE INDEX ix_holds_account_id ON public.holds USING btree (account_id);
CREATE INDEX ix_identities_account_id ON public.identities USING btree (account_id);
CREATE INDEX ix_leases_account ON public.leases USING btree (account_id, admitted_at);
CREATE INDEX ix_leases_admitted ON public.leases USING btree (hub_id, admitted_at);
CREATE INDEX ix_leases_open ON public.leases USING btree (host_key) WHERE (ended_at IS NULL);
CREATE INDEX ix_leases_running ON public.leases USING btree (hub_id) WHERE (ended_at IS NULL);
CREATE INDEX ix_leases_started ON public.leases USING btree (hub_id, runtime, answered_at);
CREATE INDEX ix_outside_servers_host_key ON public.outside_servers USING btree (host_key);
CREATE INDEX ix_past_slots_hub_id ON public.past_slots USING btree (hub_id);
CREATE INDEX ix_subjects_account_id ON public.subjects USING btree (account_id);
CREATE INDEX ix_warm_slots_hub_id ON public.warm_slots USING btree (hub_id);
CREATE UNIQUE INDEX uq_approval_requests_waiting ON public.approval_requests USING btree (account_id, instance_type) WHERE (decided_at IS NULL);
CREATE UNIQUE INDEX uq_credits_welcome ON public.credits USING btree (account_id) WHERE welcome;
CREATE UNIQUE INDEX uq_entries_closed ON public.entries USING btree (lease_id) WHERE closes;
CREATE UNIQUE INDEX uq_entries_seq ON public.entries USING btree (account_id, currency, seq);
CREATE UNIQUE INDEX uq_findings_standing ON public.findings USING btree (hub_id, source, key) WHERE (mended_at IS NULL);
CREATE UNIQUE INDEX uq_gaps_lasting ON public.gaps USING btree (lease_id) WHERE (until_at IS NULL);
CREATE UNIQUE INDEX uq_identities_current ON public.identities USING btree (hub_id, hub_user_id, user_created) WHERE (replaced_at IS NULL);
CREATE UNIQUE INDEX uq_leases_open_notebook ON public.leases USING btree (notebook_id) WHERE (ended_at IS NULL);
CREATE UNIQUE INDEX uq_notebooks_name ON public.notebooks USING btree (account_id, server_name) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX uq_subjects_current ON public.subjects USING btree (hub_id, subject, provider, key) WHERE (replaced_at IS NULL);
ALTER TABLE ONLY public.approval_requests
    ADD CONSTRAINT fk_approval_requests_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT fk_approvals_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.balances
    ADD CONSTRAINT fk_balances_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.credits
    ADD CONSTRAINT fk_credits_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT fk_entries_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.gaps
    ADD CONSTRAINT fk_gaps_lease_id FOREIGN KEY (lease_id) REFERENCES public.leases(id);
ALTER TABLE ONLY public.holds
    ADD CONSTRAINT fk_holds_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.holds
    ADD CONSTRAINT fk_holds_lease_id FOREIGN KEY (lease_id) REFERENCES public.leases(id);
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT fk_identities_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.lease_devices
    ADD CONSTRAINT fk_lease_devices_lease_id FOREIGN KEY (lease_id) REFERENCES public.leases(id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT fk_leases_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT fk_leases_notebook_id FOREIGN KEY (notebook_id) REFERENCES public.notebooks(id);
ALTER TABLE ONLY public.notebooks
    ADD CONSTRAINT fk_notebooks_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.server_records
    ADD CONSTRAINT fk_server_records_lease_id FOREIGN KEY (lease_id) REFERENCES public.leases(id);
ALTER TABLE ONLY public.subjects
    ADD CONSTRAINT fk_subjects_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.watches
    ADD CONSTRAINT fk_watches_lease_id FOREIGN KEY (lease_id) REFERENCES public.leases(id);
