import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isAllowed } from '../../../src/features/webhooks/addresses.ts'
import { createSend, type SendOptions } from '../../../src/features/webhooks/send.ts'
import { problemOfUrl } from '../../../src/features/webhooks/url.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'

const loopback = { networks: ['127.0.0.1'], allowsHttp: true }
const never = new AbortController().signal

function send(url: string, options: SendOptions = loopback, signal = never) {
  return createSend(options)({ url, headers: { 'webhook-id': 'evt_1' }, body: '{"data":{}}' }, signal)
}

describe('an address', () => {
  it.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '100.100.100.200',
    '169.254.169.254',
    '168.63.129.16',
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:169.254.169.254',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    '2001:db8::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '100::1',
    'not an address',
  ])('%s is refused', (address) => {
    expect(isAllowed(address, [])).toBe(false)
  })

  it.each(['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])('%s is allowed', (address) => {
    expect(isAllowed(address, [])).toBe(true)
  })

  it.each([
    ['10.1.2.3', '10.1.0.0/16', true],
    ['10.2.0.1', '10.1.0.0/16', false],
    ['::ffff:10.1.2.3', '10.1.0.0/16', true],
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.2', '127.0.0.1', false],
    ['fd00::5', 'fd00::/8', true],
    ['10.1.2.3', '::/0', false],
  ])('%s within the network %s: %s', (address, network, allowed) => {
    expect(isAllowed(address, [network])).toBe(allowed)
  })
})

describe('a URL', () => {
  it.each([
    'http://a.example/',
    'ftp://a.example/',
    'file:///etc/passwd',
    'a.example',
    'https://user@a.example/',
    'https://:secret@a.example/',
    'https://a.example/#part',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::ffff:169.254.169.254]/latest/meta-data',
  ])('%s is refused', (url) => {
    expect(problemOfUrl(url, { networks: [], allowsHttp: false })).toEqual(expect.any(String))
  })

  it('may be http, or at an address, where the operator allows it', () => {
    expect(problemOfUrl('http://127.0.0.1:8080/a?b', loopback)).toBeNull()
    expect(problemOfUrl('https://a.example/a?b', { networks: [], allowsHttp: false })).toBeNull()
  })
})

describe('a message', () => {
  it('is not sent to a name that resolves to a private address after it was accepted', async () => {
    const receiver = await webhookReceiver()
    const url = receiver.url.replace('127.0.0.1', 'rebound.example')
    const answers = [[{ address: '8.8.8.8', family: 4 }], [{ address: '127.0.0.1', family: 4 }]]
    const resolve: SendOptions['resolve'] = (_host, done) => done(null, answers[1]!)

    const outcome = await send(url, { networks: [], allowsHttp: true, resolve })

    expect(outcome).toMatchObject({ result: 'address-refused', status: null })
    expect(receiver.received).toEqual([])
  })

  it('is not sent to a name with one private address among public ones', async () => {
    const receiver = await webhookReceiver()
    const addresses = [
      { address: '8.8.8.8', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]
    const resolve: SendOptions['resolve'] = (_host, done) => done(null, addresses)
    const url = receiver.url.replace('127.0.0.1', 'mixed.example')

    const outcome = await send(url, { networks: [], allowsHttp: true, resolve })

    expect(outcome.result).toBe('address-refused')
    expect(receiver.received).toEqual([])
  })

  it('connects to the address that was checked, and asks for it once', async () => {
    const receiver = await webhookReceiver()
    let asked = 0
    const resolve: SendOptions['resolve'] = (_host, done) => {
      asked += 1
      done(null, asked === 1 ? [{ address: '127.0.0.1', family: 4 }] : [{ address: '127.0.0.9', family: 4 }])
    }

    const outcome = await send(receiver.url.replace('127.0.0.1', 'a.example'), { ...loopback, resolve })

    expect([outcome.status, asked]).toEqual([204, 1])
    expect(receiver.received[0]!.headers.host).toMatch(/^a\.example:/)
  })

  it('is not sent to a private address in the URL, nor with http, by default', async () => {
    const receiver = await webhookReceiver()

    const outcomes = [
      await send(receiver.url, { networks: [], allowsHttp: true }),
      await send(receiver.url, { ...loopback, allowsHttp: false }),
      await send(receiver.url.replace('127.0.0.1', '[::ffff:127.0.0.2]'), loopback),
    ]

    expect(outcomes.map(({ result }) => result)).toEqual(Array(3).fill('address-refused'))
    expect(receiver.received).toEqual([])
  })

  it('follows no redirect', async () => {
    const [receiver, elsewhere] = [await webhookReceiver(), await webhookReceiver()]
    receiver.answerWith((_message, response) => void response.writeHead(307, { location: elsewhere.url }).end())

    expect(await send(receiver.url)).toMatchObject({ result: 'answered', status: 307 })
    expect(elsewhere.received).toEqual([])
  })

  it('that is not answered ends with the time-out', async () => {
    const receiver = await webhookReceiver()
    receiver.answerWith(() => {})

    expect(await send(receiver.url, { ...loopback, timeoutMs: 100 })).toMatchObject({ result: 'timeout', status: null })
    expect(receiver.received).toHaveLength(1)
  })

  it('is answered although the body of the answer never ends', async () => {
    const receiver = await webhookReceiver()
    receiver.answerWith((_message, response) => void response.writeHead(200).write('a'))

    expect(await send(receiver.url, { ...loopback, timeoutMs: 100 })).toMatchObject({ result: 'answered', status: 200 })
  })

  it('whose answer is huge reads the beginning and closes the connection', async () => {
    const receiver = await webhookReceiver()
    const block = Buffer.alloc(64 * 1024)
    // Far more than the buffers of both sockets hold.
    const size = 64 * 1024 ** 2
    let sent = 0
    const closed = new Promise<void>((resolve) => {
      receiver.answerWith((_message, response) => {
        response.writeHead(200)
        const more = () => {
          let isFree = true
          while (sent < size && isFree) {
            isFree = response.write(block)
            sent += block.length
          }
          if (sent === size) response.end()
        }
        response.on('drain', more).on('close', resolve)
        more()
      })
    })

    const outcome = await send(receiver.url)
    await closed

    expect(outcome).toEqual({ result: 'answered', status: 200, retryAfter: undefined, ms: expect.any(Number) })
    expect(sent).toBeLessThan(size)
  })

  it('is unreachable when its name has no address', async () => {
    // A name of RFC 6761 that no resolver knows; Node then gives an error and no addresses.
    expect((await send('https://hooks.invalid/', { networks: [], allowsHttp: false })).result).toBe('unreachable')
  })

  it('is unreachable when the connection breaks, aborted when the server stops', async () => {
    const receiver = await webhookReceiver()
    receiver.answerWith((_message, response) => void response.destroy())
    const broken = await send(receiver.url)
    const stop = new AbortController()
    receiver.answerWith(() => stop.abort())

    expect(broken.result).toBe('unreachable')
    expect((await send(receiver.url, loopback, stop.signal)).result).toBe('aborted')
  })

  it('with https is not sent to a server without TLS', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    onTestFinished(() => void server.close())

    const outcome = await send(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)

    expect(outcome.result).toBe('unreachable')
  })
})
