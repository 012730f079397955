import { route } from '../route.ts'
import { History } from './history.tsx'
import { OpenUpload } from './open-upload.tsx'

/** The uploads of all users, or one of them. */
export function Uploads() {
  const { id } = route.value
  return id === null ? <History /> : <OpenUpload id={id} />
}
