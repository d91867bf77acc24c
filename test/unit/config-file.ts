import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { loadConfig, type Config, type Environment } from '../../src/config.ts'

/** A file of these lines, gone when the test is over. */
function fileOf(...lines: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'sluice.yaml')
  writeFileSync(file, lines.join('\n'))
  return file
}

/** The configuration of an environment and a file, whatever lies in the working directory. */
export function load(environment: Environment, ...lines: string[]): Config {
  return loadConfig({ environment, file: fileOf(...lines) })
}
