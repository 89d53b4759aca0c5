"""mosquitto_pub and mosquitto_sub through a running broker: every quality of service both ways, retained messages, wills, resumed
sessions and shared subscriptions, in all three versions and over every transport that they have.

Usage: mosquitto_exchange.py CAFILE URL...     tcp://, tls://
"""

import queue
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import grid

PATIENCE = 10
VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5.0": "mqttv5"}


def options(url, version):
    parts = urlsplit(url)
    ca = ["--cafile", CAFILE] if parts.scheme == "tls" else []
    return ["-h", parts.hostname, "-p", str(parts.port), "-V", VERSIONS[version], *ca]


def publish(url, version, topic, payload, qos, *more):
    """Publishes, and waits for the end of the exchange."""
    command = ["mosquitto_pub", *options(url, version), "-q", str(qos), "-t", topic, "-m", payload, *more]
    subprocess.run(command, check=True, timeout=PATIENCE)


class Subscriber:
    """A mosquitto_sub that has been granted what it subscribes to, at QoS 2."""

    def __init__(self, url, version, name, topics, *more):
        filters = [part for topic in topics for part in ("-t", topic)]
        # Into a pipe it would write nothing before its end.
        command = ["stdbuf", "-oL", "mosquitto_sub", *options(url, version), "-i", name, "-q", "2", *filters]
        command += ["-d", "-F", "message %q %r %p", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.messages, self.granted, self.said = queue.Queue(), queue.Queue(), []
        threading.Thread(target=self._listen, daemon=True).start()
        # They all go in one SUBSCRIBE.
        granted = self.granted.get(timeout=PATIENCE)
        assert granted.endswith(": " + ", ".join("2" for _ in topics)), (granted, self.said)

    def _listen(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            self.said.append(line)
            if line.startswith("message "):
                qos, retain, payload = line.split(" ", 3)[1:]
                self.messages.put((payload, int(qos), retain == "1"))
            elif line.startswith("Subscribed "):
                self.granted.put(line)

    def next(self):
        try:
            return self.messages.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(self.said) from None

    def end(self):
        """With DISCONNECT."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def vanish(self):
        """Without."""
        self.process.kill()
        self.process.wait(PATIENCE)


def exchange(url, version, prefix):
    subscriber = Subscriber(url, version, f"{prefix}-s", [f"{prefix}/live/#"])
    for qos in (0, 1, 2):
        publish(url, version, f"{prefix}/live/topic", f"at {qos}", qos)
        message = subscriber.next()
        assert message == (f"at {qos}", qos, False), message
    subscriber.end()
    publish(url, version, f"{prefix}/kept", "kept", 1, "-r")
    subscriber = Subscriber(url, version, f"{prefix}-s", [f"{prefix}/kept"])
    assert subscriber.next() == ("kept", 1, True), subscriber.said
    subscriber.end()


def will(url, version, prefix):
    watcher = Subscriber(url, version, f"{prefix}-w", [f"{prefix}/will"])
    options = ["--will-topic", f"{prefix}/will", "--will-payload", "gone", "--will-qos", "1"]
    # `-E`: it leaves when it has its SUBACK. Ended by a signal it asks for its will in 5.0, with Reason Code 0x04.
    leaving = Subscriber(url, version, f"{prefix}-d", [f"{prefix}/other"], *options, "-E")
    assert leaving.process.wait(PATIENCE) == 0, leaving.said
    publish(url, version, f"{prefix}/will", "between", 1)
    Subscriber(url, version, f"{prefix}-v", [f"{prefix}/other"], *options).vanish()
    # Who said goodbye left no will.
    assert [watcher.next()[0] for _ in range(2)] == ["between", "gone"], watcher.said
    watcher.end()


def resume(url, version, prefix):
    keep = ["-c", *(["-x", "60"] if version == "5.0" else [])]
    sleeper = Subscriber(url, version, f"{prefix}-r", [f"{prefix}/away"], *keep)
    sleeper.vanish()
    for qos in (1, 2):
        publish(url, version, f"{prefix}/away", str(qos), qos)
    # It subscribes again, to something else: what it gets it gets from what was kept.
    sleeper = Subscriber(url, version, f"{prefix}-r", [f"{prefix}/other"], *keep)
    assert [sleeper.next()[:2] for _ in range(2)] == [("1", 1), ("2", 2)], sleeper.said
    sleeper.end()


def shared(url, version, prefix):
    topics = [f"$share/group/{prefix}/work", f"{prefix}/end"]
    members = [Subscriber(url, version, f"{prefix}-m{number}", topics) for number in range(2)]
    for number in range(10):
        publish(url, version, f"{prefix}/work", str(number), 1)
    # A message after all others on every connection closes the count.
    publish(url, version, f"{prefix}/end", "end", 1)
    got = []
    for member in members:
        while (payload := member.next()[0]) != "end":
            got.append(int(payload))
        member.end()
    assert sorted(got) == list(range(10)), got


CHECKS = {exchange: grid.CAPABILITIES[:4], will: ["will"], resume: ["resume"], shared: ["shared"]}


def main():
    for number, url in enumerate(sys.argv[2:]):
        for version in VERSIONS:
            for check, capabilities in CHECKS.items():
                # 3.1 has no Client Identifiers of more than 23 bytes.
                check(url, version, f"mosq-{number}-{version}-{check.__name__}")
                grid.held("mosquitto", urlsplit(url).scheme, version, capabilities)
            print(f"mosquitto_pub and mosquitto_sub over {urlsplit(url).scheme} with MQTT {version}: all there")


CAFILE = sys.argv[1]
main()
