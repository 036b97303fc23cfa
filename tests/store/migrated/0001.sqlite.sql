BEGIN TRANSACTION;
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
);
INSERT INTO "attempt" VALUES(1883080325610864640,1883080325610864640,1,'fire',1795845342244,'http://receiver.example/',0,'receiver.example',200,NULL,NULL,12,'{"connect":6.9,"send":0.1,"wait":3.4,"read":0.2,"total":11.7}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5222hwpn8nkbyek01"],["webhook-timestamp","1795845342"],["hook-event","before_order_add"],["hook-mode","gate"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:42.241Z"],["hook-deadline-ms","5000"],["authorization","Basic ••••••••"]]','[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:42 GMT"],["content-type","application/json; charset=utf-8"],["content-length","104"]]',X'7B22616C6C6F77223A2066616C73652C20226D657373616765223A2022D09DD0B5D18220D0BDD0B020D181D0BAD0BBD0B0D0B4D0B5222C2022636F6465223A20226E6F5F73746F636B222C2022737461747573223A203432322C20226572726F7273223A205B5D7D',104,NULL);
INSERT INTO "attempt" VALUES(1883080325651759104,1883080325651759105,1,'fire',1795845342298,'http://receiver.example/',0,'receiver.example',200,NULL,NULL,4,'{"connect":0.7,"send":0.1,"wait":3.0,"read":0.2,"total":4.5}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q524zdycrhset76b02"],["webhook-timestamp","1795845342"],["hook-event","before_order_add"],["hook-mode","transform"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:42.287Z"],["hook-deadline-ms","5000"]]','[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:42 GMT"],["content-type","application/json; charset=utf-8"],["content-length","51"]]',X'7B22616C6C6F77223A20747275652C20227761726E696E6773223A205B22D0BED181D182D0B0D0BBD0BED181D18C2033225D7D',51,NULL);
INSERT INTO "attempt" VALUES(1883080325707333632,1883080325707333632,1,'fire',1795845342353,'http://receiver.example/',0,'receiver.example',503,'bad_status','The receiver answered 503.',2,'{"connect":0.7,"send":0.1,"wait":1.0,"read":0.1,"total":2.4}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q5293n2fw4gx4jry01"],["webhook-timestamp","1795845342"],["hook-event","before_order_update"],["hook-mode","gate"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:42.353Z"],["hook-deadline-ms","5000"]]','[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:42 GMT"],["content-length","0"]]',X'',0,NULL);
INSERT INTO "attempt" VALUES(1883080325717819392,1883080325667487744,1,'worker',1795845342363,'http://receiver.example/',0,'receiver.example',503,'bad_status','The receiver answered 503.',4,'{"connect":2.9,"send":0.5,"wait":0.3,"read":0.1,"total":4.2}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q526w2ydsv4r8m1t01"],["webhook-timestamp","1795845342"],["hook-event","shop.shipped"],["hook-mode","notify"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:42.318Z"]]','[["Server","hookrow-listen"],["Date","Sat, 28 Nov 2026 05:55:42 GMT"],["content-length","0"]]',NULL,0,NULL);
INSERT INTO "attempt" VALUES(1883080325747179520,1883080325667487745,1,'worker',1795845342390,'http://receiver.example/',0,'receiver.example',NULL,NULL,NULL,5,'{"connect":1.1,"send":0.1,"wait":3.1,"read":0.2,"total":4.8}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q526w2ydsv4r8m1t02"],["webhook-timestamp","1795845342"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:42.318Z"]]',NULL,NULL,NULL,NULL);
INSERT INTO "attempt" VALUES(1883080325753470976,1883080325667487746,1,'worker',1795845342399,'http://receiver.example/',0,'receiver.example',NULL,NULL,NULL,1,'{"send":0.1,"wait":0.5,"read":0.1,"total":1.2}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q526w2ydsv4r8m1t03"],["webhook-timestamp","1795845342"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:42.318Z"]]',NULL,NULL,NULL,NULL);
INSERT INTO "attempt" VALUES(1883080327869497344,1883080327847477249,1,'worker',1795845344414,'http://receiver.example/',0,'receiver.example',NULL,NULL,NULL,4,'{"send":0.2,"wait":3.0,"read":0.2,"total":3.9}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q568xepsbd6v38qw02"],["webhook-timestamp","1795845344"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:44.398Z"]]',NULL,NULL,NULL,NULL);
INSERT INTO "attempt" VALUES(1883080327882080256,1883080327847477250,1,'worker',1795845344426,'http://receiver.example/',0,'receiver.example',NULL,NULL,NULL,4,'{"send":3.2,"wait":0.3,"read":0.2,"total":4.2}','[["content-type","application/json"],["accept-encoding","identity"],["user-agent","Hookrow/0.1.0"],["webhook-id","msg_38h0q568xepsbd6v38qw03"],["webhook-timestamp","1795845344"],["hook-event","shop.shipped"],["hook-mode","forget"],["hook-attempt","1"],["hook-occurred-at","2026-11-28T05:55:44.398Z"]]',NULL,NULL,NULL,NULL);
CREATE TABLE breaker (
	hook_id INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	since_ms BIGINT,
	wait_ms INTEGER NOT NULL,
	probe_ms BIGINT,
	PRIMARY KEY (hook_id),
	FOREIGN KEY(hook_id) REFERENCES hook (id) ON DELETE CASCADE
);
INSERT INTO "breaker" VALUES(3,1,1795845342367,0,NULL);
INSERT INTO "breaker" VALUES(5,10,1,30000,2);
CREATE TABLE config_version (
	id INTEGER NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT config_version_single CHECK (id = 1)
);
INSERT INTO "config_version" VALUES(1,25);
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
);
INSERT INTO "delivery" VALUES(1883080325610864640,1883080325610864640,1,1,1,10,'gate','vetoed',NULL,'Нет на складе',NULL,200,12,1,'{"id":"evt_38h0q5222hwpn8nkbyek","type":"before_order_add","timestamp":"2026-11-28T05:55:42.241Z","data":{"order":{"id":7,"sum":1290}}}',NULL,NULL,NULL,NULL,NULL,NULL,0,1795845342244,1795845342265);
INSERT INTO "delivery" VALUES(1883080325610864641,1883080325610864640,2,2,1,20,'transform','skipped',NULL,NULL,'after_veto',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,1795845342265);
INSERT INTO "delivery" VALUES(1883080325651759104,1883080325634981888,1,1,1,10,'gate','skipped',NULL,'order.sum > 1000','condition_false',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,1795845342304);
INSERT INTO "delivery" VALUES(1883080325651759105,1883080325634981888,2,2,1,20,'transform','ok',NULL,NULL,NULL,200,4,1,'{"id":"evt_38h0q524zdycrhset76b","type":"before_order_add","timestamp":"2026-11-28T05:55:42.287Z","data":{"order":{"id":7,"sum":5}}}',NULL,NULL,NULL,NULL,NULL,NULL,0,1795845342298,1795845342304);
INSERT INTO "delivery" VALUES(1883080325667487744,1883080325667487744,1,3,1,10,'notify','parked','bad_status','The receiver answered 503.',NULL,503,4,1,'{"id":"evt_38h0q526w2ydsv4r8m1t","type":"shop.shipped","timestamp":"2026-11-28T05:55:42.318Z","data":{"order":{"id":7,"sum":5}}}',NULL,NULL,1795845347244,1795845342319,NULL,NULL,1,1795845342363,NULL);
INSERT INTO "delivery" VALUES(1883080325667487745,1883080325667487744,2,4,1,20,'forget','sent',NULL,NULL,NULL,NULL,5,1,'{"id":"evt_38h0q526w2ydsv4r8m1t","type":"shop.shipped","timestamp":"2026-11-28T05:55:42.318Z","data":{"order":{"id":7,"sum":5}}}',NULL,'7',1795845342367,1795845342367,NULL,NULL,1,1795845342390,1795845342395);
INSERT INTO "delivery" VALUES(1883080325667487746,1883080325667487744,3,6,1,30,'forget','sent',NULL,NULL,NULL,NULL,1,1,'{"id":"evt_38h0q526w2ydsv4r8m1t","type":"shop.shipped","timestamp":"2026-11-28T05:55:42.318Z","data":{"order":{"id":7,"sum":5}}}',NULL,NULL,1795845342395,1795845342395,NULL,NULL,1,1795845342399,1795845342401);
INSERT INTO "delivery" VALUES(1883080325707333632,1883080325707333632,1,5,1,10,'gate','failed','bad_status','The receiver answered 503.',NULL,503,2,1,'{"id":"evt_38h0q5293n2fw4gx4jry","type":"before_order_update","timestamp":"2026-11-28T05:55:42.353Z","data":{"order":{"id":7,"sum":5}}}',NULL,NULL,NULL,NULL,NULL,NULL,0,1795845342353,1795845342357);
INSERT INTO "delivery" VALUES(1883080327847477248,1883080327847477248,1,3,2,10,'notify','parked',NULL,NULL,NULL,NULL,NULL,0,'{"id":"evt_38h0q568xepsbd6v38qw","type":"shop.shipped","timestamp":"2026-11-28T05:55:44.398Z","data":{"order":{"id":7,"sum":6}}}',NULL,NULL,1795845344398,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "delivery" VALUES(1883080327847477249,1883080327847477248,2,4,1,20,'forget','sent',NULL,NULL,NULL,NULL,4,1,'{"id":"evt_38h0q568xepsbd6v38qw","type":"shop.shipped","timestamp":"2026-11-28T05:55:44.398Z","data":{"order":{"id":7,"sum":6}}}',NULL,'7',1795845344398,1795845344398,NULL,NULL,1,1795845344414,1795845344419);
INSERT INTO "delivery" VALUES(1883080327847477250,1883080327847477248,3,6,1,30,'forget','sent',NULL,NULL,NULL,NULL,4,1,'{"id":"evt_38h0q568xepsbd6v38qw","type":"shop.shipped","timestamp":"2026-11-28T05:55:44.398Z","data":{"order":{"id":7,"sum":6}}}',NULL,NULL,1795845344419,1795845344419,NULL,NULL,1,1795845344426,1795845344431);
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
INSERT INTO "event" VALUES('after_registration','After registration','После регистрации','after','["/organization/user/new"]','{"user": {"id": 48213, "login": "79161234567", "name": "Ирина Соколова", "phone": "+7 916 123-45-67", "email": "irina@example.ru", "card": {"number": "2100048213", "level": "base", "bonus": 200}, "created_at": "2026-11-25T09:14:03Z"}, "source": "site"}','["/user/password"]','document',1);
INSERT INTO "event" VALUES('before_delivery_service_calculate','Calculate the cost of delivery','Рассчитать стоимость доставки','before','["/organization/delivery_service/{id}/calculate"]','{"delivery_service": {"id": 3, "name": "Курьер"}, "address": {"city": "Казань", "street": "ул. Баумана", "house": "12", "postcode": "420111"}, "order": {"items": [{"sku": "CF-250", "qty": 3, "weight": 260}], "sum": 2670, "weight": 780}}','[]','document',5);
INSERT INTO "event" VALUES('before_order_add','Before an order is added','Перед добавлением заказа','before','["/organization/order/add", "/user/order/add"]','{"order": {"number": "A-10492", "shop_id": 17, "status": "new", "user_id": 48213, "items": [{"sku": "CF-250", "name": "Кофе в зёрнах 250 г", "qty": 2, "price": 890, "sum": 1780}, {"sku": "MG-01", "name": "Кружка «Утро»", "qty": 1, "price": 650, "sum": 650}], "bonus_discount": 120, "promo": "UTRO10", "delivery": {"service_id": 3, "city": "Казань", "address": "ул. Баумана, 12", "cost": 390}, "sum": 2700, "comment": "Позвонить за час: домофон \"12К\""}}','[]','document',2);
INSERT INTO "event" VALUES('before_order_setstatus','Before an order''s status is set','Перед установкой статуса заказа','before','["/organization/order/set_status", "/user/sber_get_status if order_sum_authorised"]','{"order": {"id": 77120, "number": "A-10492", "status": "completed", "old_status": "processing", "user_id": 48213, "sum": 3060}, "payment": {"system": "sberbank", "authorized": true, "amount": 3060, "order_id": "8f0c-4e1d"}}','[]','document',4);
INSERT INTO "event" VALUES('before_order_update','Before an order is updated','Перед обновлением заказа','before','["/organization/order/{id}", "/user/order/{id}"]','{"order": {"id": 77120, "number": "A-10492", "status": "processing", "user_id": 48213, "items": [{"sku": "CF-250", "name": "Кофе в зёрнах 250 г", "qty": 3, "price": 890, "sum": 2670}], "delivery": {"service_id": 3, "city": "Казань", "address": "ул. Баумана, 12", "cost": 390}, "sum": 3060}, "old": {"order": {"id": 77120, "status": "new", "sum": 2700}}}','[]','document',3);
INSERT INTO "event" VALUES('before_registration','Before registration','До регистрации','before','["/organization/user/new"]','{"user": {"login": "79161234567", "name": "Ирина Соколова", "phone": "+7 916 123-45-67", "email": "irina@example.ru", "birthdate": "1990-04-12", "gender": "female", "password": "hidden", "confirmed": false, "personal_data_agree": true, "additional_fields": [{"code": "inn", "value": "500100732259"}]}, "source": "site"}','["/user/password"]','document',0);
INSERT INTO "event" VALUES('before_user_new','Before a new user','Перед новым пользователем','before','["POST /user/new"]','{"user": {"login": "79269876543", "name": "Пётр Ильин", "phone": "+7 926 987-65-43", "password": "hidden", "app_client": "ios"}}','["/user/password"]','document',7);
INSERT INTO "event" VALUES('before_user_update','Before a user is updated','Перед обновлением пользователя','before','["/organization/user/{id}"]','{"user": {"id": 48213, "phone": "+7 916 765-43-21", "email": "irina.s@example.ru", "recieve_notifications": true}, "old": {"user": {"id": 48213, "phone": "+7 916 123-45-67", "email": "irina@example.ru"}}}','["/user/password"]','document',6);
INSERT INTO "event" VALUES('delivery.dead','A delivery was given up','Доставка не удалась окончательно','on','[]','{"delivery": {"id": "msg_4k9qv1x7n2c8b6t3aa", "firing": "evt_4k9qv1x7n2c8b6t3", "event": "after_registration", "attempts": 10, "error": "bad_status", "status": 500}, "hook": {"id": 2, "key": "customer-card", "name": "Карточка клиента в 1С", "event": "after_registration"}, "at": "2026-11-28T13:20:11.000Z"}','[]','system',11);
INSERT INTO "event" VALUES('hook.paused','A hook was paused','Хук приостановлен','on','[]','{"hook": {"id": 3, "key": "crm-order", "name": "Передача заказа в 1С", "event": "before_order_add"}, "by": "breaker", "reason": "connect_error", "at": "2026-11-25T09:14:03.000Z"}','[]','system',9);
INSERT INTO "event" VALUES('hook.resumed','A hook was resumed','Хук возобновлён','on','[]','{"hook": {"id": 3, "key": "crm-order", "name": "Передача заказа в 1С", "event": "before_order_add"}, "by": "breaker", "at": "2026-11-25T09:14:33.000Z"}','[]','system',10);
INSERT INTO "event" VALUES('on_subscription','On subscription','При подписке','on','[]','{"subscription": {"id": 905, "name": "Кофе каждый месяц", "user_id": 48213, "started_at": "2026-10-25T00:00:00Z", "ended_at": "2026-11-25T00:00:00Z", "price": 1490, "renewable": true}, "trigger": "При истечении срока действия подписки"}','[]','document',8);
INSERT INTO "event" VALUES('shop.shipped','Shipped','Shipped','after','[]','{"order": {"id": 7}}','[]','service',12);
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
);
INSERT INTO "firing" VALUES(1883080325610864640,'38h0q5222hwpn8nkbyek','before_order_add','before',1795845342241,1795845372241,'{"order":{"id":7,"sum":1290}}',NULL,NULL,NULL,'vetoed','{"by":"hook","hook":{"id":1,"key":"stock","name":"Склад"},"message":"Нет на складе","code":"no_stock","status":422,"errors":[]}',NULL,24,NULL,NULL,NULL,NULL,0);
INSERT INTO "firing" VALUES(1883080325634981888,'38h0q524zdycrhset76b','before_order_add','before',1795845342287,1795845372287,'{"order":{"id":7,"sum":5}}',NULL,NULL,NULL,'allowed',NULL,'["Total: осталось 3"]',16,'seven','93be179fb8e6037397a393ac92eefb1138088a7eff26afbda56bd2d40fdc684b',NULL,NULL,0);
INSERT INTO "firing" VALUES(1883080325667487744,'38h0q526w2ydsv4r8m1t','shop.shipped','after',1795845342318,1795845372318,'{"order":{"id":7,"sum":5}}',NULL,NULL,NULL,'allowed',NULL,NULL,0,NULL,NULL,NULL,NULL,0);
INSERT INTO "firing" VALUES(1883080325707333632,'38h0q5293n2fw4gx4jry','before_order_update','before',1795845342353,1795845372353,'{"order":{"id":7,"sum":5}}',NULL,NULL,NULL,'failed','{"by":"failure","hook":{"id":5,"key":"guard","name":"Guard"},"message":"Сервис временно недоступен","code":"bad_status","status":503,"errors":[]}',NULL,3,NULL,NULL,NULL,NULL,0);
INSERT INTO "firing" VALUES(1883080327847477248,'38h0q568xepsbd6v38qw','shop.shipped','after',1795845344398,1795845374398,'{"order":{"id":7,"sum":6}}',NULL,NULL,NULL,'allowed',NULL,NULL,0,NULL,NULL,NULL,NULL,0);
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
);
INSERT INTO "hook" VALUES('stock','Склад','http://receiver.example/','before_order_add',10,5.0,NULL,NULL,1,0,1,0,'','shop','order.sum > 1000','continue','Сервис временно недоступен','',1,'3747abae74e013c565181e5f523b13d6','v1.24a24af8.wUD_1_5SCUDg3XtSzj5Ubm85X9K1QsuzbvD4QKJZjXP_LBNAn3wzONY','',NULL,NULL,NULL,NULL,1,NULL,NULL,NULL,1795845342163,NULL);
INSERT INTO "hook" VALUES('total','Total','http://receiver.example/','before_order_add',20,5.0,NULL,NULL,1,0,1,1,'','','','continue','Сервис временно недоступен','',2,'38bb8bf4c93bd4a9be1a3f15c3711140',NULL,'',NULL,NULL,NULL,NULL,1,NULL,NULL,NULL,1795845342193,NULL);
INSERT INTO "hook" VALUES('crm','CRM','http://receiver.example/','shop.shipped',10,5.0,NULL,NULL,1,0,0,0,'','','','continue','Сервис временно недоступен','',3,'f46a87cd2d69698f3aa141803f3a0b3d',NULL,'',NULL,NULL,NULL,NULL,2,'person','учёт переезжает',1795845344375,1795845342201,NULL);
INSERT INTO "hook" VALUES('bot','Bot of the chat','http://receiver.example/','shop.shipped',20,5.0,NULL,NULL,1,1,0,0,'','','','continue','Сервис временно недоступен','/order/id',4,'64d799e7e35add24a6e1b8bd4eb4bbd1',NULL,'',NULL,NULL,NULL,NULL,2,NULL,NULL,NULL,1795845342208,NULL);
INSERT INTO "hook" VALUES('guard','Guard','http://receiver.example/','before_order_update',10,5.0,NULL,NULL,1,0,1,0,'','','','stop','Сервис временно недоступен','',5,'2496eab59f7c90266e6248d485892ebc',NULL,'',NULL,NULL,NULL,NULL,1,'breaker','bad_status 503',1,1795845342216,NULL);
INSERT INTO "hook" VALUES('gone','Gone','http://receiver.example/','shop.shipped',30,5.0,NULL,NULL,1,1,0,0,'','','','continue','Сервис временно недоступен','',6,'a83cc2068ec369e7cff024ab7d03981c',NULL,'',NULL,NULL,NULL,NULL,2,NULL,NULL,NULL,1795845342230,1795845344425);
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
);
INSERT INTO "hook_revision" VALUES(1,1,1,1795845342163,'root','add','before_order_add',NULL,'{"key": "stock", "name": "Склад", "url": "http://receiver.example/", "event": "before_order_add", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": true, "response_has_data": false, "body": "", "auth_login": "shop", "condition": "order.sum > 1000", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": true}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(2,2,1,1795845342193,'root','add','before_order_add',NULL,'{"key": "total", "name": "Total", "url": "http://receiver.example/", "event": "before_order_add", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": true, "response_has_data": true, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(3,3,1,1795845342201,'root','add','shop.shipped',NULL,'{"key": "crm", "name": "CRM", "url": "http://receiver.example/", "event": "shop.shipped", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(4,4,1,1795845342208,'root','add','shop.shipped',NULL,'{"key": "bot", "name": "Bot", "url": "http://receiver.example/", "event": "shop.shipped", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "/order/id", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(5,5,1,1795845342216,'root','add','before_order_update',NULL,'{"key": "guard", "name": "Guard", "url": "http://receiver.example/", "event": "before_order_update", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": true, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "stop", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(6,6,1,1795845342230,'root','add','shop.shipped',NULL,'{"key": "gone", "name": "Gone", "url": "http://receiver.example/", "event": "shop.shipped", "position": 30, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(7,3,2,1795845344375,'root','pause','shop.shipped','{"key": "crm", "name": "CRM", "url": "http://receiver.example/", "event": "shop.shipped", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}','{"key": "crm", "name": "CRM", "url": "http://receiver.example/", "event": "shop.shipped", "position": 10, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": false, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": "person", "paused_reason": "учёт переезжает", "paused_at": "2026-11-28T05:55:44.375Z", "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(8,4,2,1795845344405,'root','edit','shop.shipped','{"key": "bot", "name": "Bot", "url": "http://receiver.example/", "event": "shop.shipped", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "/order/id", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}','{"key": "bot", "name": "Bot of the chat", "url": "http://receiver.example/", "event": "shop.shipped", "position": 20, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "/order/id", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}');
INSERT INTO "hook_revision" VALUES(9,6,2,1795845344425,'root','remove','shop.shipped','{"key": "gone", "name": "Gone", "url": "http://receiver.example/", "event": "shop.shipped", "position": 30, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": null}','{"key": "gone", "name": "Gone", "url": "http://receiver.example/", "event": "shop.shipped", "position": 30, "timeout": 5.0, "valid_from": null, "valid_until": null, "active": true, "fire_and_forget": true, "wait_for_response": false, "response_has_data": false, "body": "", "auth_login": "", "condition": "", "on_failure": "continue", "fallback_message": "Сервис временно недоступен", "order_key": "", "auth_password": {"set": false}, "custom_header": "", "custom_header_value": {"set": false}, "signing_secret": {"set": false}, "signing_secret_old": {"set": false}, "paused_by": null, "paused_reason": null, "paused_at": null, "deleted_at": "2026-11-28T05:55:44.425Z"}');
CREATE TABLE hookrow_version (
	version_num VARCHAR(32) NOT NULL,
	PRIMARY KEY (version_num)
);
INSERT INTO "hookrow_version" VALUES('0001');
CREATE TABLE setting (
	name VARCHAR(64) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO "setting" VALUES('timezone','Europe/Moscow');
CREATE INDEX firing_event ON firing (event, outcome, id);
CREATE INDEX firing_idempotency ON firing (event, idempotency_key, id) WHERE idempotency_key IS NOT NULL;
CREATE INDEX firing_refused ON firing (outcome, id) WHERE outcome <> 'allowed';
CREATE INDEX firing_late ON firing (at_ms) WHERE id / 1048576 - at_ms > 60000;
CREATE UNIQUE INDEX firing_uid ON firing (uid);
CREATE INDEX ix_hook_event ON hook (event);
CREATE UNIQUE INDEX hook_key ON hook ("key") WHERE deleted_ms IS NULL;
CREATE INDEX delivery_leased ON delivery (lease_ms) WHERE state = 'leased';
CREATE INDEX delivery_notable ON delivery (state, firing_id) WHERE state NOT IN ('ok', 'sent', 'skipped');
CREATE UNIQUE INDEX delivery_row ON delivery (firing_id, seq);
CREATE INDEX delivery_usual ON delivery (state, firing_id) WHERE state IN ('ok', 'sent', 'skipped');
CREATE INDEX delivery_status ON delivery (status, firing_id) WHERE status IS NOT NULL;
CREATE INDEX delivery_order ON delivery (hook_id, order_key, id) WHERE order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked');
CREATE INDEX delivery_due ON delivery (hook_id, due_ms) WHERE state IN ('blocked', 'queued', 'retrying');
CREATE INDEX delivery_kind ON delivery (hook_id, state, coalesce(status, 0), firing_id);
CREATE INDEX delivery_hook ON delivery (hook_id, firing_id);
CREATE INDEX hook_revision_event ON hook_revision (event, hook_id);
CREATE UNIQUE INDEX hook_revision_number ON hook_revision (hook_id, revision);
CREATE INDEX hook_revision_engine ON hook_revision (at_ms) WHERE who = 'hookrow';
CREATE INDEX attempt_delivery ON attempt (delivery_id, number);
CREATE INDEX attempt_failed ON attempt (at_ms) WHERE error IS NOT NULL;
CREATE TRIGGER hook_insert_raises AFTER INSERT ON hook BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER hook_update_raises AFTER UPDATE ON hook BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER hook_delete_raises AFTER DELETE ON hook BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER event_insert_raises AFTER INSERT ON event BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER event_update_raises AFTER UPDATE ON event BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER event_delete_raises AFTER DELETE ON event BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER setting_insert_raises AFTER INSERT ON setting BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER setting_update_raises AFTER UPDATE ON setting BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
CREATE TRIGGER setting_delete_raises AFTER DELETE ON setting BEGIN UPDATE config_version SET n = n + 1 WHERE id = 1; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('hook',6);
COMMIT;
