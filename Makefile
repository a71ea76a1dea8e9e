# Everything a developer runs. As root, on Debian 12 with Go: `make demo`, `make test`.

export CGO_ENABLED = 0
GO ?= go
# The conformance corpus is not part of the repository; see docs/conformance.md.
BPFTABLES_CORPUS ?= $(wildcard ../shared/corpus)
export BPFTABLES_CORPUS := $(if $(BPFTABLES_CORPUS),$(abspath $(BPFTABLES_CORPUS)))

.PHONY: build install packages setup generate check test conformance upstream callers kernels fuzz bench demo man clean

# The linker writes through a mapping: what it has written lies in memory page by page. A copy lies there in large pieces,
# as an installed program does, of which a start of some milliseconds takes a fifth less.
# The faces live for milliseconds: their threads need no signals that take turns away from them (GODEBUG asyncpreemptoff).
PROGRAMS = bpftables xtables-bpf-multi
build:
	$(GO) build -trimpath -ldflags '-s -w' -o bin/ ./cmd/bpftables
	$(GO) build -trimpath -ldflags '-s -w -X runtime.godebugDefault=asyncpreemptoff=1' -o bin/ ./cmd/xtables-bpf-multi
	@cd bin && for program in $(PROGRAMS); do cp $$program .$$program && mv .$$program $$program || exit 1; done

# The programs, their manual pages and units for systemd.
PREFIX ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
install: build
	install -D -m 755 bin/bpftables $(DESTDIR)$(PREFIX)/sbin/bpftables
	install -D -m 755 bin/xtables-bpf-multi $(DESTDIR)$(PREFIX)/sbin/xtables-bpf-multi
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/*.8
	install -D -m 644 systemd/bpftables.socket $(DESTDIR)$(UNITDIR)/bpftables.socket
	for unit in bpftables bpftables-restore; do \
		sed 's,@SBINDIR@,$(PREFIX)/sbin,' systemd/$$unit.service.in > bin/$$unit.service && \
		install -m 644 bin/$$unit.service $(DESTDIR)$(UNITDIR)/$$unit.service || exit 1; \
	done

# dist/*.deb and dist/*.rpm.
packages:
	packaging/build

# Installs what the tests and the demo need: netfilter's tools and clang.
setup:
	scripts/setup

# Compiles the C parts; their output is committed.
generate:
	$(GO) generate ./bpf/...

check:
	scripts/check

test: setup build check
	scripts/callers
	REQUIRE_KERNEL=1 $(GO) test -count=1 -timeout 45m -p 1 ./...
	REQUIRE_KERNEL=1 $(GO) test -C conformance/bench -count=1 ./...

conformance: setup build
	REQUIRE_KERNEL=1 scripts/conformance

# Programs that call iptables, on netfilter's programs and on ours.
callers: setup
	scripts/callers
	REQUIRE_KERNEL=1 $(GO) test -count=1 -timeout 2h -v ./conformance/callers -long

# The tests of iptables 1.8.9 and go-iptables, with iptables' own programs and ours. DIR: where the source
# of iptables is, if not to be fetched from Debian.
upstream: setup build
	scripts/upstream $(DIR)

# On the kernels of distributions, in an emulator. SHORT=1: a small part, as CI does.
kernels: setup
	scripts/kernels

# Long runs; FUZZTIME is per fuzz target.
FUZZTIME ?= 5m
fuzz:
	scripts/fuzz $(FUZZTIME)

# All parts, or those that BENCH names: BENCH=packets,updates. BENCH_SHORT=1: no figures.
bench: setup build
	scripts/bench

demo: setup build
	scripts/demo

man: build
	bin/bpftables man > docs/bpftables.8

clean:
	rm -rf bin dist
