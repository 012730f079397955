import { beforeAll, describe, expect, it } from 'vitest'
import { built } from '../support/built.ts'
import { testApp } from '../support/test-app.ts'

// A proxy that publishes the server below /upload/ strips that prefix, so only relative addresses work for the browser.
const publicUrl = 'https://files.example/upload'

beforeAll(() => built('pages'))

describe('behind a proxy that strips a path prefix', () => {
  it.each(['/', '/admin', '/docs', '/docs/', '/docs?a=b'])('%s loads nothing from outside the prefix', async (page) => {
    const { http } = await testApp({ API_DOCS: 'true' })

    const { statusCode, body } = await http.inject(page)
    const links = [...body.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, address]) => address!)
    const addresses = links.map((address) => new URL(address, publicUrl + page).href)

    expect(statusCode).toBe(200)
    expect(addresses.length).toBeGreaterThan(2)
    for (const address of addresses) {
      expect(address.startsWith(`${publicUrl}/`), address).toBe(true)
      expect((await http.inject(address.slice(publicUrl.length))).statusCode, address).toBe(200)
    }
  })

  it('the OpenAPI description names the prefix as the server address', async () => {
    const { http } = await testApp({ API_DOCS: 'true' })

    const [server] = (await http.inject('/docs/json')).json().servers

    expect(new URL(server.url, `${publicUrl}/docs/json`).href).toBe(`${publicUrl}/`)
  })
})
