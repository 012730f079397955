import { choice, count, duration, webUrl } from '../values.ts'

/** How files are read again. */
export const downloads = {
  DOWNLOADS: choice('proxy', 'redirect')
    .default('proxy')
    .describe(
      'Whether the server sends the bytes of files itself, or redirects clients with a link to URLs of the bucket that are valid for a minute; redirect needs a bucket that clients reach at S3_ENDPOINT',
    ),
  DOWNLOADS_AT_ONCE: count(1, 512)
    .default(256)
    .describe(
      'The most files that one server sends at once; further requests get 503. One user may have as many of them as are still free for others',
    ),
  LINK_MAX_LIFETIME: duration.prefault('7d').describe('The longest lifetime of a link to a file that needs no token'),
  FILES_ORIGIN: webUrl
    .optional()
    .describe(
      'The URL of this server under another host name, for links to files: then they are served under that name only, apart from everything else',
    ),
}
