// Package schema holds JSON Schemas of the two files that people write, for
// editors: taplo, and Even Better TOML for VS Code, read them where a file's
// first line is #:schema with a path or an address.
//
// They are made from the very structs into which the files are decoded, with
// the texts of config.toml and docs/campaign-file.md, by
//
//	go test ./schema -update
//
// and a test compares. They judge the form: keys, types, allowed values, what is
// required. janela check and the daemon judge everything.
package schema

import _ "embed"

// Campaign is the schema of a campaign file.
//
//go:embed campaign.schema.json
var Campaign []byte

// Config is the schema of config.toml.
//
//go:embed config.schema.json
var Config []byte
