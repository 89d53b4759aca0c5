"""Python's aiomqtt through a running broker: QoS 0, 1, 2, a retained message, a will and a resumed session, in both versions.

Usage: aiomqtt_exchange.py PORT
"""

import asyncio
import sys

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 10
VERSIONS = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5.0": aiomqtt.ProtocolVersion.V5}


def client(port, version, name, *, keep=False, will=None):
    options = {}
    if version == "5.0":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 60 if keep else 0
        options = {"clean_start": not keep, "properties": properties}
    else:
        options = {"clean_session": not keep}
    will = aiomqtt.Will(will, b"gone", qos=1) if will else None
    return aiomqtt.Client(
        "127.0.0.1", port, identifier=name, protocol=VERSIONS[version], will=will, timeout=PATIENCE, **options
    )


async def following(subscriber):
    return await asyncio.wait_for(anext(aiter(subscriber.messages)), PATIENCE)


async def exchange(port, version, prefix):
    async with client(port, version, f"{prefix}-p") as publisher, client(port, version, f"{prefix}-s") as subscriber:
        await subscriber.subscribe(f"{prefix}/live/#", qos=2)
        for qos in (0, 1, 2):
            payload = f"at {qos}".encode()
            await publisher.publish(f"{prefix}/live/topic", payload, qos=qos)
            message = await following(subscriber)
            assert (message.payload, message.qos, message.retain) == (payload, qos, False), message
        await publisher.publish(f"{prefix}/kept", b"kept", qos=1, retain=True)
        await subscriber.subscribe(f"{prefix}/kept", qos=2)
        message = await following(subscriber)
        assert (message.payload, message.retain) == (b"kept", True), message


async def will(port, version, prefix):
    async with client(port, version, f"{prefix}-w") as watcher:
        await watcher.subscribe(f"{prefix}/will", qos=2)
        vanishing = client(port, version, f"{prefix}-v", will=f"{prefix}/will")
        await vanishing.__aenter__()
        vanishing._client.socket().shutdown(2)
        assert (await following(watcher)).payload == b"gone"
        try:
            await vanishing.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            pass  # It notices that its connection is gone.


async def resume(port, version, prefix):
    async with client(port, version, f"{prefix}-r", keep=True) as sleeper:
        await sleeper.subscribe(f"{prefix}/away", qos=2)
    async with client(port, version, f"{prefix}-p2") as publisher:
        await publisher.publish(f"{prefix}/away", b"1", qos=1)
        await publisher.publish(f"{prefix}/away", b"2", qos=2)
    async with client(port, version, f"{prefix}-r", keep=True) as sleeper:
        assert [(await following(sleeper)).payload for _ in range(2)] == [b"1", b"2"]


async def main():
    port = int(sys.argv[1])
    for version in VERSIONS:
        for check in (exchange, will, resume):
            await check(port, version, f"aiomqtt-{version}-{check.__name__}")
        print(f"aiomqtt with MQTT {version}: all there")


asyncio.run(main())
