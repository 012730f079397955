import { FileName } from './file-name.tsx'
import { percent } from './format.ts'
import { answer, type Question, questions } from './outbox.ts'
import { visible } from './visible.ts'

/** Files that look like uploads which were begun elsewhere: only their owner knows whether they are. */
export function Questions() {
  if (questions.value.length === 0) return null
  return (
    <ul class="rows" aria-label="Questions">
      {questions.value.map((question) => (
        <li key={question.id} class="row is-question">
          <Asked question={question} />
        </li>
      ))}
    </ul>
  )
}

function Asked({ question }: { question: Question }) {
  const { file, upload } = question
  const name = <span class="unseen"> {visible(file.name)}</span>
  return (
    <>
      <FileName name={file.name} />
      <p class="quiet">
        {upload.live
          ? 'A file with this name and size is being uploaded in another tab or on another device.'
          : `An upload with this name and size is ${percent(upload.offset, file.size)} % complete. Is it the same file, unchanged?`}
      </p>
      <div class="choices">
        {!upload.live && (
          <button type="button" class="button" onClick={() => answer(question, 'same')}>
            Yes, resume it{name}
          </button>
        )}
        <button type="button" class="button is-quiet" onClick={() => answer(question, 'another')}>
          {upload.live ? 'Upload it as another file' : 'No, upload it as another file'}
          {name}
        </button>
        <button type="button" class="button is-quiet" onClick={() => answer(question, 'none')}>
          Do not upload it{name}
        </button>
      </div>
    </>
  )
}
