import { setTimeout as sleep } from 'node:timers/promises'
import { Upload } from 'tus-js-client'
import type { Client } from './client.ts'
import { type Entry, noteOffset } from './model.ts'

const retryDelays = [0, 100, 300, 500, 500, 1000, 1000, 1000]
const timeoutMs = 40_000

/** Uploads the file `name` with tus-js-client, starting it again whenever its retries are used up. */
export async function sendWithTusJsClient(client: Client, name: string): Promise<void> {
  const { model, environment, random, deadline } = client
  const { size } = model.files.get(name)!
  const current: { entry: Entry | null } = { entry: null }
  while (performance.now() < deadline()) {
    const end = await sendOnce(client, name, current)
    const { entry } = current
    if (end === 'success' && entry) {
      entry.end = 'complete'
      model.count('answered complete')
      const problem = await environment.whyIncomplete(entry.id, size)
      if (problem) model.report(`${entry.id}: tus-js-client reported success, but ${problem}`)
      return
    }
    model.count(`tus-js-client gave up with ${end}`)
    if (end === 410 && entry) {
      entry.end = 'lost'
      current.entry = null
    } else if (typeof end === 'number' && end >= 400 && end < 500 && end !== 409 && end !== 423) {
      return model.report(`${entry?.id ?? name}: tus-js-client gave up with ${end}`)
    }
    await sleep(random.int(50, 500))
  }
  model.report(`${name}: was not complete in time with tus-js-client`)
}

/** Resolves on success, or with the status with which tus-js-client gave up; 0 when it had no answer. */
function sendOnce(
  { model, environment, random }: Client,
  name: string,
  current: { entry: Entry | null },
): Promise<'success' | number> {
  const file = model.files.get(name)!
  const node = environment.anyNode(random)
  return new Promise((resolve) => {
    const upload: Upload = new Upload(file.slice(0, file.size) as never, {
      endpoint: `${node}/files`,
      uploadUrl: current.entry ? node + current.entry.url : null,
      headers: { authorization: environment.headers.authorization! },
      metadata: { filename: name },
      chunkSize: random.pick([Number.POSITIVE_INFINITY, 250_000, 3_000_000]),
      retryDelays,
      onUploadUrlAvailable() {
        const { pathname } = new URL(upload.url!)
        if (current.entry?.url !== pathname) current.entry = model.open(name, pathname)
        current.entry.sent = file.size
      },
      onChunkComplete: (_size, accepted) =>
        current.entry && noteOffset(model, current.entry, accepted, 'tus-js-client'),
      onSuccess: () => settle('success'),
      onError: (error) => settle(('originalResponse' in error && error.originalResponse?.getStatus()) || 0),
    })
    // tus-js-client has no timeout: on a node that was killed or paused a request may hang.
    const timeout = setTimeout(() => void upload.abort().then(() => settle(0)), timeoutMs)
    const settle = (end: 'success' | number) => {
      clearTimeout(timeout)
      resolve(end)
    }
    upload.start()
  })
}
