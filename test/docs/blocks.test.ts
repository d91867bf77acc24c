import { transform } from 'esbuild'
import { spawn } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config.ts'
import { isRecord } from '../../src/json.ts'
import { blocksOf, pages, textOf, type Block } from '../support/pages.ts'
import { makeFolder, ROOT, startSluice } from '../support/process.ts'

interface Place extends Block {
  page: string
  /** The page, and the first line that is not a comment. */
  name: string
}

function blocksIn(...languages: string[]): Place[] {
  return pages.flatMap(({ path, text }) =>
    blocksOf(text)
      .filter(({ language }) => languages.includes(language))
      .map((block) => ({
        ...block,
        page: path,
        name: `${path}: ${block.text.split('\n').find((line) => !/^(#|\/\/|<!)/.test(line))}`,
      })),
  )
}

describe('sluice.yaml', () => {
  const blocks = blocksIn('yaml')

  it.each(blocks)('$name', async ({ page, text }) => {
    // The blocks of a page are parts of one file: a limit of the cost needs the prices that another block has.
    const parts = blocks.filter((block) => block.page === page && block.text !== text)
    const entries = [...parts, { text }].map((part) => readYaml(part.text)).reduce(merge, {})
    const filled = stringify(entries)
    const names = [...filled.matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name)
    const environment = Object.fromEntries(
      names.map((name) => [name, name === 'LLM_URL' ? 'https://llm.example/v1' : 'a-secret']),
    )
    const folder = await makeFolder({ 'sluice.yaml': filled })
    expect(() => loadConfig({ environment, file: join(folder, 'sluice.yaml') })).not.toThrow()
  })
})

type Entries = Record<string, unknown>

function merge(all: Entries, part: Entries): Entries {
  const entries = Object.entries(part).map(([key, value]) => {
    const known = all[key]
    return [key, isRecord(known) && isRecord(value) ? { ...known, ...value } : value]
  })
  return { ...all, ...Object.fromEntries(entries) }
}

/** A hash is what `sluice key create` prints. */
function readYaml(text: string): Entries {
  return parse(text.replaceAll('sha256:…', `sha256:${'0'.repeat(64)}`)) ?? {}
}

describe('JSON', () => {
  it.each(blocksIn('json'))('$name', ({ text }) => {
    // One value, or one in each line.
    const values = text.startsWith('{"level"') ? text.trim().split('\n') : [text]
    for (const value of values) expect(JSON.parse(value)).toBeTypeOf('object')
  })
})

describe('JavaScript', () => {
  it.each(blocksIn('js', 'jsx', 'ts', 'tsx'))('$name', async ({ text }) => {
    await expect(transform(text, { loader: 'tsx', format: 'esm' })).resolves.toMatchObject({ warnings: [] })
  })
})

/** A program of a page as a file in a folder where both packages are installed, as they are built. */
async function save(page: string, first: string, replace: (text: string) => string): Promise<string> {
  const block = blocksOf(textOf(page)).find(({ text }) => text.startsWith(first))
  const folder = await makeFolder({ 'sluice.yaml': '', 'program.mjs': replace(block?.text ?? '') })
  await mkdir(join(folder, 'node_modules/@sluice/client'), { recursive: true })
  await symlink(ROOT, join(folder, 'node_modules/sluice'))
  const client = { name: '@sluice/client', type: 'module', exports: './dist/client/index.js' }
  await writeFile(join(folder, 'node_modules/@sluice/client/package.json'), JSON.stringify(client))
  await symlink(join(ROOT, 'dist/src'), join(folder, 'node_modules/@sluice/client/dist'))
  return folder
}

function run(cwd: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['program.mjs'], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, ended, text: () => text }
}

it('the client of the README prints an answer', async () => {
  const { url } = await startSluice()
  const folder = await save('README.md', `import { createClient }`, (text) =>
    text.replace('http://localhost:8080', url),
  )
  const { ended, text } = run(folder)
  expect(await ended).toBe(0)
  expect(text().length).toBeGreaterThan(20)
})

it('a gateway in a process of one’s own listens, and drains', async () => {
  const folder = await save('docs/operations.md', 'import { createGateway, loadConfig }', (text) => text)
  const { child, ended, text } = run(folder, { PORT: '0' })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const [found] = /http:\/\/127\S+/.exec(text().replaceAll(/^\{.*$/gm, '')) ?? []
      if (found) resolve(found)
    })
    void ended.then(() => reject(new Error(`It ended: ${text()}`)))
  })
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
})
