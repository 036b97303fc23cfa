CREATE TABLE config_version (
	id INTEGER NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT config_version_single CHECK (id = 1)
)

-- next
CREATE TABLE event (
	code VARCHAR(64) NOT NULL,
	title_en TEXT NOT NULL,
	title_ru TEXT NOT NULL,
	moment VARCHAR(6) NOT NULL,
	methods TEXT NOT NULL,
	sample TEXT NOT NULL,
	private TEXT NOT NULL,
	origin VARCHAR(8) NOT NULL,
	place INTEGER NOT NULL,
	PRIMARY KEY (code),
	CONSTRAINT event_moment CHECK (moment IN ('before', 'after', 'on'))
)

-- next
CREATE TABLE firing (
	id INTEGER NOT NULL,
	uid VARCHAR(20) NOT NULL,
	event VARCHAR(64) NOT NULL,
	moment VARCHAR(6) NOT NULL,
	at_ms BIGINT NOT NULL,
	deadline_ms BIGINT NOT NULL,
	payload TEXT NOT NULL,
	hidden TEXT,
	data TEXT,
	result TEXT,
	outcome VARCHAR(9),
	veto TEXT,
	warnings TEXT,
	ms INTEGER,
	idempotency_key TEXT,
	payload_hash VARCHAR(64),
	replay_of VARCHAR(20),
	asked_by TEXT,
	"deferred" BOOLEAN NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT firing_outcome CHECK (outcome IS NULL OR outcome IN ('allowed', 'vetoed', 'failed', 'cancelled'))
)

-- next
CREATE INDEX firing_event ON firing (event, outcome, id)

-- next
CREATE INDEX firing_idempotency ON firing (event, idempotency_key, id) WHERE idempotency_key IS NOT NULL

-- next
CREATE INDEX firing_late ON firing (at_ms) WHERE id / 1048576 - at_ms > 60000

-- next
CREATE INDEX firing_refused ON firing (outcome, id) WHERE outcome <> 'allowed'

-- next
CREATE UNIQUE INDEX firing_uid ON firing (uid)

-- next
CREATE TABLE hook (
	"key" VARCHAR(64) NOT NULL,
	name VARCHAR(120) NOT NULL,
	url TEXT NOT NULL,
	event VARCHAR(64) NOT NULL,
	position INTEGER NOT NULL,
	timeout FLOAT NOT NULL,
	valid_from DATETIME,
	valid_until DATETIME,
	active BOOLEAN NOT NULL,
	fire_and_forget BOOLEAN NOT NULL,
	wait_for_response BOOLEAN NOT NULL,
	response_has_data BOOLEAN NOT NULL,
	body TEXT NOT NULL,
	auth_login TEXT NOT NULL,
	condition TEXT NOT NULL,
	on_failure VARCHAR(8) NOT NULL,
	fallback_message VARCHAR(300) NOT NULL,
	order_key TEXT NOT NULL,
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	uid VARCHAR(32) NOT NULL,
	auth_password TEXT,
	custom_header VARCHAR(200) NOT NULL,
	custom_header_value TEXT,
	signing_secret TEXT,
	signing_secret_old TEXT,
	signing_old_until_ms BIGINT,
	revision INTEGER NOT NULL,
	paused_by VARCHAR(8),
	paused_reason TEXT,
	paused_ms BIGINT,
	created_ms BIGINT NOT NULL,
	deleted_ms BIGINT,
	CONSTRAINT hook_name CHECK (length(name) BETWEEN 1 AND 120),
	CONSTRAINT hook_position CHECK (position BETWEEN 0 AND 9999),
	CONSTRAINT hook_timeout CHECK (timeout BETWEEN 0.1 AND 30),
	CONSTRAINT hook_period CHECK (valid_from IS NULL OR valid_until IS NULL OR valid_from < valid_until),
	CONSTRAINT hook_url CHECK (url LIKE 'http://%' OR url LIKE 'https://%'),
	CONSTRAINT hook_auth_login CHECK (auth_login NOT LIKE '%:%'),
	CONSTRAINT hook_on_failure CHECK (on_failure IN ('continue', 'stop')),
	CONSTRAINT hook_condition CHECK (length(condition) <= 1000),
	CONSTRAINT hook_fallback_message CHECK (length(fallback_message) <= 300),
	CONSTRAINT hook_paused_by CHECK (paused_by IN ('person', 'gone', 'breaker'))
)

-- next
CREATE UNIQUE INDEX hook_key ON hook ("key") WHERE deleted_ms IS NULL

-- next
CREATE INDEX ix_hook_event ON hook (event)

-- next
CREATE TABLE setting (
	name VARCHAR(64) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
)

-- next
CREATE TABLE breaker (
	hook_id INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	since_ms BIGINT,
	wait_ms INTEGER NOT NULL,
	probe_ms BIGINT,
	PRIMARY KEY (hook_id),
	FOREIGN KEY(hook_id) REFERENCES hook (id) ON DELETE CASCADE
)

-- next
CREATE TABLE delivery (
	id INTEGER NOT NULL,
	firing_id INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	hook_id INTEGER NOT NULL,
	hook_revision INTEGER NOT NULL,
	position INTEGER NOT NULL,
	mode VARCHAR(9) NOT NULL,
	state VARCHAR(9) NOT NULL,
	error VARCHAR(20),
	detail TEXT,
	skipped VARCHAR(20),
	status INTEGER,
	ms INTEGER,
	attempts INTEGER NOT NULL,
	body TEXT,
	changes TEXT,
	order_key TEXT,
	due_ms BIGINT,
	released_ms BIGINT,
	lease_ms BIGINT,
	owner VARCHAR(32),
	fence INTEGER NOT NULL,
	first_ms BIGINT,
	done_ms BIGINT,
	PRIMARY KEY (id),
	CONSTRAINT delivery_state CHECK (state IN ('blocked', 'queued', 'leased', 'retrying', 'parked', 'ok', 'sent', 'dead', 'cancelled', 'dropped', 'changed', 'vetoed', 'refused', 'failed', 'skipped')),
	CONSTRAINT delivery_mode CHECK (mode IN ('forget', 'notify', 'record', 'gate', 'transform')),
	FOREIGN KEY(firing_id) REFERENCES firing (id) ON DELETE CASCADE,
	FOREIGN KEY(hook_id) REFERENCES hook (id)
)

-- next
CREATE INDEX delivery_due ON delivery (hook_id, due_ms) WHERE state IN ('blocked', 'queued', 'retrying')

-- next
CREATE INDEX delivery_hook ON delivery (hook_id, firing_id)

-- next
CREATE INDEX delivery_kind ON delivery (hook_id, state, coalesce(status, 0), firing_id)

-- next
CREATE INDEX delivery_leased ON delivery (lease_ms) WHERE state = 'leased'

-- next
CREATE INDEX delivery_notable ON delivery (state, firing_id) WHERE state NOT IN ('ok', 'sent', 'skipped')

-- next
CREATE INDEX delivery_order ON delivery (hook_id, order_key, id) WHERE order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked')

-- next
CREATE UNIQUE INDEX delivery_row ON delivery (firing_id, seq)

-- next
CREATE INDEX delivery_status ON delivery (status, firing_id) WHERE status IS NOT NULL

-- next
CREATE INDEX delivery_usual ON delivery (state, firing_id) WHERE state IN ('ok', 'sent', 'skipped')

-- next
CREATE TABLE hook_revision (
	id INTEGER NOT NULL,
	hook_id INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	at_ms BIGINT NOT NULL,
	who TEXT NOT NULL,
	action VARCHAR(16) NOT NULL,
	event VARCHAR(64) NOT NULL,
	"before" TEXT,
	"after" TEXT,
	PRIMARY KEY (id),
	FOREIGN KEY(hook_id) REFERENCES hook (id) ON DELETE CASCADE
)

-- next
CREATE INDEX hook_revision_engine ON hook_revision (at_ms) WHERE who = 'hookrow'

-- next
CREATE INDEX hook_revision_event ON hook_revision (event, hook_id)

-- next
CREATE UNIQUE INDEX hook_revision_number ON hook_revision (hook_id, revision)

-- next
CREATE TABLE attempt (
	id INTEGER NOT NULL,
	delivery_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	origin VARCHAR(9) NOT NULL,
	at_ms BIGINT NOT NULL,
	url TEXT NOT NULL,
	elsewhere BOOLEAN NOT NULL,
	address VARCHAR(64),
	status INTEGER,
	error VARCHAR(20),
	detail TEXT,
	ms INTEGER NOT NULL,
	times TEXT,
	request_headers TEXT,
	response_headers TEXT,
	response_body BLOB,
	response_length BIGINT,
	asked_by TEXT,
	PRIMARY KEY (id),
	CONSTRAINT attempt_origin CHECK (origin IN ('fire', 'worker', 'redeliver')),
	FOREIGN KEY(delivery_id) REFERENCES delivery (id) ON DELETE CASCADE
)

-- next
CREATE INDEX attempt_delivery ON attempt (delivery_id, number)

-- next
CREATE INDEX attempt_failed ON attempt (at_ms) WHERE error IS NOT NULL

-- next
CREATE TRIGGER hook_insert_raises AFTER INSERT ON hook BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER hook_update_raises AFTER UPDATE ON hook BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER hook_delete_raises AFTER DELETE ON hook BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER event_insert_raises AFTER INSERT ON event BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER event_update_raises AFTER UPDATE ON event BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER event_delete_raises AFTER DELETE ON event BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER setting_insert_raises AFTER INSERT ON setting BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER setting_update_raises AFTER UPDATE ON setting BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
CREATE TRIGGER setting_delete_raises AFTER DELETE ON setting BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END

-- next
INSERT INTO config_version (id, n) VALUES (1, 1)
