import type { PolicyDocument, PolicyRules } from '../../core/policy/policy.ts'
import { writeSize } from '../../core/units.ts'

/** What a user of each role may take of the server, a line a role, for an operator who starts or checks one. */
export function quotaLines(document: PolicyDocument): { role: string; line: string; isUnlimited: boolean }[] {
  return Object.entries(document.roles).map(([role, rules]) => {
    const said = { ...document.default, ...rules }
    const parts = [
      bytes(said.maxSize, 'a file'),
      count(said.uploadsAtOnce, 'uploads at once'),
      bytes(said.bytesPerDay, 'a day'),
      count(said.filesPerDay, 'files a day'),
      bytes(said.totalBytes, 'in all'),
    ]
    const isUnlimited = hasNoLimit(said)
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
