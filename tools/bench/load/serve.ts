/* The clients as a process of its own: does one piece of work after another and tells how long it took. */
import { sendJoined, sendRufh, sendSlowly, sendTus, type Upload } from './uploads.ts'
import { type Connection, openConnection } from './wire.ts'

/** What clients do. Times in milliseconds, sizes in bytes. */
export interface Work {
  protocol: 'tus' | 'rufh' | 'joined'
  files: number
  /** Files under way at once; for `joined`, pieces of one file. */
  atOnce: number
  fileSize: number
  /** Of one request; 0: the whole file. */
  chunkSize: number
  withUpload: boolean
  /** Uploads at the speed of a poor line, beside which the files are sent one after another, with a pause between. */
  slow?: { uploads: number; size: number; bytesPerSecond: number; pauseMs: number } | undefined
}

export interface Errand {
  port: number
  token: string
  work: Work
}

export interface Outcome {
  bytes: number
  files: number
  ms: number
  /** Of every request that brought bytes, or with slow ones of every file. */
  latencies: number[]
  /** How long slow uploads took, the fastest and the slowest; and how many were refused or cut. */
  slow: { fastestMs: number; slowestMs: number; failed: number; failures: Record<string, number> } | null
}

process.on('message', (errand: Errand) => {
  const startedAt = performance.now()
  void perform(errand)
    .then((outcome) => process.send!({ ...outcome, ms: performance.now() - startedAt }))
    .catch((error: unknown) => process.send!({ error: String(error) }))
})
process.on('disconnect', () => process.exit())

async function perform({ port, token, work }: Errand): Promise<Omit<Outcome, 'ms'>> {
  const latencies: number[] = []
  const told = (ms: number) => void latencies.push(ms)
  const upload: Upload = { size: work.fileSize, chunk: work.chunkSize, withUpload: work.withUpload, token }
  const bytes = work.fileSize * work.files
  if (work.slow) return { ...(await besideSlow(port, work, upload, work.slow)), bytes }

  const connections = await Promise.all(Array.from({ length: work.atOnce }, () => openConnection(port)))
  if (work.protocol === 'joined') {
    for (let file = 0; file < work.files; file += 1) await sendJoined(connections, upload, told)
  } else {
    const send = work.protocol === 'rufh' ? sendRufh : sendTus
    let created = 0
    const sendSome = async (connection: Connection) => {
      while (created++ < work.files) await send(connection, upload, told)
    }
    await Promise.all(connections.map(sendSome))
  }
  for (const connection of connections) connection.close()
  return { bytes, files: work.files, latencies, slow: null }
}

async function besideSlow(
  port: number,
  work: Work,
  upload: Upload,
  slow: NonNullable<Work['slow']>,
): Promise<Omit<Outcome, 'ms' | 'bytes'>> {
  const times: number[] = []
  const failures: Record<string, number> = {}
  let left = slow.uploads
  const all = Array.from({ length: slow.uploads }, async (_, index) => {
    // Not all in the same millisecond: nobody's clients are a choir.
    await new Promise((resolve) => setTimeout(resolve, (index / slow.uploads) * 4000))
    const startedAt = performance.now()
    try {
      const connection = await openConnection(port)
      await sendSlowly(connection, { ...upload, size: slow.size }, slow.bytesPerSecond)
      connection.close()
      times.push(performance.now() - startedAt)
    } catch (error) {
      failures[String(error)] = (failures[String(error)] ?? 0) + 1
    } finally {
      left -= 1
    }
  })
  await new Promise((resolve) => setTimeout(resolve, 5000))
  const latencies: number[] = []
  const fast = await openConnection(port)
  for (let file = 0; file < work.files && left > 0; file += 1) {
    const startedAt = performance.now()
    await sendTus(fast, upload)
    latencies.push(performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, slow.pauseMs))
  }
  fast.close()
  await Promise.all(all)
  return {
    files: latencies.length,
    latencies,
    slow: {
      fastestMs: Math.min(...times),
      slowestMs: Math.max(...times),
      failed: slow.uploads - times.length,
      failures,
    },
  }
}
