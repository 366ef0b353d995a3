// Package browsertest looks at the console with a real browser: it starts the
// program with its embedded sandbox, logs in by a link, and clicks as people do.
//
// Its tests are built with the tag e2e, because they need Chromium and axe-core:
//
//	apt-get install chromium
//	npm pack axe-core@4.14.1 && tar xzf axe-core-4.14.1.tgz package/axe.min.js
//	AXE=$PWD/package/axe.min.js go test -tags e2e ./internal/browsertest
//
// SHOTS names a folder in which the pages are kept as pictures.
package browsertest
