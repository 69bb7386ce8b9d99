#!/bin/sh
# $1 is "remove" for dpkg, and 0, how many are left, for rpm; an upgrade keeps the service.
set -e
case "$1" in
remove | 0)
	if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now pipework.service || true
	fi
	;;
esac
