import { place } from '../place.ts'
import { History } from './history.tsx'
import { OpenUpload } from './open-upload.tsx'

/** Everybody's uploads, or one of them. */
export function Uploads() {
  const { id } = place.value
  return id === null ? <History /> : <OpenUpload id={id} />
}
