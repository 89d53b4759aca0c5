"""Python's aiomqtt through a running broker: every quality of service both ways, retained messages, wills, resumed sessions and
shared subscriptions, in all three versions and over every transport that it has.

Usage: aiomqtt_exchange.py CAFILE URL...     tcp://, tls://, ws://, wss://
"""

import asyncio
import os
import socket
import sys
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import grid

PATIENCE = 10
VERSIONS = {"3.1": aiomqtt.ProtocolVersion.V31, "3.1.1": aiomqtt.ProtocolVersion.V311, "5.0": aiomqtt.ProtocolVersion.V5}


def client(url, version, name, *, keep=False, will=None):
    options = {}
    if version == "5.0":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 60 if keep else 0
        options = {"clean_start": not keep, "properties": properties}
    else:
        options = {"clean_session": not keep}
    parts = urlsplit(url)
    if parts.scheme in ("ws", "wss"):
        options |= {"transport": "websockets", "websocket_path": parts.path}
    if parts.scheme in ("tls", "wss"):
        options["tls_params"] = aiomqtt.TLSParameters(ca_certs=CAFILE)
    options["will"] = aiomqtt.Will(will, b"gone", qos=1) if will else None
    return aiomqtt.Client(
        parts.hostname, parts.port, identifier=name, protocol=VERSIONS[version], timeout=PATIENCE, **options
    )


async def following(subscriber):
    return await asyncio.wait_for(anext(aiter(subscriber.messages)), PATIENCE)


async def exchange(url, version, prefix):
    async with client(url, version, f"{prefix}-p") as publisher, client(url, version, f"{prefix}-s") as subscriber:
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


async def will(url, version, prefix):
    async with client(url, version, f"{prefix}-w") as watcher:
        await watcher.subscribe(f"{prefix}/will", qos=2)
        async with client(url, version, f"{prefix}-d", will=f"{prefix}/will"):
            pass
        await watcher.publish(f"{prefix}/will", b"between", qos=1)
        # Who said goodbye left no will.
        assert (await following(watcher)).payload == b"between"
        vanishing = client(url, version, f"{prefix}-v", will=f"{prefix}/will")
        await vanishing.__aenter__()
        # The TCP socket below it, whatever is on top.
        with socket.socket(fileno=os.dup(vanishing._client.socket().fileno())) as below:
            below.shutdown(socket.SHUT_RDWR)
        assert (await following(watcher)).payload == b"gone"
        try:
            await vanishing.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            pass  # It notices that its connection is gone.


async def resume(url, version, prefix):
    async with client(url, version, f"{prefix}-r", keep=True) as sleeper:
        await sleeper.subscribe(f"{prefix}/away", qos=2)
    async with client(url, version, f"{prefix}-p2") as publisher:
        await publisher.publish(f"{prefix}/away", b"1", qos=1)
        await publisher.publish(f"{prefix}/away", b"2", qos=2)
    async with client(url, version, f"{prefix}-r", keep=True) as sleeper:
        assert [(await following(sleeper)).payload for _ in range(2)] == [b"1", b"2"]


async def shared(url, version, prefix):
    async with AsyncExitStack() as stack:
        members = []
        for number in range(2):
            member = await stack.enter_async_context(client(url, version, f"{prefix}-m{number}"))
            await member.subscribe(f"$share/group/{prefix}/work", qos=2)
            # A message after all others on every connection closes the count.
            await member.subscribe(f"{prefix}/end", qos=2)
            members.append(member)
        publisher = await stack.enter_async_context(client(url, version, f"{prefix}-p3"))
        for number in range(10):
            await publisher.publish(f"{prefix}/work", str(number).encode(), qos=1)
        await publisher.publish(f"{prefix}/end", b"end", qos=1)
        got = []
        for member in members:
            while (payload := (await following(member)).payload) != b"end":
                got.append(int(payload))
        assert sorted(got) == list(range(10)), got


CHECKS = {exchange: grid.CAPABILITIES[:4], will: ["will"], resume: ["resume"], shared: ["shared"]}


async def main():
    for number, url in enumerate(sys.argv[2:]):
        for version in VERSIONS:
            for check, capabilities in CHECKS.items():
                # 3.1 has no Client Identifiers of more than 23 bytes.
                await check(url, version, f"aio-{number}-{version}-{check.__name__}")
                grid.held("aiomqtt", urlsplit(url).scheme, version, capabilities)
            print(f"aiomqtt over {urlsplit(url).scheme} with MQTT {version}: all there")


CAFILE = sys.argv[1]
asyncio.run(main())
