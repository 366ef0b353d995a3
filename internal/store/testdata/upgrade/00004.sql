INSERT INTO pending_consents (id, contact_id, client, grants, created_at, expires_at) VALUES ('p1', 3, 'site', '[]', 1795190400000, 1799999999999);
INSERT INTO forgettings (id, contact_id, actor, at) VALUES (121, 99, 'ana', 1795190400000);
INSERT INTO suppressions (hash, forgetting_id) VALUES ('s1', 121);
