// A new configuration for a gateway that runs: in force as a whole or not at all.

import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config.ts'
import { ConfigError } from './errors.ts'
import type { Fault } from './faults.ts'
import { LASTING_SETTINGS, variableName } from './settings.ts'
import type { Logger } from './telemetry/logger.ts'
import { withoutMessage } from './telemetry/redact.ts'

export const RELOAD_RESULTS = ['success', 'failure'] as const
export type ReloadResult = (typeof RELOAD_RESULTS)[number]

/** A fault for each setting that would change, and cannot while the gateway runs. */
export function lastingChanges(before: Config, after: Config): Fault[] {
  const changed = LASTING_SETTINGS.filter((name) => !isDeepStrictEqual(before[name], after[name]))
  const faults = changed.map((name) => ({ path: variableName(name), message: 'restart to change it' }))
  if ((before.tlsCert === '') !== (after.tlsCert === ''))
    faults.push({ path: 'TLS_CERT', message: 'restart to turn TLS on or off' })
  return faults
}

export interface ReloaderOptions {
  /** @throws ConfigError when the configuration has faults */
  readonly read: () => Config
  /** Puts a configuration in force. @throws ConfigError when it cannot be */
  readonly apply: (config: Config) => Promise<void>
  readonly logger: Logger
  readonly onResult: (result: ReloadResult) => Promise<void> | void
}

/** Reads the configuration again when it is asked to, one time after the other. After a failure nothing has changed. */
export class Reloader {
  readonly #options: ReloaderOptions
  #isRunning = false
  #isAskedAgain = false

  constructor(options: ReloaderOptions) {
    this.#options = options
  }

  /** Requests that come while it runs are met by one more time. */
  request(): void {
    this.#isAskedAgain = true
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#isAskedAgain) {
      this.#isAskedAgain = false
      await this.#options.onResult(await this.#reload())
    }
    this.#isRunning = false
  }

  async #reload(): Promise<ReloadResult> {
    const { read, apply, logger } = this.#options
    try {
      await apply(read())
      logger.info('configuration reloaded')
      return 'success'
    } catch (error) {
      if (error instanceof ConfigError)
        for (const { path, message } of error.faults)
          logger.error({ setting: path, fault: message }, 'configuration not reloaded')
      else logger.error({ err: withoutMessage(error) }, 'configuration not reloaded')
      return 'failure'
    }
  }
}
