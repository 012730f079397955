import type { AdminAction, AnyUpload, OneUpload } from '../../../contract/admin-uploads.ts'
import { announce } from '../../ui/announcer.tsx'
import { visible } from '../../ui/visible.ts'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { nameOf } from '../messages.ts'
import { admin } from '../session.ts'

const actions: Record<AdminAction, { label: string; confirmLabel: string; done: string; isBad: boolean }> = {
  cancel: { label: 'Cancel', confirmLabel: 'Cancel the upload', done: 'was cancelled', isBad: true },
  finish: { label: 'Complete', confirmLabel: 'Complete the upload', done: 'was completed', isBad: false },
  expire: { label: 'Expire', confirmLabel: 'Expire the upload', done: 'has expired', isBad: true },
}

/** The admin actions that the state of an upload allows. */
export function actionsFor({ state }: AnyUpload): AdminAction[] {
  if (state === 'receiving') return ['finish', 'expire', 'cancel']
  if (state === 'finishing') return ['finish']
  return state === 'completed' ? ['cancel'] : []
}

/** The label of an action for this upload. */
export function actionLabel(action: AdminAction, { state }: AnyUpload): string {
  return action === 'cancel' && state === 'completed' ? 'Delete the file' : actions[action].label
}

/** Asks for confirmation and runs the action. */
export function AdminActionDialog(props: {
  upload: AnyUpload
  action: AdminAction
  done(after: OneUpload): void
  close(): void
}) {
  const { upload, action, done, close } = props
  const label = actionLabel(action, upload)
  const isFile = upload.state === 'completed'

  async function act(): Promise<void> {
    const after = await admin.act(upload.id, action)
    announce(`${visible(upload.filename)} ${actions[action].done}.`)
    done(after)
  }

  return (
    <ConfirmDialog
      title={`${label}: ${visible(upload.filename)}`}
      confirmLabel={isFile ? label : actions[action].confirmLabel}
      isBad={actions[action].isBad}
      act={act}
      close={close}
    >
      <p>{consequence(action, upload)}</p>
    </ConfirmDialog>
  )
}

function consequence(action: AdminAction, upload: AnyUpload): string {
  const owner = `${nameOf(upload)} (${upload.role})`
  if (action === 'finish')
    return `If the server has received every byte, the file of ${owner} is completed now. If not, nothing changes and an error is shown.`
  if (action === 'expire') return `The upload of ${owner} expires now. The bytes that were received are deleted.`
  if (upload.state === 'completed') return `The completed file of ${owner} is deleted from the store.`
  return `The upload of ${owner} is cancelled, also while a client is uploading it. The bytes that were received are deleted.`
}
