#!/bin/sh
# After an installation or an upgrade, for dpkg ("configure") and rpm ("1", "2").
set -e
case "${1:-}" in abort-*) exit 0 ;; esac
lib=/usr/lib/publisher-daemon/venv
systemd-sysusers publisher-daemon.conf
# without /proc (a chroot) it complains of what it has done all the same
systemd-tmpfiles --create publisher-daemon.conf || true
journalctl --update-catalog >/dev/null 2>&1 || true
# not shipped: bytecode belongs to the very Python it is read by
"$lib/bin/python" -I -m compileall -q "$lib/lib" || true
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # an upgrade: the ledger is brought to the new version by the start
  systemctl try-restart publisher-daemon.service
fi
