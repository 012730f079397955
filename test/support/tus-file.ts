import { Upload, type UploadOptions } from 'tus-js-client'
import { signToken } from '../../src/http/identity/secret.ts'

/** The secret with which test servers sign their tokens. */
export const testSecret = 'a secret that is long enough for HS256'

/** The headers of a user, for a server that runs with `testSecret`. */
export async function headersOf(id = 'ada', role = 'creator'): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await signToken(testSecret, { id, role }, 3600)}` }
}

/** Sends `bytes` to `url` with tus-js-client. @returns the URL of the upload, once the client reports success */
export async function sendFile(url: string, bytes: Buffer, options: Partial<UploadOptions> = {}): Promise<string> {
  const headers = await headersOf()
  return new Promise((resolve, reject) => {
    const upload: Upload = new Upload(bytes as never, {
      endpoint: `${url}/files`,
      headers,
      metadata: { filename: 'file.bin' },
      onSuccess: () => resolve(upload.url!),
      onError: reject,
      ...options,
    })
    upload.start()
  })
}
