#!/bin/sh
# Before a removal, for dpkg ("remove") and rpm ("0"); an upgrade leaves the service running.
set -e
case "${1:-}" in remove | 0) ;; *) exit 0 ;; esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now publisher-daemon.service || true
fi
find /usr/lib/publisher-daemon/venv/lib -name __pycache__ -type d -prune -exec rm -rf {} +
