import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as textFrom } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { answers, says } from '../support/openai-upstream.ts'
import { blocksOf, pages, textOf } from '../support/pages.ts'
import { makeFolder, ROOT } from '../support/process.ts'
import { startUpstream } from '../support/upstream.ts'

/** Pages whose commands are run elsewhere, or cannot be run by tests. */
const ELSEWHERE: Record<string, string> = {
  'docs/getting-started.md': 'test/first-days',
  'client/README.md': 'test/first-days and test/package',
  'deploy/README.md': 'test/unit/deploy.test.ts and npm run test:deploy',
  'docs/releasing.md': 'by hand, with each release',
}

/** What a page takes for granted; else the folder is empty. */
const FILES: Record<string, Record<string, string>> = {
  'docs/operations.md': { 'sluice.yaml': 'playground: false\n' },
  'docs/monitoring.md': { 'alerts.yaml': readFileSync(join(ROOT, 'grafana/rules/alerts.yaml'), 'utf8') },
}

const shell = pages
  .filter(({ path }) => !(path in ELSEWHERE))
  .map(({ path, text }) => ({
    path,
    commands: blocksOf(text)
      .filter(({ language }) => language === 'sh')
      .map((block) => block.text)
      .join(''),
  }))
  .filter(({ commands }) => commands !== '')

/** Runs the commands of a page one after the other, in a folder outside the checkout. */
async function follow(path: string, commands: string): Promise<{ code: number | null; output: string }> {
  // Placeholders become something that can be sent, or reached.
  const upstream = await startUpstream(answers(says(['Hello ', 'there'])))
  const script = commands
    .replaceAll('…', 'x')
    .replaceAll('localhost:8080', 'localhost:$GATEWAY_PORT')
    .replaceAll('http://localhost:11434', upstream.url)
    .replaceAll(' dist/src/main.js', ' "$OUR_MAIN"')
  const { PATH, HOME } = process.env
  const env = {
    PATH,
    HOME,
    ROOT,
    OUR_MAIN: join(ROOT, 'dist/src/main.js'),
    DRAIN_MS: '0',
    MAX_EVENT_LOOP_DELAY_MS: '0',
  }
  const prelude = readFileSync(new URL('reader.sh', import.meta.url), 'utf8')
  const child = spawn('bash', ['-c', `${prelude}\nnpm start\n${script}`], {
    cwd: await makeFolder(FILES[path]),
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
  onTestFinished(async () => {
    await ended
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nothing of it is left.
    }
  })
  const [code, stdout, stderr] = await Promise.all([ended, textFrom(child.stdout), textFrom(child.stderr)])
  return { code, output: stdout + stderr }
}

describe.each(shell)('the commands of $path', ({ path, commands }) => {
  it('do what they say, outside the checkout', async () => {
    const { code, output } = await follow(path, commands)
    expect(code, output).toBe(0)
    // `-N` is for streams: each of them comes to its end.
    const streams = commands.match(/^curl -N/gm) ?? []
    expect(output.match(/^event: done$/gm) ?? []).toHaveLength(streams.length)
    const failures = commands.match(/"fail_code":/g) ?? []
    expect(output.match(/"finish_reason":"error"/g) ?? []).toHaveLength(failures.length)
  })
})

it('the commands of the pages that say it are run elsewhere', () => {
  for (const path of Object.keys(ELSEWHERE)) expect(textOf(path)).toMatch(/```sh/)
  expect(shell.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'README.md',
      'docs/access.md',
      'docs/monitoring.md',
      'docs/operations.md',
      'docs/providers.md',
      'docs/scaling.md',
    ]),
  )
})

it('scripts and programs of the checkout that a page names are there', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const named = pages.flatMap(({ text }) => [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name))
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((name) => !(name in scripts))).toEqual([])
  const programs = pages.flatMap(({ text }) => [...text.matchAll(/npx tsx ([\w./-]+)/g)].map(([, path = '']) => path))
  expect(programs.length).toBeGreaterThan(2)
  expect(programs.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})
