CREATE SCHEMA hookrow;
SET search_path = hookrow;

CREATE TABLE config_version (
	id INTEGER NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT config_version_single CHECK (id = 1)
);
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
);
CREATE TABLE firing (
	id BIGINT NOT NULL,
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
	deferred BOOLEAN NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT firing_outcome CHECK (outcome IS NULL OR outcome IN ('allowed', 'vetoed', 'failed', 'cancelled'))
);
CREATE INDEX firing_event ON firing (event, outcome, id);
CREATE INDEX firing_idempotency ON firing (event, idempotency_key, id) WHERE idempotency_key IS NOT NULL;
CREATE INDEX firing_late ON firing (at_ms) WHERE id / 1048576 - at_ms > 60000;
CREATE INDEX firing_refused ON firing (outcome, id) WHERE outcome <> 'allowed';
CREATE UNIQUE INDEX firing_uid ON firing (uid);
CREATE TABLE hook (
	key VARCHAR(64) NOT NULL,
	name VARCHAR(120) NOT NULL,
	url TEXT NOT NULL,
	event VARCHAR(64) NOT NULL,
	position INTEGER NOT NULL,
	timeout FLOAT NOT NULL,
	valid_from TIMESTAMP WITH TIME ZONE,
	valid_until TIMESTAMP WITH TIME ZONE,
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
	id SERIAL NOT NULL,
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
	PRIMARY KEY (id),
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
);
CREATE UNIQUE INDEX hook_key ON hook (key) WHERE deleted_ms IS NULL;
CREATE INDEX ix_hook_event ON hook (event);
CREATE TABLE setting (
	name VARCHAR(64) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE breaker (
	hook_id INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	since_ms BIGINT,
	wait_ms INTEGER NOT NULL,
	probe_ms BIGINT,
	PRIMARY KEY (hook_id),
	FOREIGN KEY(hook_id) REFERENCES hook (id) ON DELETE CASCADE
);
CREATE TABLE delivery (
	id BIGINT NOT NULL,
	firing_id BIGINT NOT NULL,
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
);
CREATE INDEX delivery_due ON delivery (hook_id, due_ms) WHERE state IN ('blocked', 'queued', 'retrying');
CREATE INDEX delivery_hook ON delivery (hook_id, firing_id);
CREATE INDEX delivery_kind ON delivery (hook_id, state, coalesce(status, 0), firing_id);
CREATE INDEX delivery_leased ON delivery (lease_ms) WHERE state = 'leased';
CREATE INDEX delivery_notable ON delivery (state, firing_id) WHERE state NOT IN ('ok', 'sent', 'skipped');
CREATE INDEX delivery_order ON delivery (hook_id, order_key, id) WHERE order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked');
CREATE UNIQUE INDEX delivery_row ON delivery (firing_id, seq);
CREATE INDEX delivery_status ON delivery (status, firing_id) WHERE status IS NOT NULL;
CREATE INDEX delivery_usual ON delivery (state, firing_id) WHERE state IN ('ok', 'sent', 'skipped');
CREATE TABLE hook_revision (
	id SERIAL NOT NULL,
	hook_id INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	at_ms BIGINT NOT NULL,
	who TEXT NOT NULL,
	action VARCHAR(16) NOT NULL,
	event VARCHAR(64) NOT NULL,
	before TEXT,
	after TEXT,
	PRIMARY KEY (id),
	FOREIGN KEY(hook_id) REFERENCES hook (id) ON DELETE CASCADE
);
CREATE INDEX hook_revision_engine ON hook_revision (at_ms) WHERE who = 'hookrow';
CREATE INDEX hook_revision_event ON hook_revision (event, hook_id);
CREATE UNIQUE INDEX hook_revision_number ON hook_revision (hook_id, revision);
CREATE TABLE attempt (
	id BIGINT NOT NULL,
	delivery_id BIGINT NOT NULL,
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
	response_body BYTEA,
	response_length BIGINT,
	asked_by TEXT,
	PRIMARY KEY (id),
	CONSTRAINT attempt_origin CHECK (origin IN ('fire', 'worker', 'redeliver')),
	FOREIGN KEY(delivery_id) REFERENCES delivery (id) ON DELETE CASCADE
);
CREATE INDEX attempt_delivery ON attempt (delivery_id, number);
CREATE INDEX attempt_failed ON attempt (at_ms) WHERE error IS NOT NULL;
CREATE FUNCTION raise_config_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; PERFORM pg_notify('hookrow_config', ''); RETURN NULL; END $$;
CREATE TRIGGER hook_raises AFTER INSERT OR UPDATE OR DELETE ON hook FOR EACH STATEMENT EXECUTE FUNCTION raise_config_version();
CREATE TRIGGER event_raises AFTER INSERT OR UPDATE OR DELETE ON event FOR EACH STATEMENT EXECUTE FUNCTION raise_config_version();
CREATE TRIGGER setting_raises AFTER INSERT OR UPDATE OR DELETE ON setting FOR EACH STATEMENT EXECUTE FUNCTION raise_config_version();
CREATE SEQUENCE row_number;
CREATE TABLE hookrow_version (
	version_num VARCHAR(32) NOT NULL,
	PRIMARY KEY (version_num)
);

INSERT INTO hookrow.config_version VALUES (1, 38);
INSERT INTO hookrow.event VALUES ('after_registration', 'After registration', 'После регистрации', 'after', '["/organization/user/new"]', '{"user": {"id": 48213, "login": "79161234567", "name": "Ирина Соколова", "phone": "+7 916 123-45-67", "email": "irina@example.ru", "card": {"number": "2100048213", "level": "base", "bonus": 200}, "created_at": "2026-11-25T09:14:03Z"}, "source": "site"}', '["/user/password"]', 'document', 1);
INSERT INTO hookrow.event VALUES ('before_delivery_service_calculate', 'Calculate the cost of delivery', 'Рассчитать стоимость доставки', 'before', '["/organization/delivery_service/{id}/calculate"]', '{"delivery_service": {"id": 3, "name": "Курьер"}, "address": {"city": "Казань", "street": "ул. Баумана", "house": "12", "postcode": "420111"}, "order": {"items": [{"sku": "CF-250", "qty": 3, "weight": 260}], "sum": 2670, "weight": 780}}', '[]', 'document', 5);
INSERT INTO hookrow.event VALUES ('before_order_add', 'Before an order is added', 'Перед добавлением заказа', 'before', '["/organization/order/add", "/user/order/add"]', '{"order": {"number": "A-10492", "shop_id": 17, "status": "new", "user_id": 48213, "items": [{"sku": "CF-250", "name": "Кофе в зёрнах 250 г", "qty": 2, "price": 890, "sum": 1780}, {"sku": "MG-01", "name": "Кружка «Утро»", "qty": 1, "price": 650, "sum": 650}], "bonus_discount": 120, "promo": "UTRO10", "delivery": {"service_id": 3, "city": "Казань", "address": "ул. Баумана, 12", "cost": 390}, "sum": 2700, "comment": "Позвонить за час: домофон \"12К\""}}', '[]', 'document', 2);
INSERT INTO hookrow.event VALUES ('before_order_setstatus', 'Before an order''s status is set', 'Перед установкой статуса заказа', 'before', '["/organization/order/set_status", "/user/sber_get_status if order_sum_authorised"]', '{"order": {"id": 77120, "number": "A-10492", "status": "completed", "old_status": "processing", "user_id": 48213, "sum": 3060}, "payment": {"system": "sberbank", "authorized": true, "amount": 3060, "order_id": "8f0c-4e1d"}}', '[]', 'document', 4);
INSERT INTO hookrow.event VALUES ('before_order_update', 'Before an order is updated', 'Перед обновлением заказа', 'before', '["/organization/order/{id}", "/user/order/{id}"]', '{"order": {"id": 77120, "number": "A-10492", "status": "processing", "user_id": 48213, "items": [{"sku": "CF-250", "name": "Кофе в зёрнах 250 г", "qty": 3, "price": 890, "sum": 2670}], "delivery": {"service_id": 3, "city": "Казань", "address": "ул. Баумана, 12", "cost": 390}, "sum": 3060}, "old": {"order": {"id": 77120, "status": "new", "sum": 2700}}}', '[]', 'document', 3);
INSERT INTO hookrow.event VALUES ('before_registration', 'Before registration', 'До регистрации', 'before', '["/organization/user/new"]', '{"user": {"login": "79161234567", "name": "Ирина Соколова", "phone": "+7 916 123-45-67", "email": "irina@example.ru", "birthdate": "1990-04-12", "gender": "female", "password": "hidden", "confirmed": false, "personal_data_agree": true, "additional_fields": [{"code": "inn", "value": "500100732259"}]}, "source": "site"}', '["/user/password"]', 'document', 0);
INSERT INTO hookrow.event VALUES ('before_user_new', 'Before a new user', 'Перед новым пользователем', 'before', '["POST /user/new"]', '{"user": {"login": "79269876543", "name": "Пётр Ильин", "phone": "+7 926 987-65-43", "password": "hidden", "app_client": "ios"}}', '["/user/password"]', 'document', 7);
INSERT INTO hookrow.event VALUES ('before_user_update', 'Before a user is updated', 'Перед обновлением пользователя', 'before', '["/organization/user/{id}"]', '{"user": {"id": 48213, "phone": "+7 916 765-43-21", "email": "irina.s@example.ru", "recieve_notifications": true}, "old": {"user": {"id": 48213, "phone": "+7 916 123-45-67", "email": "irina@example.ru"}}}', '["/user/password"]', 'document', 6);
INSERT INTO hookrow.event VALUES ('delivery.dead', 'A delivery was given up', 'Доставка не удалась окончательно', 'on', '[]', '{"delivery": {"id": "msg_4k9qv1x7n2c8b6t3aa", "firing": "evt_4k9qv1x7n2c8b6t3", "event": "after_registration", "attempts": 10, "error": "bad_status", "status": 500}, "hook": {"id": 2, "key": "customer-card", "name": "Карточка клиента в 1С", "event": "after_registration"}, "at": "2026-11-28T13:20:11.000Z"}', '[]', 'system', 11);
INSERT INTO hookrow.event VALUES ('hook.paused', 'A hook was paused', 'Хук приостановлен', 'on', '[]', '{"hook": {"id": 3, "key": "crm-order", "name": "Передача заказа в 1С", "event": "before_order_add"}, "by": "breaker", "reason": "connect_error", "at": "2026-11-25T09:14:03.000Z"}', '[]', 'system', 9);
INSERT INTO hookrow.event VALUES ('hook.resumed', 'A hook was resumed', 'Хук возобновлён', 'on', '[]', '{"hook": {"id": 3, "key": "crm-order", "name": "Передача заказа в 1С", "event": "before_order_add"}, "by": "breaker", "at": "2026-11-25T09:14:33.000Z"}', '[]', 'system', 10);
INSERT INTO hookrow.event VALUES ('on_subscription', 'On subscription', 'При подписке', 'on', '[]', '{"subscription": {"id": 905, "name": "Кофе каждый месяц", "user_id": 48213, "started_at": "2026-10-25T00:00:00Z", "ended_at": "2026-11-25T00:00:00Z", "price": 1490, "renewable": true}, "trigger": "При истечении срока действия подписки"}', '[]', 'document', 8);
INSERT INTO hookrow.event VALUES ('shop.shipped', 'Shipped', 'Shipped', 'after', '[]', '{"order": {"id": 7}}', '[]', 'service', 12);
INSERT INTO hookrow.setting VALUES ('timezone', 'Europe/Moscow');
INSERT INTO hookrow.hook VALUES ('stock', 'Склад', 'http://receiver.example/', 'before_order_add', 10, 5, NULL, NULL, true, false, true, false, '', 'shop', 'order.sum > 1000', 'continue', 'Сервис временно недоступен', '', 1, 'ef057b2d52e7246adf4a971ee753214b', 'v1.24a24af8.Pufntnbil_PZy2jcUh00_4etaLUUNWF088q3uiHXrHGCBE2yMpu9Icw', '', NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, 1795845348485, NULL);
INSERT INTO hookrow.hook VALUES ('total', 'Total', 'http://receiver.example/', 'before_order_add', 20, 5, NULL, NULL, true, false, true, true, '', '', '', 'continue', 'Сервис временно недоступен', '', 2, '44ca74811507072e175b539c003f2ca2', NULL, '', NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, 1795845348554, NULL);
INSERT INTO hookrow.hook VALUES ('crm', 'CRM', 'http://receiver.example/', 'shop.shipped', 10, 5, NULL, NULL, true, false, false, false, '', '', '', 'continue', 'Сервис временно недоступен', '', 3, '5e17316b2fa5008f6b7eff93d90cd8a0', NULL, '', NULL, NULL, NULL, NULL, 2, 'person', 'учёт переезжает', 1795845350893, 1795845348584, NULL);
INSERT INTO hookrow.hook VALUES ('bot', 'Bot of the chat', 'http://receiver.example/', 'shop.shipped', 20, 5, NULL, NULL, true, true, false, false, '', '', '', 'continue', 'Сервис временно недоступен', '/order/id', 4, '5ca92d6a2cb4f65a031ad300b44e0464', NULL, '', NULL, NULL, NULL, NULL, 2, NULL, NULL, NULL, 1795845348602, NULL);
INSERT INTO hookrow.hook VALUES ('gone', 'Gone', 'http://receiver.example/', 'shop.shipped', 30, 5, NULL, NULL, true, true, false, false, '', '', '', 'continue', 'Сервис временно недоступен', '', 6, '13cb36dd9e0abe4e64e2662cd29a70b2', NULL, '', NULL, NULL, NULL, NULL, 2, NULL, NULL, NULL, 1795845348631, 1795845350955);
INSERT INTO hookrow.hook VALUES ('guard', 'Guard', 'http://receiver.example/', 'before_order_update', 10, 5, NULL, NULL, true, false, true, false, '', '', '', 'stop', 'Сервис временно недоступен', '', 5, '842d503e0f8282d1a18d0e49dd917f19', NULL, '', NULL, NULL, NULL, NULL, 1, 'breaker', 'bad_status 503', 1, 1795845348614, NULL);
INSERT INTO hookrow.hook_revision VALUES (1, 1, 1, 1795845348485, 'root', 'add', 'before_order_add', NULL, '{"key": "stock", "name": "Склад", "url": "http://receiver.example/", "event": "before_order_add", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": true, "response_has_data": false, "body": "", "auth_login": "shop", "condition": "order.sum > 1000", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": true}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (2, 2, 1, 1795845348554, 'root', 'add', 'before_order_add', NULL, '{"key": "total", "name": "Total", "url": "http://receiver.example/", "event": "before_order_add", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": true, "response_has_data": true, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (3, 3, 1, 1795845348584, 'root', 'add', 'shop.shipped', NULL, '{"key": "crm", "name": "CRM", "url": "http://receiver.example/", "event": "shop.shipped", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (4, 4, 1, 1795845348602, 'root', 'add', 'shop.shipped', NULL, '{"key": "bot", "name": "Bot", "url": "http://receiver.example/", "event": "shop.shipped", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "/order/id", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (5, 5, 1, 1795845348614, 'root', 'add', 'before_order_update', NULL, '{"key": "guard", "name": "Guard", "url": "http://receiver.example/", "event": "before_order_update", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": true, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "stop", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (6, 6, 1, 1795845348631, 'root', 'add', 'shop.shipped', NULL, '{"key": "gone", "name": "Gone", "url": "http://receiver.example/", "event": "shop.shipped", "position": 30, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (7, 3, 2, 1795845350893, 'root', 'pause', 'shop.shipped', '{"key": "crm", "name": "CRM", "url": "http://receiver.example/", "event": "shop.shipped", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}', '{"key": "crm", "name": "CRM", "url": "http://receiver.example/", "event": "shop.shipped", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": "person", "paused_reason": "учёт переезжает", "paused_at": "2026-11-28T05:55:50.893Z", "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (8, 4, 2, 1795845350932, 'root', 'edit', 'shop.shipped', '{"key": "bot", "name": "Bot", "url": "http://receiver.example/", "event": "shop.shipped", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "/order/id", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}', '{"key": "bot", "name": "Bot of the chat", "url": "http://receiver.example/", "event": "shop.shipped", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "/order/id", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO hookrow.hook_revision VALUES (9, 6, 2, 1795845350955, 'root', 'remove', 'shop.shipped', '{"key": "gone", "name": "Gone", "url": "http://receiver.example/", "event": "shop.shipped", "position": 30, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}', '{"key": "gone", "name": "Gone", "url": "http://receiver.example/", "event": "shop.shipped", "position": 30, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": "2026-11-28T05:55:50.955Z"}');
INSERT INTO hookrow.breaker VALUES (3, 1, 1795845348865, 0, NULL);
INSERT INTO hookrow.breaker VALUES (5, 10, 1, 30000, 2);
INSERT INTO hookrow.firing VALUES (1883080332328042497, '38h0q5ejgvaqtg5cj91r', 'before_order_add', 'before', 1795845348648, 1795845378648, '{"order":{"id":7,"sum":1290}}', NULL, NULL, NULL, 'vetoed', '{"by":"hook","hook":{"id":1,"key":"stock","name":"Склад"},"message":"Нет на складе","code":"no_stock","status":422,"errors":[]}', NULL, 23, NULL, NULL, NULL, NULL, false);
INSERT INTO hookrow.firing VALUES (1883080332374179845, '38h0q5epmhc0kjbjscta', 'before_order_add', 'before', 1795845348714, 1795845378714, '{"order":{"id":7,"sum":5}}', NULL, NULL, NULL, 'allowed', NULL, '["Total: осталось 3"]', 59, 'seven', '93be179fb8e6037397a393ac92eefb1138088a7eff26afbda56bd2d40fdc684b', NULL, NULL, false);
INSERT INTO hookrow.firing VALUES (1883080332442337289, '38h0q5etpka525d9wd4x', 'shop.shipped', 'after', 1795845348779, 1795845378779, '{"order":{"id":7,"sum":5}}', NULL, NULL, NULL, 'allowed', NULL, NULL, 0, NULL, NULL, NULL, NULL, false);
INSERT INTO hookrow.firing VALUES (1883080332492668941, '38h0q5exchfge1fhg6k2', 'before_order_update', 'before', 1795845348822, 1795845378822, '{"order":{"id":7,"sum":5}}', NULL, NULL, NULL, 'failed', '{"by":"failure","hook":{"id":5,"key":"guard","name":"Guard"},"message":"Сервис временно недоступен","code":"bad_status","status":503,"errors":[]}', NULL, 5, NULL, NULL, NULL, NULL, false);
INSERT INTO hookrow.firing VALUES (1883080334681047059, '38h0q5k078bsh3x9bhdc', 'shop.shipped', 'after', 1795845350915, 1795845380915, '{"order":{"id":7,"sum":6}}', NULL, NULL, NULL, 'allowed', NULL, NULL, 0, NULL, NULL, NULL, NULL, false);
INSERT INTO hookrow.delivery VALUES (1883080332328042498, 1883080332328042497, 1, 1, 1, 10, 'gate', 'vetoed', NULL, 'Нет на складе', NULL, 200, 10, 1, '{"id":"evt_38h0q5ejgvaqtg5cj91r","type":"before_order_add","timestamp":"2026-11-28T05:55:48.648Z","data":{"order":{"id":7,"sum":1290}}}', NULL, NULL, NULL, NULL, NULL, NULL, 0, 1795845348655, 1795845348671);
INSERT INTO hookrow.delivery VALUES (1883080332328042499, 1883080332328042497, 2, 2, 1, 20, 'transform', 'skipped', NULL, NULL, 'after_veto', NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 1795845348671);
INSERT INTO hookrow.delivery VALUES (1883080332434997254, 1883080332374179845, 1, 1, 1, 10, 'gate', 'skipped', NULL, 'order.sum > 1000', 'condition_false', NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 1795845348773);
INSERT INTO hookrow.delivery VALUES (1883080332434997255, 1883080332374179845, 2, 2, 1, 20, 'transform', 'ok', NULL, NULL, NULL, 200, 8, 1, '{"id":"evt_38h0q5epmhc0kjbjscta","type":"before_order_add","timestamp":"2026-11-28T05:55:48.714Z","data":{"order":{"id":7,"sum":5}}}', NULL, NULL, NULL, NULL, NULL, NULL, 0, 1795845348764, 1795845348773);
INSERT INTO hookrow.delivery VALUES (1883080332492668942, 1883080332492668941, 1, 5, 1, 10, 'gate', 'failed', 'bad_status', 'The receiver answered 503.', NULL, 503, 3, 1, '{"id":"evt_38h0q5exchfge1fhg6k2","type":"before_order_update","timestamp":"2026-11-28T05:55:48.822Z","data":{"order":{"id":7,"sum":5}}}', NULL, NULL, NULL, NULL, NULL, NULL, 0, 1795845348824, 1795845348828);
INSERT INTO hookrow.delivery VALUES (1883080332442337291, 1883080332442337289, 2, 4, 1, 20, 'forget', 'sent', NULL, NULL, NULL, NULL, 12, 1, '{"id":"evt_38h0q5etpka525d9wd4x","type":"shop.shipped","timestamp":"2026-11-28T05:55:48.779Z","data":{"order":{"id":7,"sum":5}}}', NULL, '7', 1795845348865, 1795845348865, NULL, NULL, 1, 1795845348926, 1795845348939);
INSERT INTO hookrow.delivery VALUES (1883080332442337292, 1883080332442337289, 3, 6, 1, 30, 'forget', 'sent', NULL, NULL, NULL, NULL, 6, 1, '{"id":"evt_38h0q5etpka525d9wd4x","type":"shop.shipped","timestamp":"2026-11-28T05:55:48.779Z","data":{"order":{"id":7,"sum":5}}}', NULL, NULL, 1795845348939, 1795845348939, NULL, NULL, 1, 1795845348953, 1795845348959);
INSERT INTO hookrow.delivery VALUES (1883080332442337290, 1883080332442337289, 1, 3, 1, 10, 'notify', 'parked', 'bad_status', 'The receiver answered 503.', NULL, 503, 10, 1, '{"id":"evt_38h0q5etpka525d9wd4x","type":"shop.shipped","timestamp":"2026-11-28T05:55:48.779Z","data":{"order":{"id":7,"sum":5}}}', NULL, NULL, 1795845353763, 1795845348780, NULL, NULL, 1, 1795845348854, NULL);
INSERT INTO hookrow.delivery VALUES (1883080334681047060, 1883080334681047059, 1, 3, 2, 10, 'notify', 'parked', NULL, NULL, NULL, NULL, NULL, 0, '{"id":"evt_38h0q5k078bsh3x9bhdc","type":"shop.shipped","timestamp":"2026-11-28T05:55:50.915Z","data":{"order":{"id":7,"sum":6}}}', NULL, NULL, 1795845350915, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO hookrow.delivery VALUES (1883080334681047061, 1883080334681047059, 2, 4, 1, 20, 'forget', 'sent', NULL, NULL, NULL, NULL, 6, 1, '{"id":"evt_38h0q5k078bsh3x9bhdc","type":"shop.shipped","timestamp":"2026-11-28T05:55:50.915Z","data":{"order":{"id":7,"sum":6}}}', NULL, '7', 1795845350915, 1795845350915, NULL, NULL, 1, 1795845350936, 1795845350942);
INSERT INTO hookrow.delivery VALUES (1883080334681047062, 1883080334681047059, 3, 6, 1, 30, 'forget', 'sent', NULL, NULL, NULL, NULL, 7, 1, '{"id":"evt_38h0q5k078bsh3x9bhdc","type":"shop.shipped","timestamp":"2026-11-28T05:55:50.915Z","data":{"order":{"id":7,"sum":6}}}', NULL, NULL, 1795845350942, 1795845350942, NULL, NULL, 1, 1795845350968, 1795845350975);
INSERT INTO hookrow.attempt VALUES (1883080332328042500, 1883080332328042498, 1, 'fire', 1795845348655, 'http://receiver.example/', false, 'receiver.example', 200, NULL, NULL, 10, '{"connect":1.2,"send":0.9,"wait":7.3,"read":0.2,"total":10.4}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5ejgvaqtg5cj91r01"],["webhook-timestamp","1795845348"],["hook-event","before_order_add"],["hook-mode","gate"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:48.648Z"],["hook-deadline-ms","5000"],["authorization","Basic ••••••••"]]', '[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:48 GMT"],["content-type","application/json; charset=utf-8"],["content-length","104"]]', '\x7b22616c6c6f77223a2066616c73652c20226d657373616765223a2022d09dd0b5d18220d0bdd0b020d181d0bad0bbd0b0d0b4d0b5222c2022636f6465223a20226e6f5f73746f636b222c2022737461747573223a203432322c20226572726f7273223a205b5d7d', 104, NULL);
INSERT INTO hookrow.attempt VALUES (1883080332434997256, 1883080332434997255, 1, 'fire', 1795845348764, 'http://receiver.example/', false, 'receiver.example', 200, NULL, NULL, 8, '{"connect":3.7,"send":0.2,"wait":3.9,"read":0.2,"total":8.5}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5epmhc0kjbjscta02"],["webhook-timestamp","1795845348"],["hook-event","before_order_add"],["hook-mode","transform"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:48.714Z"],["hook-deadline-ms","5000"]]', '[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:48 GMT"],["content-type","application/json; charset=utf-8"],["content-length","51"]]', '\x7b22616c6c6f77223a20747275652c20227761726e696e6773223a205b22d0bed181d182d0b0d0bbd0bed181d18c2033225d7d', 51, NULL);
INSERT INTO hookrow.attempt VALUES (1883080332492668943, 1883080332492668942, 1, 'fire', 1795845348824, 'http://receiver.example/', false, 'receiver.example', 503, 'bad_status', 'The receiver answered 503.', 3, '{"connect":1.5,"send":0.6,"wait":0.3,"read":0.1,"total":3.2}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5exchfge1fhg6k201"],["webhook-timestamp","1795845348"],["hook-event","before_order_update"],["hook-mode","gate"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:48.822Z"],["hook-deadline-ms","5000"]]', '[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:48 GMT"],["content-length","0"]]', '\x', 0, NULL);
INSERT INTO hookrow.attempt VALUES (1883080332531466256, 1883080332442337290, 1, 'worker', 1795845348854, 'http://receiver.example/', false, 'receiver.example', 503, 'bad_status', 'The receiver answered 503.', 10, '{"connect":8.4,"send":0.6,"wait":0.3,"read":0.2,"total":10.1}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5etpka525d9wd4x01"],["webhook-timestamp","1795845348"],["hook-event","shop.shipped"],["hook-mode","notify"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:48.779Z"]]', '[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:48 GMT"],["content-length","0"]]', NULL, 0, NULL);
INSERT INTO hookrow.attempt VALUES (1883080332609060881, 1883080332442337291, 1, 'worker', 1795845348926, 'http://receiver.example/', false, 'receiver.example', NULL, NULL, NULL, 12, '{"connect":2.4,"send":0.1,"wait":9.3,"read":0.2,"total":12.2}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5etpka525d9wd4x02"],["webhook-timestamp","1795845348"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:48.779Z"]]', NULL, NULL, NULL, NULL);
INSERT INTO hookrow.attempt VALUES (1883080332630032402, 1883080332442337292, 1, 'worker', 1795845348953, 'http://receiver.example/', false, 'receiver.example', NULL, NULL, NULL, 6, '{"send":0.1,"wait":4.7,"read":0.2,"total":5.5}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5etpka525d9wd4x03"],["webhook-timestamp","1795845348"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:48.779Z"]]', NULL, NULL, NULL, NULL);
INSERT INTO hookrow.attempt VALUES (1883080334709358615, 1883080334681047061, 1, 'worker', 1795845350936, 'http://receiver.example/', false, 'receiver.example', NULL, NULL, NULL, 6, '{"send":0.2,"wait":5.7,"read":0.2,"total":6.4}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5k078bsh3x9bhdc02"],["webhook-timestamp","1795845350"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:50.915Z"]]', NULL, NULL, NULL, NULL);
INSERT INTO hookrow.attempt VALUES (1883080334743961624, 1883080334681047062, 1, 'worker', 1795845350968, 'http://receiver.example/', false, 'receiver.example', NULL, NULL, NULL, 7, '{"send":5.8,"wait":0.4,"read":0.2,"total":6.9}', '[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5k078bsh3x9bhdc03"],["webhook-timestamp","1795845350"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:50.915Z"]]', NULL, NULL, NULL, NULL);
INSERT INTO hookrow.hookrow_version VALUES ('0001');
SELECT pg_catalog.setval('hookrow.hook_id_seq', 6, true);
SELECT pg_catalog.setval('hookrow.hook_revision_id_seq', 9, true);
SELECT pg_catalog.setval('hookrow.row_number', 24, true);
RESET search_path;
