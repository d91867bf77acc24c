import { expect, it } from 'vitest'
import { clientAddress } from '../../src/http/middleware/request-state.ts'

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::5', '2001:db8:1:2'],
  ['2001:db8::5', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['fe80::1:2:3:4', 'fe80:0:0:0'],
  ['203.0.113.7:5678', '203.0.113.7'],
  ['[2001:db8:1:2::5]:443', '2001:db8:1:2'],
  ['[2001:db8:1:2::5]', '2001:db8:1:2'],
  ['not:an:address', 'not:an:address'],
  ['', ''],
])('knows the client at %s as %s: one customer has 64 bits of IPv6', (ip, client) => {
  expect(clientAddress(ip)).toBe(client)
})
