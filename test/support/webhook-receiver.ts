import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A message as it arrived. */
export interface ReceivedMessage {
  path: string
  headers: IncomingHttpHeaders
  id: string
  text: string
  body: { type: string; timestamp: string; data: { uploadId: string; seq: number; missingSeq: number[] } }
}

export interface WebhookReceiver {
  url: string
  received: ReceivedMessage[]
  /** Answers every later message; by default with 204. */
  answerWith(answer: (message: ReceivedMessage, response: ServerResponse) => void): void
}

/** An endpoint on 127.0.0.1 that keeps what it receives; closes with the test. */
export async function webhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedMessage[] = []
  let answer = (_message: ReceivedMessage, response: ServerResponse): void => void response.writeHead(204).end()
  const server = createServer((request, response) => void receive(request, response))
  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const message = {
      path: request.url!,
      headers: request.headers,
      id: String(request.headers['webhook-id']),
      text,
      body: JSON.parse(text),
    }
    received.push(message)
    answer(message, response)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    answerWith(given) {
      answer = given
    },
  }
}
