/*
 * The S3 sink in its own process: it discards bytes, counts requests, and answers with the latency and faults that its parent sets. Two
 * ports, plain and TLS (with BENCH_TLS_KEY and BENCH_TLS_CERT).
 */
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { createBucket } from './bucket.ts'
import { type Faults, serveWire } from './wire.ts'

/** A message to the sink, which answers with its counts so far. */
export interface SinkSettings extends Partial<Faults> {
  forget?: boolean
}

const faults: Faults = { latencyMs: 0, bandwidth: 0, isStalled: false }
const { open, counts } = createBucket()
const { BENCH_TLS_KEY: key, BENCH_TLS_CERT: cert } = process.env

const serve = (socket: Socket) => serveWire(socket.setNoDelay(true), faults, open)
const plain = await listen(createServer(serve))
const tls = key && cert ? await listen(createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, serve)) : 0

process.on('message', ({ forget, ...changes }: SinkSettings) => {
  Object.assign(faults, changes)
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
