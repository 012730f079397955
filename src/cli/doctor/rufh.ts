import type { Config } from '../../config.ts'
import { about, type Finding } from '../../stores/finding.ts'
import { after, open, type Sender, timeoutMs } from './exchange.ts'

const report = about('proxy')
const text = 'landfall doctor was here\n'
const phones = 'uploads by phones (Resumable Uploads for HTTP)'

interface Outcome {
  /** The status of the final response; `null` when there was none. */
  status: number | null
  isAnnounced: boolean
}

/** Tests Resumable Uploads for HTTP through the proxy, with the 104 that announces an upload during its first request. */
export async function* probeRufh(
  url: string,
  { headers }: Sender,
  { INTERIM_RESPONSES }: Pick<Config, 'INTERIM_RESPONSES'>,
): AsyncGenerator<Finding> {
  const withInterim = await create(url, { ...headers, 'upload-draft-interop-version': '6' })
  if (!isCreated(withInterim)) {
    // A client that names no version gets no 104: if that works, the 104 is the cause.
    const without = await create(url, headers)
    yield isCreated(without)
      ? report.error(
          `${phones} fail: the proxy takes 104 for the final response${withInterim.status === null ? '' : ` (${withInterim.status})`}`,
          'Set INTERIM_RESPONSES=never: nginx and Varnish cannot forward 104.',
        )
      : report.error(
          `${phones} fail: POST ${url}/files is ${withInterim.status === null ? 'not answered' : `answered with ${withInterim.status}`}`,
          'Let the proxy forward the headers Upload-Complete, Upload-Draft-Interop-Version and Upload-Offset unchanged.',
        )
  } else if (withInterim.isAnnounced) yield report.ok(`${phones} work, and 104 reaches them before the final response`)
  else if (INTERIM_RESPONSES === 'never')
    yield report.ok(`${phones} work; without 104, one whose first request breaks starts again`)
  else
    yield report.warning(
      `${phones} work, but no 104 reaches them: one whose first request breaks starts again`,
      'If the proxy forwards 1xx responses (HAProxy, Caddy, Apache), set INTERIM_RESPONSES=always and run this again; if it does not (nginx, Varnish), set never.',
    )
}

function isCreated({ status }: Outcome): boolean {
  return status !== null && status >= 200 && status < 300
}

/**
 * Creates an upload as Apple's URLSession does, and sends half of the body only after the 104, as a client may. The upload stays
 * incomplete and is cancelled.
 */
async function create(url: string, headers: Record<string, string>): Promise<Outcome> {
  const exchange = open(`${url}/files`, 'POST', {
    ...headers,
    'upload-complete': '?0',
    'content-type': 'text/plain',
    'content-length': text.length * 2,
  })
  exchange.request.write(text)
  await Promise.race([exchange.interim, exchange.response, after(2000)])
  exchange.request.end(text)
  const response = await Promise.race([exchange.response, after(timeoutMs)])
  exchange.request.destroy()
  const [announced] = exchange.interims
  const location = response?.headers.location ?? announced?.headers.location
  if (typeof location === 'string') await cancel(new URL(location, `${url}/files`).href, headers)
  return { status: response?.statusCode ?? null, isAnnounced: announced?.statusCode === 104 }
}

async function cancel(upload: string, headers: Record<string, string>): Promise<void> {
  await fetch(upload, {
    method: 'DELETE',
    headers: { ...headers, 'tus-resumable': '1.0.0' },
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => null)
}
