import { EventEmitter } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { admitConnections } from '../../../src/http/connection/admission.ts'
import { openRaw } from '../../support/raw-http.ts'
import { testApp } from '../../support/test-app.ts'

/** Connections by address, as the admission of a server of eight sees them. */
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
      admit(socket, (one) => busy.has(one))
      return socket
    },
  }
}

const crowd = ['203.0.113.1', '203.0.113.1', '203.0.113.1', '203.0.113.1']
const others = ['198.51.100.1', '198.51.100.1', '192.0.2.9', '192.0.2.9']

describe('a server that holds as many connections as it may', () => {
  it('ends the oldest idle one of the network that has most for one of another', () => {
    const { open } = admission()
    const [first, ...rest] = [...crowd, ...others].map(open)

    const newcomer = open('198.18.0.1')

    expect(newcomer.destroyed).toBe(false)
    expect(first!.destroyed).toBe(true)
    expect(rest.filter((socket) => socket.destroyed)).toEqual([])
  })

  it('ends none on which a request is being answered', () => {
    const { open, busy } = admission()
    const held = [...crowd, ...others].map(open)
    for (const socket of held) busy.add(socket)

    const refused = open('198.18.0.1')
    busy.delete(held[2]!)
    const taken = open('198.18.0.1')

    expect([refused.destroyed, taken.destroyed, held.map((socket) => socket.destroyed).indexOf(true)]).toEqual([
      true,
      false,
      2,
    ])
  })

  it('ends none for a newcomer whose network has no less', () => {
    const { open } = admission()
    const held = [...crowd.slice(2), '203.0.114.1', '203.0.114.1', ...others].map(open)

    const newcomer = open('198.51.100.1')

    expect(newcomer.destroyed).toBe(true)
    expect(held.some((socket) => socket.destroyed)).toBe(false)
  })

  it('counts a network of many addresses as one', () => {
    const { open } = admission({ perAddress: 2 })
    const wide = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4'].map(open)
    for (const address of ['198.51.100.1', '198.18.0.2', '198.19.0.3', '192.0.2.9']) open(address)

    const newcomer = open('100.64.0.1')

    expect([newcomer.destroyed, wide[0]!.destroyed]).toEqual([false, true])
  })

  it('ends none of a trusted proxy, whose newcomers find a place', () => {
    const { open } = admission()
    const ofProxy = Array.from({ length: 7 }, () => open('192.0.2.1'))
    const idle = open('203.0.113.1')

    const newcomer = open('192.0.2.1')
    const refused = open('192.0.2.1')

    expect([idle.destroyed, newcomer.destroyed, refused.destroyed]).toEqual([true, false, true])
    expect(ofProxy.some((socket) => socket.destroyed)).toBe(false)
  })

  it('has a place again for each one that has ended', () => {
    const { open } = admission()
    for (let n = 0; n < 50; n += 1) open('203.0.113.1').destroy()

    const held = [...crowd, ...others].map(open)

    expect(held.some((socket) => socket.destroyed)).toBe(false)
  })

  it('answers on one that took the place of an idle one', async () => {
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

    const newcomer = await open('127.0.0.2')
    await newcomer.send('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    expect((await newcomer.answer())?.status).toBe(200)
    await idle.closed()
  })
})
