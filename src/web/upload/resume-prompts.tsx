import { FileName } from '../ui/file-name.tsx'
import { percent } from '../ui/format.ts'
import { visible } from '../ui/visible.ts'
import { answerPrompt, type ResumePrompt, resumePrompts } from './upload-queue.ts'

/** Asks about files that match an incomplete upload by name and size: only the user knows whether they are the same. */
export function ResumePrompts() {
  if (resumePrompts.value.length === 0) return null
  return (
    <ul class="rows" aria-label="Files that may belong to an incomplete upload">
      {resumePrompts.value.map((prompt) => (
        <li key={prompt.id} class="row is-prompt">
          <Prompt prompt={prompt} />
        </li>
      ))}
    </ul>
  )
}

function Prompt({ prompt }: { prompt: ResumePrompt }) {
  const { file, upload } = prompt
  const name = <span class="visually-hidden"> {visible(file.name)}</span>
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
          <button type="button" class="button" onClick={() => answerPrompt(prompt, 'same')}>
            Yes, resume it{name}
          </button>
        )}
        <button type="button" class="button is-quiet" onClick={() => answerPrompt(prompt, 'another')}>
          {upload.live ? 'Upload it as another file' : 'No, upload it as another file'}
          {name}
        </button>
        <button type="button" class="button is-quiet" onClick={() => answerPrompt(prompt, 'none')}>
          Do not upload it{name}
        </button>
      </div>
    </>
  )
}
