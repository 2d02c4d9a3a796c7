"""Connections go evenly to those who are ready, and none is lost with a worker that dies."""

import socket
import sys
from collections.abc import Iterator

import pytest

from app.handover import Dispatch, Door, Lane, turn_away


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def clients(listener: socket.socket) -> Iterator[list[socket.socket]]:
    """Return eight connections that wait to be accepted."""
    made = [socket.create_connection(listener.getsockname()) for _ in range(8)]
    yield made
    for client in made:
        client.close()


@pytest.fixture
def lanes() -> Iterator[list[Lane]]:
    made = [Lane(), Lane()]
    yield made
    for lane in made:
        if lane.fileno() >= 0:
            for connection in lane.close():
                connection.close()


def ready(lane: Lane) -> Door:
    door = lane.door()
    door.say_ready()
    lane.hear()
    return door


def taken(door: Door) -> int:
    connections = list(door.take())
    for connection in connections:
        connection.close()
    return len(connections)


@pytest.mark.usefixtures("clients")
def test_eight_connections_are_shared_evenly(listener: socket.socket, lanes: list[Lane]) -> None:
    doors = [ready(lane) for lane in lanes]
    Dispatch(listener, lambda: lanes).accept()
    assert [taken(door) for door in doors] == [4, 4]


@pytest.mark.usefixtures("clients")
def test_whose_connections_ended_gets_the_next(listener: socket.socket, lanes: list[Lane]) -> None:
    doors = [ready(lane) for lane in lanes]
    dispatch = Dispatch(listener, lambda: lanes)
    dispatch.accept()
    assert [taken(door) for door in doors] == [4, 4]
    for _ in range(3):
        doors[1].say_ended()
    lanes[1].hear()
    more = [socket.create_connection(listener.getsockname()) for _ in range(3)]
    dispatch.accept()
    assert [taken(door) for door in doors] == [0, 3]
    for client in more:
        client.close()


@pytest.mark.usefixtures("clients")
def test_nobody_gets_a_connection_before_being_ready_and_none_is_accepted(
    listener: socket.socket, lanes: list[Lane]
) -> None:
    dispatch = Dispatch(listener, lambda: lanes)
    dispatch.accept()
    assert [lane.connections for lane in lanes] == [0, 0]
    door = ready(lanes[1])
    dispatch.accept()
    assert taken(door) == 8


def test_what_a_dead_worker_never_took_goes_to_another(
    listener: socket.socket, clients: list[socket.socket], lanes: list[Lane]
) -> None:
    ready(lanes[0])
    there = [lanes[0]]
    dispatch = Dispatch(listener, lambda: there)
    dispatch.accept()
    clients[0].sendall(b"hello")
    there[:] = [lanes[1]]
    dispatch.hold(lanes[0].close())
    door = ready(lanes[1])
    dispatch.accept()
    (first, *others) = list(door.take())
    assert (first.recv(5), len(others)) == (b"hello", 7)
    for connection in (first, *others):
        connection.close()


def test_a_way_that_is_full_holds_connections_until_there_is_room(lanes: list[Lane], listener: socket.socket) -> None:
    door = ready(lanes[0])
    dispatch = Dispatch(listener, lambda: lanes)
    pairs = [socket.socketpair() for _ in range(400)]  # more than a Unix socket takes
    dispatch.hold([one for one, _ in pairs])
    assert not dispatch.pass_on()
    assert dispatch.stuck
    found = taken(door)
    assert dispatch.pass_on()
    assert found + taken(door) == 400
    for _, other in pairs:
        other.close()


@pytest.mark.usefixtures("clients")
def test_what_has_come_before_the_end_is_still_given_away(listener: socket.socket, lanes: list[Lane]) -> None:
    door = ready(lanes[0])
    dispatch = Dispatch(listener, lambda: lanes)
    dispatch.close()
    assert taken(door) == 8
    assert listener.fileno() == -1


@pytest.mark.skipif(sys.platform != "linux", reason="NO PACKET FILTERS HERE: the last connections were not tried")
def test_whoever_has_connected_is_served_and_nobody_else_connects(
    listener: socket.socket, clients: list[socket.socket], lanes: list[Lane]
) -> None:
    door = ready(lanes[0])
    turn_away(listener)
    with pytest.raises(TimeoutError):
        socket.create_connection(listener.getsockname(), timeout=0.2)
    clients[0].sendall(b"hello")
    Dispatch(listener, lambda: lanes).close()
    (first, *others) = list(door.take())
    assert (first.recv(5), len(others)) == (b"hello", 7)
    for connection in (first, *others):
        connection.close()
