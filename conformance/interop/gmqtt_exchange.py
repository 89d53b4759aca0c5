"""Python's gmqtt through a running broker: QoS 0, 1, 2, a retained message, a will and a resumed session, in both versions.

Usage: gmqtt_exchange.py PORT
"""

import asyncio
import os
import sys

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

PATIENCE = 10
NAMES = {MQTTv311: "3.1.1", MQTTv50: "5.0"}


async def connect(port, version, name, *, keep=False, will=None):
    options = {"session_expiry_interval": 60} if keep and version == MQTTv50 else {}
    message = gmqtt.Message(will, b"gone", qos=1) if will else None
    client = gmqtt.Client(name, clean_session=not keep, will_message=message, **options)
    # It would come back by itself after the connection that is cut on purpose.
    client.set_config({"reconnect_retries": -1})
    client.messages, client.subscribed, connected = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
    client.on_connect = lambda c, flags, code, properties: connected.put_nowait((flags, code))
    client.on_subscribe = lambda c, mid, granted, properties: client.subscribed.put_nowait(granted)
    client.on_message = on_message
    await client.connect("127.0.0.1", port, version=version)
    client.session_present, code = await asyncio.wait_for(connected.get(), PATIENCE)
    assert code == 0, code
    return client


async def on_message(client, topic, payload, qos, properties):
    client.messages.put_nowait((bytes(payload), qos, bool(properties["retain"])))
    return 0


async def subscribe(client, topic):
    client.subscribe(topic, qos=2)
    granted = await asyncio.wait_for(client.subscribed.get(), PATIENCE)
    assert list(granted) == [2], granted


async def following(client):
    return await asyncio.wait_for(client.messages.get(), PATIENCE)


async def exchange(port, version, prefix):
    publisher = await connect(port, version, f"{prefix}-p")
    subscriber = await connect(port, version, f"{prefix}-s")
    await subscribe(subscriber, f"{prefix}/live/#")
    for qos in (0, 1, 2):
        payload = f"at {qos}".encode()
        publisher.publish(f"{prefix}/live/topic", payload, qos=qos)
        assert await following(subscriber) == (payload, qos, False)
    publisher.publish(f"{prefix}/kept", b"kept", qos=1, retain=True)
    publisher.publish(f"{prefix}/live/sync", b"sync", qos=1)
    assert (await following(subscriber))[0] == b"sync"
    await subscribe(subscriber, f"{prefix}/kept")
    assert await following(subscriber) == (b"kept", 1, True)
    await publisher.disconnect()
    await subscriber.disconnect()


async def will(port, version, prefix):
    watcher = await connect(port, version, f"{prefix}-w")
    await subscribe(watcher, f"{prefix}/will")
    vanishing = await connect(port, version, f"{prefix}-v", will=f"{prefix}/will")
    vanishing._connection._transport.abort()
    assert (await following(watcher))[0] == b"gone"
    await watcher.disconnect()


async def resume(port, version, prefix):
    sleeper = await connect(port, version, f"{prefix}-r", keep=True)
    assert not sleeper.session_present
    await subscribe(sleeper, f"{prefix}/away")
    await sleeper.disconnect(session_expiry_interval=60) if version == MQTTv50 else await sleeper.disconnect()
    publisher = await connect(port, version, f"{prefix}-p2")
    publisher.publish(f"{prefix}/away", b"1", qos=1)
    publisher.publish(f"{prefix}/away", b"2", qos=2)
    await subscribe(publisher, f"{prefix}/end")
    publisher.publish(f"{prefix}/end", b"end", qos=2)
    await following(publisher)
    await publisher.disconnect()
    sleeper = await connect(port, version, f"{prefix}-r", keep=True)
    assert sleeper.session_present
    assert [(await following(sleeper))[0] for _ in range(2)] == [b"1", b"2"]
    await sleeper.disconnect()


async def main():
    port = int(sys.argv[1])
    for version, name in NAMES.items():
        for check in (exchange, will, resume):
            await check(port, version, f"gmqtt-{os.getpid()}-{version}-{check.__name__}")
        print(f"gmqtt with MQTT {name}: all there")


asyncio.run(main())
