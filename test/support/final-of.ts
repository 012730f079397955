import type { FinalUpload } from '../../src/core/upload.ts'

/** What the creation of a final upload says beside its file: the ids of its partial uploads, and a header that names them. */
export function finalOf(partials: string[]): FinalUpload {
  return { kind: 'final', isPartial: false, partials, uploadConcat: `final;${partials.join(' ')}` }
}
