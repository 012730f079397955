import type { Sniff } from '../media/resolve.ts'
import type { CreationRule } from './policy.ts'

/** How the engine detects the media type of a file before it stores any of its bytes. */
export interface ContentCheck {
  sniff: Sniff
  /** Bytes of the prefix that is sniffed. A smaller file is sniffed whole. */
  sniffLength: number
  /** Called with the detected media type. */
  rules: CreationRule[]
}
