/*
 * How many connections, or requests at once, one network may have, so that the whole of them is never one network's: an address (of
 * IPv6 a /64) has a share, and the network around it, which one owner can have as well, twice or four times as much.
 */
import { isIP } from 'node:net'
import { groupsOf, hostOf } from '../identity/client-info.ts'

export interface Shares {
  /** Counts one more from `address`, unless it would pass a share. Returns the way out; `null` when it is refused. */
  take(address: string): (() => void) | null
  /** How much `address`, or the network around it, has of its share: from 0 to 1. */
  taken(address: string): number
}

/** Shares for addresses that may have `perAddress` each. */
export function createShares(perAddress: number): Shares {
  const counts = new Map<string, number>()
  return {
    taken: (address) =>
      Math.max(...networksAround(address).map(({ name, times }) => (counts.get(name) ?? 0) / (perAddress * times))),
    take(address) {
      const held = networksAround(address).map(({ name, times }) => ({ name, most: perAddress * times }))
      if (held.some(({ name, most }) => (counts.get(name) ?? 0) >= most)) return null
      for (const { name } of held) counts.set(name, (counts.get(name) ?? 0) + 1)
      let isOut = false
      return () => {
        if (isOut) return
        isOut = true
        for (const { name } of held) {
          const left = counts.get(name)! - 1
          if (left > 0) counts.set(name, left)
          else counts.delete(name)
        }
      }
    },
  }
}

/** The networks that `address` is of, and how many shares each may have. */
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
