# What can be built and checked here. `make help` lists it.

GO       ?= go
LINT     ?= $(shell command -v golangci-lint || echo $(shell $(GO) env GOPATH)/bin/golangci-lint)
FUZZTIME ?= 10s
OUT      ?= janela
# The same source gives the same bytes: no paths, and the commit instead of the time.
BUILD    := -trimpath -buildvcs=auto

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./janela (SQLite is linked in: a C compiler is needed)
	$(GO) build $(BUILD) -ldflags '-s -w' -o $(OUT) ./cmd/janela

.PHONY: static
static: ## build ./janela without any library of the system, for containers and any Linux
	$(GO) build $(BUILD) -tags osusergo,netgo,sqlite_omit_load_extension -ldflags '-s -w -linkmode external -extldflags "-static"' -o $(OUT) ./cmd/janela

.PHONY: deb
deb: ## build dist/janela_VERSION_ARCH.deb (nfpm is needed)
	packaging/build-deb dist

.PHONY: sbom
sbom: ## write dist/janela.cdx.json, what the program is made of (cyclonedx-gomod and jq are needed)
	packaging/sbom dist/janela.cdx.json

.PHONY: run
run: ## run the daemon against the embedded sandbox
	$(GO) run ./cmd/janela serve

.PHONY: test
test: ## run every test
	$(GO) test ./...

.PHONY: race
race: ## run every test under the race detector
	GOMAXPROCS=1 $(GO) test -race -short -p 2 ./...

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(LINT) run

.PHONY: fuzz
fuzz: ## fuzz everything that parses, FUZZTIME (10s) each
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go); do \
			echo "$$dir $${f#func }"; \
			$(GO) test $$dir -run '^$$' -fuzz "^$${f#func }$$" -fuzztime $(FUZZTIME) || exit 1; \
		done; \
	done

.PHONY: script
script: ## play the scripts of testdata/script in fake time
	$(GO) test ./internal/scripttest -count=1

.PHONY: alerts
alerts: ## check the alert rules, and let each fire (promtool of Debian's package prometheus)
	@command -v promtool >/dev/null || { echo "promtool is needed: apt-get install prometheus"; exit 1; }
	promtool check rules contrib/prometheus/alerts.yml
	promtool test rules contrib/prometheus/alerts_test.yml

.PHONY: torture
torture: ## break the real process in every way, TORTURE=full (hours) or small (a minute); figures go to var/torture.md
	@mkdir -p var && rm -f var/torture.md
	TORTURE=$(or $(TORTURE),full) TORTURE_TABLE=$(CURDIR)/var/torture.md $(GO) test ./internal/crashtest -run Torture -count=1 -timeout 0
	@cat var/torture.md

.PHONY: seeded
seeded: ## plant known bugs, one at a time: the test that guards against each must fail (minutes)
	SEEDED=1 $(GO) test ./internal/seeded -count=1 -v -timeout 60m

.PHONY: bench
bench: ## measure the program on this machine, BENCH="--runs 1" (a quarter of an hour)
	$(GO) run ./cmd/janela bench all $(BENCH)

.PHONY: benchmarks
benchmarks: ## run the benchmarks beside the code
	$(GO) test ./... -run '^$$' -bench . -benchmem

.PHONY: check
check: ## what CI runs, on the committed HEAD
	.ci/run

.PHONY: browser
browser: ## look at the console with Chromium; AXE names axe.min.js of axe-core, SHOTS a folder for pictures
	$(GO) test -tags e2e -count=1 -timeout 15m ./internal/browsertest
