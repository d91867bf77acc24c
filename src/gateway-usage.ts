// The parts of a gateway that record what callers use: by day, as metrics, and as lines of the usage log.

import type { Config, LastingConfig } from './config.ts'
import { ConfigError } from './errors.ts'
import type { Backplane } from './store/backplane/backplane.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { callerNames, observeCallers } from './telemetry/observe-callers.ts'
import { observeUsageLog } from './telemetry/observe-usage-log.ts'
import { Accounts } from './usage/accounts.ts'
import { Ledger, type UsageLedger } from './usage/ledger.ts'
import { SharedLedger } from './usage/shared-ledger.ts'
import { checkUsageLog, UsageLog } from './usage/usage-log.ts'

export interface UsageRecords {
  readonly ledger: UsageLedger
  /** Charges at the prices of a configuration. */
  accountsOf(config: Config): Accounts
  /** Lets go of the thread that counts tokens, and writes the last lines of the log. */
  close(): Promise<void>
}

/** @throws ConfigError when the usage log cannot be written */
export async function createUsageRecords(
  config: LastingConfig,
  backplane: Backplane | undefined,
  metrics: Metrics,
  logger: Logger,
): Promise<UsageRecords> {
  const accounts = new Accounts({})
  const ledger = backplane ? new SharedLedger(backplane) : new Ledger()
  accounts.onCharge((charge) => ledger.add(charge))
  const startAtZero = observeCallers(metrics, accounts)
  const log = await openUsageLog(config, metrics, logger)
  if (log) accounts.onCharge((charge) => log.add(charge))
  return {
    ledger,
    accountsOf(current) {
      startAtZero(callerNames(current))
      return accounts.withPrices(current.prices)
    },
    async close() {
      accounts.close()
      await Promise.all([log?.close(), ledger.close()])
    },
  }
}

async function openUsageLog(
  { usageLog: path }: LastingConfig,
  metrics: Metrics,
  logger: Logger,
): Promise<UsageLog | undefined> {
  // Its metrics are at 0 also where there is none.
  const observer = observeUsageLog(metrics, logger)
  if (path === '') return undefined
  await checkUsageLog(path).catch((cause: unknown) => {
    throw new ConfigError([{ path: 'USAGE_LOG', message: `lines cannot be appended to ${path} (${String(cause)})` }])
  })
  return new UsageLog(path, observer)
}
