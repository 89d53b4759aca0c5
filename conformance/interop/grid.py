"""The grid of the foreign tier: client and transport and version, against what was checked.

Every client appends the cells that held to the file that $QUINCE_GRID names; `grid.py` prints them all, and fails if one that
is expected is not there.
"""

import os
import sys

CAPABILITIES = ("QoS 0", "QoS 1", "QoS 2", "retained", "will", "resume", "shared")
ALL_VERSIONS = ("3.1", "3.1.1", "5.0")
# What each client speaks, of what the broker speaks too.
EXPECTED = {
    "mosquitto": (("tcp", "tls"), ALL_VERSIONS),
    "paho-mqtt": (("tcp", "tls", "ws", "wss"), ALL_VERSIONS),
    "MQTT.js": (("tcp", "tls", "ws", "wss"), ALL_VERSIONS),
    "gmqtt": (("tcp", "tls"), ("3.1.1", "5.0")),
    "aiomqtt": (("tcp", "tls", "ws", "wss"), ALL_VERSIONS),
    "rumqttc": (("tcp",), ("3.1.1", "5.0")),
    "mqtt5": (("tcp", "quic"), ("3.1.1", "5.0")),
}


def held(client, transport, version, capabilities):
    """Notes cells that held."""
    with open(os.environ["QUINCE_GRID"], "a", encoding="utf-8") as cells:
        for capability in capabilities:
            print(client, transport, version, capability, sep="\t", file=cells)


def main():
    """Prints the grid; 1 if a cell is missing, or one is there that nobody expects."""
    with open(os.environ["QUINCE_GRID"], encoding="utf-8") as file:
        cells = {tuple(line.rstrip("\n").split("\t")) for line in file}
    expected = {
        (client, transport, version, capability)
        for client, (transports, versions) in EXPECTED.items()
        for transport in transports
        for version in versions
        for capability in CAPABILITIES
    }
    print(f"{'client':<10} {'over':<5} {'MQTT':<6}", *(f"{capability:<9}" for capability in CAPABILITIES))
    for client, (transports, versions) in EXPECTED.items():
        for transport in transports:
            for version in versions:
                row = (client, transport, version)
                marks = ("yes" if (*row, capability) in cells else "MISSING" for capability in CAPABILITIES)
                print(f"{client:<10} {transport:<5} {version:<6}", *(f"{mark:<9}" for mark in marks))
    count = len(cells & expected)
    print(f"{count} of {len(expected)} cells held, with {len(EXPECTED)} clients")
    for cell in sorted(cells - expected):
        print("not expected:", *cell)
    return 0 if cells == expected else 1


if __name__ == "__main__":
    sys.exit(main())
