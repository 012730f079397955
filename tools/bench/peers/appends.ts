/*
 * The lower bound for an HTTP server on Node that keeps what it receives on a disk: a file and a small file about it for every upload,
 * bodies appended in large writes, nothing synced and no database, like tusd's store of files. No users, no limits, no checks.
 */
import { randomUUID } from 'node:crypto'
import { open, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'

const { DATA_DIR = '', PORT } = process.env
const batchSize = 1024 ** 2

/** Appends the body to the file and returns the length that the file has then. */
async function append(path: string, body: IncomingMessage): Promise<number> {
  const file = await open(path, 'a')
  try {
    let batch: Buffer[] = []
    let size = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      batch.push(chunk)
      size += chunk.length
      if (size < batchSize) continue
      await file.writev(batch)
      batch = []
      size = 0
    }
    if (size > 0) await file.writev(batch)
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

createServer({ requestTimeout: 0 }, (request, response) => {
  void serve(request)
    .then(({ status, headers }) => response.writeHead(status, { 'tus-resumable': '1.0.0', ...headers }).end())
    .catch(() => response.destroy())
}).listen(Number(PORT), '127.0.0.1')

async function serve(request: IncomingMessage): Promise<{ status: number; headers: Record<string, string | number> }> {
  const { headers, method, url = '' } = request
  const id = method === 'POST' ? randomUUID() : url.slice('/files/'.length)
  const path = join(DATA_DIR, id)
  if (method === 'POST') {
    const info = { id, size: headers['upload-length'], metadata: headers['upload-metadata'] }
    await Promise.all([writeFile(`${path}.info`, JSON.stringify(info)), writeFile(path, '')])
  }
  const offset = headers['content-length'] === '0' ? 0 : await append(path, request)
  const answer = { 'upload-offset': offset, ...(method === 'POST' && { location: `/files/${id}` }) }
  return { status: method === 'POST' ? 201 : 204, headers: answer }
}
