import { describe, expect, it } from 'vitest'
import { fileLocks, type Locks } from '../../src/client/file-locks.ts'

// Node's Web Locks are shared in this process as in the tabs of a browser.
const locks = navigator.locks as unknown as Locks

describe('a file lock', () => {
  it('is held by one tab at a time, and passes to a waiting one on release', async () => {
    const [here, there] = [fileLocks(locks), fileLocks(locks)]
    const release = await here.tryAcquire('film')

    expect(await there.tryAcquire('film')).toBeNull()
    const waiting = there.acquire('film', new AbortController().signal)
    release!()

    const releaseThere = await waiting
    expect(await here.tryAcquire('film')).toBeNull()
    releaseThere()
  })

  it('can be reacquired at once by the tab that released it', async () => {
    const here = fileLocks(locks)

    for (let count = 0; count < 5; count++) (await here.tryAcquire('song'))!()

    const last = await here.tryAcquire('song')
    expect(last).not.toBeNull()
    last!()
  })

  it('is visible to other tabs while it is held', async () => {
    const [here, there] = [fileLocks(locks), fileLocks(locks)]
    const release = await here.tryAcquire('scan')

    expect(await there.heldByOthers()).toEqual(['scan'])
    expect(await here.heldByOthers()).toEqual([])
    release!()
  })

  it('is not acquired after the wait was aborted', async () => {
    const [here, there] = [fileLocks(locks), fileLocks(locks)]
    const release = await here.tryAcquire('note')
    const abort = new AbortController()
    const waiting = there.acquire('note', abort.signal)

    abort.abort()

    await expect(waiting).rejects.toThrow()
    release!()
  })

  it('is granted where a page has no locks', async () => {
    expect(await fileLocks(undefined).tryAcquire('film')).not.toBeNull()
  })
})
