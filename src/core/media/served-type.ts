import { unknownMediaType } from './media-type.ts'

/*
 * How browsers treat an object that they open at the public URL of the store. The rule is an allow list: any other type may be a page, a
 * style sheet, a script or something that a later browser runs, so the store serves it as an attachment of an unknown type.
 */

/** The headers with which the store serves an object. */
export interface ServedType {
  contentType: string
  /** Browsers must save the object and not render it, because it could run scripts on the origin of the store. */
  isAttachment?: boolean
}

/** Types that browsers may render, because none of them runs scripts: each alias with the registered type that the store serves. */
const inlineTypes = new Map([
  ...named('image/png', 'image/x-png', 'image/apng', 'image/vnd.mozilla.apng'),
  ...named('image/jpeg', 'image/jpg', 'image/pjpeg'),
  ...named('image/gif'),
  ...named('image/webp'),
  ...named('image/avif'),
  ...named('video/mp4', 'video/x-m4v'),
  ...named('video/webm'),
  ...named('audio/webm'),
  ...named('audio/mpeg', 'audio/mp3', 'audio/mpeg3', 'audio/x-mp3', 'audio/x-mpeg', 'audio/mpg'),
  ...named('audio/ogg', 'audio/opus', 'audio/vorbis'),
  ...named('audio/wav', 'audio/x-wav', 'audio/wave', 'audio/vnd.wave'),
  ...named('audio/mp4', 'audio/x-m4a', 'audio/m4a'),
  ...named('application/pdf', 'application/x-pdf'),
  ...named('text/plain'),
])

/** Attachments that keep their own type, because programs choose by it and no browser runs them. `+xml` may be an SVG or a page. */
const savedTypes = [
  /^(image|audio|video|font)\/(?!.*(xml|svg))/,
  /^application\/(zip|gzip|zstd|vnd\.rar|x-(tar|7z-compressed|bzip2|xz)|rtf|epub\+zip|json|ogg|mp4|msword)$/,
  /^application\/vnd\.(ms-(excel|powerpoint|word)|openxmlformats-officedocument|oasis\.opendocument)[\w.-]*$/,
  /^text\/csv$/,
]

/** How the store serves an object of this media type, which is in lower case and without parameters. */
export function servedTypeOf({ contentType }: { contentType: string }): ServedType {
  const inline = inlineTypes.get(contentType)
  if (inline !== undefined) return { contentType: inline }
  const isHarmless = savedTypes.some((types) => types.test(contentType))
  return { contentType: isHarmless ? contentType : unknownMediaType, isAttachment: true }
}

function named(registered: string, ...others: string[]): [string, string][] {
  return [registered, ...others].map((name) => [name, registered])
}
