-- What a house of the first schema has: a campaign under way, single messages in
-- every state, who consented, what was heard. 1795435200000 is 2026-11-23T12:00Z.
INSERT INTO contacts (id, root, created_at) VALUES (1, 1, 1795000000000), (2, 2, 1795000000000), (3, 2, 1795000000000);
INSERT INTO identities (value, kind, contact_id, match_key, first_seen, last_seen) VALUES
  ('+12025550101', 'phone', 1, '12025550101', 1795000000000, 1795000000000),
  ('+5511900000001', 'phone', 2, '551190000001', 1795000000000, 1795000000000),
  ('BR.1234567890', 'bsuid', 3, '', 1795000000000, 1795000000000);
INSERT INTO consent_events (id, contact_id, category, kind, scope, purpose, source, evidence, actor, at, recorded_at) VALUES
  (11, 1, 'marketing', 'grant', '*', 'ofertas', 'import', '{"line":2}', 'ana', 1795000000000, 1795000000000),
  (12, 2, 'utility', 'grant', '*', '', 'import', '{"line":3}', 'ana', 1795000000000, 1795000000000),
  (13, 1, 'marketing', 'revoke', '*', '', 'whatsapp', '{"word":"SAIR"}', '', 1795100000000, 1795100000000);
INSERT INTO consents (contact_id, category, scope, granted_at, grant_event, revoked_at, revoke_event) VALUES
  (1, 'marketing', '*', 1795000000000, 11, 1795100000000, 13), (2, 'utility', '*', 1795000000000, 12, 0, 0);
INSERT INTO consent_imports (id, name, hash, source, actor, report, started_at, ended_at) VALUES (21, 'list.csv', 'abc', 'import', 'ana', '{"granted":2}', 1795000000000, 1795000000001);
INSERT INTO templates (waba_id, name, language, template_id, category, status, components, hash, seen_at, changed_at) VALUES
  ('100000000000001', 'aviso', 'pt_BR', 't1', 'utility', 'APPROVED', '[{"type":"BODY","text":"Oi {{1}}"}]', 'h1', 1795000000000, 1795000000000);
INSERT INTO numbers (id, name, waba_id, throughput, messaging_limit, seen_at) VALUES ('200000000000001', 'loja', '100000000000001', 'STANDARD', 'TIER_2K', 1795000000000);
INSERT INTO media (number_id, sha256, media_id, uploaded_at) VALUES ('200000000000001', 'ff00', '4711', 1795000000000);
INSERT INTO campaigns (id, state, path, current, created_at, changed_at) VALUES ('aviso', 'active', 'campaigns.d/aviso.toml', 31, 1795000000000, 1795000000000);
INSERT INTO revisions (id, campaign_id, hash, definition, state, submitted_by, submitted_at) VALUES (31, 'aviso', 'r1', 'id = "aviso"', 'approved', 'ana', 1795000000000);
INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, stream_id, rows, admitted, started_at) VALUES (41, 'aviso', 31, 0, '2026-11-20T09:00', 'sending', 51, 2, 2, 1795190400000);
INSERT INTO rejects (run_id, line, reason, detail) VALUES (41, 7, 'bad_phone', '');
INSERT INTO once_keys (campaign_id, key, message_id) VALUES ('aviso', 'k1', 61);
INSERT INTO streams (id, lane, number_id, waba_id, category, template, language, campaign_id, run_id, created_at) VALUES
  (51, 1, '200000000000001', '100000000000001', 'utility', 'aviso', 'pt_BR', 'aviso', 41, 1795190400000),
  (52, 1, '200000000000001', '100000000000001', 'utility', 'aviso', 'pt_BR', '', 0, 1795190400000);
INSERT INTO messages (id, stream_id, run_id, contact_id, address, params, line, state, attempt, deadline, created_at, claimed_at, accepted_at, delivered_at, read_at, failed_at, ended_at, reason, code, wamid) VALUES
  (61, 51, 41, 2, '+5511900000001', '[]', 2, 'delivered', 1, 0, 1795190400000, 1795190401000, 1795190402000, 1795190403000, 0, 0, 0, '', 0, 'wamid.a'),
  (62, 51, 41, 1, '+12025550101', '[]', 3, 'sending', 1, 0, 1795190400000, 1795190401000, 0, 0, 0, 0, 0, '', 0, ''),
  (63, 52, 0, 2, '+5511900000001', '[]', 0, 'unknown', 1, 0, 1795190400000, 1795190401000, 0, 0, 0, 0, 1795190431000, 'no_answer', 0, ''),
  (64, 52, 0, 2, '+5511900000001', '[]', 0, 'read', 1, 0, 1795190400000, 1795190401000, 1795190402000, 1795190403000, 1795190404000, 0, 0, '', 0, 'wamid.b'),
  (65, 52, 0, 1, '+12025550101', '[]', 0, 'failed', 1, 0, 1795190400000, 1795190401000, 0, 0, 0, 1795190402000, 1795190402000, 'recipient', 131026, '');
INSERT INTO tallies (stream_id, state, reason, n) VALUES (51, 'delivered', '', 1), (51, 'sending', '', 1), (52, 'unknown', 'no_answer', 1), (52, 'read', '', 1), (52, 'failed', 'recipient', 1);
INSERT INTO foreign_messages (wamid, number_id, contact_id, category, seen_at, sent_at) VALUES ('wamid.f', '200000000000001', 1, 'service', 1795190400000, 1795190400000);
INSERT INTO holds (id, scope, target, reason, detail, actor, since) VALUES (71, 'category', 'marketing', 'operator', 'a night off', 'ana', 1795190400000);
INSERT INTO conversations (id, number_id, contact_id, category, origin, opened_at, expires_at, opened_by, opened_by_wamid, messages_out) VALUES
  (81, '200000000000001', 2, 'utility', 'business', 1795190402000, 1795276802000, 61, 'wamid.a', 2);
INSERT INTO inbound_messages (id, wamid, number_id, contact_id, type, at, answers) VALUES (91, 'wamid.in', '200000000000001', 2, 'text', 1795190405000, 61);
INSERT INTO service_windows (number_id, contact_id, last_at, closes_at) VALUES ('200000000000001', 2, 1795190405000, 1795276805000);
INSERT INTO message_pricing (wamid, message_id, model, type, category, billable, at) VALUES ('wamid.a', 61, 'PMP', 'regular', 'utility', 'true', 1795190403000), ('wamid.f', 0, 'PMP', 'regular', 'service', 'false', 1795190403000);
INSERT INTO callbacks (id, received_at, hash, body, state, applied_at) VALUES (101, 1795190403000, 'c1', '{"object":"whatsapp_business_account","entry":[]}', 'applied', 1795190403001), (102, 1795190404000, 'c2', '{"object":"whatsapp_business_account","entry":[]}', 'stored', 0);
INSERT INTO settings (name, value) VALUES ('db', 'upgradedbase'), ('id_ceiling', '1000'), ('clock', '1795190405000'), ('commits', '12');
