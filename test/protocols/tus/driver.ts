import type { Driver } from '../stories.ts'

const version = { 'tus-resumable': '1.0.0' }
const chunk = { ...version, 'content-type': 'application/offset+octet-stream' }

/** Says stories in tus to the server at `url`. */
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
      const said = { filename: name, filetype: type }
      const words = Object.entries(said).map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
      const more = { ...version, 'upload-length': String(size), 'upload-metadata': words.join(',') }
      return (await ask('POST', '/files', more)).get('location')!.split('/').at(-1)!
    },
    async append(id, file, from = 0, to = file.length) {
      await ask('PATCH', `/files/${id}`, { ...chunk, 'upload-offset': String(from) }, file.subarray(from, to))
    },
    async offset(id) {
      return Number((await head(id)).get('upload-offset'))
    },
    async complete(id) {
      const told = await head(id)
      return { state: told.get('upload-offset') === told.get('upload-length') ? 'completed' : 'receiving' }
    },
    async cancel(id) {
      await ask('DELETE', `/files/${id}`, version)
    },
  }
}
