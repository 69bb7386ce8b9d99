#!/bin/sh
# What was plugged in stays plugged in: pipework detach is what takes it away, before the
# package goes. The records go with a purge; rpm knows none, and keeps them.
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
	rm -rf "$DPKG_ROOT/var/lib/pipework"
fi
