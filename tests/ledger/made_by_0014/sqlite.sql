BEGIN TRANSACTION;
CREATE TABLE accounts (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	tier VARCHAR(48), 
	tier_by VARCHAR(255), 
	payment_method BOOLEAN NOT NULL, 
	groups JSON NOT NULL, 
	claims JSON NOT NULL, 
	facts_at DATETIME, 
	created_at DATETIME NOT NULL, 
	closed_at DATETIME, groups_unknown_at DATETIME, hub_groups JSON, closed_why VARCHAR(16), merged_into VARCHAR(36), prepared_at DATETIME, 
	CONSTRAINT pk_accounts PRIMARY KEY (id)
);
INSERT INTO "accounts" VALUES('account','h','anna',NULL,NULL,0,'[]','{}',NULL,'2026-11-23T09:00:00+00:00',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE adopted_volumes (
	hub_id VARCHAR(36) NOT NULL, 
	volume VARCHAR(255) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	folder VARCHAR(80) NOT NULL, 
	server_name VARCHAR(255) NOT NULL, 
	"by" VARCHAR(255) NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_adopted_volumes PRIMARY KEY (hub_id, volume)
);
CREATE TABLE approval_requests (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	instance_type VARCHAR(48) NOT NULL, 
	reason VARCHAR(400) NOT NULL, 
	asked_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	decided_by VARCHAR(255), 
	granted BOOLEAN, 
	answer VARCHAR(400), 
	CONSTRAINT pk_approval_requests PRIMARY KEY (id), 
	CONSTRAINT fk_approval_requests_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE approvals (
	account_id VARCHAR(36) NOT NULL, 
	instance_type VARCHAR(48) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	reason VARCHAR(400) NOT NULL, 
	granted_by VARCHAR(255) NOT NULL, 
	granted_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	CONSTRAINT pk_approvals PRIMARY KEY (account_id, instance_type), 
	CONSTRAINT fk_approvals_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	at DATETIME NOT NULL, 
	actor VARCHAR(255) NOT NULL, 
	account_id VARCHAR(36), 
	action VARCHAR(32) NOT NULL, 
	detail JSON NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE TABLE balances (
	account_id VARCHAR(36) NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	amount BIGINT NOT NULL, 
	seq INTEGER NOT NULL, 
	head VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_balances PRIMARY KEY (account_id, currency), 
	CONSTRAINT fk_balances_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE budgets (
	hub_id VARCHAR(36) NOT NULL, 
	scope VARCHAR(300) NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	soft BIGINT, 
	hard BIGINT, 
	set_by VARCHAR(255) NOT NULL, 
	set_at DATETIME NOT NULL, 
	warned VARCHAR(7), 
	CONSTRAINT pk_budgets PRIMARY KEY (hub_id, scope, currency)
);
CREATE TABLE credits (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	amount BIGINT NOT NULL, 
	unspent BIGINT NOT NULL, 
	reason VARCHAR(400) NOT NULL, 
	given_by VARCHAR(255) NOT NULL, 
	given_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	welcome BOOLEAN NOT NULL, 
	CONSTRAINT pk_credits PRIMARY KEY (id), 
	CONSTRAINT fk_credits_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE device_faults (
	device_uuid VARCHAR(128) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	failures INTEGER NOT NULL, 
	why VARCHAR(400) NOT NULL, 
	last_at DATETIME NOT NULL, 
	taken_out_at DATETIME, 
	CONSTRAINT pk_device_faults PRIMARY KEY (device_uuid)
);
CREATE TABLE device_holders (
	device_uuid VARCHAR(128) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	holder_kind VARCHAR(8) NOT NULL, 
	holder_id VARCHAR(36) NOT NULL, 
	since DATETIME NOT NULL, 
	CONSTRAINT pk_device_holders PRIMARY KEY (device_uuid)
);
INSERT INTO "device_holders" VALUES('GPU-1','h','lease','lease','2026-11-23T09:00:00+00:00');
CREATE TABLE devices (
	hub_id VARCHAR(36) NOT NULL, 
	uuid VARCHAR(128) NOT NULL, 
	host VARCHAR(80) NOT NULL, 
	model VARCHAR(80) NOT NULL, 
	out_of_service BOOLEAN NOT NULL, 
	declared_at DATETIME NOT NULL, 
	CONSTRAINT pk_devices PRIMARY KEY (hub_id, uuid)
);
CREATE TABLE entries (
	id INTEGER NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	seq INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	month VARCHAR(7) NOT NULL, 
	kind VARCHAR(12) NOT NULL, 
	amount BIGINT NOT NULL, 
	balance BIGINT NOT NULL, 
	lease_id VARCHAR(36), 
	credit_id VARCHAR(36), 
	instance_type VARCHAR(48), 
	price BIGINT, 
	from_at DATETIME, 
	until_at DATETIME, 
	gap_until DATETIME, 
	billed BIGINT NOT NULL, 
	overrun BIGINT NOT NULL, 
	forgiven BIGINT NOT NULL, 
	closes BOOLEAN NOT NULL, 
	note VARCHAR(400) NOT NULL, 
	actor VARCHAR(255) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_entries PRIMARY KEY (id), 
	CONSTRAINT fk_entries_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE findings (
	id INTEGER NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	lease_id VARCHAR(36), 
	why VARCHAR(400) NOT NULL, 
	repair VARCHAR(400) NOT NULL, 
	times INTEGER NOT NULL, 
	first_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	mended_at DATETIME, 
	CONSTRAINT pk_findings PRIMARY KEY (id)
);
CREATE TABLE gaps (
	id INTEGER NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	lease_id VARCHAR(36) NOT NULL, 
	from_at DATETIME NOT NULL, 
	until_at DATETIME, 
	CONSTRAINT pk_gaps PRIMARY KEY (id), 
	CONSTRAINT fk_gaps_lease_id FOREIGN KEY(lease_id) REFERENCES leases (id)
);
CREATE TABLE gradienthub_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT gradienthub_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "gradienthub_version" VALUES('0014');
CREATE TABLE holds (
	lease_id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	amount BIGINT NOT NULL, 
	billed BIGINT NOT NULL, 
	credit_limit BIGINT, 
	charge_overrun BOOLEAN NOT NULL, paid_for BIGINT, metered_from DATETIME, 
	CONSTRAINT pk_holds PRIMARY KEY (lease_id), 
	CONSTRAINT fk_holds_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_holds_lease_id FOREIGN KEY(lease_id) REFERENCES leases (id)
);
CREATE TABLE hosts (
	hub_id VARCHAR(36) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	cpus FLOAT NOT NULL, 
	memory FLOAT NOT NULL, 
	groups JSON NOT NULL, 
	declared_at DATETIME NOT NULL, 
	CONSTRAINT pk_hosts PRIMARY KEY (hub_id, name)
);
CREATE TABLE idempotency_keys (
	hub_id VARCHAR(36) NOT NULL, 
	actor VARCHAR(255) NOT NULL, 
	"key" VARCHAR(80) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	result VARCHAR(255) NOT NULL, 
	at DATETIME NOT NULL, seal VARCHAR(64), 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (hub_id, actor, "key")
);
CREATE TABLE identities (
	id INTEGER NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	hub_user_id INTEGER NOT NULL, 
	user_created DATETIME NOT NULL, 
	provider VARCHAR(64) NOT NULL, 
	subject VARCHAR(255) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	bound_at DATETIME NOT NULL, 
	replaced_at DATETIME, name VARCHAR(255) DEFAULT '' NOT NULL, missing_since DATETIME, before_id VARCHAR(36), apart_from VARCHAR(36), 
	CONSTRAINT pk_identities PRIMARY KEY (id), 
	CONSTRAINT fk_identities_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE keepers (
	hub_id VARCHAR(36) NOT NULL, 
	holder VARCHAR(128) NOT NULL, 
	expires_at DATETIME NOT NULL, passed_at DATETIME, pass_seconds FLOAT, trouble VARCHAR(24), trouble_since DATETIME, 
	CONSTRAINT pk_keepers PRIMARY KEY (hub_id)
);
INSERT INTO "keepers" VALUES('h','somebody','2026-11-23T09:00:00+00:00',NULL,NULL,NULL,NULL);
CREATE TABLE lease_devices (
	lease_id VARCHAR(36) NOT NULL, 
	device_uuid VARCHAR(128) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	CONSTRAINT pk_lease_devices PRIMARY KEY (lease_id, device_uuid), 
	CONSTRAINT fk_lease_devices_lease_id FOREIGN KEY(lease_id) REFERENCES leases (id)
);
INSERT INTO "lease_devices" VALUES('lease','GPU-1','h');
CREATE TABLE leases (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	notebook_id VARCHAR(36) NOT NULL, 
	instance_type VARCHAR(48) NOT NULL, 
	price BIGINT NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	tier VARCHAR(48) NOT NULL, 
	tier_given_by VARCHAR(255) NOT NULL, 
	runtime VARCHAR(48), 
	image VARCHAR(255), 
	custom_image BOOLEAN NOT NULL, 
	interface VARCHAR(16) NOT NULL, 
	host VARCHAR(80) NOT NULL, 
	host_key VARCHAR(128) NOT NULL, 
	cpus FLOAT NOT NULL, 
	memory FLOAT NOT NULL, 
	shutdown_after INTEGER, 
	stop_at DATETIME, 
	session_ends_at DATETIME, 
	keep_until DATETIME, 
	phase VARCHAR(24) NOT NULL, 
	phase_at DATETIME NOT NULL, 
	object_name VARCHAR(128), 
	admitted_at DATETIME NOT NULL, 
	turn_at DATETIME, 
	started_at DATETIME, 
	answered_at DATETIME, 
	confirmed_at DATETIME, 
	stop_requested_at DATETIME, 
	ended_at DATETIME, 
	reason VARCHAR(24), 
	stopped_by VARCHAR(255), 
	exit_code INTEGER, 
	out_of_memory BOOLEAN, 
	last_words TEXT, stop_note VARCHAR(400), used_at DATETIME, used_by VARCHAR(16), groups JSON, seen_at DATETIME, warm_slot VARCHAR(36), program_extensions INTEGER, object_id VARCHAR(128), reached_at DATETIME, 
	CONSTRAINT pk_leases PRIMARY KEY (id), 
	CONSTRAINT fk_leases_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_leases_notebook_id FOREIGN KEY(notebook_id) REFERENCES notebooks (id)
);
INSERT INTO "leases" VALUES('lease','h','account','notebook','t4',510000,'USD','free','default',NULL,NULL,0,'lab','rack','h/rack',2.0,4.0,3600,NULL,'2026-11-23T09:00:00+00:00',NULL,'running','2026-11-23T09:00:00+00:00',NULL,'2026-11-23T09:00:00+00:00',NULL,NULL,'2026-11-23T09:00:00+00:00',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE logins (
	hub_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	provider VARCHAR(64) NOT NULL, 
	subject VARCHAR(255) NOT NULL, 
	groups JSON, 
	claims JSON NOT NULL, 
	at DATETIME NOT NULL, keys JSON, groups_unknown BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_logins PRIMARY KEY (hub_id, name)
);
CREATE TABLE notebooks (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	server_name VARCHAR(255) NOT NULL, 
	display_name VARCHAR(255) NOT NULL, 
	options JSON, 
	created_at DATETIME NOT NULL, 
	deleted_at DATETIME, 
	CONSTRAINT pk_notebooks PRIMARY KEY (id), 
	CONSTRAINT fk_notebooks_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "notebooks" VALUES('notebook','h','account','','',NULL,'2026-11-23T09:00:00+00:00',NULL);
CREATE TABLE outside_servers (
	hub_id VARCHAR(36) NOT NULL, 
	object_id VARCHAR(128) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	user_name VARCHAR(255) NOT NULL, 
	server_name VARCHAR(255) NOT NULL, 
	host VARCHAR(80) NOT NULL, 
	host_key VARCHAR(160) NOT NULL, 
	cpus FLOAT NOT NULL, 
	memory FLOAT NOT NULL, 
	devices JSON NOT NULL, 
	began_at DATETIME, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_outside_servers PRIMARY KEY (hub_id, object_id)
);
CREATE TABLE past_slots (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	object_id VARCHAR(128), 
	gone_at DATETIME NOT NULL, 
	CONSTRAINT pk_past_slots PRIMARY KEY (id)
);
CREATE TABLE server_records (
	lease_id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	body JSON NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_server_records PRIMARY KEY (lease_id), 
	CONSTRAINT fk_server_records_lease_id FOREIGN KEY(lease_id) REFERENCES leases (id)
);
CREATE TABLE settings (
	hub_id VARCHAR(36) NOT NULL, 
	body JSON NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	published_at DATETIME NOT NULL, 
	CONSTRAINT pk_settings PRIMARY KEY (hub_id)
);
CREATE TABLE subjects (
	id INTEGER NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	provider VARCHAR(64) NOT NULL, 
	"key" VARCHAR(16) NOT NULL, 
	subject VARCHAR(255) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	bound_at DATETIME NOT NULL, 
	replaced_at DATETIME, 
	CONSTRAINT pk_subjects PRIMARY KEY (id), 
	CONSTRAINT fk_subjects_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE usage (
	hub_id VARCHAR(36) NOT NULL, 
	scope VARCHAR(300) NOT NULL, 
	day DATE NOT NULL, 
	instance_type VARCHAR(48) NOT NULL, 
	currency VARCHAR(3) NOT NULL, 
	leases INTEGER NOT NULL, 
	seconds FLOAT NOT NULL, 
	charged BIGINT NOT NULL, 
	CONSTRAINT pk_usage PRIMARY KEY (hub_id, scope, day, instance_type, currency)
);
CREATE TABLE warm_pauses (
	hub_id VARCHAR(36) NOT NULL, 
	paused_by VARCHAR(255) NOT NULL, 
	paused_at DATETIME NOT NULL, 
	CONSTRAINT pk_warm_pauses PRIMARY KEY (hub_id)
);
CREATE TABLE warm_slots (
	id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	host VARCHAR(80) NOT NULL, 
	instance_type VARCHAR(48) NOT NULL, 
	runtime VARCHAR(48) NOT NULL, 
	image VARCHAR(255), 
	devices JSON NOT NULL, 
	cpus FLOAT NOT NULL, 
	memory FLOAT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	lease_id VARCHAR(36), 
	object_id VARCHAR(128), 
	address VARCHAR(255), 
	used BIGINT, 
	created_at DATETIME NOT NULL, 
	ready_at DATETIME, 
	CONSTRAINT pk_warm_slots PRIMARY KEY (id)
);
CREATE TABLE watches (
	lease_id VARCHAR(36) NOT NULL, 
	hub_id VARCHAR(36) NOT NULL, 
	used_at DATETIME NOT NULL, 
	used_by VARCHAR(16) NOT NULL, 
	busy JSON NOT NULL, 
	busy_since DATETIME, 
	looked_at DATETIME, 
	unknown_since DATETIME, 
	reported_at DATETIME, 
	gpu_load FLOAT, 
	warned_reason VARCHAR(24), 
	warned_stops_at DATETIME, 
	warned_level INTEGER, 
	warned_at DATETIME, 
	other_reason VARCHAR(24), 
	other_stops_at DATETIME, 
	other_level INTEGER, 
	other_at DATETIME, 
	stop_tries INTEGER NOT NULL, 
	would_stop_at DATETIME, 
	money_ends_at DATETIME, missed_since DATETIME, unread JSON, reported JSON, worked_at DATETIME, cpu_seconds FLOAT, cpu_at DATETIME, cpu_load FLOAT, unknown_after INTEGER, no_work_after INTEGER, 
	CONSTRAINT pk_watches PRIMARY KEY (lease_id), 
	CONSTRAINT fk_watches_lease_id FOREIGN KEY(lease_id) REFERENCES leases (id)
);
CREATE INDEX ix_accounts_hub_id ON accounts (hub_id);
CREATE INDEX ix_audit_account_id ON audit (account_id);
CREATE INDEX ix_audit_at ON audit (hub_id, at);
CREATE INDEX ix_device_holders_holder_id ON device_holders (holder_id);
CREATE UNIQUE INDEX uq_identities_current ON identities (hub_id, hub_user_id, user_created) WHERE replaced_at IS NULL;
CREATE UNIQUE INDEX uq_notebooks_name ON notebooks (account_id, server_name) WHERE deleted_at IS NULL;
CREATE INDEX ix_leases_account ON leases (account_id, admitted_at);
CREATE INDEX ix_leases_open ON leases (host_key) WHERE ended_at IS NULL;
CREATE INDEX ix_leases_started ON leases (hub_id, runtime, answered_at);
CREATE UNIQUE INDEX uq_leases_open_notebook ON leases (notebook_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX uq_findings_standing ON findings (hub_id, source, "key") WHERE mended_at IS NULL;
CREATE INDEX ix_leases_admitted ON leases (hub_id, admitted_at);
CREATE UNIQUE INDEX uq_approval_requests_waiting ON approval_requests (account_id, instance_type) WHERE decided_at IS NULL;
CREATE INDEX ix_balances_hub_id ON balances (hub_id);
CREATE INDEX ix_credits_account_id ON credits (account_id);
CREATE INDEX ix_credits_due ON credits (hub_id, expires_at) WHERE unspent > 0 AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX uq_credits_welcome ON credits (account_id) WHERE welcome;
CREATE INDEX ix_entries_lease_id ON entries (lease_id);
CREATE INDEX ix_entries_month ON entries (account_id, currency, month, seq);
CREATE INDEX ix_entries_overrun ON entries (hub_id, at) WHERE overrun > 0;
CREATE UNIQUE INDEX uq_entries_closed ON entries (lease_id) WHERE closes;
CREATE UNIQUE INDEX uq_entries_seq ON entries (account_id, currency, seq);
CREATE INDEX ix_holds_account_id ON holds (account_id);
CREATE INDEX ix_leases_running ON leases (hub_id) WHERE ended_at IS NULL;
CREATE INDEX ix_warm_slots_hub_id ON warm_slots (hub_id);
CREATE INDEX ix_identities_account_id ON identities (account_id);
CREATE INDEX ix_subjects_account_id ON subjects (account_id);
CREATE UNIQUE INDEX uq_subjects_current ON subjects (hub_id, subject, provider, "key") WHERE replaced_at IS NULL;
CREATE INDEX ix_adopted_volumes_account_id ON adopted_volumes (account_id);
CREATE INDEX ix_outside_servers_host_key ON outside_servers (host_key);
CREATE INDEX ix_past_slots_hub_id ON past_slots (hub_id);
CREATE INDEX ix_gaps_hub_id ON gaps (hub_id);
CREATE INDEX ix_gaps_lease_id ON gaps (lease_id);
CREATE UNIQUE INDEX uq_gaps_lasting ON gaps (lease_id) WHERE until_at IS NULL;
COMMIT;
