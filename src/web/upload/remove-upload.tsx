import { useEffect, useRef, useState } from 'preact/hooks'
import type { ListedUpload } from '../../client/api.ts'
import { say } from './announcer.tsx'
import { Bin } from './icons.tsx'
import { remove } from './listing.ts'

/** Deletes an upload, when asked twice. */
export function Remove({ upload }: { upload: ListedUpload }) {
  const [isAsking, setAsking] = useState(false)
  const first = useRef<HTMLButtonElement>(null)
  const label = `Delete ${upload.filename}`

  function keep(): void {
    setAsking(false)
    // Once the button is there again.
    setTimeout(() => first.current?.focus())
  }

  if (isAsking) return <Sure upload={upload} keep={keep} />
  return (
    <button
      ref={first}
      type="button"
      class="icon-button"
      aria-label={label}
      title={label}
      onClick={() => setAsking(true)}
    >
      <Bin />
    </button>
  )
}

function Sure({ upload, keep }: { upload: ListedUpload; keep: () => void }) {
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => button.current?.focus(), [])

  async function go(): Promise<void> {
    if (!(await remove(upload))) return keep()
    say(`${upload.filename} is deleted.`)
    // The row vanishes, and with it the place of the keyboard; the list's title is the nearest one that stays.
    document.getElementById('mine-title')?.focus()
  }

  return (
    <fieldset class="choices sure" onKeyDown={(event) => event.key === 'Escape' && keep()}>
      <legend class="unseen">Delete {upload.filename} for good?</legend>
      <button ref={button} type="button" class="button is-bad" onClick={() => void go()}>
        Delete
      </button>
      <button type="button" class="button is-quiet" onClick={keep}>
        Keep
      </button>
    </fieldset>
  )
}
