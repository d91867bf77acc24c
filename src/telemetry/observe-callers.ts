import { ANONYMOUS } from '../access/caller.ts'
import type { Config } from '../config.ts'
import { toCost } from '../cost.ts'
import type { Accounts } from '../usage/accounts.ts'
import type { Metrics } from './metrics.ts'

/** The configured names: all values of the label `caller`. */
export function callerNames({ keys, jwt }: Pick<Config, 'keys' | 'jwt'>): string[] {
  const names = [...keys.map(({ name }) => name), ...(jwt ? [jwt.name] : [])]
  return names.length > 0 ? names : [ANONYMOUS.name]
}

/**
 * Counts what each configured caller uses.
 *
 * @returns a function that lets the series of these callers start at zero
 */
export function observeCallers(metrics: Metrics, accounts: Accounts): (names: readonly string[]) => void {
  const cells = new Map<string, ReturnType<typeof cellsOf>>()
  const find = (name: string) => {
    let counted = cells.get(name)
    if (!counted) cells.set(name, (counted = cellsOf(metrics, name)))
    return counted
  }
  accounts.onCharge(({ kind, caller, prompt_tokens, completion_tokens, nanos = 0 }) => {
    const counted = find(caller.principal.name)
    if (kind === 'stream') counted.streams.add()
    counted.prompt.add(prompt_tokens)
    counted.completion.add(completion_tokens)
    counted.cost.nanos += nanos
  })
  return (names) => names.forEach(find)
}

function cellsOf(metrics: Metrics, caller: string) {
  // A sum of whole numbers has no rounding errors.
  const cost = { nanos: 0 }
  metrics.watch('caller_cost_total', { caller }, () => toCost(cost.nanos))
  return {
    streams: metrics.cell('caller_streams_total', { caller }),
    prompt: metrics.cell('caller_tokens_total', { caller, type: 'prompt' }),
    completion: metrics.cell('caller_tokens_total', { caller, type: 'completion' }),
    cost,
  }
}
