import type { NetConnectOpts } from 'node:net'

/** Where a scanner is and what it speaks. */
export type ScannerAddress =
  | { protocol: 'clamd'; connect: NetConnectOpts }
  | { protocol: 'icap'; connect: NetConnectOpts; url: string }

const ports = { clamd: 3310, icap: 1344 }

/**
 * The address of a scanner: `clamd://host:port`, the path of clamd's socket, or `icap://host:port/service`. `null`: it is none of these.
 */
export function parseScannerAddress(text: string): ScannerAddress | null {
  if (text.startsWith('/')) return { protocol: 'clamd', connect: { path: text } }
  const [, protocol, rest] = /^(clamd|icap):\/\/(.+)$/.exec(text) ?? []
  if (protocol === undefined || rest === undefined) return null
  // URLs of unknown schemes are not taken apart as those of http are.
  const url = URL.parse(`http://${rest}`)
  if (!url?.hostname || url.username || url.password || url.search || url.hash) return null
  // `http:` drops its own default port, which a scanner may have on purpose.
  const given = /^[^/]*:(\d+)(?:\/|$)/.exec(rest)?.[1]
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (protocol === 'clamd') {
    if (url.pathname !== '/') return null
    return { protocol, connect: { host, port: Number(given ?? ports.clamd) } }
  }
  if (protocol !== 'icap' || url.pathname === '/') return null
  const port = Number(given ?? ports.icap)
  return { protocol, connect: { host, port }, url: `icap://${url.hostname}:${port}${url.pathname}` }
}
