import type { Answer, Connection } from './wire.ts'

export interface Upload {
  size: number
  /** Bytes of one request; 0: all of them. */
  chunk: number
  /** The first bytes come with the creation. */
  withUpload: boolean
  token: string
}

const tus = { 'tus-resumable': '1.0.0' }
// As every client of note sends it: a name and a type. (file.txt, text/plain)
const metadata = 'filename ZmlsZS50eHQ=,filetype dGV4dC9wbGFpbg=='
const offsetType = 'application/offset+octet-stream'

/** One file by tus; `told` hears how many milliseconds each request with bytes took. */
export async function sendTus(
  connection: Connection,
  { size, chunk, withUpload, token }: Upload,
  told: (ms: number) => void = () => {},
): Promise<void> {
  const authorization = `Bearer ${token}`
  const step = chunk || size
  const first = withUpload ? Math.min(step, size) : 0
  const head = { ...tus, authorization, 'upload-length': size, 'upload-metadata': metadata }
  const created = await timed(told, first > 0, () =>
    connection.ask('POST', '/files', first > 0 ? { ...head, 'content-type': offsetType } : head, first),
  )
  const path = pathOf(expectStatus(created, 201))
  for (let offset = first; offset < size; offset += step) {
    const bytes = Math.min(step, size - offset)
    const answer = await timed(told, true, () =>
      connection.ask(
        'PATCH',
        path,
        { ...tus, authorization, 'content-type': offsetType, 'upload-offset': offset },
        bytes,
      ),
    )
    expectStatus(answer, 204)
  }
}

/** One file by one request, in the IETF's protocol. */
export async function sendRufh(
  connection: Connection,
  { size, token }: Upload,
  told: (ms: number) => void,
): Promise<void> {
  const headers = {
    authorization: `Bearer ${token}`,
    'upload-complete': '?1',
    'upload-draft-interop-version': '8',
    'content-type': 'application/octet-stream',
  }
  expectOk(await timed(told, true, () => connection.ask('POST', '/files', headers, size)))
}

/** One file in as many pieces as there are connections, joined by tus's concatenation. */
export async function sendJoined(
  connections: Connection[],
  { size, token }: Upload,
  told: (ms: number) => void,
): Promise<void> {
  const authorization = `Bearer ${token}`
  const startedAt = performance.now()
  const share = size / connections.length
  const paths = await Promise.all(
    connections.map(async (connection) => {
      const head = { ...tus, authorization, 'upload-length': share, 'upload-concat': 'partial' }
      const path = pathOf(expectStatus(await connection.ask('POST', '/files', head), 201))
      const patch = { ...tus, authorization, 'content-type': offsetType, 'upload-offset': 0 }
      expectStatus(await connection.ask('PATCH', path, patch, share), 204)
      return path
    }),
  )
  const final = { ...tus, authorization, 'upload-concat': `final;${paths.join(' ')}` }
  expectStatus(await connections[0]!.ask('POST', '/files', final), 201)
  told(performance.now() - startedAt)
}

/** One PATCH at the speed of a poor line. */
export async function sendSlowly(connection: Connection, upload: Upload, bytesPerSecond: number): Promise<void> {
  const authorization = `Bearer ${upload.token}`
  const head = { ...tus, authorization, 'upload-length': upload.size }
  const path = pathOf(expectStatus(await connection.ask('POST', '/files', head), 201))
  const patch = { ...tus, authorization, 'content-type': offsetType, 'upload-offset': 0 }
  expectStatus(await connection.askSlowly('PATCH', path, patch, upload.size, bytesPerSecond), 204)
}

async function timed<T>(told: (ms: number) => void, counts: boolean, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const result = await work()
  if (counts) told(performance.now() - startedAt)
  return result
}

function pathOf({ headers: { location = '' } }: Answer): string {
  return location.replace(/^https?:\/\/[^/]+/, '')
}

function expectStatus(answer: Answer, status: number): Answer {
  if (answer.status !== status) throw new Error(`answered ${answer.status} instead of ${status}`)
  return answer
}

function expectOk(answer: Answer): void {
  if (answer.status >= 300) throw new Error(`answered ${answer.status}`)
}
