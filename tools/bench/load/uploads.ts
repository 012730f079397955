import type { Answer, Connection } from './wire.ts'

export interface Upload {
  size: number
  /** Bytes of one request; 0: the whole file. */
  chunk: number
  /** Creation With Upload. */
  withUpload: boolean
  token: string
}

const tus = { 'tus-resumable': '1.0.0' }
// The name and type that common clients send: file.txt, text/plain.
const metadata = 'filename ZmlsZS50eHQ=,filetype dGV4dC9wbGFpbg=='
const offsetType = 'application/offset+octet-stream'

/** Sends one file by tus. `onTime` is called with the milliseconds of each request with a body. */
export async function sendTus(
  connection: Connection,
  { size, chunk, withUpload, token }: Upload,
  onTime: (ms: number) => void = () => {},
): Promise<void> {
  const authorization = `Bearer ${token}`
  const step = chunk || size
  const first = withUpload ? Math.min(step, size) : 0
  const head = { ...tus, authorization, 'upload-length': size, 'upload-metadata': metadata }
  const created = await timed(onTime, first > 0, () =>
    connection.ask('POST', '/files', first > 0 ? { ...head, 'content-type': offsetType } : head, first),
  )
  const path = pathOf(expectStatus(created, 201))
  for (let offset = first; offset < size; offset += step) {
    const bytes = Math.min(step, size - offset)
    const answer = await timed(onTime, true, () =>
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

/** Sends one file by RUFH in one request. */
export async function sendRufh(
  connection: Connection,
  { size, token }: Upload,
  onTime: (ms: number) => void,
): Promise<void> {
  const headers = {
    authorization: `Bearer ${token}`,
    'upload-complete': '?1',
    'upload-draft-interop-version': '8',
    'content-type': 'application/octet-stream',
  }
  expectOk(await timed(onTime, true, () => connection.ask('POST', '/files', headers, size)))
}

/** Sends one file as partial uploads, one for each connection, and concatenates them. */
export async function sendConcatenated(
  connections: Connection[],
  { size, token }: Upload,
  onTime: (ms: number) => void,
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
  onTime(performance.now() - startedAt)
}

/** Sends one slow PATCH. */
export async function sendSlowly(connection: Connection, upload: Upload, bytesPerSecond: number): Promise<void> {
  const authorization = `Bearer ${upload.token}`
  const head = { ...tus, authorization, 'upload-length': upload.size }
  const path = pathOf(expectStatus(await connection.ask('POST', '/files', head), 201))
  const patch = { ...tus, authorization, 'content-type': offsetType, 'upload-offset': 0 }
  expectStatus(await connection.askSlowly('PATCH', path, patch, upload.size, bytesPerSecond), 204)
}

async function timed<T>(onTime: (ms: number) => void, counts: boolean, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const result = await work()
  if (counts) onTime(performance.now() - startedAt)
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
