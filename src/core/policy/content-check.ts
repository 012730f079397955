import type { Sniff } from '../media/resolve.ts'
import type { Actor, Upload } from '../upload.ts'
import type { CreationRule } from './policy.ts'

/** How the engine detects the media type of a file before it stores any of its bytes. */
export interface ContentCheck {
  sniff: Sniff
  /** Bytes of the prefix that is sniffed. A smaller file is sniffed whole. */
  sniffLength: number
  /** Called with the detected media type. */
  rules: CreationRule[]
  /**
   * Called after the rules with the bytes themselves; while a request is repeated, more than once for one upload.
   * @throws UploadError below 500 to refuse the file, which fails the upload; any other error fails the request only
   */
  inspect?: ((first: FirstBytes) => Promise<void>) | undefined
}

/** The first bytes of a file, before any of them is stored. */
export interface FirstBytes {
  /** The upload, with the media type and category that the bytes show. */
  upload: Upload
  /** Whose request brought the bytes; `null`: the server's own work. */
  by: Actor | null
  /** At most `sniffLength`; a smaller file is here whole. */
  bytes: Buffer
}
