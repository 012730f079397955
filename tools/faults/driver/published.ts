import { setTimeout as sleep } from 'node:timers/promises'
import { Upload } from 'tus-js-client'
import type { Client } from './client.ts'
import { type Entry, noteOffset } from './ledger.ts'

const retryDelays = [0, 100, 300, 500, 500, 1000, 1000, 1000]
const impatientMs = 40_000

/** Brings the file `name` through with tus-js-client: when its retries are used up, its user presses "again". */
export async function sendPublished(client: Client, name: string): Promise<void> {
  const { ledger, ground, chance, deadline } = client
  const { size } = ledger.files.get(name)!
  const heard: { entry: Entry | null } = { entry: null }
  while (performance.now() < deadline()) {
    const end = await sendOnce(client, name, heard)
    const { entry } = heard
    if (end === 'success' && entry) {
      entry.end = 'whole'
      ledger.count('told whole')
      const complaint = await ground.faultOfClaim(entry.id, size)
      if (complaint) ledger.complain(`${entry.id}: tus-js-client was told success, but ${complaint}`)
      return
    }
    ledger.count(`tus-js-client gave up with ${end}`)
    if (end === 410 && entry) {
      entry.end = 'lost'
      heard.entry = null
    } else if (typeof end === 'number' && end >= 400 && end < 500 && end !== 409 && end !== 423) {
      return ledger.complain(`${entry?.id ?? name}: tus-js-client gave up with ${end}`)
    }
    await sleep(chance.int(50, 500))
  }
  ledger.complain(`${name}: was not brought through in time by tus-js-client`)
}

/** Until success, or the status with which it gave up; 0 when there was none. */
function sendOnce(
  { ledger, ground, chance }: Client,
  name: string,
  heard: { entry: Entry | null },
): Promise<'success' | number> {
  const file = ledger.files.get(name)!
  const node = ground.anyNode(chance)
  return new Promise((resolve) => {
    const upload: Upload = new Upload(file.slice(0, file.size) as never, {
      endpoint: `${node}/files`,
      uploadUrl: heard.entry ? node + heard.entry.url : null,
      headers: { authorization: ground.headers.authorization! },
      metadata: { filename: name },
      chunkSize: chance.pick([Number.POSITIVE_INFINITY, 250_000, 3_000_000]),
      retryDelays,
      onUploadUrlAvailable() {
        const { pathname } = new URL(upload.url!)
        if (heard.entry?.url !== pathname) heard.entry = ledger.open(name, pathname)
        heard.entry.offered = file.size
      },
      onChunkComplete: (_size, accepted) => heard.entry && noteOffset(ledger, heard.entry, accepted, 'tus-js-client'),
      onSuccess: () => settle('success'),
      onError: (error) => settle(('originalResponse' in error && error.originalResponse?.getStatus()) || 0),
    })
    // It may hang on a node that was killed or paused; its user would press "again" then.
    const impatience = setTimeout(() => void upload.abort().then(() => settle(0)), impatientMs)
    const settle = (end: 'success' | number) => {
      clearTimeout(impatience)
      resolve(end)
    }
    upload.start()
  })
}
