import type { Draft, Known } from './draft.ts'
import type { Framed } from './frame.ts'
import type { Answer, Heard, Manner } from './wire.ts'

/** What a conversation broke of what is promised: every whole request an answer, soon, and none of them a fault. */
export function judge(requests: Framed[], manner: Manner, heard: Heard): string[] {
  const wrong: string[] = []
  const { answers, end, fault } = heard
  if (fault) wrong.push(fault)
  if (end === 'late') wrong.push(`no answer in ${(heard.ms / 1000).toFixed(0)} s`)
  for (const answer of answers) {
    const what = faultOf(answer)
    if (what) wrong.push(what)
  }
  if (answers.length < requests.length && end !== 'late' && !mayEndHere(requests, manner, answers))
    wrong.push(`request ${answers.length + 1} of ${requests.length} has no answer`)
  return wrong
}

/** Whether nobody need wonder that the connection ended after these answers. */
function mayEndHere(requests: Framed[], manner: Manner, answers: Answer[]): boolean {
  if (manner.kind !== 'whole') return true
  const last = answers.at(-1)
  if (last && /close/i.test(last.headers['connection'] ?? '')) return true
  const next = requests[answers.length]!
  // Node ends a connection at CONNECT, whatever is still to be answered; and what came before may have run on into it.
  if (requests.some(({ method }) => method === 'CONNECT')) return true
  return next.mayBeSilent || requests.slice(0, answers.length).some(({ isWhole }) => !isWhole)
}

function faultOf({ status, headers, body }: Answer): string | null {
  const text = body.toString()
  // A body that stalls is told to come again: that is no fault of ours. No server speaks HTTP/2.0 on a wire of HTTP/1.
  const isTruth = (status === 503 && text.includes('BODY_TIMEOUT')) || status === 505
  if (status >= 500 && !isTruth) return `answered with ${status}`
  if (status < 400 || text === '') return null
  if (!/^application\/(problem\+)?json/.test(headers['content-type'] ?? ''))
    return `refused with ${headers['content-type']}`
  const { error } = parse(text) as { error?: { code?: unknown; message?: unknown; timestamp?: unknown } }
  const isWorded = [error?.code, error?.message, error?.timestamp].every((word) => typeof word === 'string')
  return isWorded ? null : `refused in other words than everywhere: ${text.slice(0, 300)}`
}

function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

const most = 60

/** Remembers what an answer told of uploads, so that later requests come as far as this one. */
export function learn(
  known: Known[],
  draft: Draft,
  answer: Answer,
  { tokens }: { tokens: Record<string, string> },
): void {
  const offset = Number(answer.headers['upload-offset'])
  const named = idIn(draft.path) ?? draft.headers.find(([name]) => name === 'x-upload-id')?.[1]
  const one = known.find(({ id }) => id === named)
  if (one && Number.isSafeInteger(offset)) one.offset = offset
  if (answer.status !== 201) return
  const id = idIn(answer.headers['location'] ?? '')
  if (id === null || known.some((other) => other.id === id)) return
  const token = draft.headers.find(([name]) => name === 'authorization')?.[1]
  const owner = Object.keys(tokens).find((name) => token === `Bearer ${tokens[name]}`) ?? 'ada'
  const isPartial = draft.headers.some(([name, value]) => name === 'upload-concat' && value === 'partial')
  const resumeToken = answer.headers['upload-resume-token']
  known.push({
    id,
    owner,
    size: sizeIn(draft),
    offset: Number.isSafeInteger(offset) ? offset : 0,
    isPartial,
    resumeToken,
  })
  if (known.length > most) known.shift()
}

function idIn(path: string): string | null {
  return /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(path)?.[0] ?? null
}

function sizeIn({ headers, bytes }: Draft): number | null {
  const length = headers.find(([name]) => name === 'upload-length')?.[1]
  if (length !== undefined && /^\d{1,9}$/.test(length)) return Number(length)
  const said = parse(String(bytes?.subarray(0, 10_000))) as { total_size?: unknown }
  return typeof said.total_size === 'number' ? said.total_size : null
}
