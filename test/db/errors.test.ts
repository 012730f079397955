import { describe, expect, it } from 'vitest'
import { defaultPolicies } from '../../src/core/policy/policy.ts'
import { userOf } from '../../src/core/upload.ts'
import { writePolicyDocument } from '../../src/policies/schema.ts'
import { testApp } from '../support/test-app.ts'

const root = userOf('root', 'creator', { isAdmin: true })
const nul = '\u0000'
const policies = writePolicyDocument(defaultPolicies)

// Every field of a request whose text reaches the database.
const requests: [string, { method?: 'POST' | 'PUT'; url: string; body?: object; version?: true }][] = [
  ['a fingerprint', { url: '/v1/uploads?fingerprint=a%00b' }],
  ['a user id', { url: '/v1/admin/uploads?user=a%00b' }],
  ['a search text', { url: '/v1/admin/uploads?text=a%00b' }],
  ['an actor', { url: '/v1/admin/audit?actor=%00' }],
  ['a tenant', { url: '/v1/admin/usage?tenant=%00' }],
  ['a key', { method: 'POST', url: '/v1/admin/keys', body: { name: `a${nul}`, role: 'creator', scopes: ['upload'] } }],
  [
    'a note on policies',
    { method: 'PUT', url: '/v1/admin/policies', body: { policies, note: `a${nul}` }, version: true },
  ],
]

describe('U+0000, which Postgres cannot store,', () => {
  it.each(requests)('is refused in %s', async (_, { method = 'POST', url, body, version }) => {
    const app = await testApp()
    const headers = { ...(await app.as(root)), ...(version && { 'if-match': '"1"' }) }

    const answer = await app.http.inject(body ? { method, url, headers, body } : { url, headers })

    expect([answer.statusCode, answer.json().error.code]).toEqual([400, 'INVALID_FIELD'])
  })
})
