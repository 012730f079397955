import type { Steer } from '../../../client/admin-api.ts'
import type { AnyUpload, OneUpload } from '../../../client/admin-types.ts'
import { say } from '../../upload/announcer.tsx'
import { admin } from '../session.ts'
import { Sure } from '../sure.tsx'
import { nameOf } from '../words.ts'

const verbs: Record<Steer, { does: string; sure: string; done: string; isBad: boolean }> = {
  cancel: { does: 'Cancel', sure: 'Cancel the upload', done: 'is cancelled', isBad: true },
  finish: { does: 'Finish', sure: 'Put it together', done: 'is put together', isBad: false },
  expire: { does: 'Expire', sure: 'Let it expire', done: 'has expired', isBad: true },
}

/** What can be done with an upload as it is. */
export function verbsFor({ state }: AnyUpload): Steer[] {
  if (state === 'receiving') return ['finish', 'expire', 'cancel']
  if (state === 'finishing') return ['finish']
  return state === 'completed' ? ['cancel'] : []
}

/** What a verb is called for an upload as it is. */
export function verbWords(verb: Steer, { state }: AnyUpload): string {
  return verb === 'cancel' && state === 'completed' ? 'Delete the file' : verbs[verb].does
}

/** Asks once more, and does it. */
export function SteerDialog(props: { upload: AnyUpload; verb: Steer; done(after: OneUpload): void; close(): void }) {
  const { upload, verb, done, close } = props
  const words = verbWords(verb, upload)
  const isFile = upload.state === 'completed'

  async function act(): Promise<void> {
    const after = await admin.steer(upload.id, verb)
    say(`${upload.filename} ${verbs[verb].done}.`)
    done(after)
  }

  return (
    <Sure
      title={`${words}: ${upload.filename}`}
      verb={isFile ? words : verbs[verb].sure}
      isBad={verbs[verb].isBad}
      act={act}
      close={close}
    >
      <p>{consequence(verb, upload)}</p>
    </Sure>
  )
}

function consequence(verb: Steer, upload: AnyUpload): string {
  const whose = `${nameOf(upload)} (${upload.role})`
  if (verb === 'finish')
    return `If every byte is there, the file of ${whose} is put together now. If not, you are told so, and nothing changes.`
  if (verb === 'expire')
    return `The upload of ${whose} ends as if its time had run out. What was sent of it is thrown away.`
  if (upload.state === 'completed') return `The finished file of ${whose} is deleted from the store for good.`
  return `The upload of ${whose} ends, also while somebody is sending it. What was sent of it is thrown away.`
}
