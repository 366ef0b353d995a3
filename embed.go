// Package janela is what the program carries of the top of the repository.
package janela

import _ "embed"

// Config is config.toml: every setting with its default and what it means. janela
// init writes a first configuration from it.
//
//go:embed config.toml
var Config string
