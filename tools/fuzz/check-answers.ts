import type { FramedRequest } from './frame.ts'
import type { KnownUpload, RequestSpec } from './request.ts'
import type { Answer, Behavior, Outcome } from './wire.ts'

/** Checks that every complete request was answered in time, and none with a server error. Returns the violations. */
export function checkAnswers(requests: FramedRequest[], behavior: Behavior, outcome: Outcome): string[] {
  const problems: string[] = []
  const { answers, end, malformed } = outcome
  if (malformed) problems.push(malformed)
  if (end === 'late') problems.push(`no answer in ${(outcome.ms / 1000).toFixed(0)} s`)
  for (const answer of answers) {
    const problem = problemOf(answer)
    if (problem) problems.push(problem)
  }
  if (answers.length < requests.length && end !== 'late' && !mayEndHere(requests, behavior, answers))
    problems.push(`request ${answers.length + 1} of ${requests.length} has no answer`)
  return problems
}

/** Whether the server may end the connection after these answers. */
function mayEndHere(requests: FramedRequest[], behavior: Behavior, answers: Answer[]): boolean {
  if (behavior.kind !== 'complete') return true
  const last = answers.at(-1)
  if (last && /close/i.test(last.headers['connection'] ?? '')) return true
  const next = requests[answers.length]!
  // Node closes a connection at CONNECT with requests unanswered; an unterminated body before it may contain it.
  if (requests.some(({ method }) => method === 'CONNECT')) return true
  return next.mayBeSilent || requests.slice(0, answers.length).some(({ isComplete }) => !isComplete)
}

function problemOf({ status, headers, body }: Answer): string | null {
  const text = body.toString()
  // A stalled body is answered with 503 as documented. Node answers HTTP/2.0 on an HTTP/1 connection with 505.
  const isExpected = (status === 503 && text.includes('BODY_TIMEOUT')) || status === 505
  if (status >= 500 && !isExpected) return `answered with ${status}`
  if (status < 400 || text === '') return null
  if (!/^application\/(problem\+)?json/.test(headers['content-type'] ?? ''))
    return `an error with content type ${headers['content-type']}`
  const { error } = parse(text) as { error?: { code?: unknown; message?: unknown; timestamp?: unknown } }
  const isWellFormed = [error?.code, error?.message, error?.timestamp].every((field) => typeof field === 'string')
  return isWellFormed ? null : `an error body of another form: ${text.slice(0, 300)}`
}

function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

const maxKnown = 60

/** Records the upload and offset of an answer, so that later requests can address them. */
export function learn(
  known: KnownUpload[],
  spec: RequestSpec,
  answer: Answer,
  { tokens }: { tokens: Record<string, string> },
): void {
  const offset = Number(answer.headers['upload-offset'])
  const addressed = idIn(spec.path) ?? spec.headers.find(([name]) => name === 'x-upload-id')?.[1]
  const upload = known.find(({ id }) => id === addressed)
  if (upload && Number.isSafeInteger(offset)) upload.offset = offset
  if (answer.status !== 201) return
  const id = idIn(answer.headers['location'] ?? '')
  if (id === null || known.some((other) => other.id === id)) return
  const token = spec.headers.find(([name]) => name === 'authorization')?.[1]
  const owner = Object.keys(tokens).find((name) => token === `Bearer ${tokens[name]}`) ?? 'ada'
  const isPartial = spec.headers.some(([name, value]) => name === 'upload-concat' && value === 'partial')
  const resumeToken = answer.headers['upload-resume-token']
  known.push({
    id,
    owner,
    size: sizeIn(spec),
    offset: Number.isSafeInteger(offset) ? offset : 0,
    isPartial,
    resumeToken,
  })
  if (known.length > maxKnown) known.shift()
}

function idIn(path: string): string | null {
  return /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(path)?.[0] ?? null
}

function sizeIn({ headers, bytes }: RequestSpec): number | null {
  const length = headers.find(([name]) => name === 'upload-length')?.[1]
  if (length !== undefined && /^\d{1,9}$/.test(length)) return Number(length)
  const fields = parse(String(bytes?.subarray(0, 10_000))) as { total_size?: unknown }
  return typeof fields.total_size === 'number' ? fields.total_size : null
}
