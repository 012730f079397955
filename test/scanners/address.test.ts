import { expect, it } from 'vitest'
import { parseScannerAddress } from '../../src/scanners/address.ts'

it.each([
  ['clamd://av.internal:3310', { protocol: 'clamd', connect: { host: 'av.internal', port: 3310 } }],
  ['clamd://av.internal', { protocol: 'clamd', connect: { host: 'av.internal', port: 3310 } }],
  ['clamd://[::1]:80', { protocol: 'clamd', connect: { host: '::1', port: 80 } }],
  ['/run/clamav/clamd.ctl', { protocol: 'clamd', connect: { path: '/run/clamav/clamd.ctl' } }],
  [
    'icap://av.internal/avscan',
    { protocol: 'icap', connect: { host: 'av.internal', port: 1344 }, url: 'icap://av.internal:1344/avscan' },
  ],
  ['icap://av.internal:80/a/b', expect.objectContaining({ url: 'icap://av.internal:80/a/b' })],
  ['icap://av.internal', null],
  ['clamd://av.internal/path', null],
  ['http://av.internal', null],
  ['clamd://', null],
  ['av.internal:3310', null],
])('the scanner %s is %j', (text, address) => {
  expect(parseScannerAddress(text)).toEqual(address)
})
