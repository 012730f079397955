import { Upload, type UploadOptions } from 'tus-js-client'
import { signToken } from '../../src/http/identity/secret.ts'

/** What test servers sign their tokens with. */
export const testSecret = 'a secret that is long enough for HS256'

/** Headers of a user of a server that runs with `testSecret`. */
export async function headersOf(id = 'ada', role = 'creator'): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await signToken(testSecret, { id, role }, 3600)}` }
}

/** Sends `bytes` to `url` with the published client and resolves to the upload's URL when the client says success. */
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
