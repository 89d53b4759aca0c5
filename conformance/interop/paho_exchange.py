"""Python's paho-mqtt through a running broker: every quality of service both ways, retained messages, wills, resumed
sessions and shared subscriptions, in all three versions and over every transport that it has.

Usage: paho_exchange.py CAFILE URL...     tcp://, tls://, ws://, wss://
"""

import queue
import sys
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import grid

PATIENCE = 10
NAMES = {mqtt.MQTTv31: "3.1", mqtt.MQTTv311: "3.1.1", mqtt.MQTTv5: "5.0"}


class Peer:
    """One client, connected."""

    def __init__(self, url, version, name, *, will=None, keep=False):
        parts = urlsplit(url)
        transport = "websockets" if parts.scheme in ("ws", "wss") else "tcp"
        clean = {} if version == mqtt.MQTTv5 else {"clean_session": not keep}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version, transport=transport, **clean
        )
        if transport == "websockets":
            self.client.ws_set_options(path=parts.path)
        if parts.scheme in ("tls", "wss"):
            self.client.tls_set(ca_certs=CAFILE)
        if will:
            self.client.will_set(will, b"gone", qos=1)
        self.messages, self.subscribed, self.connected = queue.Queue(), queue.Queue(), queue.Queue()
        self.client.on_connect = lambda c, u, flags, reason, properties: self.connected.put((flags, reason))
        self.client.on_subscribe = lambda c, u, mid, reasons, properties: self.subscribed.put(reasons)
        self.client.on_message = lambda c, u, message: self.messages.put(message)
        options = {}
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            if keep:
                properties.SessionExpiryInterval = 60
            options = {"clean_start": not keep, "properties": properties}
        self.client.connect(parts.hostname, parts.port, **options)
        self.client.loop_start()
        flags, reason = self.connected.get(timeout=PATIENCE)
        assert not reason.is_failure, reason
        self.session_present = flags.session_present

    def subscribe(self, topic):
        self.client.subscribe(topic, qos=2)
        reasons = self.subscribed.get(timeout=PATIENCE)
        assert [reason.value for reason in reasons] == [2], reasons

    def publish(self, topic, payload, qos, retain=False):
        info = self.client.publish(topic, payload, qos=qos, retain=retain)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()

    def next(self):
        return self.messages.get(timeout=PATIENCE)

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """Without DISCONNECT."""
        self.client.loop_stop()
        self.client.socket().close()


def exchange(url, version, prefix):
    publisher, subscriber = Peer(url, version, f"{prefix}-p"), Peer(url, version, f"{prefix}-s")
    subscriber.subscribe(f"{prefix}/live/#")
    for qos in (0, 1, 2):
        # Larger than a read, a TLS record and a WebSocket message of ours.
        payload = f"at {qos} ".encode() * 20_000
        publisher.publish(f"{prefix}/live/topic", payload, qos)
        message = subscriber.next()
        assert (message.payload, message.qos, message.retain) == (payload, qos, False), message.topic
    publisher.publish(f"{prefix}/kept", b"kept", 1, retain=True)
    subscriber.subscribe(f"{prefix}/kept")
    message = subscriber.next()
    assert (message.payload, message.retain) == (b"kept", True), message
    assert subscriber.messages.empty()
    publisher.end()
    subscriber.end()


def will(url, version, prefix):
    watcher = Peer(url, version, f"{prefix}-w")
    watcher.subscribe(f"{prefix}/will")
    Peer(url, version, f"{prefix}-d", will=f"{prefix}/will").end()
    Peer(url, version, f"{prefix}-v", will=f"{prefix}/will").vanish()
    assert watcher.next().payload == b"gone"
    assert watcher.messages.empty(), "one of them said goodbye"
    watcher.end()


def resume(url, version, prefix):
    sleeper = Peer(url, version, f"{prefix}-r", keep=True)
    assert not sleeper.session_present
    sleeper.subscribe(f"{prefix}/while-away")
    sleeper.vanish()
    publisher = Peer(url, version, f"{prefix}-p2")
    for qos in (1, 2):
        publisher.publish(f"{prefix}/while-away", str(qos).encode(), qos)
    publisher.end()
    sleeper = Peer(url, version, f"{prefix}-r", keep=True)
    # CONNACK of 3.1 cannot tell.
    assert sleeper.session_present == (version != mqtt.MQTTv31)
    assert [sleeper.next().payload for _ in range(2)] == [b"1", b"2"]
    sleeper.end()


def shared(url, version, prefix):
    members = [Peer(url, version, f"{prefix}-m{number}") for number in range(2)]
    for member in members:
        member.subscribe(f"$share/group/{prefix}/work")
    publisher = Peer(url, version, f"{prefix}-p3")
    for number in range(10):
        publisher.publish(f"{prefix}/work", str(number).encode(), 1)
    # A message after all others on every connection closes the count.
    for member in members:
        member.subscribe(f"{prefix}/end")
    publisher.publish(f"{prefix}/end", b"end", 1)
    got = []
    for member in members:
        while (payload := member.next().payload) != b"end":
            got.append(int(payload))
    assert sorted(got) == list(range(10)), got
    for peer in (*members, publisher):
        peer.end()


CHECKS = {exchange: grid.CAPABILITIES[:4], will: ["will"], resume: ["resume"], shared: ["shared"]}


def main():
    for number, url in enumerate(sys.argv[2:]):
        for version, name in NAMES.items():
            for check, capabilities in CHECKS.items():
                # 3.1 has no Client Identifiers of more than 23 bytes.
                check(url, version, f"paho-{number}-{version}-{check.__name__}")
                grid.held("paho-mqtt", urlsplit(url).scheme, name, capabilities)
            print(f"paho-mqtt over {urlsplit(url).scheme} with MQTT {name}: all there")


CAFILE = sys.argv[1]
main()
