import { addressIn, isAllowed } from './addresses.ts'

/** Which URLs and addresses webhooks may be sent to. */
export interface Targets {
  allowsHttp: boolean
  /** Networks beside public addresses. */
  networks: string[]
}

/** What is wrong with the URL of an endpoint; `null`: nothing that can be seen before its name is resolved, which each attempt does. */
export function problemOfUrl(text: string, { allowsHttp, networks }: Targets): string | null {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be an https URL'
  if (url.protocol === 'http:' && !allowsHttp) return 'must be https'
  if (url.username !== '' || url.password !== '') return 'must not have a user or a password'
  if (url.hash !== '') return 'must not have a fragment'
  const address = addressIn(url)
  if (address !== null && !isAllowed(address, networks)) return 'has an address to which this server sends no webhooks'
  return null
}
