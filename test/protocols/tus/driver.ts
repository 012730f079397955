import type { Driver } from '../stories.ts'

const version = { 'tus-resumable': '1.0.0' }
const chunk = { ...version, 'content-type': 'application/offset+octet-stream' }

/** Runs the scenarios in tus against the server at `url`. */
export function tusDriver({ url, headers }: { url: string; headers: Record<string, string> }): Driver {
  async function ask(method: string, path: string, more: Record<string, string>, body?: Buffer): Promise<Headers> {
    const init = { method, headers: { ...headers, ...more }, ...(body && { body: new Uint8Array(body) }) }
    const answer = await fetch(`${url}${path}`, init)
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.headers
  }
  const head = (id: string) => ask('HEAD', `/files/${id}`, version)

  return {
    async create({ name, size, type = 'application/octet-stream' }) {
      const fields = { filename: name, filetype: type }
      const metadata = Object.entries(fields).map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
      const more = { ...version, 'upload-length': String(size), 'upload-metadata': metadata.join(',') }
      return (await ask('POST', '/files', more)).get('location')!.split('/').at(-1)!
    },
    async append(id, file, from = 0, to = file.length) {
      await ask('PATCH', `/files/${id}`, { ...chunk, 'upload-offset': String(from) }, file.subarray(from, to))
    },
    async offset(id) {
      return Number((await head(id)).get('upload-offset'))
    },
    async complete(id) {
      const answered = await head(id)
      return { state: answered.get('upload-offset') === answered.get('upload-length') ? 'completed' : 'receiving' }
    },
    async cancel(id) {
      await ask('DELETE', `/files/${id}`, version)
    },
  }
}
