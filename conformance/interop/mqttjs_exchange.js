// MQTT.js through a running broker: every quality of service both ways, retained messages, wills, resumed sessions and
// shared subscriptions, in all three versions and over every transport that it has.
//
// Usage: node mqttjs_exchange.js CAFILE URL...     tcp://, tls://, ws://, wss://; needs the package mqtt in NODE_PATH
'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const mqtt = require('mqtt')

const PATIENCE = 10_000
const [, , caFile, ...urls] = process.argv

function inTime (promise, what) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not in time`)), PATIENCE)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

class Peer {
  static async connect (url, protocolVersion, clientId, options = {}) {
    const peer = new Peer()
    peer.waiting = []
    peer.arrived = []
    const { keep = false, will } = options
    const properties = protocolVersion === 5 && keep ? { sessionExpiryInterval: 60 } : undefined
    peer.client = mqtt.connect(url, {
      protocolVersion,
      protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
      clientId,
      clean: !keep,
      properties,
      will: will && { topic: will, payload: 'gone', qos: 1, retain: false },
      reconnectPeriod: 0,
      ca: fs.readFileSync(caFile)
    })
    peer.client.on('message', (topic, payload, packet) => {
      const message = { payload: payload.toString(), qos: packet.qos, retain: packet.retain }
      const taker = peer.waiting.shift()
      if (taker) taker(message); else peer.arrived.push(message)
    })
    const connected = new Promise((resolve, reject) => {
      peer.client.once('connect', resolve)
      peer.client.once('error', reject)
      peer.client.once('close', () => reject(new Error('closed')))
    })
    peer.sessionPresent = (await inTime(connected, 'CONNACK')).sessionPresent
    peer.client.on('error', () => {})
    return peer
  }

  async subscribe (filter) {
    const [granted] = await inTime(this.client.subscribeAsync(filter, { qos: 2 }), 'SUBACK')
    assert.strictEqual(granted.qos, 2)
  }

  publish (topic, payload, qos, retain = false) {
    return inTime(this.client.publishAsync(topic, payload, { qos, retain }), 'the acknowledgement')
  }

  next () {
    if (this.arrived.length > 0) return Promise.resolve(this.arrived.shift())
    return inTime(new Promise((resolve) => this.waiting.push(resolve)), 'a message')
  }

  end () { return inTime(this.client.endAsync(), 'the end') }

  // Without DISCONNECT.
  vanish () { this.client.stream.destroy() }
}

async function exchange (url, version, prefix) {
  const publisher = await Peer.connect(url, version, `${prefix}-p`)
  const subscriber = await Peer.connect(url, version, `${prefix}-s`)
  await subscriber.subscribe(`${prefix}/live/#`)
  for (const qos of [0, 1, 2]) {
    const payload = `at ${qos} `.repeat(20_000)
    await publisher.publish(`${prefix}/live/topic`, payload, qos)
    assert.deepStrictEqual(await subscriber.next(), { payload, qos, retain: false })
  }
  await publisher.publish(`${prefix}/kept`, 'kept', 1, true)
  await subscriber.subscribe(`${prefix}/kept`)
  assert.deepStrictEqual(await subscriber.next(), { payload: 'kept', qos: 1, retain: true })
  assert.strictEqual(subscriber.arrived.length, 0)
  await publisher.end()
  await subscriber.end()
}

async function will (url, version, prefix) {
  const watcher = await Peer.connect(url, version, `${prefix}-w`)
  await watcher.subscribe(`${prefix}/will`)
  await (await Peer.connect(url, version, `${prefix}-d`, { will: `${prefix}/will` })).end();
  (await Peer.connect(url, version, `${prefix}-v`, { will: `${prefix}/will` })).vanish()
  assert.strictEqual((await watcher.next()).payload, 'gone')
  assert.strictEqual(watcher.arrived.length, 0, 'one of them said goodbye')
  await watcher.end()
}

async function resume (url, version, prefix) {
  let sleeper = await Peer.connect(url, version, `${prefix}-r`, { keep: true })
  assert.strictEqual(sleeper.sessionPresent, false)
  await sleeper.subscribe(`${prefix}/away`)
  sleeper.vanish()
  const publisher = await Peer.connect(url, version, `${prefix}-p2`)
  for (const qos of [1, 2]) await publisher.publish(`${prefix}/away`, `${qos}`, qos)
  await publisher.end()
  sleeper = await Peer.connect(url, version, `${prefix}-r`, { keep: true })
  // CONNACK of 3.1 cannot tell.
  assert.strictEqual(sleeper.sessionPresent, version !== 3)
  for (const expected of ['1', '2']) assert.strictEqual((await sleeper.next()).payload, expected)
  await sleeper.end()
}

async function shared (url, version, prefix) {
  const members = []
  for (const number of [0, 1]) {
    const member = await Peer.connect(url, version, `${prefix}-m${number}`)
    await member.subscribe(`$share/group/${prefix}/work`)
    members.push(member)
  }
  const publisher = await Peer.connect(url, version, `${prefix}-p3`)
  for (let number = 0; number < 10; number++) await publisher.publish(`${prefix}/work`, `${number}`, 1)
  for (const member of members) await member.subscribe(`${prefix}/end`)
  await publisher.publish(`${prefix}/end`, 'end', 1)
  const got = []
  for (const member of members) {
    for (let message = await member.next(); message.payload !== 'end'; message = await member.next()) {
      got.push(Number(message.payload))
    }
  }
  assert.deepStrictEqual(got.sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  for (const peer of [...members, publisher]) await peer.end()
}

// Notes cells of the grid that held; grid.py prints them.
function held (transport, version, capabilities) {
  const cells = capabilities.map((capability) => `MQTT.js\t${transport}\t${version}\t${capability}\n`)
  fs.appendFileSync(process.env.QUINCE_GRID, cells.join(''))
}

const CHECKS = [
  [exchange, ['QoS 0', 'QoS 1', 'QoS 2', 'retained']],
  [will, ['will']],
  [resume, ['resume']],
  [shared, ['shared']]
]

async function main () {
  for (const [number, url] of urls.entries()) {
    const transport = new URL(url).protocol.slice(0, -1)
    for (const [version, name] of [[3, '3.1'], [4, '3.1.1'], [5, '5.0']]) {
      for (const [check, capabilities] of CHECKS) {
        // 3.1 has no Client Identifiers of more than 23 bytes.
        await check(url, version, `js-${number}-${version}-${check.name}`)
        held(transport, name, capabilities)
      }
      console.log(`MQTT.js over ${transport} with MQTT ${name}: all there`)
    }
  }
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
