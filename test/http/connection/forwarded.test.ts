import { expect, it } from 'vitest'
import { keepOnlyAddresses } from '../../../src/http/connection/forwarded.ts'

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['203.0.113.7, 10.0.0.1', '203.0.113.7, 10.0.0.1'],
  ['203.0.113.7:5678', '203.0.113.7'],
  ['[2001:db8::9]:5678', '2001:db8::9'],
  ['[2001:db8::9]', '2001:db8::9'],
  ['unknown', undefined],
  ['_gazonk, 10.0.0.1', '10.0.0.1'],
  ['203.0.113.7, unknown, 10.0.0.1', '10.0.0.1'],
  ['127.1', undefined],
  ['0x7f000001', undefined],
  ['fe80::1%eth0', undefined],
  ['', undefined],
  [',', undefined],
  ['1.2.3.4,', undefined],
  [`${'x'.repeat(12_000)}, 1.2.3.4`, '1.2.3.4'],
  [Array(500).fill('1.2.3.4').join(','), Array(16).fill('1.2.3.4').join(', ')],
])('only IP addresses are kept in X-Forwarded-For: case %#', (header, kept) => {
  const headers = { 'x-forwarded-for': header }

  keepOnlyAddresses(headers)

  expect(headers['x-forwarded-for']).toBe(kept)
})
