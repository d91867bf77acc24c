import { existsSync } from 'node:fs'
import { stringify as toYaml } from 'yaml'
import { callerName } from './access/access-schema.ts'
import { describeIssue, describeIssues } from './config-faults.ts'
import { readConfigFile, type Environment } from './config-file.ts'
import { ConfigError } from './errors.ts'
import { isPlainRecord } from './json.ts'
import { maskConfig, maskedTexts } from './mask-config.ts'
import { checkTargets } from './routing/model-table.ts'
import { flag } from './setting-schemas.ts'
import {
  configSchema,
  KEYS_VARIABLE,
  PROVIDER_VARIABLES,
  SECRET_SETTINGS,
  settings,
  variableName,
  type Config,
  type LastingConfig,
} from './settings.ts'

export type { Config, Environment, LastingConfig }

export interface ConfigSources {
  environment?: Environment
  /** Path of a YAML file; by default `sluice.yaml` in the working directory, if it exists. */
  file?: string | undefined
  /** Names of providers that are passed to the gateway instead of configured, so that `models` may refer to them. */
  providers?: readonly string[]
}

/**
 * Merges sources, checked by one schema: the environment overrides the file, which overrides defaults.
 * @throws ConfigError
 */
export function loadConfig({ environment = {}, file, providers: given = [] }: ConfigSources = {}): Config {
  const fromFile = readConfigFile(file ?? (existsSync('sluice.yaml') ? 'sluice.yaml' : undefined), environment)
  const fromEnvironment: Record<string, unknown> = {}
  for (const name of Object.keys(settings)) {
    const value = environment[variableName(name)]
    if (value !== undefined && value !== '') fromEnvironment[name] = value
  }
  const configured = withEnvironment(isPlainRecord(fromFile.providers) ? fromFile.providers : {}, environment)
  const { data: wantsMock } = flag.safeParse(fromEnvironment.mock ?? fromFile.mock)
  const isAlone = given.length === 0 && Object.keys(configured).length === 0
  const providers = (wantsMock ?? isAlone) ? { mock: { type: 'mock' }, ...configured } : configured
  const input = {
    ...('mock' in providers && { defaultModel: 'mock' }),
    ...fromFile,
    ...fromEnvironment,
    ...(fromFile.providers === undefined || isPlainRecord(fromFile.providers) ? { providers } : {}),
    ...withKeys(fromFile.keys, environment[KEYS_VARIABLE]),
  }
  const result = configSchema.safeParse(input, { error: describeIssue })
  const faults = result.success
    ? checkTargets(result.data.models, new Set([...Object.keys(result.data.providers), ...given]))
    : describeIssues(result.error.issues, maskConfig(input, HARMLESS))
  if (result.success && faults.length === 0) return Object.freeze(result.data)
  throw new ConfigError(
    faults.map(({ path, message }) => ({ path: path in fromEnvironment ? variableName(path) : path, message })),
  )
}

function withEnvironment(configured: Record<string, unknown>, environment: Environment): Record<string, unknown> {
  const providers = { ...configured }
  for (const [name, variables] of Object.entries(PROVIDER_VARIABLES)) {
    const given: Record<string, unknown> = {}
    for (const [option, variable] of Object.entries(variables))
      if (environment[variable]) given[option] = environment[variable]
    const entry = providers[name]
    if (isPlainRecord(entry)) providers[name] = { ...(entry.type === name ? given : {}), ...entry }
    else if (entry === undefined && Object.keys(given).length > 0) providers[name] = { type: name, ...given }
  }
  return providers
}

/** Adds `name:key,name:key` to the file's keys. @throws ConfigError, which quotes no key */
function withKeys(fromFile: unknown, variable = ''): { keys?: unknown } {
  const given = variable.split(',').flatMap((part, index) => {
    const text = part.trim()
    if (text === '') return []
    const [, name, key] = /^([^:]*):(.+)$/.exec(text) ?? []
    if (key === undefined || !callerName.safeParse(name).success)
      throw new ConfigError([
        {
          path: KEYS_VARIABLE,
          message: `entry ${index + 1}: expected name:key, the name of letters, digits, ".", "_" and "-"`,
        },
      ])
    return [{ name, key: key.trim() }]
  })
  if (given.length === 0) return {}
  return { keys: Array.isArray(fromFile) ? [...fromFile, ...given] : (fromFile ?? given) }
}

const HARMLESS: ReadonlySet<string> = new Set(
  [...Object.keys(settings), 'models', 'modelsOnly', 'breaker', 'limits', 'prices'].filter(
    (name) => !SECRET_SETTINGS.has(name),
  ),
)

/** The configuration as YAML, without its secrets. */
export function printConfig(config: Config): string {
  return toYaml(maskConfig(config, HARMLESS))
}

/** The texts of a configuration that must not be logged. */
export function listSecrets(config: Config): string[] {
  return maskedTexts(config, maskConfig(config, HARMLESS))
}
