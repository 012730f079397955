import { useSignal, useSignalEffect } from '@preact/signals'
import { useRef } from 'preact/hooks'
import { droppedFiles } from './dropped.ts'
import { formatBytes } from './format.ts'
import { ArrowUp, Folder } from './icons.tsx'
import { me } from './session.ts'
import { resumePrompts, send, transfers } from './upload-queue.ts'
import { visible } from './visible.ts'

/** Takes files by click, key, drop (anywhere on the page) and, through the page, from the clipboard. */
export function DropZone() {
  const isOverPage = useDropOnPage()
  const files = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  const isSmall = transfers.value.length + resumePrompts.value.length > 0

  function take(input: HTMLInputElement): void {
    void send(input.files ?? [])
    // Or the same file could not be chosen a second time.
    input.value = ''
  }

  return (
    <section class={`drop ${isSmall ? 'is-small' : ''} ${isOverPage.value ? 'is-over' : ''}`} aria-label="Choose files">
      <button type="button" class="drop-target" onClick={() => files.current?.click()}>
        <span class="drop-mark">
          <ArrowUp />
        </span>
        <span class="drop-words">
          <strong>{isOverPage.value ? 'Drop to upload' : 'Drop files here, or choose them'}</strong>
          <span class="quiet">
            <Limits />
          </span>
        </span>
      </button>
      <button type="button" class="button is-quiet drop-folder" onClick={() => folder.current?.click()}>
        <Folder /> Upload a folder
      </button>
      <input ref={files} type="file" multiple hidden onChange={(event) => take(event.currentTarget)} />
      {/* The browser knows folders under a name of its own only. */}
      <input
        ref={folder}
        type="file"
        hidden
        {...{ webkitdirectory: true }}
        onChange={(event) => take(event.currentTarget)}
      />
    </section>
  )
}

function Limits() {
  if (!me.value) return <>Interrupted uploads resume where they stopped.</>
  const { role, policy } = me.value
  if (!policy) return <>The role {visible(role)} may not upload files here.</>
  const kinds = policy.mediaTypes.includes('*/*') ? 'Any file' : capital(listing(policy.categories.map(plural)))
  return (
    <>
      {kinds} up to {formatBytes(policy.maxSize)}. Interrupted uploads resume where they stopped.
    </>
  )
}

const plurals: Record<string, string> = { image: 'images', video: 'videos', audio: 'audio', document: 'documents' }

function plural(category: string): string {
  return plurals[category] ?? category
}

function listing(words: string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Lets files be dropped anywhere on the page. True while some are held over it. */
function useDropOnPage() {
  const isOver = useSignal(false)
  useSignalEffect(() => {
    // Each element entered and left tells of itself, so only the balance says whether the page was left.
    let depth = 0
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return
      depth += 1
      isOver.value = true
    }
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return
      depth -= 1
      if (depth <= 0) isOver.value = false
    }
    const over = (event: DragEvent) => hasFiles(event) && event.preventDefault()
    const drop = (event: DragEvent) => {
      depth = 0
      isOver.value = false
      // An incomplete upload of the list takes what belongs to it.
      if (!event.dataTransfer || event.defaultPrevented || !hasFiles(event)) return
      event.preventDefault()
      void droppedFiles(event.dataTransfer).then(send)
    }
    addEventListener('dragenter', enter)
    addEventListener('dragleave', leave)
    addEventListener('dragover', over)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragenter', enter)
      removeEventListener('dragleave', leave)
      removeEventListener('dragover', over)
      removeEventListener('drop', drop)
    }
  })
  return isOver
}
