import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { askFor } from '../../support/raw-http.ts'
import { testApp } from '../../support/test-app.ts'

const unknownId = '00000000-0000-4000-8000-000000000000'

it.each([
  ['may name 500 partial uploads by their full addresses', 500, 404],
  ['may not name more partial uploads than allowed', 501, 400],
  ['may not have a header above the limit', 640, 431],
])('a final upload %s', async (_what, count, status) => {
  const app = await testApp()
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  const address = `https://uploads.with-a-long-name.example.org/below/some/path/files/${unknownId}`
  const headers = {
    ...(await app.as()),
    'tus-resumable': '1.0.0',
    'upload-concat': `final;${Array.from({ length: count }, () => address).join(' ')}`,
    'content-length': 0,
  }

  const answer = await askFor(port, { method: 'POST', path: '/files', headers })

  expect(answer.status).toBe(status)
})
