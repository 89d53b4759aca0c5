"""Python's paho-mqtt through a running broker: QoS 0, 1, 2 and a retained message, in both versions.

Usage: paho_exchange.py PORT
"""

import queue
import sys

import paho.mqtt.client as mqtt

PATIENCE = 10


def connect(port, version, name):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
    client.messages = queue.Queue()
    client.subscribed = queue.Queue()
    client.connected = queue.Queue()
    client.on_connect = lambda c, u, flags, reason, properties: c.connected.put(reason)
    client.on_subscribe = lambda c, u, mid, reasons, properties: c.subscribed.put(reasons)
    client.on_message = lambda c, u, message: c.messages.put(message)
    client.connect("127.0.0.1", port)
    client.loop_start()
    reason = client.connected.get(timeout=PATIENCE)
    assert not reason.is_failure, reason
    return client


def subscribe(client, topic):
    client.subscribe(topic, qos=2)
    reasons = client.subscribed.get(timeout=PATIENCE)
    assert [reason.value for reason in reasons] == [2], reasons


def exchange(port, version, name):
    publisher = connect(port, version, f"publisher-{name}")
    subscriber = connect(port, version, f"subscriber-{name}")
    subscribe(subscriber, f"{name}/live/#")
    for qos in (0, 1, 2):
        payload = f"at {qos}".encode()
        info = publisher.publish(f"{name}/live/topic", payload, qos=qos)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()
        message = subscriber.messages.get(timeout=PATIENCE)
        assert (message.payload, message.qos, message.retain) == (payload, qos, False), message
    publisher.publish(f"{name}/kept", b"kept", qos=1, retain=True).wait_for_publish(PATIENCE)
    subscribe(subscriber, f"{name}/kept")
    message = subscriber.messages.get(timeout=PATIENCE)
    assert (message.payload, message.retain) == (b"kept", True), message
    assert subscriber.messages.empty()
    for client in (publisher, subscriber):
        client.disconnect()
        client.loop_stop()
    print(f"paho-mqtt exchanged QoS 0, 1, 2 and a retained message over MQTT {name}")


def main():
    port = int(sys.argv[1])
    exchange(port, mqtt.MQTTv311, "3.1.1")
    exchange(port, mqtt.MQTTv5, "5.0")


main()
