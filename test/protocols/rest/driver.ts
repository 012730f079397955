import { createHash } from 'node:crypto'

export interface RestDriver {
  /** Creates an upload. @returns its id */
  create(file: { name: string; size: number; type?: string }): Promise<string>
  /** Sends every missing chunk of `file` that overlaps the bytes from `from` to `to`. */
  append(id: string, file: Buffer, from?: number, to?: number): Promise<void>
  /** The bytes that the server has without a gap from the start. */
  offset(id: string): Promise<number>
  complete(id: string): Promise<{ state: string }>
  cancel(id: string): Promise<void>
}

/** Runs the scenarios in REST against the server at `url`. Throws when the server answers with an error. */
export function restDriver({ url, headers }: { url: string; headers: Record<string, string> }): RestDriver {
  async function ask(method: string, path: string, more: Record<string, string> = {}, body: Buffer | null = null) {
    const init = { method, headers: { ...headers, ...more }, body: body && new Uint8Array(body) }
    const answer = await fetch(`${url}/v1/uploads/${path}`, init)
    const json = (await answer.json()) as Record<string, unknown>
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`)
    return json
  }

  async function missing(id: string, from: number, to: number): Promise<{ chunkSize: number; chunks: number[] }> {
    const status = await ask('GET', `${id}/status`)
    const chunkSize = status['chunk_size'] as number
    const ranges = status['missing_ranges'] as { first_chunk: number; last_chunk: number }[]
    const all = ranges.flatMap((range) =>
      Array.from({ length: range.last_chunk - range.first_chunk + 1 }, (_, index) => range.first_chunk + index),
    )
    return { chunkSize, chunks: all.filter((index) => index * chunkSize < to && (index + 1) * chunkSize > from) }
  }

  return {
    async create({ name, size, type }) {
      const fields = Buffer.from(JSON.stringify({ file_name: name, total_size: size, content_type: type }))
      return String((await ask('POST', 'init', { 'content-type': 'application/json' }, fields))['upload_id'])
    },
    async append(id, file, from = 0, to = file.length) {
      const { chunkSize, chunks } = await missing(id, from, to)
      // The last chunk first, because chunks may come in any order.
      await Promise.all(
        chunks.toReversed().map((index) => {
          const bytes = file.subarray(index * chunkSize, (index + 1) * chunkSize)
          const digest = createHash('sha256').update(bytes).digest('base64')
          return ask(
            'PUT',
            `${id}/chunk`,
            { 'x-chunk-index': String(index), 'content-digest': `sha-256=:${digest}:` },
            bytes,
          )
        }),
      )
    },
    async offset(id) {
      return (await ask('GET', `${id}/status`))['offset'] as number
    },
    async complete(id) {
      return { state: String((await ask('POST', `${id}/complete`))['status']) }
    },
    async cancel(id) {
      await ask('POST', `${id}/cancel`)
    },
  }
}
