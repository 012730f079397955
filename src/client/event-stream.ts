/*
 * Server-Sent Events over fetch: the browser's EventSource cannot send an Authorization header. The client reconnects after a broken
 * connection and sends Last-Event-ID, so the server repeats the events that were missed.
 */

/** An event of `/v1/events`. */
export interface UploadEvent {
  type: string
  uploadId: string
}

export interface EventStreamOptions {
  /** Absolute URL. */
  url: string
  /** Called for each connection; `null`: there is no token now, and no request is sent. */
  token(): string | null
  onEvent(event: UploadEvent): void
  /** Whether the stream is connected. While it is not, the caller must poll. */
  onConnection(isOpen: boolean): void
}

// The server sends a comment at least every 15 seconds.
const silentMs = 40_000
const shortestPauseMs = 1000
const longestPauseMs = 30_000

/** Subscribes to the events of the server. Returns a function that unsubscribes. */
export function subscribeToEvents({ url, token, onEvent, onConnection }: EventStreamOptions): () => void {
  const closed = new AbortController()
  let lastId: string | null = null
  let pauseMs = shortestPauseMs

  async function connect(): Promise<void> {
    const bearer = token()
    if (bearer === null) return
    const silence = new AbortController()
    let watchdog = setTimeout(() => silence.abort(), silentMs)
    try {
      const headers = { authorization: `Bearer ${bearer}`, ...(lastId !== null && { 'last-event-id': lastId }) }
      const response = await fetch(url, { headers, signal: AbortSignal.any([closed.signal, silence.signal]) })
      if (!response.ok || !response.body) return
      onConnection(true)
      pauseMs = shortestPauseMs
      let buffered = ''
      for await (const text of textOf(response.body)) {
        clearTimeout(watchdog)
        watchdog = setTimeout(() => silence.abort(), silentMs)
        const blocks = (buffered + text).split('\n\n')
        buffered = blocks.pop() ?? ''
        for (const block of blocks) dispatch(block)
      }
    } finally {
      clearTimeout(watchdog)
      onConnection(false)
    }
  }

  function dispatch(block: string): void {
    const { id, event, data } = fieldsOf(block)
    if (id !== undefined) lastId = id
    if (event === undefined || data === undefined) return
    onEvent({ type: event, uploadId: String(JSON.parse(data).uploadId) })
  }

  void (async () => {
    while (!closed.signal.aborted) {
      // Every error is handled alike: reconnect after a pause.
      await connect().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
  })()
  return () => closed.abort()
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
