import type { AdminAction } from '../../../client/admin-api.ts'
import type { AnyUpload, OneUpload } from '../../../client/admin-types.ts'
import { announce } from '../../upload/announcer.tsx'
import { visible } from '../../upload/visible.ts'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { nameOf } from '../messages.ts'
import { admin } from '../session.ts'

const verbs: Record<AdminAction, { does: string; sure: string; done: string; isBad: boolean }> = {
  cancel: { does: 'Cancel', sure: 'Cancel the upload', done: 'was cancelled', isBad: true },
  finish: { does: 'Complete', sure: 'Complete the upload', done: 'was completed', isBad: false },
  expire: { does: 'Expire', sure: 'Expire the upload', done: 'has expired', isBad: true },
}

/** What can be done with an upload as it is. */
export function actionsFor({ state }: AnyUpload): AdminAction[] {
  if (state === 'receiving') return ['finish', 'expire', 'cancel']
  if (state === 'finishing') return ['finish']
  return state === 'completed' ? ['cancel'] : []
}

/** What a verb is called for an upload as it is. */
export function actionLabel(action: AdminAction, { state }: AnyUpload): string {
  return action === 'cancel' && state === 'completed' ? 'Delete the file' : verbs[action].does
}

/** Asks once more, and does it. */
export function AdminActionDialog(props: {
  upload: AnyUpload
  verb: AdminAction
  done(after: OneUpload): void
  close(): void
}) {
  const { upload, verb: action, done, close } = props
  const words = actionLabel(action, upload)
  const isFile = upload.state === 'completed'

  async function act(): Promise<void> {
    const after = await admin.act(upload.id, action)
    announce(`${visible(upload.filename)} ${verbs[action].done}.`)
    done(after)
  }

  return (
    <ConfirmDialog
      title={`${words}: ${visible(upload.filename)}`}
      verb={isFile ? words : verbs[action].sure}
      isBad={verbs[action].isBad}
      act={act}
      close={close}
    >
      <p>{consequence(action, upload)}</p>
    </ConfirmDialog>
  )
}

function consequence(action: AdminAction, upload: AnyUpload): string {
  const whose = `${nameOf(upload)} (${upload.role})`
  if (action === 'finish')
    return `If every byte has arrived, the file of ${whose} is completed now. If not, nothing changes and the answer says why.`
  if (action === 'expire') return `The upload of ${whose} expires now. The bytes that were received are deleted.`
  if (upload.state === 'completed') return `The completed file of ${whose} is deleted from the store.`
  return `The upload of ${whose} is cancelled, also while a client is uploading it. The bytes that were received are deleted.`
}
