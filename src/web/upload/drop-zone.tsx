import { useSignal, useSignalEffect } from '@preact/signals'
import { useRef } from 'preact/hooks'
import { formatBytes } from '../ui/format.ts'
import { ArrowUp, Folder } from '../ui/icons.tsx'
import { visible } from '../ui/visible.ts'
import { droppedFiles } from './dropped.ts'
import { me } from './session.ts'
import { resumePrompts, send, transfers } from './upload-queue.ts'

/** Accepts files by click, key and drop, anywhere on the page. */
export function DropZone() {
  const isOverPage = useDropOnPage()
  const files = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  const isSmall = transfers.value.length + resumePrompts.value.length > 0

  function take(input: HTMLInputElement): void {
    void send(input.files ?? [])
    // Without this the same file could not be chosen a second time.
    input.value = ''
  }

  return (
    <section class={`drop ${isSmall ? 'is-small' : ''} ${isOverPage.value ? 'is-over' : ''}`} aria-label="Choose files">
      <button type="button" class="drop-target" onClick={() => files.current?.click()}>
        <span class="drop-mark">
          <ArrowUp />
        </span>
        <span class="drop-text">
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
      {/* Browsers support folders only by this non-standard attribute. */}
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
  const kinds = policy.mediaTypes.includes('*/*') ? 'Any file' : capitalized(joined(policy.categories.map(plural)))
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

function joined(names: string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Accepts files dropped anywhere on the page. True while files are dragged over it. */
function useDropOnPage() {
  const isOver = useSignal(false)
  useSignalEffect(() => {
    // Every element fires dragenter and dragleave, so the page is left only when their counts are equal.
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
      // A row of an incomplete upload may have handled the drop.
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
