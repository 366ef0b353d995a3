INSERT INTO hook_targets (name, state, since, url_hash, waiting, bytes) VALUES ('crm', 'active', 1795000000000, 'u', 1, 2);
INSERT INTO hook_payloads (id, kind, type, body, created_at) VALUES (111, 'event', 'message.delivered', '{}', 1795190403000);
INSERT INTO hook_deliveries (id, payload_id, target, key, state, not_before, deadline, bytes, created_at) VALUES (112, 111, 'crm', 'message:61', 'queued', 1795190403000, 1799999999999, 2, 1795190403000);
