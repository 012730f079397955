import type { Me } from '../contract/me.ts'
import type { SignedIn } from '../contract/sign-in.ts'
import type { OwnUpload, OwnUploads, OwnUploadsQuery } from '../contract/upload.ts'
import { createRequest } from './request.ts'

/** Which of the user's uploads to list. */
export type UploadFilter = Pick<OwnUploadsQuery, 'state' | 'fingerprint'>

/** The server's JSON API. Every method throws `RequestError` when the request fails. */
export interface Api {
  me(): Promise<Me>
  uploads(before?: string, only?: UploadFilter): Promise<OwnUploads>
  upload(id: string): Promise<OwnUpload>
  /** Stores the client's fingerprint of the file. */
  setFingerprint(id: string, fingerprint: string): Promise<void>
  remove(id: string): Promise<void>
  /** Exchanges the one-time code of a sign-in link for a token; only servers in development mode have this route. */
  signIn(code: string): Promise<SignedIn>
}

/**
 * A client of the API at `base` (an absolute URL).
 * @param token called for each request, so a new token applies at once
 */
export function createApi(base: string, token: () => string | null): Api {
  const request = createRequest(base, token)

  return {
    me: async () => (await request('GET', 'v1/me')) as Me,
    uploads: async (before, { state, fingerprint } = {}) => {
      const query = new URLSearchParams({ limit: '100', ...(before && { before }), ...(state && { state }) })
      if (fingerprint !== undefined) query.set('fingerprint', fingerprint)
      return (await request('GET', `v1/uploads?${query}`)) as OwnUploads
    },
    upload: async (id) => (await request('GET', `v1/uploads/${encodeURIComponent(id)}`)) as OwnUpload,
    setFingerprint: async (id, fingerprint) =>
      void (await request('PUT', `v1/uploads/${encodeURIComponent(id)}/fingerprint`, { content: { fingerprint } })),
    remove: async (id) => void (await request('DELETE', `v1/uploads/${encodeURIComponent(id)}`)),
    signIn: async (code) => (await request('POST', 'v1/dev/sign-in', { bearer: null, content: { code } })) as SignedIn,
  }
}
