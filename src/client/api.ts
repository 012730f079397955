import { createRequest } from './request.ts'

/** What a role may upload; sizes are bytes. */
export interface Policy {
  maxSize: number
  mediaTypes: string[]
  categories: string[]
}

export interface Me {
  user: string
  tenant: string | null
  role: string
  /** May use the admin API. */
  admin: boolean
  /** `null`: the role may not upload. */
  policy: Policy | null
}

export type UploadState = 'receiving' | 'finishing' | 'completed' | 'cancelled' | 'expired' | 'failed'

/** An upload in the server's list. Times are ISO 8601. */
export interface ListedUpload {
  id: string
  url: string
  filename: string
  contentType: string
  category: string
  size: number | null
  offset: number
  state: UploadState
  /** A request is writing to it right now, from any device. */
  live: boolean
  /** The path of the file in the uploaded folder. */
  relativePath: string | null
  /** Shared by files that were added together. */
  batch: string | null
  failure: string | null
  createdAt: string
  updatedAt: string
  completedAt: string | null
  expiresAt: string | null
}

export interface UploadsPage {
  uploads: ListedUpload[]
  /** The `before` of the next page; `null` on the last one. */
  next: string | null
}

/** Which of the user's uploads to list. */
export interface UploadFilter {
  state?: UploadState | undefined
  fingerprint?: string | undefined
}

/** What the server returns for the code of a sign-in link. */
export interface SignedIn {
  token: string
  user: string
  role: string
  expiresAt: string
}

/** The server's JSON API. Every method throws `RequestError` when the request fails. */
export interface Api {
  me(): Promise<Me>
  uploads(before?: string, only?: UploadFilter): Promise<UploadsPage>
  upload(id: string): Promise<ListedUpload>
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
      return (await request('GET', `v1/uploads?${query}`)) as UploadsPage
    },
    upload: async (id) => (await request('GET', `v1/uploads/${encodeURIComponent(id)}`)) as ListedUpload,
    setFingerprint: async (id, fingerprint) =>
      void (await request('PUT', `v1/uploads/${encodeURIComponent(id)}/fingerprint`, { content: { fingerprint } })),
    remove: async (id) => void (await request('DELETE', `v1/uploads/${encodeURIComponent(id)}`)),
    signIn: async (code) => (await request('POST', 'v1/dev/sign-in', { bearer: null, content: { code } })) as SignedIn,
  }
}
