import type { Steer } from '../../../client/admin-api.ts'
import type { AnyUpload, OneUpload } from '../../../client/admin-types.ts'
import { say } from '../../upload/announcer.tsx'
import { visible } from '../../upload/visible.ts'
import { admin } from '../session.ts'
import { Sure } from '../sure.tsx'
import { nameOf } from '../words.ts'

const verbs: Record<Steer, { does: string; sure: string; done: string; isBad: boolean }> = {
  cancel: { does: 'Cancel', sure: 'Cancel the upload', done: 'was cancelled', isBad: true },
  finish: { does: 'Complete', sure: 'Complete the upload', done: 'was completed', isBad: false },
  expire: { does: 'Expire', sure: 'Expire the upload', done: 'has expired', isBad: true },
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
    say(`${visible(upload.filename)} ${verbs[verb].done}.`)
    done(after)
  }

  return (
    <Sure
      title={`${words}: ${visible(upload.filename)}`}
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
    return `If every byte has arrived, the file of ${whose} is completed now. If not, nothing changes and the answer says why.`
  if (verb === 'expire') return `The upload of ${whose} expires now. The bytes that were received are deleted.`
  if (upload.state === 'completed') return `The completed file of ${whose} is deleted from the store.`
  return `The upload of ${whose} is cancelled, also while a client is uploading it. The bytes that were received are deleted.`
}
