import { tokenRules, tokenSecret } from '../../app/development.ts'
import type { Config } from '../../config.ts'
import { matchesMediaType } from '../../core/policy/categories.ts'
import { effectivePolicy } from '../../core/policy/policy.ts'
import { userOf } from '../../core/upload.ts'
import { signToken } from '../../http/identity/secret.ts'
import { about, codeOf, type Finding, reasonOf } from '../../stores/finding.ts'
import { probeProxy } from './proxy.ts'

const report = about('address')
const timeoutMs = 10_000

/** Tests whether clients reach a server of this configuration at its public URL, and what a proxy in between does. */
export async function* probeAddress(config: Config, given: string | undefined): AsyncGenerator<Finding> {
  const url = given ?? config.PUBLIC_URL
  if (url === undefined) {
    yield report.warning(
      'PUBLIC_URL is not set, so the connection from clients to this server cannot be tested',
      'Set PUBLIC_URL, or run `landfall doctor --url https://…`. Behind a proxy that changes host or scheme, uploads need PUBLIC_URL.',
    )
    return
  }
  const health = await request(url, '/health')
  if (health instanceof Error) {
    yield unreachable(url, health)
    return
  }
  if (health.redirected) {
    const { origin } = new URL(health.url)
    yield report.error(
      `${url} redirects clients to ${origin}`,
      `Set PUBLIC_URL to ${origin}: a redirected PATCH loses its body.`,
    )
    return
  }
  if (!(await isLandfall(health))) {
    yield report.error(
      `something else answers at ${url} (${health.status})`,
      'Correct PUBLIC_URL, or point the proxy to HOST and PORT of this server; it must forward every path unchanged.',
    )
    return
  }
  const headers = { authorization: `Bearer ${await tokenFor(config)}` }
  const me = await request(url, '/v1/me', { headers })
  if (me instanceof Error || me.status !== 200) {
    yield report.error(
      `the server at ${url} does not accept tokens of this configuration (${me instanceof Error ? reasonOf(me) : me.status})`,
      'It is another deployment, or has another JWT_SECRET, or the proxy removes the Authorization header.',
    )
    return
  }
  yield report.ok(`a server of this configuration answers at ${url}`)
  yield* preflight(url, config)
  yield await page(url)
  const sender = roleFor(config)
  if (sender) yield* probeProxy(url, { headers, maxSize: sender.maxSize }, config)
  else yield report.warning('no role may send text files, so no upload was tested', 'Test an upload by hand.')
}

/** Tests the upload page at `url`: its script has a relative URL, which a proxy may not map. */
async function page(url: string): Promise<Finding> {
  const response = await request(url, '/')
  const html = response instanceof Error ? '' : await response.text()
  const script = /<script[^>]+src="([^"]+)"/.exec(html)?.[1]
  if (script === undefined && !(response instanceof Error) && response.status === 404)
    return report.ok('this server has no upload page')
  if (script === undefined)
    return report.warning(
      `there is no upload page at ${url}/ (${response instanceof Error ? reasonOf(response) : response.status})`,
      'Let the proxy forward every path. Your own clients can upload without the page.',
    )
  const { href } = new URL(script, `${url}/`)
  const asset = await fetch(href, { signal: AbortSignal.timeout(timeoutMs) }).catch((error) => error as Error)
  if (!(asset instanceof Error)) await asset.body?.cancel()
  if (!(asset instanceof Error) && asset.ok && /javascript/.test(asset.headers.get('content-type') ?? ''))
    return report.ok(`the upload page at ${url}/ loads its script`)
  return report.error(
    `the upload page at ${url}/ is blank: its script at ${href} is ${asset instanceof Error ? 'not answered' : `answered with ${asset.status}`}`,
    'Let the proxy strip the path prefix and forward everything below it, and set PUBLIC_URL to the URL with the prefix.',
  )
}

async function request(url: string, path: string, init: RequestInit = {}): Promise<Response | Error> {
  try {
    return await fetch(url + path, { ...init, signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    return error as Error
  }
}

async function isLandfall(response: Response): Promise<boolean> {
  const body = (await response.json().catch(() => null)) as { service?: unknown } | null
  return body?.service === 'landfall'
}

const doctorAs = (role: string) => userOf('landfall-doctor', role)

/** The role with the largest size limit among those that may send text files; `null` when there is none. */
function roleFor({ POLICIES }: Config): { role: string; maxSize: number } | null {
  const roles = Object.keys(POLICIES.roles).flatMap((role) => {
    const { maxSize, mediaTypes, categories } = effectivePolicy(POLICIES, doctorAs(role))!.policy
    const maySendText =
      (mediaTypes === null || matchesMediaType('text/plain', mediaTypes)) &&
      (categories === null || categories.includes('document'))
    return maySendText ? { role, maxSize: maxSize ?? Number.POSITIVE_INFINITY } : []
  })
  return roles.toSorted((a, b) => b.maxSize - a.maxSize)[0] ?? null
}

async function tokenFor(config: Config): Promise<string> {
  const role = roleFor(config)?.role ?? Object.keys(config.POLICIES.roles)[0] ?? 'none'
  return signToken(await tokenSecret(config), doctorAs(role), 300, tokenRules(config))
}

const certificateCodes = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|HOSTNAME/

function unreachable(url: string, error: Error): Finding {
  const code = codeOf(error) ?? ''
  const message = `${url} cannot be reached (${reasonOf(error)})`
  if (certificateCodes.test(code))
    return report.error(
      message,
      'Clients do not trust its certificate for this name: renew it, or have the proxy send the whole chain.',
    )
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return report.error(message, 'The host name does not resolve: correct PUBLIC_URL, or add the name to DNS.')
  if (code === 'ECONNREFUSED')
    return report.error(message, 'Nothing listens there: start the proxy and the server, or correct the port.')
  return report.error(message, 'Start the server, correct PUBLIC_URL, or open the firewall in between.')
}

/** Tests the CORS preflight that browsers send before pages of other origins may upload. */
async function* preflight(url: string, { CORS_ORIGINS }: Config): AsyncGenerator<Finding> {
  const origin = CORS_ORIGINS === '*' ? 'https://page.example' : (CORS_ORIGINS[0] ?? '')
  if (origin === new URL(url).origin) return
  const response = await request(url, '/files', {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization,tus-resumable,upload-offset,content-type',
    },
  })
  const allowed = response instanceof Error ? null : response.headers.get('access-control-allow-origin')
  const methods = response instanceof Error ? '' : (response.headers.get('access-control-allow-methods') ?? '')
  if ((allowed === '*' || allowed === origin) && methods.includes('PATCH'))
    yield report.ok(`pages of ${CORS_ORIGINS === '*' ? 'any origin' : origin} may upload`)
  else
    yield report.error(
      `pages of ${origin} may not upload: the CORS preflight is ${response instanceof Error ? 'not answered' : `answered with ${response.status}, without permission`}`,
      'The proxy must forward OPTIONS to Landfall, and keep the Access-Control headers of its responses.',
    )
}
