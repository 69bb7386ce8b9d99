# make test       installs what is missing (Debian, as root) and runs every lane
# make test-long  what takes longer: more calls killed, also at every step of an update, a
#                 larger crowd, every fuzz test, half an hour of attacks by a guest
# make quick      runs what needs neither root nor packages, and of what waits long a part
# make bench      compares an attach with what the kernel alone takes, also among a
#                 thousand guests
# make size       counts lines
# make lint       installs golangci-lint and runs it
# make audit      looks for known holes in what is built in (govulncheck), by the network
# make dist       makes a .deb and an .rpm in dist, of the version that git tells
# make test-dist  installs the .deb where there is nothing but a shell, and removes it

GO       ?= go
LANES    := userns cli docker podman containerd lxc nspawn cgroup dhcp ovs managers uml qemu
PACKAGES := gcc libc6-dev iproute2 iptables docker.io openvswitch-switch bash-completion \
            user-mode-linux kmod qemu-system-x86 linux-headers-amd64 xz-utils
SERVERS  := dnsmasq-base kea-dhcp4-server kea-dhcp6-server isc-dhcp-server \
            udhcpc isc-dhcp-client dhcpcd-base containernetworking-plugins \
            podman containerd runc lxc systemd-container dbus-daemon dbus-system-bus-common
MANAGERS := network-manager ifupdown bridge-utils netplan.io
LANERUN  := bin/lanerun
AUDIT    := golang.org/x/vuln/cmd/govulncheck@v1.1.4
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
RAN      := $(CURDIR)/bin/lanes-that-ran

.PHONY: test test-long host quick bench size lint audit packages vet dist test-dist

# Much of each lane waits for something: three packages run at a time on the host, and
# two of the other machines beside them. What go vet tells it tells once, before all tests.
test: packages vet
	@mkdir -p bin && rm -f $(RAN)
	$(MAKE) --no-print-directory $(LANERUN)
	$(MAKE) --no-print-directory -j3 host $(QEMU) $(UML)
	@for lane in $(LANES); do \
		grep -qx $$lane $(RAN) || { echo "lane $$lane did not run"; exit 1; }; \
		echo "lane $$lane: passed"; \
	done

host:
	PIPEWORK_REQUIRE=userns,cli,docker,podman,containerd,lxc,nspawn,cgroup,dhcp,ovs,managers,uml,qemu PIPEWORK_RAN=$(RAN) $(GO) test -vet=off -race -count=1 -p 3 -timeout $(MINUTES)m ./...
	PIPEWORK_REQUIRE=cli,ovs PIPEWORK_CLI=root $(GO) test -vet=off -race -count=1 -run TestOVS ./cmd/pipework
	cd ovs/libovsdbtest && $(GO) vet ./... && PIPEWORK_REQUIRE=ovs $(GO) test -vet=off -race -count=1 -timeout 10m ./...
	cd plugin/cni/critest && $(GO) vet ./... && PIPEWORK_REQUIRE=containerd $(GO) test -vet=off -count=1 -timeout 10m ./...
	cd packaging && $(GO) vet ./... && PIPEWORK_REQUIRE=userns $(GO) test -vet=off -short -count=1 ./...

# What the machine's own kernel may lack runs in another one: VLANs, dummies, ipvlan,
# netem and Open vSwitch in User-Mode Linux; InfiniBand, radios, NICs, and uplinks of Open
# vSwitch, which take nftables, in a virtual machine. What needs nothing of that kind is left
# to the machine's own kernel.
UML      := uml-vlans uml-ovs uml-kinds uml-root uml-cmd uml-watch uml-keep
QEMU     := qemu-root qemu-watch qemu-cmd
MINUTES  := 45
IN        = CGO_ENABLED=0 PIPEWORK_REQUIRE=ovs $(GO) test -vet=off -count=1 -timeout $(MINUTES)m -exec '$(CURDIR)/$(LANERUN) $(1) -timeout $(MINUTES)m'
RANIN     = @mkdir -p bin && echo $(1) >>$(RAN)

# With the kernel's datapath, a bridge that is there already differs from one that is made
# in nothing that fails; with the other datapath both are tested whole on the host.
IN_BRIEF := TestContract/kernel,_bridge_there/(faults|killed|cancelled|race)

uml: $(UML)
uml-root: $(LANERUN)
	$(call IN,uml) -run 'VLAN|Trunk|Isolated|PhysDummy|Netem|ModeIsMended|HostSettings|KindsUnsupported|^TestDetect$$|^TestRefusesTwin$$|PinHolds' -skip 'WithPolicy|DHCP|KindsContract' .
	$(call RANIN,uml)
uml-vlans: $(LANERUN)
	$(call IN,uml) -run 'Test(KindsContract|MarkOfANICReplayed)/VLAN' .
uml-kinds: $(LANERUN)
	$(call IN,uml) -run 'Test(KindsContract|MarkOfANICReplayed)/(ipvlan.l|dummy)' .
uml-cmd: $(LANERUN)
	$(call IN,uml) -run '^TestScripts$$/^kinds$$|^TestClassic$$/^vlan$$|^TestOVS$$/^(fake|guestsown|kind|vlan)$$|^TestClassicOVS$$' ./cmd/pipework
uml-ovs: $(LANERUN)
	$(call IN,uml) -run 'Test(Contract|FourContainers|TwoHosts|TrunkPort|FakeBridgeCarries|Pin$$)/kernel' -skip '$(IN_BRIEF)' ./ovs
uml-watch: $(LANERUN)
	$(call IN,uml) -run 'SpecsComeBack' ./watch
uml-keep: $(LANERUN)
	$(call IN,uml) -run '^TestFormer$$' ./keep

qemu: $(QEMU)
qemu-root: $(LANERUN)
	$(call IN,qemu) -run 'IPoIB|Detect|PhysGuestDies' .
	$(call RANIN,qemu)
# Of make test-long: ovs-vswitchd takes too long there for a busy machine.
qemu-uplink: $(LANERUN)
	$(call IN,qemu) -run '^Test(Move|TwoHosts|SwitchRestarts|Reboot)$$/kernel' ./uplink
qemu-watch: $(LANERUN)
	$(call IN,qemu) -run 'NICComesBack' ./watch
qemu-cmd: $(LANERUN)
	$(call IN,qemu) -run '^Test(Scripts|Classic)$$/(infiniband|nics)' ./cmd/pipework

.PHONY: uml qemu $(UML) $(QEMU) qemu-uplink $(LANERUN)
$(LANERUN):
	CGO_ENABLED=0 $(GO) build -o $@ ./internal/lanes/lanerun

quick: vet
	$(GO) test -vet=off -short -count=1 -p 4 ./...

# Makes the packages, installs the .deb in a directory of its own, and removes it again.
test-dist:
	cd packaging && $(GO) vet ./... && PIPEWORK_REQUIRE=userns $(GO) test -count=1 ./...

# Every fuzz test runs for ten seconds.
test-long: packages vet test-dist
	PIPEWORK_REQUIRE=userns,cli,ovs,dhcp PIPEWORK_KILLS=1000 $(GO) test -count=1 -timeout 60m -run 'TestKilled' ./cmd/pipework
	PIPEWORK_REQUIRE=userns,dhcp PIPEWORK_CROWD=1000 $(GO) test -count=1 -timeout 20m -run 'TestKeepsACrowd' .
	PIPEWORK_REQUIRE=userns,cli,ovs,dhcp PIPEWORK_LONG=1 $(GO) test -count=1 -timeout 60m -run 'Contract' . ./ovs
	PIPEWORK_REQUIRE=userns PIPEWORK_ATTACK=30m $(GO) test -count=1 -v -timeout 60m -run 'TestAttack' ./internal/attacker
	PIPEWORK_LONG=1 $(MAKE) MINUTES=60 IN_BRIEF= uml-ovs uml-vlans uml-kinds qemu-root qemu-uplink
	@$(GO) list ./... | while read -r pkg; do \
		for fuzz in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$fuzz" && $(GO) test -run '^$$' -fuzz "^$$fuzz\$$" -fuzztime 10s $$pkg || exit 1; \
		done; \
	done

# Prints medians of runs in turn: floor-µs is what the kernel takes for an attach's
# messages and frames alone, ours-µs what Attach takes, ratio the second by the first;
# guests=N of these are on the bridge, live, and are behind Docker's firewall. Then, for
# 200 guests, the milliseconds of all together. About five minutes.
bench:
	$(GO) test -run '^$$' -bench 'Attach|Detach' -benchtime 400x .
	$(GO) test -run '^$$' -bench Many -benchtime 3x .

vet:
	@test -z "$$(gofmt -l .)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

# Counts lines without tests: of the root, of the command, of what prints for it, of all.
size:
	@count() { printf '%-14s %s\n' "$$1" "$$(grep -v _test.go | grep -Ev '^(internal/[a-z]*test|internal/(attacker|contract|lanes|sandbox|unit)|examples)/' | xargs cat | wc -l)"; }; \
	git ls-files '*.go' ':!:*/**' | count root; git ls-files 'cmd/pipework/*.go' | count cmd/pipework; \
	git ls-files 'internal/cli/*.go' | count internal/cli; git ls-files '*.go' | count all

lint:
	GOBIN=$(CURDIR)/bin $(GO) install $(LINT)
	bin/golangci-lint run ./...

audit:
	GOBIN=$(CURDIR)/bin $(GO) install $(AUDIT)
	bin/govulncheck ./...

# Version, commit and date are git's, and the files' times the commit's: the same commit makes
# the same packages. Before the first tag it is version 0.0.0 and the number of commits.
DIST    := dist
ARCH    := $(shell $(GO) env GOARCH)
GIT_TAG  = $(shell git describe --tags --match 'v*' 2>/dev/null || echo v0.0.0-$$(git rev-list --count HEAD)-g$$(git rev-parse --short HEAD))
STAMP    = github.com/go-pipework/pipework/internal/cli

dist: VERSION = $(GIT_TAG)
dist: COMMIT = $(shell git rev-parse HEAD)
dist: SECONDS = $(shell git log -1 --format=%ct)
dist: DATE = $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)
dist:
	rm -rf bin/dist $(DIST)/pipework*.deb $(DIST)/pipework*.rpm && mkdir -p bin/dist $(DIST)
	for cmd in pipework pipework-runtime pipework-cni; do CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -ldflags '-s -w -X $(STAMP).version=$(VERSION) -X $(STAMP).commit=$(COMMIT) -X $(STAMP).date=$(DATE)' -o bin/dist/$$cmd ./cmd/$$cmd || exit 1; done
	cd packaging && $(GO) run ./generate ../bin/dist $(VERSION)
	cd packaging && $(GO) build -o ../bin/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	for kind in deb rpm; do \
		VERSION=$(VERSION) ARCH=$(ARCH) SOURCE_DATE_EPOCH=$(SECONDS) bin/nfpm package -f packaging/nfpm.yaml -p $$kind -t $(DIST)/ || exit 1; \
	done

# Only what is missing is installed: a second run needs no network. The packages
# of DHCP servers and clients must not start one on this machine: where no policy-rc.d says so
# already, one does while they are installed.
# Nothing is removed for them: where Docker's own packages conflict with Debian's, apt-get
# says so and ends. apt-get waits for nobody who updates its lists: a second copy waits for the
# first. Beside a busybox that is installed, the static one is unpacked into bin. So are
# network managers, which would take the machine's NICs where they were installed: 6 MB.
INSTALLED = dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed'
UPDATE    = flock /var/lock/pipework-packages apt-get update -q
INSTALL   = $(UPDATE) && DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=600 -q -y --no-install-recommends --no-remove

packages:
	@missing=; for p in $(PACKAGES); do $(INSTALLED) || missing="$$missing $$p"; done; \
	p=busybox; $(INSTALLED) || { p=busybox-static; $(INSTALLED) || missing="$$missing $$p"; }; \
	[ -z "$$missing" ] || { $(INSTALL) $$missing; }
	@p=busybox-static; $(INSTALLED) || [ -x bin/busybox ] || { rm -rf bin/static && mkdir -p bin/static && cd bin/static && chmod 755 . && \
		$(UPDATE) && apt-get download -q $$p && dpkg-deb -x $${p}_*.deb . && mv bin/busybox .. && cd .. && rm -r static; }
	@missing=; for p in $(SERVERS); do $(INSTALLED) || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { policy=/usr/sbin/policy-rc.d; \
		[ -e $$policy ] || { trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; }; \
		$(INSTALL) $$missing && \
		for p in $$missing; do \
			systemctl disable -q $$p 2>/dev/null; systemctl disable -q $$(dpkg -L $$p | sed -nE 's,.*/systemd/system/([^@/]+[.](service|socket|timer))$$,\1,p') 2>/dev/null || true; \
		done; }
	@[ -d bin/managers ] || { rm -rf bin/debs && mkdir -p bin/debs/partial bin/debs/root && $(UPDATE) && \
		apt-get install -o DPkg::Lock::Timeout=600 -q -y --no-install-recommends --download-only -o Dir::Cache::archives=$(CURDIR)/bin/debs $(MANAGERS) && \
		for deb in bin/debs/*.deb; do dpkg-deb -x $$deb bin/debs/root || exit 1; done && cd bin/debs/root && \
		for d in bin sbin lib; do [ ! -d $$d ] || { mkdir -p usr/$$d && cp -a $$d/. usr/$$d && rm -r $$d; }; done && \
		rm -rf usr/share/doc usr/share/man usr/share/locale && cd ../../.. && mv bin/debs/root bin/managers && rm -rf bin/debs; }
