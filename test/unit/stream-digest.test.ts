import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKey } from '../../src/access/api-keys.ts'
import { Tickets } from '../../src/access/tickets.ts'
import { redactPath, streamDigest } from '../../src/telemetry/redact.ts'

const ID = `str_${'0123456789abcdef'.repeat(2)}`
const DIGEST = streamDigest(ID)

it('the digest of a stream is the first 16 digits of sha256sum of its id', () => {
  expect(DIGEST).toBe(createHash('sha256').update(ID).digest('hex').slice(0, 16))
})

describe('redactPath', () => {
  it.each([
    [`/v1/streams/${ID}`, `/v1/streams/${DIGEST}`],
    [`/v1/streams/${ID}/more`, `/v1/streams/${DIGEST}/more`],
    [`/v1/streams/%73tr_${ID.slice(4)}`, `/v1/streams/${DIGEST}`],
    [`/v1/streams/str%5f${ID.slice(4)}`, `/v1/streams/${DIGEST}`],
    [`/v1/streams/%2573tr_${ID.slice(4)}`, `/v1/streams/${DIGEST}`],
    [`/v1/chat;id=${ID}&other=${ID}`, `/v1/chat;id=${DIGEST}&other=${DIGEST}`],
    [`/%E0%A4%A/${ID}`, `/%E0%A4%A/${DIGEST}`],
  ])('replaces an id by its digest: %s', (path, redacted) => {
    expect(redactPath(path)).toBe(redacted)
  })

  it.each(['/v1/chat', '/v1/streams/', '/v1/streams/str_', '/a%2Fb%20c', '/%E0%A4%A', '/%00', '/%'])(
    'leaves a path without an id unchanged: %s',
    (path) => {
      expect(redactPath(path)).toBe(path)
    },
  )

  it('finds ids however they are encoded', () => {
    const encode = (character: string, depth: number) =>
      depth === 0 ? character : `%${'25'.repeat(depth - 1)}${character.charCodeAt(0).toString(16)}`
    const depths = fc.array(fc.nat(3), { minLength: ID.length, maxLength: ID.length })
    fc.assert(
      fc.property(fc.webPath(), depths, (prefix, depthOf) => {
        const encoded = Array.from(ID, (character, index) => encode(character, depthOf[index]!)).join('')
        let path = redactPath(`${prefix}/${encoded}`)
        for (let i = 0; i < 5; i++)
          path = path.replace(/%([0-7][\da-f])/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
        expect(path).not.toContain(ID)
        expect(path).toContain(DIGEST)
      }),
    )
  })

  it('replaces tickets and keys that a client has put into the path', () => {
    const { ticket } = new Tickets().issue(ID, 'read', 60_000)
    const key = createKey()
    expect(redactPath(`/v1/streams/${ID}%3Fticket=${ticket}`)).toBe(`/v1/streams/${DIGEST}?ticket=********`)
    for (const path of [`/${ticket}`, `/v1/chat&ticket=${ticket}`, `/${key}`, `/v1/${key.replace('_', '%5F')}/x`])
      expect(redactPath(path)).not.toMatch(/[\w-]{43}/)
  })

  it('finds ids in capitals', () => {
    expect(redactPath(`/v1/streams/${ID.toUpperCase()}`)).not.toContain(ID.toUpperCase())
  })
})
