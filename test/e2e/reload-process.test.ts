import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readExposition } from '../support/exposition.ts'
import { logged, makeFolder, startSluice, type SluiceProcess } from '../support/process.ts'
import { chat, open } from '../support/reader.ts'

/** The mock sends one word and then stalls for ever. */
const STUCK = { mock: { text: 'one two', interval_ms: 0, stall_at: 1 } }

/** A key for `bob`, beside settings that change; `ada` has another one in each file. */
const yaml = (key: string, ...lines: string[]) =>
  [`keys: [{ name: ada, key: ${key}, scopes: [chat, read, cancel, metrics] }]`, ...lines].join('\n')

async function startWith(text: string, env: Record<string, string> = {}) {
  const cwd = await makeFolder({ 'sluice.yaml': text })
  const sluice = await startSluice({ cwd, env })
  return {
    sluice,
    reload: async (changed: string, outcome: string) => {
      await writeFile(join(cwd, 'sluice.yaml'), changed)
      const before = count(sluice, outcome)
      sluice.kill('SIGHUP')
      await sluice.lines.until(() => count(sluice, outcome) > before)
    },
  }
}

const count = ({ lines }: SluiceProcess, message: string) => lines.entries.filter(({ msg }) => msg === message).length

const OK = 'configuration reloaded'
const REFUSED = 'configuration not reloaded'

const statusWith = async (url: string, key: string) => {
  const reader = await chat(
    url,
    { mock: { text: 'a', interval_ms: 0 } },
    { headers: { authorization: `Bearer ${key}` } },
  )
  return (await reader.end()).status
}

async function reloadsOf(url: string, key: string): Promise<Record<string, number>> {
  const metrics = await open(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } })
  const family = readExposition((await metrics.end()).body).get('sluice_config_reloads_total')
  return Object.fromEntries(family!.samples.map(({ labels, value }) => [labels.result, value]))
}

describe('the program, on SIGHUP', () => {
  it('reads its file again, for what comes, and lets run what runs', async () => {
    const { sluice, reload } = await startWith(yaml('old'))
    const reader = await chat(sluice.url, STUCK, { headers: { authorization: 'Bearer old' } })
    await reader.until(({ text }) => text === 'one')
    await reload(yaml('new', 'logLevel: debug'), OK)
    expect([await statusWith(sluice.url, 'old'), await statusWith(sluice.url, 'new')]).toEqual([401, 200])
    expect(reader.closed).toBe(false)
    expect(await reloadsOf(sluice.url, 'new')).toEqual({ success: 1, failure: 0 })
    // At the debug level, probes are logged.
    await open(`${sluice.url}/healthz`)
    await sluice.lines.until((entries) => entries.some(({ path }) => path === '/healthz'))
  })

  it('keeps what it has when the file has faults, and logs each of them', async () => {
    const { sluice, reload } = await startWith(yaml('old'))
    await reload(yaml('new', 'logLevel: loud', 'provders: {}'), REFUSED)
    await sluice.lines.until(() => count(sluice, REFUSED) === 2)
    const faults = sluice.lines.entries.filter(({ msg }) => msg === REFUSED)
    expect(faults).toMatchObject([
      { level: 'error', setting: 'logLevel', fault: expect.stringContaining('(given: "loud")') },
      { level: 'error', setting: 'provders', fault: 'there is no such setting; did you mean "providers"?' },
    ])
    expect([await statusWith(sluice.url, 'old'), await statusWith(sluice.url, 'new')]).toEqual([200, 401])
    expect(await reloadsOf(sluice.url, 'old')).toEqual({ success: 0, failure: 1 })
    await reload(yaml('new'), OK)
    expect(await statusWith(sluice.url, 'new')).toBe(200)
  })

  it('refuses to change a setting of the process, names it, and changes nothing else', async () => {
    const { sluice, reload } = await startWith(yaml('old'))
    await reload(yaml('new', 'retentionMs: 1'), REFUSED)
    expect(sluice.lines.entries.find(({ msg }) => msg === REFUSED)).toMatchObject({
      setting: 'RETENTION_MS',
      fault: 'restart to change it',
    })
    expect([await statusWith(sluice.url, 'old'), await statusWith(sluice.url, 'new')]).toEqual([200, 401])
  })

  it('does not end, however often it is told, and whether there is a file or not', async () => {
    const sluice = await startSluice()
    for (let i = 0; i < 5; i++) sluice.kill('SIGHUP')
    await logged(sluice, OK)
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
  })
})

describe('a gateway of several workers, on SIGHUP', () => {
  const two = { WORKERS: '2' }

  /** Connections go to the workers in turn. */
  const statuses = async (url: string, key: string) => [
    await statusWith(url, key),
    await statusWith(url, key),
    await statusWith(url, key),
    await statusWith(url, key),
  ]

  it('reloads all of them, also when the signal comes to all processes', async () => {
    const { sluice, reload } = await startWith(yaml('old'), two)
    const pids = sluice.lines.entries.filter(({ msg }) => msg === 'worker listens').map(({ pid }) => Number(pid))
    for (const pid of pids) process.kill(pid, 'SIGHUP')
    await reload(yaml('new'), OK)
    expect(await statuses(sluice.url, 'new')).toEqual([200, 200, 200, 200])
    expect(await statuses(sluice.url, 'old')).toEqual([401, 401, 401, 401])
    expect(await reloadsOf(sluice.url, 'new')).toEqual({ success: 1, failure: 0 })
    expect(count(sluice, 'worker ended')).toBe(0)
  })

  it('replaces a worker by one with the configuration in force, whatever the file says', async () => {
    const { sluice, reload } = await startWith(yaml('old'), two)
    await reload(yaml('new'), OK)
    await reload(yaml('newest', 'retentionMs: 1'), REFUSED)
    const { pid } = sluice.lines.entries.find(({ msg }) => msg === 'worker listens')!
    process.kill(Number(pid), 'SIGKILL')
    await sluice.lines.until(() => count(sluice, 'worker listens') === 3)
    expect(await statuses(sluice.url, 'new')).toEqual([200, 200, 200, 200])
  })
})
