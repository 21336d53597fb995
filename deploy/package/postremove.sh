#!/bin/sh
# After a removal. The ledger, the key and the configuration go with dpkg's purge; rpm has none, and
# leaves them. The account stays: files elsewhere may be its own.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
if [ "${1:-}" = purge ]; then
  rm -rf /var/lib/publisher-daemon /etc/publisher-daemon \
    /etc/systemd/system/publisher-daemon.service.d
fi
