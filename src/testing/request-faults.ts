/*
 * Faults between a client and the server: an answer that something in between gives, a connection that ends in the middle of a body, an
 * answer that is lost, a request that waits. Whatever reaches the server is handled by the server as always.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Action } from '../core/access/actions.ts'

/** What happens to the next requests for one action. `append`: bytes of an upload that exists, also as a numbered part. */
export type RequestFault = {
  action: Action /** How many requests, one after the other. Default: 1. */
  times?: number
} & (
  | {
      /** A proxy answers in place of the server, which does not see the request. */
      how: 'answers'
      status: number
      /** Seconds. */
      retryAfter?: number
    }
  | {
      /** The connection ends once the server has taken `afterBytes` of the body, or all of a shorter one. 0: before it sees the request. */
      how: 'drops'
      afterBytes: number
    }
  | { /** The server does what it is asked, and the connection ends instead of its answer. */ how: 'loses-answer' }
  | { /** The request is held up until the promise resolves. */ how: 'waits'; until: Promise<unknown> }
)

/** Faults that are left, in the order of the script. */
export interface RequestFaults {
  add(script: RequestFault[]): { left(): RequestFault[] }
  /** Lets requests to `http` meet the faults, before any other hook. */
  meetIn(http: FastifyInstance): void
}

export function requestFaults(): RequestFaults {
  const waiting: { fault: RequestFault; times: number }[] = []
  const bodies = new WeakMap<IncomingMessage, HeldBody>()

  function next(action: Action | undefined): RequestFault | undefined {
    const first = waiting.find(({ fault, times }) => fault.action === action && times > 0)
    if (first) first.times -= 1
    return first?.fault
  }

  async function meet(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const { raw } = request
    const fault = next(actionOf(request))
    const body = bodies.get(raw)
    if (fault?.how === 'waits') await fault.until
    if (fault?.how === 'answers') {
      if (fault.retryAfter !== undefined) reply.header('retry-after', fault.retryAfter)
      return reply.code(fault.status).type('text/plain').send('An answer that a test has scripted.\n')
    }
    if (fault?.how === 'drops' && fault.afterBytes === 0) {
      raw.socket.destroy()
      return reply.hijack()
    }
    if (fault?.how === 'loses-answer') loseAnswer(reply.raw)
    body?.release(fault?.how === 'drops' ? fault.afterBytes : null, () => void endConnection(raw, reply.raw))
    return undefined
  }

  return {
    add(script) {
      const added = script.map((fault) => ({ fault, times: fault.times ?? 1 }))
      waiting.push(...added)
      return {
        left: () => added.filter(({ times }) => times > 0).map(({ fault, times }) => ({ ...fault, times })),
      }
    },
    meetIn(http) {
      // The first bytes of a body may come with its header, before any hook runs.
      ;(http.server as Server).prependListener('request', (raw: IncomingMessage) => bodies.set(raw, holdBody(raw)))
      http.addHook('onRequest', meet)
    },
  }
}

/** What the request asks for; a route of several methods may ask for several things. */
function actionOf({ method, headers, routeOptions }: FastifyRequest): Action | undefined {
  const asked = routeOptions.config.actions ?? []
  if (asked.length < 2) return asked[0]
  const meant = String(headers['x-http-method-override'] ?? method).toUpperCase()
  const action = meant === 'DELETE' ? 'cancel' : meant === 'GET' || meant === 'HEAD' ? 'read' : 'append'
  return asked.includes(action) ? action : undefined
}

interface HeldBody {
  /** Lets the body pass, all of it or `bytes`; then calls `onCut` instead of passing on the rest. */
  release(bytes: number | null, onCut: () => void): void
}

/** Keeps what arrives of a body until it is decided what becomes of it. */
function holdBody(raw: IncomingMessage): HeldBody {
  const push = raw.push.bind(raw)
  const held: (Buffer | null)[] = []
  raw.push = (chunk: Buffer | null) => {
    held.push(chunk)
    // The connection is read on when the reader asks for more.
    return false
  }
  return {
    release(bytes, onCut) {
      let left = bytes ?? Number.POSITIVE_INFINITY
      raw.push = (chunk: Buffer | null) => {
        if (left === 0) return false
        const passed = chunk?.subarray(0, left) ?? null
        // The end of a body that is to be cut is a cut as well.
        left = chunk === null && bytes !== null ? 0 : left - (passed?.length ?? 0)
        const isMore = chunk === null && bytes !== null ? false : push(passed)
        if (left === 0) onCut()
        return isMore
      }
      for (const chunk of held) raw.push(chunk)
    },
  }
}

/** Ends the connection when the server has taken what arrived, or has answered without reading. */
async function endConnection(raw: IncomingMessage, answer: ServerResponse): Promise<void> {
  while (!answer.writableEnded && (raw.readableFlowing === null || raw.readableLength > 0)) await nextTurn()
  raw.socket.destroy()
}

function loseAnswer(answer: ServerResponse): void {
  const lose = () => {
    answer.socket?.destroy()
    return answer
  }
  Object.assign(answer, { write: lose, end: lose, flushHeaders: lose })
}
