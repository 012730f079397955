/*
 * Server-Sent Events over fetch: the browser's own EventSource cannot send a token as a header. It comes back by itself when the
 * connection breaks, and asks for what happened meanwhile with Last-Event-ID.
 */

/** What happened to an upload, as `/v1/events` tells it. */
export interface UploadEvent {
  type: string
  uploadId: string
}

export interface EventStreamOptions {
  /** Absolute URL. */
  url: string
  /** Asked for each connection; `null`: there is none now, and nobody is asked. */
  token(): string | null
  onEvent(event: UploadEvent): void
  /** Whether events come at the moment. Who needs to know sooner or later must ask meanwhile. */
  onConnection(isOpen: boolean): void
}

// A stream says something at least every quarter of a minute.
const silentMs = 40_000
const shortestPauseMs = 1000
const longestPauseMs = 30_000

/** Listens until the way out, which is returned, is taken. */
export function subscribeToEvents({ url, token, onEvent, onConnection }: EventStreamOptions): () => void {
  const end = new AbortController()
  let lastId: string | null = null
  let pauseMs = shortestPauseMs

  async function connect(): Promise<void> {
    const bearer = token()
    if (bearer === null) return
    const silence = new AbortController()
    let watchdog = setTimeout(() => silence.abort(), silentMs)
    try {
      const headers = { authorization: `Bearer ${bearer}`, ...(lastId !== null && { 'last-event-id': lastId }) }
      const response = await fetch(url, { headers, signal: AbortSignal.any([end.signal, silence.signal]) })
      if (!response.ok || !response.body) return
      onConnection(true)
      pauseMs = shortestPauseMs
      let rest = ''
      for await (const text of textOf(response.body)) {
        clearTimeout(watchdog)
        watchdog = setTimeout(() => silence.abort(), silentMs)
        const blocks = (rest + text).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) take(block)
      }
    } finally {
      clearTimeout(watchdog)
      onConnection(false)
    }
  }

  function take(block: string): void {
    const { id, event, data } = fieldsOf(block)
    if (id !== undefined) lastId = id
    if (event === undefined || data === undefined) return
    onEvent({ type: event, uploadId: String(JSON.parse(data).uploadId) })
  }

  void (async () => {
    while (!end.signal.aborted) {
      // Whatever the reason, the answer is the same: try again in a while.
      await connect().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
  })()
  return () => end.abort()
}

async function* textOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield decoder.decode(value, { stream: true })
  }
}

function fieldsOf(block: string): Record<string, string | undefined> {
  const lines = block.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line))
  return Object.fromEntries(lines.flatMap((match) => (match ? [[match[1], match[2]]] : [])))
}
