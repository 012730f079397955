import { matchesGlob } from './glob.ts'

/** Categories of files. The media type decides unless the client names one. */
export const categories = ['image', 'video', 'audio', 'document', 'other'] as const
export type Category = (typeof categories)[number]

/** The media types of documents. */
export const documentTypes = [
  'application/pdf',
  'application/rtf',
  'application/msword',
  'application/vnd.ms-*',
  'application/vnd.openxmlformats-officedocument.*',
  'application/vnd.oasis.opendocument.*',
  'application/epub+zip',
  'text/*',
]

/** Whether `mediaType` (lower case, no parameters) matches one of `patterns`; `*` stands for any run of characters. */
export function matchesMediaType(mediaType: string, patterns: string[]): boolean {
  return patterns.some((pattern) => matchesGlob(mediaType, pattern))
}

/** The category a media type belongs to. */
export function categoryOf(mediaType: string): Category {
  if (mediaType.startsWith('image/')) return 'image'
  if (mediaType.startsWith('video/')) return 'video'
  if (mediaType.startsWith('audio/')) return 'audio'
  return matchesMediaType(mediaType, documentTypes) ? 'document' : 'other'
}
