import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { packBoth, unpack, type Packed } from '../support/packed.ts'
import { ROOT } from '../support/process.ts'

const run = promisify(execFile)

/** npm is slow on a machine that is busy with other tests. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const cleanUps: (() => Promise<void>)[] = []
const atEnd = (cleanUp: () => Promise<void>) => void cleanUps.push(cleanUp)

let packed: Packed
let files: Record<keyof Packed, Map<string, string>>

beforeAll(async () => {
  packed = await packBoth(atEnd)
  const [sluice, client] = await Promise.all([unpack(packed.sluice, atEnd), unpack(packed.client, atEnd)])
  files = { sluice, client }
})
afterAll(() => Promise.all(cleanUps.map((cleanUp) => cleanUp())))

function manifestOf(name: keyof Packed): Record<string, unknown> {
  return JSON.parse(files[name].get('package.json') ?? '{}')
}

describe.each(['sluice', 'client'] as const)('the tarball of %s', (name) => {
  it('has no state of the build, and no source map that is named or shipped', () => {
    const paths = [...files[name].keys()]
    expect(paths.filter((path) => /\.map$|tsbuildinfo$|(^|\/)secret\.yaml$|\.log$/.test(path))).toEqual([])
    const naming = [...files[name]].filter(([, text]) => text.includes('\n//# sourceMappingURL='))
    expect(naming.map(([path]) => path)).toEqual([])
  })

  it('says where it comes from, under which licence, and what a bundler may leave out', () => {
    const repository = { type: 'git', url: 'git+https://github.com/sluice-gateway/sluice.git' }
    expect(manifestOf(name)).toMatchObject({
      license: 'MIT',
      repository,
      homepage: expect.stringContaining('https://github.com/sluice-gateway/sluice'),
      bugs: 'https://github.com/sluice-gateway/sluice/issues',
      keywords: expect.arrayContaining(['sse', 'streaming']),
      sideEffects: name === 'client' ? false : ['./dist/src/main.js'],
    })
    expect([...files[name].keys()]).toEqual(expect.arrayContaining(['LICENSE', 'README.md']))
  })

  it('is clean for publint', async () => {
    const { stdout } = await run(join(ROOT, 'node_modules/.bin/publint'), [packed[name], '--strict'])
    expect(stdout).toContain('All good!')
  })

  // Node 20.19 and newer load ES modules with `require`, so there is no second copy for CommonJS: attw's esm-only.
  it('has types that resolve wherever ES modules do', async () => {
    const attw = run(join(ROOT, 'node_modules/.bin/attw'), [packed[name], '--profile', 'esm-only', '--no-color'])
    await expect(attw).resolves.toMatchObject({ stderr: '' })
  })
})

it('both packages have the same version and licence, and the client has no dependencies', () => {
  const [server, client] = [manifestOf('sluice'), manifestOf('client')]
  expect(client).toMatchObject({ name: '@sluice/client', version: server.version, engines: server.engines })
  expect(client).not.toHaveProperty('dependencies')
  expect(files.client.get('LICENSE')).toBe(files.sluice.get('LICENSE'))
})

it('the client is the code that the server package has', () => {
  const shared = [...files.client].filter(([path]) => path.endsWith('.js'))
  expect(shared.length).toBeGreaterThan(20)
  for (const [path, text] of shared) expect(text).toBe(files.sluice.get(path.replace('dist/', 'dist/src/')))
})

describe('links', () => {
  /** Relative links of a page, as paths in the package. */
  async function linksOf(page: string): Promise<string[]> {
    const text = (await readFile(join(ROOT, page), 'utf8')).replaceAll(/^ *```[^]*?^ *```$/gm, '')
    const links = [...text.matchAll(/(?:\]\(|src="|srcset="|href=")([^)\s"#]+)/g)].map(([, link = '']) => link)
    return links.filter((link) => !/^[a-z]+:/.test(link)).map((link) => normalize(join(dirname(page), link)))
  }

  it('of the README and the docs name what is in the tarball, or in the repository that it names', async () => {
    const pages = [...files.sluice.keys()].filter((path) => path.endsWith('.md'))
    expect(pages.length).toBeGreaterThan(5)
    const links = (await Promise.all(pages.map(linksOf))).flat()
    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([])
    const forUsers = links.filter((link) => /^(examples|grafana|deploy|docs|CHANGELOG|SECURITY)\b.*\.\w+$/.test(link))
    const missing = forUsers.filter((link) => !files.sluice.has(link))
    // Pictures come from the repository, and programs that draw them need it.
    expect(missing.filter((link) => !/\.png$|^grafana\/.*\.ts$/.test(link))).toEqual([])
  })

  it('of the client are absolute', async () => {
    expect(await linksOf('client/README.md')).toEqual([])
  })
})
