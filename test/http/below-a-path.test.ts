import { beforeAll, describe, expect, it } from 'vitest'
import { built } from '../support/built.ts'
import { testApp } from '../support/test-app.ts'

// A proxy that serves the server below /upload/ cuts that off: only addresses that are relative find their way back.
const outside = 'https://files.example/upload'

beforeAll(() => built('pages'))

describe('below a path of a proxy', () => {
  it.each(['/', '/admin', '/docs', '/docs/', '/docs?a=b'])('%s asks for nothing outside of the path', async (page) => {
    const { http } = await testApp({ API_DOCS: 'true' })

    const { statusCode, body } = await http.inject(page)
    const named = [...body.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, address]) => address!)
    const addresses = named.map((address) => new URL(address, outside + page).href)

    expect(statusCode).toBe(200)
    expect(addresses.length).toBeGreaterThan(2)
    for (const address of addresses) {
      expect(address.startsWith(`${outside}/`), address).toBe(true)
      expect((await http.inject(address.slice(outside.length))).statusCode, address).toBe(200)
    }
  })

  it('the description of the API says that it begins at the path', async () => {
    const { http } = await testApp({ API_DOCS: 'true' })

    const [server] = (await http.inject('/docs/json')).json().servers

    expect(new URL(server.url, `${outside}/docs/json`).href).toBe(`${outside}/`)
  })
})
