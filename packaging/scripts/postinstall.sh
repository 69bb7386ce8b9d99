#!/bin/sh
# The service is not started by itself: who wants it says so (systemctl enable --now pipework).
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	systemctl try-restart pipework.service || true
fi
