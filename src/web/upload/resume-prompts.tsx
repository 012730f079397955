import { FileName } from './file-name.tsx'
import { percent } from './format.ts'
import { answerPrompt, type ResumePrompt, resumePrompts } from './upload-queue.ts'
import { visible } from './visible.ts'

/** Files that look like uploads which were begun elsewhere: only their owner knows whether they are. */
export function ResumePrompts() {
  if (resumePrompts.value.length === 0) return null
  return (
    <ul class="rows" aria-label="Questions">
      {resumePrompts.value.map((question) => (
        <li key={question.id} class="row is-question">
          <Prompt question={question} />
        </li>
      ))}
    </ul>
  )
}

function Prompt({ question }: { question: ResumePrompt }) {
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
          <button type="button" class="button" onClick={() => answerPrompt(question, 'same')}>
            Yes, resume it{name}
          </button>
        )}
        <button type="button" class="button is-quiet" onClick={() => answerPrompt(question, 'another')}>
          {upload.live ? 'Upload it as another file' : 'No, upload it as another file'}
          {name}
        </button>
        <button type="button" class="button is-quiet" onClick={() => answerPrompt(question, 'none')}>
          Do not upload it{name}
        </button>
      </div>
    </>
  )
}
