import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { AttachOptions, ChatOptions, ClientOptions } from '../../src/client/index.ts'

const text = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8')

/** The rows below a heading, as their cells. */
function tableOf(heading: string): string[][] {
  const [, section = ''] = text.split(`\n## ${heading}\n`)
  const rows = section
    .split('\n## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| '))
  return rows.slice(1).map((row) => row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')))
}

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
