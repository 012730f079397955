import { EventEmitter } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { admitConnections } from '../../../src/http/connection/admission.ts'
import { openRaw } from '../../support/raw-http.ts'
import { testApp } from '../../support/test-app.ts'

/** An admission with eight connections, and a function that opens a connection from an address. */
function admission({ perAddress = 4 } = {}) {
  const admit = admitConnections({
    connections: 8,
    connectionsPerAddress: perAddress,
    isProxy: (address) => address === '192.0.2.1',
  })
  const busy = new Set<Socket>()
  return {
    busy,
    open(address: string): Socket {
      const socket = Object.assign(new EventEmitter(), {
        remoteAddress: address,
        destroyed: false,
        destroy(this: EventEmitter & { destroyed: boolean }) {
          this.destroyed = true
          this.emit('close')
        },
      }) as unknown as Socket
      admit(socket, (connection) => busy.has(connection))
      return socket
    },
  }
}

const sameAddress = ['203.0.113.1', '203.0.113.1', '203.0.113.1', '203.0.113.1']
const others = ['198.51.100.1', '198.51.100.1', '192.0.2.9', '192.0.2.9']

describe('a server at its limit of connections', () => {
  it('closes the oldest idle one of the largest network for one of another', () => {
    const { open } = admission()
    const [first, ...rest] = [...sameAddress, ...others].map(open)

    const added = open('198.18.0.1')

    expect(added.destroyed).toBe(false)
    expect(first!.destroyed).toBe(true)
    expect(rest.filter((socket) => socket.destroyed)).toEqual([])
  })

  it('closes none on which a request is being answered', () => {
    const { open, busy } = admission()
    const held = [...sameAddress, ...others].map(open)
    for (const socket of held) busy.add(socket)

    const refused = open('198.18.0.1')
    busy.delete(held[2]!)
    const accepted = open('198.18.0.1')

    expect([refused.destroyed, accepted.destroyed, held.map((socket) => socket.destroyed).indexOf(true)]).toEqual([
      true,
      false,
      2,
    ])
  })

  it('closes none for a new one whose network has as many', () => {
    const { open } = admission()
    const held = [...sameAddress.slice(2), '203.0.114.1', '203.0.114.1', ...others].map(open)

    const added = open('198.51.100.1')

    expect(added.destroyed).toBe(true)
    expect(held.some((socket) => socket.destroyed)).toBe(false)
  })

  it('counts a network of many addresses as one', () => {
    const { open } = admission({ perAddress: 2 })
    const wide = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4'].map(open)
    for (const address of ['198.51.100.1', '198.18.0.2', '198.19.0.3', '192.0.2.9']) open(address)

    const added = open('100.64.0.1')

    expect([added.destroyed, wide[0]!.destroyed]).toEqual([false, true])
  })

  it('closes none of a trusted proxy, whose new connections replace others', () => {
    const { open } = admission()
    const ofProxy = Array.from({ length: 7 }, () => open('192.0.2.1'))
    const idle = open('203.0.113.1')

    const added = open('192.0.2.1')
    const refused = open('192.0.2.1')

    expect([idle.destroyed, added.destroyed, refused.destroyed]).toEqual([true, false, true])
    expect(ofProxy.some((socket) => socket.destroyed)).toBe(false)
  })

  it('accepts a new one for each that has closed', () => {
    const { open } = admission()
    for (let n = 0; n < 50; n += 1) open('203.0.113.1').destroy()

    const held = [...sameAddress, ...others].map(open)

    expect(held.some((socket) => socket.destroyed)).toBe(false)
  })

  it('answers on one that replaced an idle one', async () => {
    const app = await testApp({ CONNECTIONS_AT_ONCE: '4', TRUST_PROXY: '127.0.0.2' })
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.http.server.address() as AddressInfo
    const open = async (localAddress?: string) => {
      const connection = await openRaw(port, localAddress)
      onTestFinished(() => connection.cut())
      return connection
    }
    const idle = await open()
    await idle.send('GET / HT')
    await Promise.all([open(), open(), open('127.0.0.2')])

    const added = await open('127.0.0.2')
    await added.send('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    expect((await added.answer())?.status).toBe(200)
    await idle.closed()
  })
})
