/* The type, name and fingerprint that a client sends are hints: an invalid one is ignored and does not hide a valid one elsewhere. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { bytes, png } from '../media/built.ts'
import { sharedApp } from '../support/test-app.ts'

type Headers = Record<string, string>
interface CreateRequest {
  method: 'POST' | 'PUT'
  url: string
  headers: Headers
  payload: Buffer
}

const invalidTypes = [
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

const metadata = (pairs: Headers) =>
  Object.entries(pairs)
    .map(([key, value]) => `${key} ${Buffer.from(value, 'latin1').toString('base64')}`)
    .join(',')
const inTus = (pairs: Headers) => (payload: Buffer) => ({
  method: 'POST' as const,
  url: '/files',
  headers: {
    'tus-resumable': '1.0.0',
    'upload-length': String(payload.length),
    'content-type': 'application/offset+octet-stream',
    'upload-metadata': metadata(pairs),
  },
  payload,
})
const inRufh = (more: Headers, pairs: Headers) => (payload: Buffer) => ({
  method: 'POST' as const,
  url: '/files',
  headers: {
    'upload-draft-interop-version': '6',
    'upload-complete': '?1',
    ...more,
    'upload-metadata': metadata(pairs),
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

/** Sends `request` and returns the upload that it created. */
async function created(request: CreateRequest) {
  const app = await sharedApp()
  const headers = await app.as(userOf(randomUUID(), 'creator'))
  const answer = await app.http.inject({ ...request, headers: { ...headers, ...request.headers } })
  expect([answer.statusCode, answer.body]).toEqual([201, expect.anything()])
  const listed = await app.http.inject({ url: '/v1/uploads', headers })
  return listed.json().uploads[0]
}

const typeHints: [string, (type: string) => (payload: Buffer) => CreateRequest][] = [
  ['filetype in tus', (type) => inTus({ filename: 'a', filetype: type })],
  ['Content-Type in RUFH', (type) => inRufh({ 'content-type': type }, { filename: 'a' })],
  ['filetype in RUFH', (type) => inRufh({}, { filename: 'a', filetype: type })],
  ['Content-Type of a PUT', (type) => put('a', type)],
  ['Content-Type in a form', (type) => form('a', type)],
]

it.each(typeHints)('an invalid type is ignored and the bytes decide: %s', async (_where, withType) => {
  for (const type of invalidTypes)
    expect([type, await created(withType(type)(png))]).toMatchObject([
      type,
      { state: 'completed', contentType: 'image/png' },
    ])
})

it.each<[string, (payload: Buffer) => CreateRequest]>([
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
])('an invalid type does not hide a valid one: %s', async (_where, request) => {
  expect(await created(request(csv))).toMatchObject({ state: 'completed', contentType: 'text/csv' })
})

it.each<[string, Headers, Headers]>([
  ['an empty file name', { 'content-disposition': 'attachment; filename=""' }, { filename: 'b.csv' }],
  ['an unknown charset', { 'content-disposition': "attachment; filename*=koi8-r''%e1" }, { filename: 'b.csv' }],
  ['octets that are not UTF-8', { 'content-disposition': "attachment; filename*=utf-8''%ff" }, { filename: 'b.csv' }],
  ['an invalid header', { 'content-disposition': ';;;' }, { filename: 'b.csv' }],
  ['an empty filename beside a name', {}, { filename: '', name: 'b.csv' }],
])('an invalid file name does not hide a valid one: %s', async (_what, headers, pairs) => {
  expect(await created(inRufh(headers, pairs)(csv))).toMatchObject({ filename: 'b.csv' })
})

it.each<[string, string]>([
  ['too long', 'x'.repeat(1025)],
  ['with control characters', 'a\u0000b'],
  ['not UTF-8', '\xc3\x28'],
])('an invalid fingerprint in Upload-Metadata does not stop the upload: %s', async (_what, fingerprint) => {
  expect(await created(inTus({ filename: 'a.csv', fingerprint })(csv))).toMatchObject({ state: 'completed' })
  expect(await created(inRufh({}, { filename: 'a.csv', fingerprint })(csv))).toMatchObject({ state: 'completed' })
})
