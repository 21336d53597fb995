"""Letters reach the chats that public bodies use, each in the words of its own protocol."""

from __future__ import annotations

import json

import pytest
from sinks import HttpSink

from publisher_daemon.alerts.sending import Post, digest
from publisher_daemon.alerts.values import Letter, Memory

#: what a Matrix homeserver says to a login, to a room joined, and to a message taken
HOMESERVER = {
    "user_id": "@robot:ici",
    "access_token": "jeton",
    "home_server": "ici",
    "room_id": "!salle:ici",
    "event_id": "$1",
}


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise loads it
@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("json://{host}/alertes", "/alertes"),
        ("mmost://{host}/0123456789abcdef", "/hooks/0123456789abcdef"),
        ("matrix://robot:secret@{host}/#alertes", "/rooms/%21salle%3Aici/send/m.room.message/"),
    ],
    ids=["webhook", "Mattermost", "Matrix"],
)
def test_a_letter_is_taken_once(address: str, path: str) -> None:
    with HttpSink(body=json.dumps(HOMESERVER).encode()) as chat:
        address = address.format(host=f"127.0.0.1:{chat.port}")
        memory = Memory(
            first=0.0,
            letters=[Letter(0.0, "Un titre", "Déposez-le à nouveau.", (digest(address),))],
        )
        told: list[bool] = []

        Post([address], told.append).deliver(memory, 0.0)

        taken = [text for _, asked, text in chat.requests if path in asked]
        assert (memory.letters, told, len(taken)) == ([], [True], 1)
        words = json.dumps(json.loads(taken[0]), ensure_ascii=False)
        assert "Un titre" in words
        assert "Déposez-le à nouveau." in words
