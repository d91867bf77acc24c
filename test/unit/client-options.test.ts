import { describe, expect, it } from 'vitest'
import type { AttachOptions, ChatOptions, ClientOptions } from '../../src/client/index.ts'
import { rowsOf, sectionOf, textOf } from '../support/pages.ts'

const text = textOf('docs/client.md')

const tableOf = (heading: string) => rowsOf(sectionOf(text, heading))

/** A missing or an additional name does not compile. */
const OPTIONS = {
  createClient: {
    baseUrl: true,
    headers: true,
    fetch: true,
    heartbeatMs: true,
    firstResponseMs: true,
    maxAttempts: true,
    backoff: true,
  } satisfies Record<keyof ClientOptions, true>,
  chat: { signal: true, onActivity: true, idempotencyKey: true } satisfies Record<keyof ChatOptions, true>,
  attach: { signal: true, onActivity: true, after: true } satisfies Record<keyof AttachOptions, true>,
}

describe('docs/client.md', () => {
  it.each(Object.entries(OPTIONS))('has every option of `%s`, and no other', (name, options) => {
    const documented = tableOf('Options').filter(([, of = '']) => of.split(', ').includes(`\`${name}\``))
    expect(documented).toHaveLength(Object.keys(options).length)
    expect(new Set(documented.map(([option]) => option))).toEqual(
      new Set(Object.keys(options).map((option) => `\`${option}\``)),
    )
  })

  it('says a default and a meaning of each', () => {
    for (const [option, ...cells] of tableOf('Options')) {
      expect([option, cells.length]).toEqual([option, 3])
      for (const cell of cells) expect(cell).not.toBe('')
    }
  })
})
