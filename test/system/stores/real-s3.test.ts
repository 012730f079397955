import { describe } from 'vitest'
import { storeContract } from '../../stores/contract.ts'
import { openTestStore } from '../../support/open-test-store.ts'
import { realS3 } from '../../support/real-s3.ts'

describe.skipIf(!realS3())('with a real server (TEST_S3_ENDPOINT)', () => {
  async function open() {
    const store = await openTestStore('s3')
    return { store, openMultiparts: store.openMultiparts }
  }
  // Older Ceph ignores If-None-Match, and completes only with all parts.
  const isModern = process.env.TEST_S3_IS_MODERN === 'yes'
  storeContract('real s3', open, 5 * 1024 ** 2, { supportsIfNoneMatch: isModern, completesPrefixOfParts: isModern })
})
