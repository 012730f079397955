import type { RouteOptions } from 'fastify'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../../../src/core/errors/error.ts'
import { userOf } from '../../../src/core/upload.ts'
import { endless, rows } from '../../identity/routes.ts'
import { documentOf, documentOfFiles, undescribed } from '../../support/described.ts'
import { testApp } from '../../support/test-app.ts'

/** Routes that the document leaves out: pages, probes and metrics; what a dialect refuses; and preflights, which CORS defines. */
const hidden = [
  /^(GET|HEAD) \/(docs|health|livez|readyz)/,
  // Those of the pages exist where they are built.
  /^(GET|HEAD) \/(assets\/)?[^/]*$/,
  /^OPTIONS .*\*$/,
  /^(HEAD|GET|PATCH|DELETE) \/files$/,
  /^PUT \/files\/:id$/,
  /^\w+ \/files\/:id\/\*$/,
  // The same as without the slash.
  /^(POST|PUT) \/files\/$/,
]

describe('the OpenAPI document', () => {
  it('has every route of the API and of the protocols, and no other operation', async () => {
    const routes: RouteOptions[] = []
    const { http } = await testApp({}, { onRoute: (route) => routes.push(route) })

    const { paths } = await documentOf(http)

    const registered = routes.flatMap(({ method, url }) => [method].flat().map((verb) => `${verb} ${url}`))
    const shown = registered.filter((route) => !hidden.some((pattern) => pattern.test(route)))
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((verb) => `${verb.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    )
    expect(described.length).toBeGreaterThan(40)
    expect(described.toSorted()).toEqual([...new Set(shown)].toSorted())
  })

  it('describes the two dialects of /files by their media types of bodies and errors', async () => {
    const { paths } = await documentOfFiles()

    const { post, head, get } = paths['/files/{id}']!
    const { patch } = paths['/files/{id}']!
    expect(Object.keys(patch!.requestBody!.content)).toEqual([
      'application/offset+octet-stream',
      'application/partial-upload',
    ])
    expect(Object.keys(patch!.responses['409']!.content!)).toEqual(['application/json', 'application/problem+json'])
    expect(patch!.responses['409']!.description).toContain('OFFSET_MISMATCH')
    expect(Object.keys(patch!.responses['204']!.headers!)).toEqual(
      expect.arrayContaining(['Tus-Resumable', 'Upload-Offset', 'Upload-Expires', 'Upload-Limit', 'Upload-Complete']),
    )
    const required = patch!.parameters!.filter((parameter) => parameter.required).map(({ name }) => name)
    expect(required.toSorted()).toEqual(['Upload-Offset', 'id'])
    expect([post, head, get].map((operation) => operation?.summary)).not.toContain(undefined)
  })

  it('lists every error by its own status, with codes of the error table', async () => {
    const { http } = await testApp()
    const { paths } = await documentOf(http)

    const answers = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([verb, { responses }]) =>
        Object.entries(responses).map(([status, answer]) => ({ at: `${verb} ${path} ${status}`, status, answer })),
      ),
    )
    const errors = answers.filter(({ status }) => Number(status) >= 400)
    const codesIn = ({ description }: { description: string }) =>
      description.match(/[A-Z]+\d?(_[A-Z]+)+|UNAUTHENTICATED|FORBIDDEN|OVERLOADED/g) ?? []
    expect(answers.filter(({ status }) => !/^\d{3}$/.test(status))).toEqual([])
    expect(errors.length).toBeGreaterThan(300)
    expect(errors.filter(({ answer }) => codesIn(answer).length === 0).map(({ at }) => at)).toEqual([])
  })

  it('names only codes of the error table', async () => {
    const { paths } = await documentOfFiles()

    const codes = Object.values(paths)
      .flatMap((operations) => Object.values(operations))
      .flatMap(({ responses }) => Object.entries(responses).filter(([status]) => Number(status) >= 400))
      .flatMap(([, { description }]) => description.match(/[A-Z]{2,}\d?_[A-Z_]+/g) ?? [])
    expect(new Set(codes).size).toBeGreaterThan(25)
    expect(codes.filter((code) => !Object.hasOwn(errorCodes, code))).toEqual([])
  })
})

it('every answer of every route, to every kind of caller, is as the document says', async () => {
  const app = await testApp()
  const document = await documentOf(app.http)
  const ann = userOf('ann', 'creator')
  const callers = [
    ann,
    userOf('eve', 'creator'),
    userOf('gus', 'no-such-role'),
    userOf('root', 'creator', { isAdmin: true }),
    null,
  ]
  const problems: string[] = []
  let answers = 0

  for (const { route, request } of rows.filter((row) => !endless.includes(row.route))) {
    for (const actor of callers) {
      const { id } = await app.engine.create(ann, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
      const method = route.split(' ', 1)[0] as 'GET'
      const { url, headers, payload } = request(id, '00000000-0000-4000-8000-000000000000')
      const answer = await app.http.inject({
        method,
        url,
        ...(payload !== undefined && { payload }),
        headers: { ...headers, ...(actor && (await app.as(actor))) },
      })
      const seen = { status: answer.statusCode, headers: answer.headers, body: answer.body }
      problems.push(...undescribed(document, { method, url }, seen))
      answers += 1
    }
  }

  expect(problems).toEqual([])
  expect(answers).toBeGreaterThan(300)
})
