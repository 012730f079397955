import type { PolicyDocument, PolicyRules } from '../../core/policy/policy.ts'
import { writeSize } from '../../core/units.ts'

/** The quota of a single user of each role, one line per role, for the operator. */
export function quotaLines(document: PolicyDocument): { role: string; line: string; isUnlimited: boolean }[] {
  return Object.entries(document.roles).map(([role, rules]) => {
    const limits = { ...document.default, ...rules }
    const parts = [
      bytes(limits.maxSize, 'a file'),
      count(limits.uploadsAtOnce, 'uploads at once'),
      bytes(limits.bytesPerDay, 'a day'),
      count(limits.filesPerDay, 'files a day'),
      bytes(limits.totalBytes, 'in all'),
    ]
    const isUnlimited = hasNoLimit(limits)
    const advice = isUnlimited ? ' (a single user can fill the store: set bytesPerDay or totalBytes)' : ''
    return { role, isUnlimited, line: `a ${role} may send ${parts.join(', ')}${advice}` }
  })
}

function hasNoLimit({ totalBytes, bytesPerDay }: PolicyRules): boolean {
  return (totalBytes ?? null) === null && (bytesPerDay ?? null) === null
}

function bytes(value: number | null | undefined, of: string): string {
  return value === null || value === undefined ? `any number of bytes ${of}` : `${writeSize(value)} ${of}`
}

function count(value: number | null | undefined, of: string): string {
  return value === null || value === undefined ? `any number of ${of}` : `${value} ${of}`
}
