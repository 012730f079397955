import { createServer, type Server } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { openFairPool } from '../../src/db/fair-pool.ts'

const message = (type: string, body: Buffer) => {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const authenticationOk = message('R', Buffer.alloc(4))
const readyForQuery = message('Z', Buffer.from('I'))
const adminShutdown = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0'))

/** A Postgres that ends each connection in the packet in which it says that it is ready. */
async function openShuttingDown(): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.concat([authenticationOk, readyForQuery, adminShutdown])))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

it('survives a connection that is lost before the work that waits for it begins', async () => {
  const port = await openShuttingDown()
  const pool = openFairPool({
    host: '127.0.0.1',
    port,
    user: 'a',
    database: 'a',
    max: 1,
    connectionTimeoutMillis: 10_000,
  })
  pool.on('error', () => {})
  onTestFinished(() => pool.end())

  // Without a listener the error of the connection would end the process.
  await expect(pool.query('select 1')).rejects.toThrow()
  const client = await pool.connect()
  await expect(client.query('select 1')).rejects.toThrow()
  client.release()

  expect(pool.totalCount).toBe(0)
})
