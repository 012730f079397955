/* What a client says of its file is a hint: one that cannot be used says nothing, wherever it stands, and hides no other. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { bytes, png } from '../media/built.ts'
import { testApp } from '../support/test-app.ts'

type Headers = Record<string, string>
interface Asked {
  method: 'POST' | 'PUT'
  url: string
  headers: Headers
  payload: Buffer
}

const noTypes = [
  'image',
  'undefined',
  'null',
  'image/*',
  'undefined/undefined',
  '[object Object]',
  'image / png',
  'a/b/c',
]
const csv = bytes('a,b\n1,2\n')

const metadata = (said: Headers) =>
  Object.entries(said)
    .map(([key, value]) => `${key} ${Buffer.from(value, 'latin1').toString('base64')}`)
    .join(',')
const inTus = (said: Headers) => (payload: Buffer) => ({
  method: 'POST' as const,
  url: '/files',
  headers: {
    'tus-resumable': '1.0.0',
    'upload-length': String(payload.length),
    'content-type': 'application/offset+octet-stream',
    'upload-metadata': metadata(said),
  },
  payload,
})
const inRufh = (more: Headers, said: Headers) => (payload: Buffer) => ({
  method: 'POST' as const,
  url: '/files',
  headers: {
    'upload-draft-interop-version': '6',
    'upload-complete': '?1',
    ...more,
    'upload-metadata': metadata(said),
  },
  payload,
})
const put = (name: string, type: string) => (payload: Buffer) => ({
  method: 'PUT' as const,
  url: `/v1/files/${name}`,
  headers: { 'content-type': type },
  payload,
})
const form = (name: string, type: string) => (payload: Buffer) => ({
  method: 'POST' as const,
  url: '/v1/files',
  headers: { 'content-type': 'multipart/form-data; boundary=x' },
  payload: Buffer.concat([
    bytes(`--x\r\ncontent-disposition: form-data; name="f"; filename="${name}"\r\ncontent-type: ${type}\r\n\r\n`),
    payload,
    bytes('\r\n--x--\r\n'),
  ]),
})

/** What the server takes the file for that `request` brings. */
async function taken(request: Asked) {
  const app = await testApp()
  const headers = await app.as(userOf(randomUUID(), 'creator'))
  const answer = await app.http.inject({ ...request, headers: { ...headers, ...request.headers } })
  expect([answer.statusCode, answer.body]).toEqual([201, expect.anything()])
  const listed = await app.http.inject({ url: '/v1/uploads', headers })
  return listed.json().uploads[0]
}

const places: [string, (type: string) => (payload: Buffer) => Asked][] = [
  ['filetype in tus', (type) => inTus({ filename: 'a', filetype: type })],
  ['Content-Type in RUFH', (type) => inRufh({ 'content-type': type }, { filename: 'a' })],
  ['filetype in RUFH', (type) => inRufh({}, { filename: 'a', filetype: type })],
  ['Content-Type of a PUT', (type) => put('a', type)],
  ['Content-Type in a form', (type) => form('a', type)],
]

it.each(places)('a type that is none is no hint, and the bytes decide: %s', async (_place, says) => {
  for (const type of noTypes)
    expect([type, await taken(says(type)(png))]).toMatchObject([type, { state: 'completed', contentType: 'image/png' }])
})

it.each<[string, (payload: Buffer) => Asked]>([
  ['filetype beside type in tus', inTus({ filename: 'a', filetype: 'undefined', type: 'text/csv' })],
  ['filetype that is not UTF-8 in tus', inTus({ filename: 'a', filetype: '\xc3\x28', type: 'text/csv' })],
  [
    'Content-Type before filetype in RUFH',
    inRufh({ 'content-type': 'undefined' }, { filename: 'a', filetype: 'text/csv' }),
  ],
  ['filetype behind Content-Type in RUFH', inRufh({ 'content-type': 'text/csv' }, { filename: 'a', filetype: 'null' })],
  [
    'Content-Type of a form in RUFH',
    inRufh({ 'content-type': 'multipart/form-data; boundary=x' }, { filename: 'a', filetype: 'text/csv' }),
  ],
  ['Content-Type before the ending of a PUT', put('a.csv', 'undefined')],
  ['Content-Type before the ending in a form', form('a.csv', 'null')],
])('a type that is none hides no other one: %s', async (_place, request) => {
  expect(await taken(request(csv))).toMatchObject({ state: 'completed', contentType: 'text/csv' })
})

it.each<[string, Headers, Headers]>([
  ['an empty one', { 'content-disposition': 'attachment; filename=""' }, { filename: 'b.csv' }],
  [
    'one in a charset that is unknown',
    { 'content-disposition': "attachment; filename*=koi8-r''%e1" },
    { filename: 'b.csv' },
  ],
  [
    'one whose octets are no UTF-8',
    { 'content-disposition': "attachment; filename*=utf-8''%ff" },
    { filename: 'b.csv' },
  ],
  ['a header that is none', { 'content-disposition': ';;;' }, { filename: 'b.csv' }],
  ['an empty filename beside a name', {}, { filename: '', name: 'b.csv' }],
])('a file name that is none hides no other one: %s', async (_what, headers, said) => {
  expect(await taken(inRufh(headers, said)(csv))).toMatchObject({ filename: 'b.csv' })
})

it.each<[string, string]>([
  ['too long', 'x'.repeat(1025)],
  ['with control characters', 'a\u0000b'],
  ['not UTF-8', '\xc3\x28'],
])('a fingerprint in Upload-Metadata that is no hint does not stop the file: %s', async (_what, fingerprint) => {
  expect(await taken(inTus({ filename: 'a.csv', fingerprint })(csv))).toMatchObject({ state: 'completed' })
  expect(await taken(inRufh({}, { filename: 'a.csv', fingerprint })(csv))).toMatchObject({ state: 'completed' })
})
