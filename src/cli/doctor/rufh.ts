import type { Config } from '../../config.ts'
import { after, open, patienceMs, type Sender } from './exchange.ts'
import { about, type Finding } from './finding.ts'

const report = about('proxy')
const text = 'landfall doctor was here\n'
const phones = 'uploads by phones (Resumable Uploads for HTTP)'

interface Outcome {
  /** Of the final response; `null` when there was none. */
  status: number | null
  isAnnounced: boolean
}

/** Resumable Uploads for HTTP through the proxy, with the 104 that announces an upload while its first request is still on its way. */
export async function* probeRufh(
  url: string,
  { headers }: Sender,
  { INTERIM_RESPONSES }: Pick<Config, 'INTERIM_RESPONSES'>,
): AsyncGenerator<Finding> {
  const asPhones = await create(url, { ...headers, 'upload-draft-interop-version': '6' })
  if (!isCreated(asPhones)) {
    // A client that names no version gets no 104: what then works fails because of it.
    const without = await create(url, headers)
    yield isCreated(without)
      ? report.error(
          `${phones} fail: the proxy takes 104 for the answer${asPhones.status === null ? '' : ` (${asPhones.status})`}`,
          'Set INTERIM_RESPONSES=never: nginx and Varnish cannot pass 104 on.',
        )
      : report.error(
          `${phones} fail: POST ${url}/files is ${asPhones.status === null ? 'not answered' : `answered with ${asPhones.status}`}`,
          'Let the proxy pass the headers Upload-Complete, Upload-Draft-Interop-Version and Upload-Offset on, unchanged.',
        )
  } else if (asPhones.isAnnounced) yield report.ok(`${phones} work, and 104 reaches them before the answer`)
  else if (INTERIM_RESPONSES === 'never')
    yield report.ok(`${phones} work; without 104, one that breaks in its first request begins again`)
  else
    yield report.warning(
      `${phones} work, but no 104 reaches them: one that breaks in its first request begins again`,
      'If the proxy passes 1xx responses on (HAProxy, Caddy, Apache), set INTERIM_RESPONSES=always and run this again; if it does not (nginx, Varnish), set never.',
    )
}

function isCreated({ status }: Outcome): boolean {
  return status !== null && status >= 200 && status < 300
}

/**
 * Creates an upload as Apple's URLSession does; half the body waits for the 104, as a client may. It is left incomplete, and
 * cancelled.
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
  const response = await Promise.race([exchange.response, after(patienceMs)])
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
    signal: AbortSignal.timeout(patienceMs),
  }).catch(() => null)
}
