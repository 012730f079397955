import type { Sniff } from '../media/resolve.ts'
import type { Rule } from './rules/rule.ts'

/** How the engine finds out what a file is before it stores any of it. */
export interface ContentCheck {
  sniff: Sniff
  /** Bytes; the length of the prefix that is looked at. A smaller file is looked at whole. */
  sniffLength: number
  /** Called with the media type that was found. */
  rules: Rule[]
}
