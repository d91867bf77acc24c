import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Config } from '../../src/config.ts'
import { toCost, toNanos } from '../../src/cost.ts'
import type { GatewayOptions } from '../../src/gateway.ts'
import type { Charge } from '../../src/usage/accounts.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import { makeFolder } from './process.ts'

/** A line of the usage log. */
export interface UsageLine extends Omit<Charge, 'time' | 'caller' | 'nanos'> {
  time: string
  caller: string
  user?: string
  cost?: number
}

export interface ChargingGateway extends TestGateway {
  /** What the seam was told. */
  charges: Charge[]
  /** The usage log, once it has as many lines as there are charges. */
  lines(): Promise<UsageLine[]>
  /** Checks that the usage log, the ledger and the metrics say the same as the charges; returns their sums. */
  audit(): Promise<Sums>
}

export interface Sums {
  streams: number
  prompt: number
  completion: number
  estimated: number
  nanos: number
}

/** A gateway with a usage log. */
export async function startChargingGateway(
  settings: Partial<Config> = {},
  options: GatewayOptions = {},
): Promise<ChargingGateway> {
  const usageLog = join(await makeFolder(), 'usage.jsonl')
  const gateway = await startGateway({ usageLog, ...settings }, options)
  // Loading the tokenizer may take longer than the end of a stream waits for it.
  await gateway.services.accounts.counter.count('x', 60_000)
  const charges: Charge[] = []
  gateway.services.accounts.onCharge((charge) => charges.push(charge))
  const lines = async () => {
    const read = async () => (await readFile(usageLog, 'utf8')).split('\n').filter((line) => line !== '')
    await expect.poll(async () => (await read()).length).toBe(charges.length)
    return (await read()).map((line): UsageLine => JSON.parse(line))
  }
  return {
    ...gateway,
    charges,
    lines,
    async audit() {
      const told = sum(charges)
      const written = await lines()
      expect(sum(written.map((line) => ({ ...line, nanos: toNanos(line.cost ?? 0) })))).toEqual(told)
      const rows = [...(await gateway.services.ledger.rows('0000-01-01', '9999-12-31'))]
      expect({
        streams: rows.reduce((all, { streams }) => all + streams, 0),
        prompt: rows.reduce((all, row) => all + row.prompt_tokens, 0),
        completion: rows.reduce((all, row) => all + row.completion_tokens, 0),
        estimated: rows.reduce((all, row) => all + row.estimated_tokens, 0),
        nanos: rows.reduce((all, { nanos }) => all + nanos, 0),
      }).toEqual(told)
      const metric = async (name: string, labels = '') =>
        (await gateway.services.metrics.text())
          .split('\n')
          .filter((line) => line.startsWith(`sluice_${name}{`) && line.includes(labels))
          .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
      expect(await metric('caller_streams_total')).toBe(told.streams)
      expect(await metric('caller_tokens_total', 'type="prompt"')).toBe(told.prompt)
      expect(await metric('caller_tokens_total', 'type="completion"')).toBe(told.completion)
      expect(await metric('caller_cost_total')).toBe(toCost(told.nanos))
      return told
    },
  }
}

type Counted = Pick<Charge, 'kind' | 'prompt_tokens' | 'completion_tokens'> & {
  estimated?: boolean
  nanos?: number | undefined
}

function sum(charges: readonly Counted[]): Sums {
  const sums: Sums = { streams: 0, prompt: 0, completion: 0, estimated: 0, nanos: 0 }
  for (const { kind, prompt_tokens, completion_tokens, estimated = false, nanos = 0 } of charges) {
    if (kind === 'stream') sums.streams += 1
    sums.prompt += prompt_tokens
    sums.completion += completion_tokens
    if (estimated) sums.estimated += prompt_tokens + completion_tokens
    sums.nanos += nanos
  }
  return sums
}
