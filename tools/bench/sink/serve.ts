/*
 * The S3 end as a process of its own: it throws bytes away, counts, and answers as late as it is told. Two ports, plain and
 * TLS (with BENCH_TLS_KEY and BENCH_TLS_CERT). Whoever forked it tells the weather and asks for the counts.
 */
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { createBucket } from './bucket.ts'
import { serveWire, type Weather } from './wire.ts'

/** What the process is told; every message is answered with the counts so far. */
export interface SinkOrder extends Partial<Weather> {
  forget?: boolean
}

const weather: Weather = { latencyMs: 0, bandwidth: 0, isStalled: false }
const { open, counts } = createBucket()
const { BENCH_TLS_KEY: key, BENCH_TLS_CERT: cert } = process.env

const serve = (socket: Socket) => serveWire(socket.setNoDelay(true), weather, open)
const plain = await listen(createServer(serve))
const tls = key && cert ? await listen(createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, serve)) : 0

process.on('message', ({ forget, ...news }: SinkOrder) => {
  Object.assign(weather, news)
  if (forget) {
    counts.requests = {}
    counts.bytes = 0
  }
  process.send!(counts)
})
process.on('disconnect', () => process.exit())
process.send!({ plain, tls })

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
