import { expect, it } from 'vitest'
import { sharedApp } from '../support/test-app.ts'

const id = '[0-9a-f-]{36}'
const forwarded = {
  'x-forwarded-for': '192.0.2.7',
  'x-forwarded-host': 'public.example',
  'x-forwarded-proto': 'https',
}

/** The Location of a creation with these headers in every protocol, and the address in the list of uploads. */
async function addresses(env: Record<string, string>, headers: Record<string, string>) {
  const { http, as } = await sharedApp(env)
  const common = { ...headers, ...(await as()) }
  const tus = { 'tus-resumable': '1.0.0', 'upload-length': '5' }
  const rufh = { 'upload-complete': '?0' }
  const create = (url: string, more: Record<string, string>, payload?: object) =>
    http.inject({ method: 'POST', url, headers: { ...common, ...more }, ...(payload && { payload }) })
  const answers = [
    await create('/files', tus),
    await create('/files', rufh),
    await create('/v1/uploads/init', {}, { file_name: 'a', total_size: 5 }),
    await create('/api/upload/init', {}, { file_name: 'a', total_size: 5 }),
  ]
  const list = await http.inject({ url: '/v1/uploads?limit=1', headers: common })
  return [...answers.map((answer) => String(answer.headers.location)), list.json().uploads[0].url as string]
}

const below = (start: string) =>
  ['/files', '/files', '/v1/uploads', '/v1/uploads', '/files'].map((path) =>
    expect.stringMatching(`^${start}${path}/${id}$`),
  )

it.each<[string, Record<string, string>, Record<string, string>, string]>([
  ['there is no proxy', {}, {}, ''],
  ['a trusted proxy forwards host and scheme', { TRUST_PROXY: 'true' }, forwarded, ''],
  [
    'a trusted proxy has stripped a prefix',
    { TRUST_PROXY: '127.0.0.0/8' },
    { ...forwarded, 'x-forwarded-prefix': '/below/here/' },
    '/below/here',
  ],
  ['the proxy is not trusted', {}, { ...forwarded, 'x-forwarded-prefix': '/below' }, ''],
  ['another proxy is trusted', { TRUST_PROXY: '10.0.0.0/8' }, { ...forwarded, 'x-forwarded-prefix': '/below' }, ''],
  ['the prefix is a host', { TRUST_PROXY: 'true' }, { ...forwarded, 'x-forwarded-prefix': '//evil.example' }, ''],
  ['the prefix has dot segments', { TRUST_PROXY: 'true' }, { ...forwarded, 'x-forwarded-prefix': '/a/../b' }, ''],
  ['the prefix has a space', { TRUST_PROXY: 'true' }, { ...forwarded, 'x-forwarded-prefix': '/a b' }, ''],
  ...[
    '\\\\evil.example',
    '/\\evil.example',
    '/a//evil.example',
    '///evil.example',
    '/..',
    '/a/..%2f..',
    '/a/%2e%2e/b',
    '/a/.%2E/b',
    '/a?b',
    '/a#b',
    '/a"onload="x',
    '/<b>',
    'https://evil.example',
    '/a:b@evil.example',
    '/a\tb',
    '/a, /b',
    `/${'a'.repeat(2000)}`,
    '/ä',
  ].map((prefix): [string, Record<string, string>, Record<string, string>, string] => [
    `the prefix is ${JSON.stringify(prefix.slice(0, 30))}`,
    { TRUST_PROXY: 'true' },
    { ...forwarded, 'x-forwarded-prefix': prefix },
    '',
  ]),
  [
    'PUBLIC_URL is set',
    { TRUST_PROXY: 'true', PUBLIC_URL: 'https://files.example/up/' },
    { ...forwarded, 'x-forwarded-prefix': '/below' },
    'https://files\\.example/up',
  ],
])('the address of an upload when %s', async (_, env, headers, start) => {
  expect(await addresses(env, headers)).toEqual(below(start))
})
