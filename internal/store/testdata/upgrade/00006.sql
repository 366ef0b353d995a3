INSERT INTO resends (message_id, attempt, cause, reason, actor, at) VALUES (64, 1, 'unknown', 'no_answer', 'janela', 1795190402000);
INSERT INTO watermarks (number_id, claimed_at) VALUES ('200000000000001', 1795190401000);
INSERT INTO setbacks (contact_id, capped_until, days) VALUES (1, 1795276800000, 1);
INSERT INTO barred_countries (waba_id, country, until) VALUES ('100000000000001', 'AR', 1795276800000);
