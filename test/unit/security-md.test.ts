import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** Tests that a document names in its tables: `file`: name. */
function citedIn(document: string): { file: string; name: string }[] {
  return [...read(document).matchAll(/`(test\/[\w/.-]+\.ts)`(?:: ([^|]+?))? *\|/g)].map(([, file = '', name = '']) => ({
    file,
    name,
  }))
}

/** Quotes and escapes as in source text. */
const plain = (text: string) => text.replaceAll(/[\\`'"’]/g, '')

describe.each(['SECURITY.md', 'test/hostile/README.md'])('%s', (document) => {
  const cited = citedIn(document)

  it('names tests that are there', () => {
    expect(cited.length).toBeGreaterThan(15)
    const missing = cited.filter(
      ({ file, name }) =>
        !existsSync(new URL(`../../${file}`, import.meta.url)) || !plain(read(file)).includes(plain(name)),
    )
    // A name that a table of attacks makes is in the file that describes them.
    const unknown = missing.filter(({ file, name }) => {
      const shared = ['test/hostile/withstand.ts', file.replace(/(\w+)\.test\.ts$/, 'attacks-by-$1.ts')]
      return !shared.some(
        (each) => existsSync(new URL(`../../${each}`, import.meta.url)) && plain(read(each)).includes(plain(name)),
      )
    })
    expect(unknown).toEqual([])
  })

  it('has no row of a table without a proof', () => {
    const rows = read(document)
      .split('\n')
      .filter((line) => /^\|(?!-|\s*(Who|Attack) )/.test(line) && !line.startsWith('|---'))
    expect(rows.filter((row) => !/test\/[\w/.-]+\.ts/.test(row))).toEqual([])
  })
})

it('each suite of test/hostile is named in its README', () => {
  const text = read('test/hostile/README.md')
  for (const suite of [
    'callers',
    'upstreams',
    'forwards',
    'framing',
    'odd-bodies',
    'credentials',
    'owners',
    'secrets',
    'http2-frames',
    'upstream-framing',
    'fuzz',
    'fuzz-process',
    'soak',
  ])
    expect(text).toContain(`test/hostile/${suite}.test.ts`)
})
