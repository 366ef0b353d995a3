-- What a send carries beyond its parameters. The rules of 00001 hold here as
-- well.

-- +goose Up

-- files: SHA-256 of the files that every message of the stream shows, apart by
-- spaces ('' for none). Its parameters name a file by its content, because Meta's
-- ids live 30 days; at the door the name becomes the id that holds then.
-- product_policy: of marketing by /marketing_messages (strict or
-- cloud_api_fallback); '' as the configuration says.
ALTER TABLE streams ADD COLUMN files TEXT NOT NULL DEFAULT '';
ALTER TABLE streams ADD COLUMN product_policy TEXT NOT NULL DEFAULT '';

-- refused: how many uploads in a row Meta could not use, each soon after it was
-- made. uploaded_at 0: it must be uploaded again.
ALTER TABLE media ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
