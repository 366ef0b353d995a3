INSERT INTO api_keys (id, client, hash, scopes, created_at, created_by) VALUES ('k1', 'site', 'abc', '["otp:send"]', 1795000000000, 'ana');
INSERT INTO idempotent_replies (client, route, key, request, status, reply, expires_at) VALUES ('site', 'POST /v1/otp', 'i1', 'r', 202, '{}', 1795999999999);
INSERT INTO challenges (id, client, purpose, contact_id, phone_key, phone_mac, masked, country, language, digits, kid, seed, max_attempts, max_resends, state, created_at, code_at, expires_at, ended_at) VALUES
  ('ch1', 'site', 'login', 1, 'pk1', 'pm1', '+1…01', 'US', 'en', 6, 'kid1', '', 5, 3, 'verified', 1795190400000, 1795190400000, 1795191000000, 1795190460000);
INSERT INTO code_sends (message_id, challenge_id, gen, phone_key, prefix_key, country, at, verified_at) VALUES (66, 'ch1', 1, 'pk1', 'px1', 'US', 1795190400000, 1795190460000);
INSERT INTO code_counts (scope, bucket, sent, verified) VALUES ('US', 2991984, 1, 1);
INSERT INTO code_phones (phone_key, verified_at, changed_at) VALUES ('pk1', 1795190460000, 1795190460000);
