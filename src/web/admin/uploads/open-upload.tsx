import { useState } from 'preact/hooks'
import type { Steer } from '../../../client/admin-api.ts'
import type { UploadDetails } from '../../../client/admin-types.ts'
import { TypeIcon } from '../../upload/icons.tsx'
import { visible } from '../../upload/visible.ts'
import { amountWords, stateWords } from '../../upload/words.ts'
import { useAnswer } from '../answer.ts'
import { Back } from '../icons.tsx'
import { hrefOf } from '../place.ts'
import { Problem } from '../problem.tsx'
import { admin } from '../session.ts'
import { failureWords } from '../words.ts'
import { Facts } from './facts.tsx'
import { SteerDialog, verbsFor, verbWords } from './steer.tsx'
import { Timeline } from './timeline.tsx'

/** One upload: what it is, what happened to it, what can be done with it. */
export function OpenUpload({ id }: { id: string }) {
  const answer = useAnswer(() => admin.upload(id), { about: id, everyMs: 3000 })
  const [verb, setVerb] = useState<Steer | null>(null)
  const one = answer.value
  return (
    <article class="part">
      <a class="back" href={hrefOf('uploads')}>
        <Back /> All uploads
      </a>
      <Problem words={answer.problem} again={answer.again} />
      {one && (
        <>
          <Head upload={one.upload} steer={setVerb} />
          <div class="columns">
            <Timeline timeline={one.timeline} />
            <Facts upload={one.upload} />
          </div>
          {verb && (
            <SteerDialog
              upload={one.upload}
              verb={verb}
              done={answer.put}
              close={() => {
                setVerb(null)
                document.getElementById('upload-title')?.focus()
              }}
            />
          )}
        </>
      )}
    </article>
  )
}

function Head({ upload, steer }: { upload: UploadDetails; steer: (verb: Steer) => void }) {
  const { state, size, received, filename, live } = upload
  const isOpen = state === 'receiving' || state === 'finishing'
  return (
    <div class="upload-head">
      <span class="preview">
        <TypeIcon type={upload.contentType} />
      </span>
      <div class="row-words">
        <h2 id="upload-title" tabIndex={-1} class="any-text" dir="auto">
          {visible(filename)}
        </h2>
        <p class="facts quiet">
          <span class={`state is-${state}`}>{state === 'receiving' && !live ? 'Incomplete' : stateWords[state]}</span>
          <span>{amountWords(upload, received)}</span>
          {upload.failure && <span>{failureWords(upload.failure)}</span>}
        </p>
      </div>
      <div class="choices">
        {verbsFor(upload).map((verb) => (
          <button
            key={verb}
            type="button"
            class={`button is-quiet ${verb === 'cancel' ? 'has-bad' : ''}`}
            onClick={() => steer(verb)}
          >
            {verbWords(verb, upload)}
          </button>
        ))}
      </div>
      {isOpen && size !== null && (
        <progress class="line" value={received} max={Math.max(size, 1)} aria-label="Confirmed" />
      )}
    </div>
  )
}
