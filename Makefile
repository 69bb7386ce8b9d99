# make test   installs what is missing (Debian, as root) and runs every lane
# make quick  runs what needs neither root nor packages
# make bench  compares an attach with what the kernel alone takes
# make lint   installs golangci-lint and runs it

GO       ?= go
LANES    := userns cli docker podman containerd lxc nspawn cgroup dhcp ovs uml qemu
PACKAGES := gcc libc6-dev iproute2 iptables busybox-static docker.io openvswitch-switch \
            user-mode-linux kmod qemu-system-x86 linux-headers-amd64 xz-utils
SERVERS  := dnsmasq-base kea-dhcp4-server kea-dhcp6-server isc-dhcp-server \
            udhcpc isc-dhcp-client dhcpcd-base containernetworking-plugins \
            podman containerd runc lxc systemd-container dbus-daemon dbus-system-bus-common
LANERUN  := $(CURDIR)/bin/lanerun
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
RAN      := $(CURDIR)/bin/lanes-that-ran

.PHONY: test quick bench lint packages vet

test: packages vet
	@mkdir -p bin && rm -f $(RAN)
	PIPEWORK_REQUIRE=userns,cli,docker,podman,containerd,lxc,nspawn,cgroup,dhcp,ovs,uml,qemu PIPEWORK_RAN=$(RAN) $(GO) test -race -count=1 -timeout 15m ./...
	PIPEWORK_REQUIRE=cli,ovs PIPEWORK_CLI=root $(GO) test -race -count=1 -run TestOVS ./cmd/pipework
	cd ovs/libovsdbtest && $(GO) vet ./... && PIPEWORK_REQUIRE=ovs $(GO) test -race -count=1 -timeout 10m ./...
	$(MAKE) --no-print-directory uml qemu
	@for lane in $(LANES); do \
		grep -qx $$lane $(RAN) || { echo "lane $$lane did not run"; exit 1; }; \
		echo "lane $$lane: passed"; \
	done

# What the machine's own kernel may lack runs in another one: VLANs, dummies and
# ipvlan and Open vSwitch in User-Mode Linux; InfiniBand, radios and NICs in a virtual machine.
# What needs nothing of that kind, and takes long, is left to the machine's own kernel.
NOT_IN_UML := DHCP|SLAAC|Lease|Rebind|Crowd|WithPolicy|Killed|AnyOrder|Programs
uml: $(LANERUN)
	CGO_ENABLED=0 PIPEWORK_REQUIRE=ovs $(GO) test -count=1 -timeout 10m -exec '$(LANERUN) uml -timeout 9m' -skip '$(NOT_IN_UML)' . ./cmd/pipework
	CGO_ENABLED=0 PIPEWORK_REQUIRE=ovs $(GO) test -count=1 -timeout 10m -exec '$(LANERUN) uml -timeout 9m' \
		-run 'TestContract/kernel|FourContainers|TwoHosts|TrunkPort' ./ovs
	@mkdir -p bin && echo uml >>$(RAN)

qemu: $(LANERUN)
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 10m -exec '$(LANERUN) qemu -timeout 9m' -run 'IPoIB|Detect|PhysGuestDies' .
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 10m -exec '$(LANERUN) qemu -timeout 9m' -run 'NICComesBack' ./keep
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 10m -exec '$(LANERUN) qemu -timeout 9m' -run '^Test(Scripts|Classic)$$/infiniband' ./cmd/pipework
	@mkdir -p bin && echo qemu >>$(RAN)

.PHONY: uml qemu $(LANERUN)
$(LANERUN):
	CGO_ENABLED=0 $(GO) build -o $@ ./internal/lanes/lanerun

quick: vet
	$(GO) test ./...

bench:
	$(GO) test -run '^$$' -bench . -benchtime 400x .

vet:
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

lint:
	GOBIN=$(CURDIR)/bin $(GO) install $(LINT)
	bin/golangci-lint run ./...

# Only what is missing is installed: a second run needs no network. The packages
# of DHCP servers and clients must not start one on this machine: where no policy-rc.d says so
# already, one does while they are installed.
packages:
	@missing=; for p in $(SERVERS); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	[ -z "$$missing" ] || { policy=/usr/sbin/policy-rc.d; \
		[ -e $$policy ] || { trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; }; \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing && \
		for p in $$missing; do \
			systemctl disable -q $$p 2>/dev/null; systemctl disable -q $$(dpkg -L $$p | sed -nE 's,.*/systemd/system/([^@/]+[.](service|socket|timer))$$,\1,p') 2>/dev/null || true; \
		done; }
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	[ -z "$$missing" ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; }
