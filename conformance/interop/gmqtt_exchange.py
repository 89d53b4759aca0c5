"""Python's gmqtt through a running broker: every quality of service both ways, retained messages, wills, resumed sessions and
shared subscriptions, in both of its versions and over both of its transports.

Usage: gmqtt_exchange.py CAFILE URL...     tcp://, tls://
"""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

import grid

PATIENCE = 10
NAMES = {MQTTv311: "3.1.1", MQTTv50: "5.0"}


async def connect(url, version, name, *, keep=False, will=None):
    options = {"session_expiry_interval": 60} if keep and version == MQTTv50 else {}
    message = gmqtt.Message(will, b"gone", qos=1) if will else None
    client = gmqtt.Client(name, clean_session=not keep, will_message=message, **options)
    # It would come back by itself after the connection that is cut on purpose.
    client.set_config({"reconnect_retries": -1})
    client.messages, client.subscribed, connected = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
    client.on_connect = lambda c, flags, code, properties: connected.put_nowait((flags, code))
    client.on_subscribe = lambda c, mid, granted, properties: client.subscribed.put_nowait(granted)
    client.on_message = on_message
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=CAFILE) if parts.scheme == "tls" else False
    await client.connect(parts.hostname, parts.port, ssl=tls, version=version)
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


async def end(client, **properties):
    try:
        await client.disconnect(**properties)
    except ssl.SSLError as error:
        # It closes TLS without waiting for what is under way, and takes that for a mistake of the broker's.
        if error.reason != "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            raise


async def following(client):
    return await asyncio.wait_for(client.messages.get(), PATIENCE)


async def exchange(url, version, prefix):
    publisher = await connect(url, version, f"{prefix}-p")
    subscriber = await connect(url, version, f"{prefix}-s")
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
    await end(publisher)
    await end(subscriber)


async def will(url, version, prefix):
    watcher = await connect(url, version, f"{prefix}-w")
    await subscribe(watcher, f"{prefix}/will")
    leaving = await connect(url, version, f"{prefix}-d", will=f"{prefix}/will")
    await end(leaving)
    watcher.publish(f"{prefix}/will", b"between", qos=1)
    # Who said goodbye left no will.
    assert (await following(watcher))[0] == b"between"
    vanishing = await connect(url, version, f"{prefix}-v", will=f"{prefix}/will")
    vanishing._connection._transport.abort()
    assert (await following(watcher))[0] == b"gone"
    await end(watcher)


async def resume(url, version, prefix):
    sleeper = await connect(url, version, f"{prefix}-r", keep=True)
    assert not sleeper.session_present
    await subscribe(sleeper, f"{prefix}/away")
    await end(sleeper, **({"session_expiry_interval": 60} if version == MQTTv50 else {}))
    publisher = await connect(url, version, f"{prefix}-p2")
    publisher.publish(f"{prefix}/away", b"1", qos=1)
    publisher.publish(f"{prefix}/away", b"2", qos=2)
    await subscribe(publisher, f"{prefix}/end")
    publisher.publish(f"{prefix}/end", b"end", qos=2)
    await following(publisher)
    await end(publisher)
    sleeper = await connect(url, version, f"{prefix}-r", keep=True)
    assert sleeper.session_present
    assert [(await following(sleeper))[0] for _ in range(2)] == [b"1", b"2"]
    await end(sleeper)


async def shared(url, version, prefix):
    members = [await connect(url, version, f"{prefix}-m{number}") for number in range(2)]
    for member in members:
        await subscribe(member, f"$share/group/{prefix}/work")
        # A message after all others on every connection closes the count.
        await subscribe(member, f"{prefix}/end")
    publisher = await connect(url, version, f"{prefix}-p3")
    for number in range(10):
        publisher.publish(f"{prefix}/work", str(number).encode(), qos=1)
    publisher.publish(f"{prefix}/end", b"end", qos=1)
    got = []
    for member in members:
        while (payload := (await following(member))[0]) != b"end":
            got.append(int(payload))
    assert sorted(got) == list(range(10)), got
    for client in (*members, publisher):
        await end(client)


CHECKS = {exchange: grid.CAPABILITIES[:4], will: ["will"], resume: ["resume"], shared: ["shared"]}


async def main():
    for number, url in enumerate(sys.argv[2:]):
        for version, name in NAMES.items():
            for check, capabilities in CHECKS.items():
                await check(url, version, f"gmqtt-{number}-{version}-{check.__name__}")
                grid.held("gmqtt", urlsplit(url).scheme, name, capabilities)
            print(f"gmqtt over {urlsplit(url).scheme} with MQTT {name}: all there")


CAFILE = sys.argv[1]
asyncio.run(main())
