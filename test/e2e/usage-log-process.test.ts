import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { makeFolder, spawnSluice, startSluice } from '../support/process.ts'
import { chat } from '../support/reader.ts'

const LONG = { mock: { tokens: 1000, interval_ms: 50 } }

/** Stops the program while a stream runs; returns its usage lines. */
async function stopWhileStreaming(usageLog: string): Promise<Record<string, unknown>[]> {
  const sluice = await startSluice({ env: { USAGE_LOG: usageLog, DRAIN_MS: '0', MOCK: 'true' } })
  const reader = await (await chat(sluice.url, LONG)).until(({ text }) => text !== '')
  sluice.kill('SIGTERM')
  expect(await sluice.exited).toBe(0)
  await reader.end()
  expect(reader.dones).toMatchObject([{ usage: { estimated: true } }])
  const written = usageLog === '-' ? sluice.output().stdout : await readFile(usageLog, 'utf8')
  return written
    .split('\n')
    .filter((line) => line.includes('"kind"'))
    .map((line) => JSON.parse(line))
}

it('a stream that a signal cuts is in the usage log before the program ends', async () => {
  const file = join(await makeFolder(), 'usage.jsonl')
  for (const usageLog of [file, '-'])
    expect(await stopWhileStreaming(usageLog)).toMatchObject([
      { caller: 'anonymous', kind: 'stream', finish_reason: 'error', estimated: true, provider: 'mock' },
    ])
})

it('the program does not start when the usage log cannot be written', async () => {
  const usageLog = join(await makeFolder(), 'no', 'such', 'folder')
  const sluice = await spawnSluice({ env: { USAGE_LOG: usageLog } })
  expect(await sluice.exited).not.toBe(0)
  expect(sluice.output().stderr).toContain('USAGE_LOG: lines cannot be appended')
})
