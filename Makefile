# Everything a person or CI runs. The recipes install what they need from Debian's packages and the Go module proxy.
SHELL := /bin/bash
GO ?= go
PACKAGES := ./...
# staticcheck is a program of its own, run at a fixed version, and no dependency of the module.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# How tests run under the race detector. SQLite, which is C made into Go, is not watched itself: it takes five times as long when it is, and who uses it is watched. Programs that tests build are made alike (GOFLAGS). A process
# that ends would wait a second for reports of races; a hundredth is enough.
RACE := GOFLAGS="$(GOFLAGS) -gcflags=modernc.org/...=-race=false" GORACE="atexit_sleep_ms=10 $(GORACE)" $(GO) test -race

.PHONY: test soak bench lint build tools

build:
	$(GO) build -o bin/setpoint ./cmd/setpoint

# Debian packages whose programs the tests use as they are. PostgreSQL, without the cluster that its package would start, and kubectl come by the tests themselves.
tools:
	@missing=(); \
	command -v curl >/dev/null || missing+=(curl); \
	command -v dig >/dev/null || missing+=(bind9-dnsutils); \
	command -v sqlite3 >/dev/null || missing+=(sqlite3); \
	command -v knotd >/dev/null || missing+=(knot); \
	command -v gcc >/dev/null || missing+=(gcc libc6-dev); \
	if [ $${#missing[@]} -gt 0 ]; then \
		echo "installing $${missing[*]}"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $${missing[*]} >/dev/null; \
	fi

# Every test, under the race detector (which needs a C compiler; the product does not). Runs over 30 s are in soak.
test: tools
	$(GO) vet $(PACKAGES)
	$(RACE) -timeout 12m $(PACKAGES)

# The long forms: 200 kills, 300 gateways under faults, 1,000 at rest, every crash point on every engine; on PostgreSQL 2,000 gateways through ten minutes of
# storm, 200 connections cut at a commit, two processes for a minute, 20 stops under load, 300 rounds of ended sessions; the managed PostgreSQL under 50 faults, on each
# engine; three nodes through ten minutes of storm, and twice to the next version and back. About an hour and a half.
soak: tools
	SETPOINT_SOAK=1 $(GO) test -timeout 60m -count=1 -v -run 'TestKilled|TestFaults|TestFuzz|TestNoMutant|TestCrashes|TestRestore|TestAtRest' ./control ./examples/... ./setpointtest/... ./test/gateway ./test/managed
	SETPOINT_SOAK=1 $(GO) test -timeout 60m -count=1 -v -run 'TestStorm' ./cluster ./test/gateway
	SETPOINT_SOAK=1 $(GO) test -timeout 60m -count=1 -v -run 'TestDemo|TestStorm' ./test/managed
	SETPOINT_SOAK=1 $(GO) test -timeout 60m -count=1 -v ./test/cluster
	SETPOINT_SOAK=1 $(GO) test -timeout 60m -count=1 -v ./test/upgrade
	SETPOINT_SOAK=1 $(RACE) -timeout 60m -count=1 -v -run 'TestCommitsCut|TestTwoProcesses|TestServerStopped|TestSessionsEnded' ./store/postgres

# What docs/reference/performance.md states, in about seven minutes, with 6 GB of disk. Other packages have benchmarks of their parts.
bench:
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./bench

lint:
	$(GO) vet $(PACKAGES)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) run $(STATICCHECK) $(PACKAGES)
	@GOBIN=$(CURDIR)/bin $(GO) install $(GOVULNCHECK) || { echo "govulncheck: it cannot be installed here, so nothing was looked for"; exit 0; }; \
	bin/govulncheck $(PACKAGES); code=$$?; \
	case $$code in \
	0) ;; \
	3) echo "govulncheck: the code reaches what is listed above"; exit 1;; \
	*) echo "govulncheck: it ended with $$code before it could judge, so nothing is known; is the list of vulnerabilities reachable?";; \
	esac
