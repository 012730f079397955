import type { Driver } from '../stories.ts'

const version = { 'upload-draft-interop-version': '8' }
const chunk = { ...version, 'content-type': 'application/partial-upload' }

/** Runs the scenarios in RUFH, interop version 8, against the server at `url`. */
export function rufhDriver({ url, headers }: { url: string; headers: Record<string, string> }): Driver {
  async function ask(method: string, path: string, more: Record<string, string>, body?: Buffer): Promise<Headers> {
    const init = { method, headers: { ...headers, ...more }, ...(body && { body: new Uint8Array(body) }) }
    const answer = await fetch(`${url}${path}`, init)
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.headers
  }
  const head = (id: string) => ask('HEAD', `/files/${id}`, version)

  return {
    async create({ name, size, type = 'application/octet-stream' }) {
      const file = { 'content-type': type, 'content-disposition': `attachment; filename="${name}"` }
      const more = { ...version, ...file, 'upload-complete': size === 0 ? '?1' : '?0', 'upload-length': String(size) }
      return (await ask('POST', '/files', more, Buffer.alloc(0))).get('location')!.split('/').at(-1)!
    },
    async append(id, file, from = 0, to = file.length) {
      const more = { ...chunk, 'upload-offset': String(from), 'upload-complete': to === file.length ? '?1' : '?0' }
      await ask('PATCH', `/files/${id}`, more, file.subarray(from, to))
    },
    async offset(id) {
      return Number((await head(id)).get('upload-offset'))
    },
    async complete(id) {
      return { state: (await head(id)).get('upload-complete') === '?1' ? 'completed' : 'receiving' }
    },
    async cancel(id) {
      await ask('DELETE', `/files/${id}`, version)
    },
  }
}
