/** The kinds of file a category can be; chosen by media type unless the client says one. */
export const categories = ['image', 'video', 'audio', 'document', 'other'] as const
export type Category = (typeof categories)[number]

/** What a role may upload, as data. Sizes are bytes. */
export interface Policy {
  maxSize: number
  /** Media types, each exact (`image/png`) or with a wildcard (`image/*`, or all of them). */
  mediaTypes: string[]
  categories: Category[]
  /** How long an unfinished upload lives after its last byte. */
  timeToLiveMs: number
}

/** Role → policy. A role that is not here may not upload. */
export type Policies = Record<string, Policy>

const MiB = 1024 ** 2
const GiB = 1024 ** 3
const day = 24 * 60 * 60 * 1000

const documentTypes = [
  'application/pdf',
  'application/rtf',
  'application/msword',
  'application/vnd.ms-*',
  'application/vnd.openxmlformats-officedocument.*',
  'application/vnd.oasis.opendocument.*',
  'application/epub+zip',
  'text/*',
]

export const defaultPolicies: Policies = {
  creator: { maxSize: 10 * GiB, mediaTypes: ['*/*'], categories: [...categories], timeToLiveMs: 7 * day },
  member: {
    maxSize: 2 * GiB,
    mediaTypes: ['image/*', 'video/*', 'audio/*', ...documentTypes],
    categories: ['image', 'video', 'audio', 'document'],
    timeToLiveMs: 3 * day,
  },
  subscriber: {
    maxSize: 200 * MiB,
    mediaTypes: ['image/*', ...documentTypes],
    categories: ['image', 'document'],
    timeToLiveMs: day,
  },
}

/** Whether `mediaType` (lower case, no parameters) matches one of `patterns`; `*` stands for any run of characters. */
export function matchesMediaType(mediaType: string, patterns: string[]): boolean {
  return patterns.some((pattern) => {
    const escaped = pattern
      .toLowerCase()
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
    return new RegExp(`^${escaped}$`).test(mediaType)
  })
}

/** The category a media type belongs to. */
export function categoryOf(mediaType: string): Category {
  if (mediaType.startsWith('image/')) return 'image'
  if (mediaType.startsWith('video/')) return 'video'
  if (mediaType.startsWith('audio/')) return 'audio'
  return matchesMediaType(mediaType, documentTypes) ? 'document' : 'other'
}
