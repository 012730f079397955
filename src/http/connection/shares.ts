/*
 * Limits how many connections, or requests at once, one network may have, so that a single network cannot take all. An address (for IPv6
 * its /64) has a share. The two networks around it, which may have a single owner too, have twice and four times as much.
 */
import { isIP } from 'node:net'
import { groupsOf, hostOf } from '../identity/client-info.ts'

export interface Shares {
  /** Takes one unit of the shares of `address`. Returns a function that releases it, or `null` if a share is used up. */
  take(address: string): (() => void) | null
  /** The largest used fraction of the shares of `address` and the networks around it: from 0 to 1. */
  taken(address: string): number
}

/** Creates shares of `perAddress` units for each address. */
export function createShares(perAddress: number): Shares {
  const counts = new Map<string, number>()
  return {
    taken: (address) =>
      Math.max(...networksAround(address).map(({ name, times }) => (counts.get(name) ?? 0) / (perAddress * times))),
    take(address) {
      const shares = networksAround(address).map(({ name, times }) => ({ name, most: perAddress * times }))
      if (shares.some(({ name, most }) => (counts.get(name) ?? 0) >= most)) return null
      for (const { name } of shares) counts.set(name, (counts.get(name) ?? 0) + 1)
      let isReleased = false
      return () => {
        if (isReleased) return
        isReleased = true
        for (const { name } of shares) {
          const left = counts.get(name)! - 1
          if (left > 0) counts.set(name, left)
          else counts.delete(name)
        }
      }
    },
  }
}

/** The networks that contain `address`, and the size of their shares in multiples of an address's share. */
function networksAround(address: string): { name: string; times: number }[] {
  const name = hostOf(address)
  if (isIP(address) === 6 && name.endsWith('::/64')) {
    const groups = groupsOf(address)
    return [
      { name, times: 1 },
      { name: `${groups.slice(0, 3).join(':')}::/48`, times: 2 },
      { name: `${groups.slice(0, 2).join(':')}::/32`, times: 4 },
    ]
  }
  return [
    { name, times: 1 },
    { name: `${name.split('.').slice(0, 3).join('.')}.0/24`, times: 2 },
    { name: `${name.split('.').slice(0, 2).join('.')}.0.0/16`, times: 4 },
  ]
}
