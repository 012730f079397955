import type { VNode } from 'preact'
import { isOver, mayPause, type TransferView } from '../../client/transfer-view.ts'
import { formatBytes, formatDuration, percent } from './format.ts'
import { answer, overall, questions, transfers, uploads } from './outbox.ts'
import { TransferCard } from './transfer-card.tsx'
import { files } from './words.ts'

/** Everything this page is sending, with the sum on top. */
export function Transfers() {
  const all = transfers.value
  if (all.length + questions.value.length === 0) return null
  return (
    <section class="transfers" aria-label="On the way">
      {all.length > 0 && <Overall />}
      <ul class="cards">
        {questions.value.map((question) => (
          <li key={question.id} class="card is-question">
            <p>
              <strong>{question.file.name}</strong> looks like an upload you began before:{' '}
              {percent(question.upload.offset, question.file.size)} % of it is on the server. Is it the same file,
              unchanged?
            </p>
            <div class="choices">
              <button type="button" class="button" onClick={() => answer(question, true)}>
                Yes, go on
              </button>
              <button type="button" class="button is-quiet" onClick={() => answer(question, false)}>
                No, send it anew
              </button>
            </div>
          </li>
        ))}
        {all.map(cardOf)}
      </ul>
    </section>
  )
}

const cards = new WeakMap<TransferView, VNode>()

/** The card of a transfer: the same one as long as nothing changed, so that a thousand files cost what the moving ones cost. */
function cardOf(transfer: TransferView): VNode {
  const known = cards.get(transfer)
  if (known) return known
  const card = <TransferCard key={transfer.id} transfer={transfer} />
  cards.set(transfer, card)
  return card
}

function Overall() {
  const all = transfers.value
  const { size, sent, speed, open, done } = overall.value
  const running = all.filter(({ state }) => mayPause(state))
  const paused = all.filter(({ state }) => state === 'paused')
  const failed = all.filter(({ state }) => state === 'failed')
  const over = all.filter(({ state }) => isOver(state))
  const shown = percent(sent, size)

  return (
    <div class="overall">
      <h2>
        {headline(open, done, paused.length, failed.length)}
        {open > 0 && done > 0 && <span class="quiet"> · {done} done</span>}
      </h2>
      {open > 0 && (
        <p class="figures quiet">
          <span>{shown} %</span>
          <span>
            {formatBytes(sent)} of {formatBytes(size)}
          </span>
          {speed > 0 && <span>{formatBytes(speed)}/s</span>}
          {speed > 1 && <span>{formatDuration(((size - sent) / speed) * 1000)} left</span>}
        </p>
      )}
      <div class="choices">
        {running.length > 1 && (
          <button type="button" class="button is-quiet" onClick={() => each(running, uploads.pause)}>
            Pause all
          </button>
        )}
        {paused.length > 1 && (
          <button type="button" class="button is-quiet" onClick={() => each(paused, uploads.resume)}>
            Resume all
          </button>
        )}
        {over.length > 0 && (
          <button type="button" class="button is-quiet" onClick={() => each(over, uploads.dismiss)}>
            Clear
          </button>
        )}
      </div>
      {open > 0 && <progress class="line" value={sent} max={Math.max(size, 1)} aria-label="All files" />}
    </div>
  )
}

function headline(open: number, done: number, paused: number, failed: number): string {
  if (open > 0) return open === paused ? `${files(open)} paused` : `Sending ${files(open)}`
  if (done === 0) return failed === 1 ? 'This file was not sent' : 'These files were not sent'
  if (failed > 0) return `${files(done)} arrived, ${failed} did not`
  return done === 1 ? 'Your file has arrived' : `All ${done} files have arrived`
}

function each(some: { id: string }[], act: (id: string) => void): void {
  for (const { id } of some) act(id)
}
