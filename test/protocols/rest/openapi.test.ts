import { describe, expect, it } from 'vitest'
import { openRest } from './open-rest.ts'

interface Operation {
  tags: string[]
  summary: string
  deprecated?: boolean
  parameters?: { in: string; name: string; required?: boolean; description?: string }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Record<string, unknown> }> }
  responses: Record<string, { description: string; headers?: object; content?: Record<string, { schema: object }> }>
}

async function readPaths(): Promise<Record<string, Record<string, Operation>>> {
  const { http } = await openRest()
  return (await http.inject('/docs/json')).json().paths
}

describe('the OpenAPI document', () => {
  it('has every route of this dialect', async () => {
    const paths = await readPaths()

    const routes = Object.entries(paths).flatMap(([path, verbs]) => Object.keys(verbs).map((verb) => `${verb} ${path}`))
    expect(routes).toEqual(
      expect.arrayContaining([
        'post /v1/uploads/init',
        'put /v1/uploads/{id}/chunk',
        'post /v1/uploads/{id}/chunk',
        'post /v1/uploads/{id}/complete',
        'get /v1/uploads/{id}/status',
        'post /v1/uploads/{id}/cancel',
        'delete /v1/uploads/{id}/cancel',
        'put /v1/files/{name}',
        'post /v1/files',
        'post /api/upload/init',
        'put /api/upload/chunk',
        'post /api/upload/chunk',
        'post /api/upload/complete',
        'get /api/upload/{id}/status',
        'post /api/upload/cancel',
        'delete /api/upload/cancel',
      ]),
    )
    const legacy = Object.entries(paths).filter(([path]) => path.startsWith('/api/'))
    for (const operation of legacy.flatMap(([, verbs]) => Object.values(verbs))) expect(operation.deprecated).toBe(true)
  })

  it('describes a chunk: its body, its index and its ETag', async () => {
    const { put } = (await readPaths())['/v1/uploads/{id}/chunk']!

    expect(put?.requestBody?.content['application/octet-stream']?.schema).toMatchObject({
      type: 'string',
      format: 'binary',
    })
    const index = put?.parameters?.find((parameter) => parameter.name.toLowerCase() === 'x-chunk-index')
    expect(index).toMatchObject({ in: 'header', required: true, description: expect.stringContaining('0') })
    expect(Object.keys(put?.responses['200']?.headers ?? {})).toContain('ETag')
  })

  it('describes the files of a form', async () => {
    const { post } = (await readPaths())['/v1/files']!

    expect(post?.requestBody?.content['multipart/form-data']?.schema).toMatchObject({
      properties: { file: { items: { format: 'binary' } } },
    })
  })

  it('lists the required fields and no others', async () => {
    const paths = await readPaths()

    const init = paths['/v1/uploads/init']?.post?.requestBody
    const complete = paths['/v1/uploads/{id}/complete']?.post?.requestBody
    expect(init?.content['application/json']?.schema['required']).toEqual(['file_name', 'total_size'])
    expect(complete?.content['application/json']?.schema['required']).toBeUndefined()
  })

  it('describes every error with its codes and its body', async () => {
    const paths = await readPaths()

    const ofRest = Object.entries(paths).filter(([path]) => /init|chunk|complete|status|cancel|files/.test(path))
    for (const operation of ofRest.flatMap(([, verbs]) => Object.values(verbs))) {
      const errors = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400)
      expect(errors.length).toBeGreaterThan(2)
      for (const [, { description, content }] of errors) {
        expect(description).toMatch(/[A-Z0-9]+_[A-Z_]+|UNAUTHENTICATED|FORBIDDEN/)
        expect(content?.['application/json']?.schema).toMatchObject({ properties: { error: { type: 'object' } } })
      }
    }
  })
})
