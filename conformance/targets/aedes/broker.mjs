// aedes in the configuration and at the ports that the environment names.
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const installed = createRequire(new URL('installed/', import.meta.url))
const { Aedes } = await import(pathToFileURL(installed.resolve('aedes')))
const { WebSocketServer, createWebSocketStream } = installed('ws')

const options = {}
switch (process.env.TARGET_CONFIGURATION) {
  case 'plain':
    break
  case 'restricted':
    options.authenticate = (client, user, password, done) => {
      if (user === 'judge' && String(password) === "judge's own") {
        done(null, true)
      } else {
        done(Object.assign(new Error('wrong user name or password'), { returnCode: 4 }), false)
      }
    }
    options.authorizePublish = (client, packet, done) =>
      done(packet.topic === 'denied' ? new Error('denied') : null)
    options.authorizeSubscribe = (client, subscription, done) =>
      done(null, subscription.topic === 'denied' ? null : subscription)
    break
  default:
    console.error(`there is no configuration ${process.env.TARGET_CONFIGURATION}`)
    process.exit(2)
}
const broker = await Aedes.createBroker(options)
createTcpServer(broker.handle).listen(process.env.TARGET_PORT_TCP, '127.0.0.1')
const web = createServer()
const sockets = new WebSocketServer({ server: web, handleProtocols: () => 'mqtt' })
sockets.on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request))
web.listen(process.env.TARGET_PORT_WS, '127.0.0.1')
