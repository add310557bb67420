# What people run: see `make help`. Tools are pinned in tools/go.mod and built
# by the go command when first used.

GO       ?= go
TOOL      = $(GO) tool -modfile=tools/go.mod
SEEDS    ?= 300
FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 6
CHAOS    ?= 5m
SEED     ?= 0
PKG      ?= ./...
WITHIN   ?=

# The packages whose tests run whole binaries, or whole masters in virtual time, one
# after another, and the simulator, whose many seeds are not run under the race
# detector: it has one goroutine.
E2E   = ./test/bench/... ./test/e2e/... ./test/compat/... ./test/cluster/... ./test/chaos/... ./test/kernel/...
UNIT  = $(shell $(GO) list ./... | grep -v -e /test/ -e /internal/sim$$)

.PHONY: help build test check prepare lint fmt vet tidy unit race sim e2e chaos generate bench figures fuzz demo clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/meseta
	$(GO) build -trimpath -o bin/meseta ./cmd/meseta

test: prepare lint race sim e2e ## install what the tests need, then run all of them

check: vet lint tidy unit ## the fast part of test, for before each commit

prepare: ## install the Debian packages that the tests need (as root; else say which), and unpack a kernel and systemd
	./scripts/debian-packages gcc:gcc libc6-dev:/usr/include/stdio.h git:git \
		bzip2:bzip2 xz-utils:xz unzip:unzip tar:tar curl:curl zookeeper:/usr/share/java/zookeeper.jar etcd-server:etcd busybox-static:/bin/busybox \
		iproute2:ip util-linux:unshare runc:runc crun:crun lxc:lxc-start docker.io:dockerd \
		containernetworking-plugins:/usr/lib/cni/bridge iptables:iptables xfsprogs:mkfs.xfs qemu-system-x86:qemu-system-x86_64
	./scripts/debian-kernel bin/kernel
	./scripts/debian-systemd bin/systemd

vet: ## go vet
	$(GO) vet ./...

lint: ## run the linters of .golangci.yml
	$(TOOL) golangci-lint run

fmt: ## format, and fix what the linters can fix
	$(TOOL) golangci-lint run --fix

tidy: ## check the layering and the shape of the tree
	$(GO) test ./internal/tidy

unit: ## run the unit tests
	@echo unit tests; $(GO) test $(UNIT)

race: ## run the unit tests under the race detector
	@echo unit tests, race detector; $(GO) test -race $(UNIT)

sim: ## run the simulator with SEEDS=300 seeds
	$(GO) test -v -timeout 0 ./internal/sim -args -seeds $(SEEDS)

e2e: build ## run whole binaries, with frameworks of others
	MESETA_BINARY=$(CURDIR)/bin/meseta $(GO) test -count=1 -p 1 -timeout 20m $(E2E)

chaos: build ## mistreat clusters for CHAOS=5m, beginning with SEED=
	MESETA_BINARY=$(CURDIR)/bin/meseta $(GO) test -count=1 -timeout 24h ./test/chaos -v -args -chaos.for=$(CHAOS) -chaos.seed=$(SEED)

generate: ## regenerate the Go code of api/ from its .proto files
	$(TOOL) buf generate

bench: ## run the benchmarks: BENCH=regexp COUNT=6 PKG=./...; results in bin/bench.txt
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG) | tee bin/bench.txt
	$(TOOL) benchstat bin/bench.txt

# Launches of all kinds beside each other, for what varies from one moment to the next
# to be the same for all; then whole clusters.
figures: build ## measure containers as docs/operator/containers.md tells: root, and nothing else to do
	$(GO) test -c -o bin/oci.test ./internal/launcher/oci
	for i in $$(seq 25); do ./bin/oci.test -test.run '^$$' -test.bench 'Launch|Bare' -test.benchtime 1x -within=$(WITHIN); done > bin/figures.txt
	$(TOOL) benchstat bin/figures.txt
	$(GO) run ./test/bench/direct -n 100 -within=$(WITHIN)
	for n in 500 1000 1000 1000; do TMPDIR=/dev/shm MESETA_BINARY=$(CURDIR)/bin/meseta $(GO) test -count=1 -timeout 30m ./test/e2e -run TestManyContainers -v -args -many=$$n -within=$(WITHIN) | grep -e 'one launch' -e FAIL; done

fuzz: ## fuzz each parser for FUZZTIME=10s: PKG=./...
	./scripts/fuzz $(FUZZTIME) $(PKG)

demo: build ## start a cluster and share it between two frameworks
	$(GO) build -trimpath -o bin/ ./frameworks/...
	./bin/demo

clean: ## remove what was built
	rm -rf bin
