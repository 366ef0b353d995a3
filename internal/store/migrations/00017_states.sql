-- What a change of state costs. SQLite makes a table of a list of more than two
-- constants, anew with every statement, and looks the value up in it: of an UPDATE
-- of one message that was half the time. One comparison after the other costs next
-- to nothing. Only how the same rule is written changes, never a row, so the
-- tables are not made anew: https://www.sqlite.org/lang_altertable.html#otheralter
-- (where it speaks of changes that do not affect the contents).

-- +goose Up

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (kind IN (''phone'',''wa_id'',''bsuid'',''parent_bsuid''))',
  'CHECK (kind = ''phone'' OR kind = ''wa_id'' OR kind = ''bsuid'' OR kind = ''parent_bsuid'')') WHERE type = 'table' AND name = 'identities';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (category IN (''marketing'',''utility'',''authentication''))',
  'CHECK (category = ''marketing'' OR category = ''utility'' OR category = ''authentication'')') WHERE type = 'table' AND name = 'consent_events';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (category IN (''marketing'',''utility'',''authentication''))',
  'CHECK (category = ''marketing'' OR category = ''utility'' OR category = ''authentication'')') WHERE type = 'table' AND name = 'consents';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (state IN (''queued'',''sending'',''accepted'',''accepted_held'',''sent'',''delivered'',''read'',
                 ''unknown'',''failed'',''presumed_expired'',''refused'',''cancelled'',''expired''))',
  'CHECK (state = ''queued'' OR state = ''sending'' OR state = ''accepted'' OR state = ''accepted_held'' OR state = ''sent'' OR state = ''delivered'' OR state = ''read'' OR state = ''unknown'' OR state = ''failed'' OR state = ''presumed_expired'' OR state = ''refused'' OR state = ''cancelled'' OR state = ''expired'')') WHERE type = 'table' AND name = 'messages';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (category IN (''marketing'',''utility'',''authentication'',''service''))',
  'CHECK (category = ''marketing'' OR category = ''utility'' OR category = ''authentication'' OR category = ''service'')') WHERE type = 'table' AND name = 'conversations';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (state IN (''pending'',''verified'',''expired'',''cancelled'',''superseded'',''exhausted'',''reported'',''failed''))',
  'CHECK (state = ''pending'' OR state = ''verified'' OR state = ''expired'' OR state = ''cancelled'' OR state = ''superseded'' OR state = ''exhausted'' OR state = ''reported'' OR state = ''failed'')') WHERE type = 'table' AND name = 'challenges';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (state IN (''queued'',''sending'',''sent'',''failed'',''unknown'',''expired'',''refused''))',
  'CHECK (state = ''queued'' OR state = ''sending'' OR state = ''sent'' OR state = ''failed'' OR state = ''unknown'' OR state = ''expired'' OR state = ''refused'')') WHERE type = 'table' AND name = 'code_fallbacks';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (state IN (''waiting'',''queued'',''sending'',''dead''))',
  'CHECK (state = ''waiting'' OR state = ''queued'' OR state = ''sending'' OR state = ''dead'')') WHERE type = 'table' AND name = 'hook_deliveries';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (state IN (''delivered'',''read'',''failed'',''presumed_expired'',''refused'',''cancelled'',''expired''))',
  'CHECK (state = ''delivered'' OR state = ''read'' OR state = ''failed'' OR state = ''presumed_expired'' OR state = ''refused'' OR state = ''cancelled'' OR state = ''expired'')') WHERE type = 'table' AND name = 'past_messages';
PRAGMA writable_schema = RESET;

-- The same of an index: its condition is looked at with every change of state.
DROP INDEX messages_silent;
CREATE INDEX messages_silent ON messages (stream_id, claimed_at) WHERE run_id = 0 AND (state = 'accepted' OR state = 'accepted_held' OR state = 'sent');
