"""SAMP against a real hub and a real second client: out, in, and what happens when the hub goes."""

from __future__ import annotations

import queue
import threading
import time

import pytest
from pyvo import samp

from engine.errors import ExchangeError
from engine.exchange.samp import HIGHLIGHT, POINT, TABLE, Client, Connection, Delivery, Message
from tests.samp_parts import VIEWER, own_hub, program, running_hub


class Told:
    """Takes what a connection tells, from whichever thread."""

    def __init__(self, watch: float = 0.2) -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        self.clients: queue.Queue[tuple[Client, ...]] = queue.Queue()
        self.lost: queue.Queue[str] = queue.Queue()
        self.connection = Connection(
            on_message=self.messages.put, on_clients=self.clients.put, on_lost=self.lost.put, watch=watch
        )

    def wait_for(self, *names: str) -> None:
        """Wait until exactly these clients are known."""
        while {client.name for client in self.connection.clients} != set(names):
            self.clients.get(timeout=10)


@pytest.fixture(autouse=True)
def _own_hub(monkeypatch, tmp_path):
    own_hub(monkeypatch, tmp_path)


@pytest.fixture
def told():
    made = Told()
    yield made
    made.connection.close()


HUB = "PyVO SAMP Hub"


def test_without_a_hub_nothing_is_started_unasked(told):
    assert told.connection.open() is False
    assert not told.connection.is_hub


def test_a_message_goes_to_all_that_take_it_or_to_one(told):
    with running_hub(), program("TOPCAT") as topcat, program("Viewer", VIEWER) as viewer:
        assert told.connection.open()
        told.wait_for(HUB, "TOPCAT", "Viewer")
        assert told.connection.send(TABLE, {"url": "file:///t.vot", "table-id": "t"}) == ["TOPCAT"]
        assert topcat.next() == (TABLE, {"url": "file:///t.vot", "table-id": "t"})
        assert set(told.connection.send(POINT, {"ra": "215.5", "dec": "52.7"})) == {"TOPCAT", "Viewer"}
        assert topcat.next()[1] == viewer.next()[1] == {"ra": "215.5", "dec": "52.7"}
        there = next(client for client in told.connection.clients if client.name == "Viewer")
        assert there.accepts(POINT)
        assert not there.accepts(TABLE)
        assert told.connection.send(POINT, {"ra": "1", "dec": "2"}, there.id) == ["Viewer"]
        assert viewer.next()[1]["ra"] == "1"
        assert topcat.received.empty()


def delivered(connection, client) -> Delivery:
    return list(connection.deliver(TABLE, {"url": "file:///t.vot"}, [client]))[-1].items[0]


def test_an_answer_that_comes_before_the_hub_expects_it_is_not_lost(told, monkeypatch):
    at_once = samp.SAMPHubServer._call

    def slow_to_return(hub, *arguments):
        identity = at_once(hub, *arguments)
        time.sleep(0.3)  # the program has answered by now
        return identity

    monkeypatch.setattr(samp.SAMPHubServer, "_call", slow_to_return)
    monkeypatch.setattr("engine.exchange.samp.DELIVERY", 5)
    with running_hub(), program("TOPCAT"):
        told.connection.open()
        told.wait_for(HUB, "TOPCAT")
        (topcat,) = (client for client in told.connection.clients if client.name == "TOPCAT")
        assert delivered(told.connection, topcat) == Delivery(("TOPCAT",))


def test_what_is_awaited_ends_with_the_hub_and_with_patience(told, monkeypatch):
    monkeypatch.setattr("engine.exchange.samp.DELIVERY", 0.2)
    with running_hub() as hub, program("TOPCAT") as topcat:
        topcat.client.bind_receive_call(TABLE, lambda *_: None)  # never answers
        told.connection.open()
        told.wait_for(HUB, "TOPCAT")
        (client,) = (client for client in told.connection.clients if client.name == "TOPCAT")
        assert "did not answer within 0.2 s" in delivered(told.connection, client).troubles[0]
        monkeypatch.setattr("engine.exchange.samp.DELIVERY", 60)
        asked = time.monotonic()
        ending = threading.Timer(0.3, hub.stop)
        ending.start()
        assert "before the connection to the SAMP hub ended" in delivered(told.connection, client).troubles[0]
        assert time.monotonic() - asked < 30
        ending.join()


def test_messages_come_in_with_their_sender_and_calls_are_answered(told):
    with running_hub(), program("Aladin") as aladin:
        told.connection.open()
        told.wait_for(HUB, "Aladin")
        aladin.tell(POINT, ra="10.5", dec="-3")
        assert told.messages.get(timeout=10) == Message(POINT, {"ra": "10.5", "dec": "-3"}, "Aladin")
        own = next(i for i in aladin.client.get_registered_clients() if _name(aladin, i) == "DeepLense")
        answers = queue.Queue()
        aladin.client.bind_receive_response("row", lambda *told: answers.put(told[-1]))
        aladin.client.ecall(own, "row", HIGHLIGHT, **{"table-id": "t", "row": "3"})
        assert answers.get(timeout=10)["samp.status"] == "samp.ok"
        assert told.messages.get(timeout=10).parameters["row"] == "3"


def _name(program, identity):
    return program.client.get_metadata(identity).get("samp.name")


def test_nobody_reads_our_environment(told):
    with running_hub(), program("Nosy") as nosy:
        told.connection.open()
        own = next(i for i in nosy.client.get_registered_clients() if _name(nosy, i) == "DeepLense")
        assert "client.env.get" not in nosy.client.get_subscriptions(own)


def test_clients_that_come_and_go_are_told(told):
    with running_hub():
        told.connection.open()
        with program("Late"):
            told.wait_for(HUB, "Late")
        told.wait_for(HUB)


def test_a_hub_that_ends_is_told_once_and_sending_says_so(told):
    with running_hub():
        told.connection.open()
    assert "hub has gone" in told.lost.get(timeout=10)
    with pytest.raises(ExchangeError, match="still open"):
        told.connection.send(POINT, {"ra": "1", "dec": "2"})
    with pytest.raises(queue.Empty):
        told.lost.get(timeout=0.5)


def test_a_hub_that_dies_without_a_word_is_noticed(told):
    with running_hub() as hub:
        told.connection.open()
        hub._notify_shutdown = lambda: None  # as if it were killed
        hub.stop()
        assert "hub has gone" in told.lost.get(timeout=10)


def test_our_own_hub_serves_others_and_goes_with_us(told):
    assert told.connection.open(start_hub=True)
    assert told.connection.is_hub
    with program("TOPCAT") as topcat:
        told.wait_for(HUB, "TOPCAT")
        told.connection.send(TABLE, {"url": "file:///t.vot"})
        assert topcat.next()[0] == TABLE
    told.connection.close()
    assert not Told().connection.open()


def test_patterns_of_kinds():
    assert Client("c1", "x", frozenset({"table.*"})).accepts(TABLE)
    assert not Client("c1", "x", frozenset({"table.*"})).accepts(POINT)
    assert Client("c1", "x", frozenset({"*"})).accepts(POINT)
