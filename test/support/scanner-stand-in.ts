import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** The test file that every scanner knows, in two halves: so no scanner takes this repository for it. */
export const eicar = Buffer.from(
  ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join(''),
  'latin1',
)

export interface StandIn {
  port: number
  host: string
  /** What was sent to it as the bytes of files, one for each scan that has begun. */
  files: Buffer[]
  /** Everything that was sent to it, one for each connection. */
  received: Buffer[]
  /** Resolves when so many bytes of a file have arrived. */
  hasReceived(bytes: number): Promise<void>
}

/** How a stand-in answers. */
export interface Script {
  /** The answer to a file; `null`: the connection is closed without one; `silence`: it stays open. */
  answer?: (file: Buffer) => string | null | 'silence'
  /** Answers after so many bytes of the file, and reads no more. */
  answersAfter?: number
  /** Resets the connection after so many bytes of the file. */
  cutsAfter?: number
  /** The answer to VERSION (clamd). */
  version?: string
}

const findsEicar = (found: string, clean: string) => (file: Buffer) => (file.includes(eicar) ? found : clean)

/** clamd as its manual describes it; it finds `eicar`. Answers are sent byte by byte. */
export function startClamd({
  answer = findsEicar('stream: Eicar-Test-Signature FOUND\0', 'stream: OK\0'),
  version = 'ClamAV 1.4.6/27412/Mon Nov 30 09:26:04 2026',
  ...script
}: Script = {}): Promise<StandIn> {
  return start({ answer, ...script }, (received) => {
    const text = received.toString('latin1')
    if (text.startsWith('zVERSION\0')) return { says: `${version}\0` }
    const command = 'zINSTREAM\0'
    if (!text.startsWith(command)) return null
    const chunks: Buffer[] = []
    for (let at = command.length; at + 4 <= received.length; ) {
      const length = received.readUInt32BE(at)
      if (length === 0) return { file: Buffer.concat(chunks), isWhole: true }
      chunks.push(received.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    return { file: Buffer.concat(chunks), isWhole: false }
  })
}

/** An ICAP server with the headers of c-icap; it finds `eicar`. */
export function startIcap({
  answer = findsEicar(
    'ICAP/1.0 200 OK\r\nServer: C-ICAP/0.5.10\r\nService: C-ICAP/clamav\r\nISTag: "CI0001-1"\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Test-Signature;\r\nEncapsulated: res-hdr=0, res-body=26\r\n\r\nHTTP/1.0 403 Forbidden\r\n\r\n',
    'ICAP/1.0 204 Unmodified\r\nServer: C-ICAP/0.5.10\r\nService: C-ICAP/clamav\r\nISTag: "CI0001-1"\r\n\r\n',
  ),
  ...script
}: Script = {}): Promise<StandIn> {
  return start({ answer, ...script }, (received) => {
    const text = received.toString('latin1')
    const ends = [...text.matchAll(/\r\n\r\n/g)].map(({ index }) => index + 4)
    // The heads of ICAP, of the request and of the response.
    const begin = ends[2]
    if (begin === undefined) return null
    const chunks: Buffer[] = []
    for (let at = begin; ; ) {
      const eol = text.indexOf('\r\n', at)
      if (eol === -1) break
      const length = Number.parseInt(text.slice(at, eol), 16)
      if (length === 0) return { file: Buffer.concat(chunks), isWhole: true }
      chunks.push(received.subarray(eol + 2, eol + 2 + length))
      at = eol + 2 + length + 2
    }
    return { file: Buffer.concat(chunks), isWhole: false }
  })
}

type Parsed = { says: string } | { file: Buffer; isWhole: boolean } | null

async function start(script: Script, parse: (received: Buffer) => Parsed): Promise<StandIn> {
  const sockets = new Set<Socket>()
  const received: Buffer[] = []
  const files: Buffer[] = []
  const waiting: { bytes: number; resolve: () => void }[] = []

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    const connection = received.push(Buffer.alloc(0)) - 1
    let scan: number | undefined
    let isAnswered = false
    socket.on('data', (chunk: Buffer) => {
      if (isAnswered) return
      received[connection] = Buffer.concat([received[connection]!, chunk])
      const parsed = parse(received[connection])
      if (parsed === null) return
      if ('says' in parsed) return void say(socket, parsed.says)
      scan ??= files.push(parsed.file) - 1
      files[scan] = parsed.file
      for (const { bytes, resolve } of waiting) if (parsed.file.length >= bytes) resolve()
      if (parsed.file.length >= (script.cutsAfter ?? Number.POSITIVE_INFINITY)) return void socket.resetAndDestroy()
      const isEnough = parsed.file.length >= (script.answersAfter ?? Number.POSITIVE_INFINITY)
      if (!parsed.isWhole && !isEnough) return
      isAnswered = true
      if (!parsed.isWhole) socket.pause()
      const answer = script.answer!(parsed.file)
      if (answer === null) socket.end()
      else if (answer !== 'silence') void say(socket, answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return {
    host: '127.0.0.1',
    port,
    files,
    received,
    hasReceived: (bytes) =>
      files.some((file) => file.length >= bytes)
        ? Promise.resolve()
        : new Promise((resolve) => void waiting.push({ bytes, resolve })),
  }
}

/** Writes `answer` byte by byte, each in a packet of its own, and closes. */
async function say(socket: Socket, answer: string): Promise<void> {
  socket.setNoDelay(true)
  for (const byte of Buffer.from(answer, 'latin1'))
    await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
  socket.end()
}

/** A folder for a socket, removed with the test. */
export async function socketPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-scanner-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'clamd.sock')
}
