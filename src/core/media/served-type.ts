import { unknownMediaType } from './media-type.ts'

/*
 * How a browser treats an object that is opened at the store's own address. The rule is an allow list: a type that is in no list
 * may be a page, a style sheet, a program or something a later browser runs, so it is saved under a type that says nothing.
 */

/** How a store is told to serve an object. */
export interface ServedType {
  contentType: string
  /** Browsers must save the object and never show it: it could run scripts on the origin of the store. */
  isAttachment?: boolean
}

/** Shown in place: no browser runs anything in them. Each name, and the registered type that the store is told. */
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

/** Saved under their own name, because programs choose by it and no browser runs them. `+xml` may be a drawing or a page. */
const savedTypes = [
  /^(image|audio|video|font)\/(?!.*(xml|svg))/,
  /^application\/(zip|gzip|zstd|vnd\.rar|x-(tar|7z-compressed|bzip2|xz)|rtf|epub\+zip|json|ogg|mp4|msword)$/,
  /^application\/vnd\.(ms-(excel|powerpoint|word)|openxmlformats-officedocument|oasis\.opendocument)[\w.-]*$/,
  /^text\/csv$/,
]

/** What the store is told of an object of this media type, in lower case and without parameters. */
export function servedTypeOf({ contentType }: { contentType: string }): ServedType {
  const inline = inlineTypes.get(contentType)
  if (inline !== undefined) return { contentType: inline }
  const isHarmless = savedTypes.some((types) => types.test(contentType))
  return { contentType: isHarmless ? contentType : unknownMediaType, isAttachment: true }
}

function named(registered: string, ...others: string[]): [string, string][] {
  return [registered, ...others].map((name) => [name, registered])
}
